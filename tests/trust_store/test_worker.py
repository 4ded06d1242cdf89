from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import json
import os
import platform
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.trust_store.package_craft import LIMITS, Signer, archive, bundle, read, side
from trust_store.formats import isolation, worker
from trust_store.formats.worker import ForkedReader, ForkServerReader, answer_for
from trust_store.formats.worker_request import decode_request, encode_request
from trust_store.model.package_facts import PackageFacts, Problem
from trust_store.model.verdict import Reason
from trust_store.signatures.protocol import CandidateKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trust_store.formats.streaming import FileSource

BENIGN = PackageFacts("a" * 64, 4, None, 0)


@pytest.fixture(scope="module")
def ec(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    """A P-256 signer."""
    return Signer.make(
        tmp_path_factory.mktemp("worker"), "ec", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"
    )


@pytest.fixture
def package(tmp_path: Path) -> Iterator[int]:
    """An open file of four bytes."""
    path = tmp_path / "package"
    path.write_bytes(b"data")
    with path.open("rb") as file:
        yield file.fileno()


def forked() -> ForkedReader:
    """A reader forked from this process as it is now, patches included, threads or not."""
    control, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        worker._never_return(lambda: worker._fork_workers(other, parent))
    other.close()
    return ForkedReader(control, child)


def read_with(
    monkeypatch: pytest.MonkeyPatch, reading: Callable[..., PackageFacts], package: int, **limits: float
) -> PackageFacts:
    """The facts where the worker runs ``reading`` in place of ``read_package``."""
    monkeypatch.setattr(worker, "read_package", reading)
    reader = forked()
    try:
        return reader.read(package, (), (), replace(LIMITS, **limits))  # type: ignore[arg-type]
    finally:
        reader.close()


def reason(facts: PackageFacts) -> Reason | None:
    """The problem's reason; the digest must be there all the same."""
    assert facts.sha256 == hashlib.sha256(b"data").hexdigest()
    return facts.problem.reason if facts.problem else None


@pytest.mark.parametrize("start", [ForkedReader.start, ForkServerReader.start, forked])
def test_worker_answers_as_the_reader_does(
    start: Callable[[], worker.PackageWorker], tmp_path: Path, ec: Signer
) -> None:
    """In isolation the facts are those of the reader itself, one package after another."""
    reader = start()
    try:
        for number, data in enumerate(
            (bundle(ec, {"a": b"x"}), b"data", archive({"b": b"y"}), b"", bytes(9 * 1024**2))
        ):
            sides = (side(ec.cms(data, "-md", "sha512")),) if number in (1, 4) else ()
            path = tmp_path / str(number)
            path.write_bytes(data)
            with path.open("rb") as file:
                facts = reader.read(file.fileno(), sides, (ec.candidate,), LIMITS)
            assert facts == read(data, *sides, keys=(ec.candidate,))
            assert facts.isolated
    finally:
        reader.close()
        reader.close()


def descriptors() -> int:
    """How many descriptors this process has open, the listing's own included."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names only


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


def bomb() -> PackageFacts:
    """Allocate without end."""
    kept = []
    while True:
        kept.append(bytes(64 * 1024**2))


def spin() -> PackageFacts:
    """Never end."""
    while True:
        pass


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        (bomb, Reason.RESOURCE_LIMIT),
        (spin, Reason.RESOURCE_LIMIT),
        (lambda: time.sleep(600), Reason.RESOURCE_LIMIT),
        (os.abort, Reason.UNREADABLE),
        (lambda: ctypes.string_at(0), Reason.UNREADABLE),
        (lambda: os._exit(0), Reason.UNREADABLE),
        (lambda: os._exit(3), Reason.UNREADABLE),
        (lambda: 1 // 0, Reason.UNREADABLE),
        (lambda: replace(BENIGN, sha256="nonsense"), Reason.UNREADABLE),
        (lambda: replace(BENIGN, size=5), Reason.UNREADABLE),
        (lambda: os.kill, Reason.UNREADABLE),
    ],
)
def test_failing_workers(
    monkeypatch: pytest.MonkeyPatch, package: int, reading: Callable[[], PackageFacts], expected: Reason
) -> None:
    """Memory, time, crashes and nonsense become facts with a problem; nothing is raised and nothing hangs."""
    facts = read_with(monkeypatch, lambda *_: reading(), package, wall_seconds=3.0 if reading is bomb else 0.3)
    assert reason(facts) is expected
    assert facts.signatures == ()


def test_processor_time_is_limited(package: int) -> None:
    """A worker's processor time ends it also where nobody waits."""
    child = os.fork()
    if child == 0:
        isolation.isolate({package}, cpu_seconds=1)
        spin()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) in (-signal.SIGXCPU, -signal.SIGKILL)


def test_oversized_answer(monkeypatch: pytest.MonkeyPatch, package: int) -> None:
    """An answer above the cap is a resource limit."""
    reader = forked()
    monkeypatch.setattr(worker, "MAX_FACTS_BYTES", 10)
    assert reason(reader.read(package, (), (), LIMITS)) is Reason.RESOURCE_LIMIT
    reader.close()


def test_without_filter_the_facts_say_so(monkeypatch: pytest.MonkeyPatch, package: int) -> None:
    """Where the system call filter cannot be set, the package is read and the facts say it was not isolated."""
    assert isolation.filter_program("riscv64", 1) is None
    assert len(isolation.filter_program("aarch64", 1) or b"") % 8 == 0
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    reader = forked()
    facts = reader.read(package, (side(b"x"),), (), LIMITS)
    reader.close()
    assert (facts.isolated, facts.format) == (False, "detached")


def test_reader_survives_a_crashed_worker(monkeypatch: pytest.MonkeyPatch, package: int) -> None:
    """After a crash the next package is read by a fresh worker."""
    real = worker.read_package

    def reading(source: FileSource, *rest: object) -> PackageFacts:
        if source.size == 4:
            os.abort()
        return real(source, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(worker, "read_package", reading)
    reader = forked()
    assert reason(reader.read(package, (), (), LIMITS)) is Reason.UNREADABLE
    with Path("/dev/null").open("rb") as empty:
        facts = reader.read(empty.fileno(), (), (), LIMITS)
    assert facts.problem is not None
    assert facts.problem.reason is Reason.UNSUPPORTED_FORMAT
    reader.close()


def test_no_descriptors_are_left(package: int) -> None:
    """Reading leaves no descriptor open in the parent, whatever happened."""
    reader = forked()
    server = ForkServerReader.start()
    for each in (reader, server):
        each.read(package, (), (), LIMITS)
    before = descriptors()
    for each in (reader, server):
        each.read(package, (), (), LIMITS)
        each.read(package, (), (), replace(LIMITS, wall_seconds=0.0))
    assert descriptors() == before
    reader.close()


def test_closed_or_killed_reader_is_unreadable(package: int) -> None:
    """A reader whose process is gone answers with a problem."""
    reader = forked()
    os.kill(reader._child, signal.SIGKILL)
    assert reason(reader.read(package, (), (), LIMITS)) is Reason.UNREADABLE
    assert reason(reader.read(package, (), (), LIMITS)) is Reason.UNREADABLE
    reader.close()


def test_unreadable_descriptor(tmp_path: Path) -> None:
    """A descriptor that cannot be read gives facts without a digest."""
    reader = forked()
    folder = os.open(tmp_path, os.O_RDONLY)
    facts = reader.read(folder, (), (), LIMITS)
    assert facts.problem is not None
    assert (facts.problem.reason, facts.sha256) == (Reason.UNREADABLE, "")
    os.close(folder)
    reader.close()


def test_fork_server_is_thread_safe(tmp_path: Path) -> None:
    """Several threads may read at once, and each gets its own package's facts."""
    reader = ForkServerReader.start()

    def one(number: int) -> bool:
        data = b"package %d" % number
        path = tmp_path / str(number)
        path.write_bytes(data)
        with path.open("rb") as file:
            return reader.read(file.fileno(), (), (), LIMITS).sha256 == hashlib.sha256(data).hexdigest()

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(one, range(12)))


def test_fork_server_worker_that_hangs_is_killed(package: int) -> None:
    """The deadline holds for the fork server too."""
    assert (
        reason(ForkServerReader.start().read(package, (), (), replace(LIMITS, wall_seconds=0.0)))
        is Reason.RESOURCE_LIMIT
    )


def test_with_threads_the_fork_server_is_used() -> None:
    """A process that already has threads is not forked."""
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        assert isinstance(ForkedReader.start(), ForkServerReader)
    finally:
        done.set()
        thread.join()


SCRIPT = """
import os, sys, time
from trust_store.formats import worker
from trust_store.formats.protocol import ReadLimits
def hang(*_):
    time.sleep(600)
worker.read_package = hang
reader = worker.ForkedReader.start()
sys.stdout.write("ready\\n")
sys.stdout.flush()
reader.read(os.open(sys.argv[1], os.O_RDONLY), (), (), ReadLimits())
"""


def descendants(process: int) -> list[int]:
    """Children and their children."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{process}/task/{process}/children").read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


def gone(process: int) -> bool:
    """Whether a process has ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_process_outlives_the_parent(tmp_path: Path, number: signal.Signals) -> None:
    """However the command ends, kill -9 and Ctrl-C to the whole group included, its workers end with it."""
    path = tmp_path / "package"
    path.write_bytes(b"data")
    command = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with command:
        assert command.stdout is not None
        assert command.stdout.readline() == b"ready\n"
        until(lambda: len(descendants(command.pid)) == 2)
        workers = descendants(command.pid)
        if number is signal.SIGKILL:
            command.kill()
        else:
            os.killpg(command.pid, number)
        command.wait(20)
    until(lambda: all(gone(process) for process in workers))


def test_second_opinion_inside_the_worker(tmp_path: Path) -> None:
    """An OpenPGP signature that holds gets pysequoia's opinion on the whole file, within the worker's limits."""
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--passphrase", "", "--pinentry-mode", "loopback"]
    path = tmp_path / "package"
    path.write_bytes(b"data")
    subprocess.run([*gpg, "--quick-gen-key", "v@example.org", "ed25519", "sign", "1y"], check=True, capture_output=True)
    subprocess.run([*gpg, "--detach-sign", str(path)], check=True, capture_output=True)
    key = subprocess.run([*gpg, "--export"], check=True, capture_output=True).stdout
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)
    reader = forked()
    with path.open("rb") as file:
        signature = side((tmp_path / "package.sig").read_bytes(), "package.sig")
        facts = reader.read(file.fileno(), (signature,), (CandidateKey("openpgp", key),), LIMITS)
    reader.close()
    assert [(check.holds, check.second_opinion) for check in facts.signatures[0].key_checks] == [(True, True)]


def test_request_round_trip(ec: Signer) -> None:
    """The worker gets what the parent was asked."""
    asked = ((side(b"\0\xff"),), (ec.candidate,), replace(LIMITS, wall_seconds=1.5))
    assert decode_request(encode_request(*asked)) == asked


def test_defects_become_problems(monkeypatch: pytest.MonkeyPatch, package: int) -> None:
    """An exception no reader should raise is a problem, never a pass."""
    for error, expected in (
        (MemoryError(), Reason.RESOURCE_LIMIT),
        (RecursionError(), Reason.RESOURCE_LIMIT),
        (KeyError("x"), Reason.UNREADABLE),
    ):

        def reading(*_: object, error: Exception = error) -> PackageFacts:
            raise error

        monkeypatch.setattr(worker, "read_package", reading)
        assert reason(answer_for(package, (), (), LIMITS)) is expected
