from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import platform
import signal
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
from tests.trust_store.worker_craft import BENIGN, descriptors, forked, read_with, spin
from trust_store.formats import isolation, worker, worker_process
from trust_store.formats.worker import ForkedReader, ForkServerReader, sandbox_available
from trust_store.formats.worker_process import answer_for
from trust_store.formats.worker_request import decode_request, encode_request
from trust_store.model.verdict import Reason
from trust_store.signatures.protocol import CandidateKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trust_store.formats.streaming import FileSource
    from trust_store.model.package_facts import PackageFacts


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


def reason(facts: PackageFacts) -> Reason | None:
    """The problem's reason; the digest must be there all the same."""
    assert facts.sha256 == hashlib.sha256(b"data").hexdigest()
    return facts.problem.reason if facts.problem else None


@pytest.mark.parametrize("start", [ForkedReader.start, ForkServerReader, forked])
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


def bomb() -> PackageFacts:
    """Allocate without end."""
    kept = []
    while True:
        kept.append(bytes(64 * 1024**2))


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
    facts = read_with(
        monkeypatch,
        lambda *_: reading(),
        package,
        wall_seconds=60.0 if expected is Reason.UNREADABLE or reading is bomb else 0.3,
    )
    assert reason(facts) is expected
    assert facts.signatures == ()


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


def test_sandbox_available(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether workers can be isolated is found out by starting one."""
    monkeypatch.setattr(ForkedReader, "start", forked)
    assert sandbox_available()
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert not sandbox_available()


def test_reader_survives_a_crashed_worker(monkeypatch: pytest.MonkeyPatch, package: int) -> None:
    """After a crash the next package is read by a fresh worker."""
    real = worker_process.read_package

    def reading(source: FileSource, *rest: object) -> PackageFacts:
        if source.size == 4:
            os.abort()
        return real(source, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(worker_process, "read_package", reading)
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
    server = ForkServerReader()
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
    reader = ForkServerReader()

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
    assert reason(ForkServerReader().read(package, (), (), replace(LIMITS, wall_seconds=0.0))) is Reason.RESOURCE_LIMIT


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
from trust_store.formats import worker, worker_process
from trust_store.formats.protocol import ReadLimits
def hang(*_):
    time.sleep(600)
worker_process.read_package = hang
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

        monkeypatch.setattr(worker_process, "read_package", reading)
        assert reason(answer_for(package, (), (), LIMITS)) is expected
