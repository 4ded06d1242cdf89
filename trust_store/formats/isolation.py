"""What a worker gives up before it looks at a hostile package: descriptors, privileges, resources and system calls (Linux).

Nothing here can be taken back by the process that called it. The filter is a deny list: what a reader has no use for and an
intruder would, network, programs, processes, other processes' memory, changes to files and to the terminal.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import signal
import struct
import termios
from pathlib import Path
from typing import TYPE_CHECKING

from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

MEMORY_BYTES = 1024**3
OPEN_FILES = 32
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_MODE_FILTER = 2

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_KILL, _ALLOW, _ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
_OFFSET_NUMBER, _OFFSET_ARCHITECTURE, _OFFSET_ARGUMENTS = 0, 4, 16
_CLONE_THREAD = 0x00010000
_X32_BIT = 0x40000000
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_TIOCLINUX = 0x541C

_CALLS: dict[str, dict[str, int]] = {
    "x86_64": {
        "socket": 41, "connect": 42, "accept": 43, "bind": 49, "listen": 50, "socketpair": 53, "accept4": 288,
        "fork": 57, "vfork": 58, "execve": 59, "execveat": 322, "kill": 62, "tkill": 200, "ptrace": 101,
        "process_vm_readv": 310, "process_vm_writev": 311, "creat": 85, "rename": 82, "mkdir": 83, "rmdir": 84, "link": 86,
        "unlink": 87, "symlink": 88, "chmod": 90, "fchmod": 91, "chown": 92, "fchown": 93, "lchown": 94, "mknod": 133,
        "truncate": 76, "ftruncate": 77, "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190, "mkdirat": 258,
        "mknodat": 259, "fchownat": 260, "unlinkat": 263, "renameat": 264, "linkat": 265, "symlinkat": 266,
        "fchmodat": 268, "utimensat": 280, "renameat2": 316, "mount": 165, "umount2": 166, "pivot_root": 155,
        "chroot": 161, "unshare": 272, "setns": 308, "add_key": 248, "request_key": 249, "keyctl": 250,
        "perf_event_open": 298, "open_by_handle_at": 304, "bpf": 321, "userfaultfd": 323, "memfd_create": 319,
        "init_module": 175, "finit_module": 313,
    },
    "aarch64": {
        "socket": 198, "socketpair": 199, "bind": 200, "listen": 201, "accept": 202, "connect": 203, "accept4": 242,
        "execve": 221, "execveat": 281, "kill": 129, "tkill": 130, "ptrace": 117, "process_vm_readv": 270,
        "process_vm_writev": 271, "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7, "mknodat": 33, "mkdirat": 34,
        "unlinkat": 35, "symlinkat": 36, "linkat": 37, "renameat": 38, "umount2": 39, "mount": 40, "pivot_root": 41,
        "truncate": 45, "ftruncate": 46, "chroot": 51, "fchmod": 52, "fchmodat": 53, "fchownat": 54, "fchown": 55,
        "utimensat": 88, "unshare": 97, "setns": 268, "add_key": 217, "request_key": 218, "keyctl": 219,
        "perf_event_open": 241, "open_by_handle_at": 265, "bpf": 280, "userfaultfd": 282, "memfd_create": 279,
        "renameat2": 276, "init_module": 105, "finit_module": 273,
    },
}  # fmt: skip
_CALLS_EVERYWHERE = {
    "pidfd_send_signal": 424, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "pidfd_open": 434,
    "pidfd_getfd": 438, "fchmodat2": 452,
}  # fmt: skip
_LIBRARY = ctypes.CDLL(None, use_errno=True)
_CLONE3, _OPENAT2 = 435, 437  # their arguments lie in memory, where a filter cannot look


@dataclass(frozen=True, slots=True)
class _Machine:
    architecture: int
    clone: int
    openat: int
    open: int | None
    ioctl: int
    tgkill: int


_MACHINES = {
    "x86_64": _Machine(0xC000003E, clone=56, openat=257, open=2, ioctl=16, tgkill=234),
    "aarch64": _Machine(0xC00000B7, clone=220, openat=56, open=None, ioctl=29, tgkill=131),
}


def die_with_parent(parent: int) -> None:
    """Have this process killed when its parent ends, however that ends; ends at once where it already has."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def close_all_but(keep: Iterable[int]) -> None:
    """Close every descriptor except ``keep``; the three standard ones then lead nowhere."""
    kept = sorted(set(keep))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        if standard not in kept:
            os.dup2(nowhere, standard)
    start = 3
    for descriptor in (*(k for k in kept if k >= start), _highest_descriptor() + 1):
        os.closerange(start, descriptor)
        start = descriptor + 1


def isolate(keep: Iterable[int], *, cpu_seconds: int, memory_bytes: int = MEMORY_BYTES) -> bool:
    """Give up everything a reader has no use for; returns whether the system call filter could be set too.

    ``memory_bytes`` is what may be mapped beyond what is mapped now. Call it in a process of its own with one thread.
    """
    close_all_but(keep)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    unprivileged = _prctl(_PR_SET_NO_NEW_PRIVS, 1) and _prctl(_PR_SET_DUMPABLE, 0)
    for kind, limit in (
        (resource.RLIMIT_AS, _mapped_bytes() + memory_bytes),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
    ):
        _lower(kind, limit)
    program = filter_program(platform.machine(), os.getpid())
    return unprivileged and program is not None and _set_filter(program)


def filter_program(machine: str, process: int) -> bytes | None:
    """The BPF program for ``machine`` as an array of ``struct sock_filter``; None for a machine that is not known."""
    if machine not in _MACHINES:
        return None
    known = _MACHINES[machine]
    calls = {**_CALLS[machine], **_CALLS_EVERYWHERE}
    code = [
        *_if_not(
            _EQUAL, _OFFSET_ARCHITECTURE, known.architecture, _KILL
        ),  # another table of numbers: int 0x80 and the like
        _instruction(_LOAD, k=_OFFSET_NUMBER),
        *([_instruction(_AT_LEAST, 0, 1, _X32_BIT), _instruction(_RETURN, k=_KILL)] if machine == "x86_64" else []),
    ]
    for number in sorted(calls.values()):
        code += [_instruction(_EQUAL, 0, 1, number), _refuse(errno.EPERM)]
    for number in (_CLONE3, _OPENAT2):  # the C library then falls back to the older call
        code += [_instruction(_EQUAL, 0, 1, number), _refuse(errno.ENOSYS)]
    code += _when(known.clone, 0, [_instruction(_ANY_BIT, 1, 0, _CLONE_THREAD), _refuse(errno.EPERM)])
    code += _when(known.tgkill, 0, [_instruction(_EQUAL, 1, 0, process), _refuse(errno.EPERM)])
    for opening, argument in ((known.openat, 2), (known.open, 1)):
        if opening is not None:
            code += _when(opening, argument, [_instruction(_ANY_BIT, 0, 1, _WRITING), _refuse(errno.EPERM)])
    for request in (termios.TIOCSTI, _TIOCLINUX):  # typing into the operator's terminal
        code += _when(known.ioctl, 1, [_instruction(_EQUAL, 0, 1, request), _refuse(errno.EPERM)])
    return b"".join([*code, _instruction(_RETURN, k=_ALLOW)])


def _when(number: int, argument: int, body: list[bytes]) -> list[bytes]:
    """``body`` with the low half of ``argument`` loaded, where the call is ``number``; the number is loaded again after."""
    load = _instruction(_LOAD, k=_OFFSET_ARGUMENTS + 8 * argument)
    return [_instruction(_EQUAL, 0, len(body) + 2, number), load, *body, _instruction(_LOAD, k=_OFFSET_NUMBER)]


def _if_not(test: int, offset: int, value: int, action: int) -> list[bytes]:
    return [_instruction(_LOAD, k=offset), _instruction(test, 1, 0, value), _instruction(_RETURN, k=action)]


def _refuse(number: int) -> bytes:
    return _instruction(_RETURN, k=_ERRNO | number)


def _instruction(code: int, true: int = 0, false: int = 0, k: int = 0) -> bytes:
    return struct.pack("=HBBI", code, true, false, k)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def _set_filter(program: bytes) -> bool:
    record = _Program(len(program) // 8, program)
    return _prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(record))


def _prctl(option: int, *arguments: int) -> bool:
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)][:4]
    return bool(_LIBRARY.prctl(ctypes.c_int(option), *padded) == 0)


def _lower(kind: int, limit: int) -> None:
    """Lower a limit for good; one that is lower already stays."""
    _, hard = resource.getrlimit(kind)
    value = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(kind, (value, value))


def _mapped_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()


def _highest_descriptor() -> int:
    try:
        return max(int(name) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208 - names only
    except OSError:
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
