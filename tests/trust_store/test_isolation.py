from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import signal
import socket
import struct
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.trust_store.worker_craft import BENIGN, descriptors, read_with, spin
from trust_store.formats import isolation
from trust_store.model.package_facts import PackageFacts, Problem
from trust_store.model.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def package(tmp_path: Path) -> Iterator[int]:
    """An open file of four bytes."""
    path = tmp_path / "package"
    path.write_bytes(b"data")
    with path.open("rb") as file:
        yield file.fileno()


def attempt(action: Callable[[], object]) -> str:
    """How an action ends: its errno's name, or ``done``."""
    try:
        action()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "?")
    except Exception as error:  # noqa: BLE001 - reported
        return type(error).__name__
    return "done"


def system_call(name: str, *arguments: int) -> Callable[[], None]:
    """The call by number, as injected code would make it."""

    def call() -> None:
        numbers = isolation._CALLS[platform.machine()] | isolation._CALLS_EVERYWHERE | {"clone3": 435, "openat2": 437}
        library = ctypes.CDLL(None, use_errno=True)
        padded = [ctypes.c_long(value) for value in (numbers[name], *arguments, 0, 0, 0, 0, 0)][:7]
        if library.syscall(*padded) < 0:
            raise OSError(ctypes.get_errno(), name)

    return call


def probes(path: str, parent: int) -> dict[str, Callable[[], object]]:
    """Everything a worker must not be able to do, and at the end what it must."""
    calls = [
        "execve",
        "ptrace",
        "io_uring_setup",
        "bpf",
        "memfd_create",
        "unshare",
        "keyctl",
        "pidfd_open",
        "clone3",
        "openat2",
    ]
    thread = threading.Thread(target=lambda: None)
    return {
        "socket": socket.socket,
        "pair": socket.socketpair,
        "fork": os.fork,
        "exec": lambda: os.execv("/bin/true", ["true"]),  # noqa: S606 - the call itself
        "spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
        "kill": lambda: os.kill(parent, 0),
        "write": lambda: os.open(path, os.O_WRONLY),
        "append": lambda: os.open(path, os.O_RDWR | os.O_APPEND),
        "create": lambda: os.open(path + ".new", os.O_CREAT | os.O_WRONLY),
        "unlink": lambda: os.unlink(path),  # noqa: PTH108 - the call itself
        "rename": lambda: os.rename(path, path + ".new"),  # noqa: PTH104 - the call itself
        "chmod": lambda: os.chmod(path, 0o777),  # noqa: PTH101 - the call itself
        "mkdir": lambda: os.mkdir(path + ".d"),  # noqa: PTH102 - the call itself
        **{f"call {name}": system_call(name) for name in calls},
        "tgkill": lambda: signal.pthread_kill(threading.get_ident(), 0),
        "thread": lambda: (thread.start(), thread.join()),
        "read": lambda: os.close(os.open(path, os.O_RDONLY)),
    }


def test_worker_can_do_nothing_else(monkeypatch: pytest.MonkeyPatch, package: int, tmp_path: Path) -> None:
    """No network, no programs, no processes, no other process, no change to any file; threads and reading remain."""
    secret = tmp_path / "secret"
    secret.write_text("x")
    actions = probes(str(secret), os.getpid())

    def reading(*_: object) -> PackageFacts:
        found = {name: attempt(action) for name, action in actions.items()}
        found["descriptors"] = str(descriptors())
        found["dumpable"] = str(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
        return replace(BENIGN, problem=Problem(Reason.UNREADABLE, json.dumps(found)))

    facts = read_with(monkeypatch, reading, package)
    assert facts.problem is not None
    found = json.loads(facts.problem.detail)
    assert {name: found.pop(name) for name in ("thread", "read", "tgkill")} == dict.fromkeys(
        ("thread", "read", "tgkill"), "done"
    )
    assert (found.pop("call clone3"), found.pop("call openat2")) == ("ENOSYS", "ENOSYS")
    # three that lead nowhere, /dev/null itself, channel, package, and the listing's own
    assert int(found.pop("descriptors")) <= 7
    assert found.pop("dumpable") == "0"
    assert set(found.values()) == {"EPERM"}
    assert facts.isolated
    assert secret.read_text() == "x"


def verdict(machine: str, number: int, *arguments: int, architecture: int | None = None) -> int:
    """What the filter of ``machine`` returns for a system call, by running its program."""
    program = isolation.filter_program(machine, 77)
    assert program is not None
    arch = isolation._MACHINES[machine].architecture if architecture is None else architecture
    data = struct.pack("=IIQ6Q", number, arch, 0, *(*arguments, 0, 0, 0, 0, 0, 0)[:6])
    code = list(struct.iter_unpack("=HBBI", program))
    at = value = 0
    while True:
        operation, true, false, k = code[at]
        at += 1
        if operation == 0x06:
            return int(k)
        if operation == 0x20:
            value = int.from_bytes(data[k : k + 4], sys.byteorder)
        else:
            holds = {0x15: value == k, 0x35: value >= k, 0x45: bool(value & k)}[operation]
            at += true if holds else false


ALLOW, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS, 0x80000000


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_filter_program(machine: str) -> None:
    """The filter of either machine refuses what it lists, looks into the arguments it can see, and allows the rest."""
    known = isolation._MACHINES[machine]
    refused = {*isolation._CALLS[machine].values(), *isolation._CALLS_EVERYWHERE.values()}
    special = {known.clone, known.openat, known.ioctl, known.tgkill, 435, 437}
    for number in range(500):
        if number not in special | {2 if machine == "x86_64" else -1}:
            assert verdict(machine, number) == (EPERM if number in refused else ALLOW)
    assert verdict(machine, 0, architecture=0x40000003) == KILL
    assert [verdict(machine, number) for number in (435, 437)] == [ENOSYS, ENOSYS]
    assert [verdict(machine, known.clone, flags) for flags in (signal.SIGCHLD, 0x00010F00)] == [EPERM, ALLOW]
    assert [verdict(machine, known.tgkill, process) for process in (1, 77)] == [EPERM, ALLOW]
    assert [verdict(machine, known.ioctl, 0, request) for request in (0x5412, 0x541C, 0x5401)] == [EPERM, EPERM, ALLOW]
    flags = (os.O_WRONLY, os.O_RDWR | os.O_CLOEXEC, os.O_CREAT, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    assert [verdict(machine, known.openat, 0, 0, each) for each in flags] == [EPERM, EPERM, EPERM, ALLOW]
    if machine == "x86_64":
        assert [verdict(machine, 2, 0, each) for each in flags] == [EPERM, EPERM, EPERM, ALLOW]
        assert verdict(machine, 0x40000000) == KILL


def test_processor_time_is_limited(package: int) -> None:
    """A worker's processor time ends it also where nobody waits."""
    child = os.fork()
    if child == 0:
        isolation.isolate({package}, cpu_seconds=1)
        spin()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) in (-signal.SIGXCPU, -signal.SIGKILL)
