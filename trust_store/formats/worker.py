"""Reading a package in a process of its own that can do nothing else; the parent believes no more than a checked answer.

::

    parent --(package descriptor, request)--> worker: isolate, read_package --(facts as JSON)--> parent: facts_from_json

One process reads one package: what a package did to its reader never reaches another package. A worker that crashes, hangs
or answers nonsense gives facts with a problem, never an exception and never anything that could pass.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
import struct
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol

from trust_store.decode.facts_json import MAX_FACTS_BYTES, facts_from_json, facts_to_json
from trust_store.errors import MalformedError
from trust_store.formats.detect import read_package
from trust_store.formats.isolation import close_all_but, die_with_parent, isolate
from trust_store.formats.protocol import CHUNK_BYTES, ReadLimits
from trust_store.formats.streaming import FileSource
from trust_store.formats.worker_request import decode_request, encode_request
from trust_store.model.package_facts import PackageFacts, Problem
from trust_store.model.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.context import ForkServerContext

    from trust_store.formats.protocol import SideMaterial
    from trust_store.signatures.protocol import CandidateKey

_LENGTH = struct.Struct(">Q")
_STATUS = struct.Struct(">i")
_READ, _FINISH = b"r", b"f"
_OUT_OF_RESOURCES = (signal.SIGKILL, signal.SIGXCPU, signal.SIGXFSZ)
PRELOAD = ["__main__", "trust_store.formats.worker"]
"""Imported once by the fork server, before any package is seen."""


class PackageWorker(Protocol):
    """Reads packages in isolation."""

    def read(
        self,
        package_fd: int,
        side: tuple[SideMaterial, ...],
        candidates: tuple[CandidateKey, ...],
        limits: ReadLimits,
    ) -> PackageFacts:
        """The facts of the open file; whatever goes wrong stands in their ``problem``."""
        ...

    def close(self) -> None:
        """End the processes behind it; may be called twice."""
        ...


class _WorkerError(Exception):
    """The worker gave no answer, or none that counts."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.problem = Problem(reason, detail)


@dataclass(frozen=True, slots=True)
class _Question:
    package_fd: int
    request: bytes
    deadline: float

    @property
    def seconds_left(self) -> float:
        return max(0.001, self.deadline - time.monotonic())


class ForkedReader:
    """For a command: a child forked right after imports forks one worker per read. Not thread-safe."""

    def __init__(self, control: socket.socket, child: int) -> None:
        self._control: socket.socket | None = control
        self._child = child

    @classmethod
    def start(cls) -> PackageWorker:
        """Fork now. Where threads run already, which a fork would not survive, the fork server is used instead."""
        if len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208 - names only
            return ForkServerReader()
        control, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent = os.getpid()
        child = os.fork()
        if child == 0:
            _never_return(lambda: _fork_workers(other, parent))
        other.close()
        return cls(control, child)

    def read(
        self,
        package_fd: int,
        side: tuple[SideMaterial, ...],
        candidates: tuple[CandidateKey, ...],
        limits: ReadLimits,
    ) -> PackageFacts:
        """The facts of the open file; whatever goes wrong stands in their ``problem``."""

        def ask(question: _Question) -> bytes:
            if self._control is None:
                raise _WorkerError(Reason.UNREADABLE, "the reader has been closed")
            ours, theirs = socket.socketpair()
            with ours:
                with theirs:
                    socket.send_fds(self._control, [_READ], [theirs.fileno()])
                try:
                    answer = _exchange(ours, question)
                finally:  # also when interrupted: the worker must be gone before anybody hears of it
                    status = self._finish()
            return answer or _no_answer(os.waitstatus_to_exitcode(status))

        return _read(ask, package_fd, side, candidates, limits)

    def _finish(self) -> int:
        """Have the worker killed if it still runs; returns its wait status."""
        if self._control is None:
            return 0
        try:
            self._control.send(_FINISH)
            return int(_STATUS.unpack(self._control.recv(_STATUS.size))[0])
        except (OSError, struct.error) as error:
            self.close()
            raise _WorkerError(Reason.UNREADABLE, "the process that starts readers is gone") from error
        except BaseException:  # interrupted: an answer may still be under way, so that no other question can be put
            self.close()
            raise

    def close(self) -> None:
        """End the child and whatever it runs; may be called twice."""
        if self._control is None:
            return
        self._control.close()
        self._control = None
        # its control socket is at its end, so it ends by itself; the kill is for one that hangs
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self._child, signal.SIGKILL)
            os.waitpid(self._child, 0)


class ForkServerReader:
    """For the daemon: multiprocessing's fork server, preloaded, forks one worker per read. Thread-safe.

    Making one starts the fork server, which is to happen before there are threads and an event loop.
    """

    def __init__(self) -> None:
        import multiprocessing
        from multiprocessing import forkserver

        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOAD)
        forkserver.ensure_running()
        self._lock = threading.Lock()

    def read(
        self,
        package_fd: int,
        side: tuple[SideMaterial, ...],
        candidates: tuple[CandidateKey, ...],
        limits: ReadLimits,
    ) -> PackageFacts:
        """The facts of the open file; whatever goes wrong stands in their ``problem``."""

        def ask(question: _Question) -> bytes:
            ours, theirs = socket.socketpair()
            with ours:
                process = self._context.Process(target=serve, args=(theirs,), daemon=True)
                with theirs, self._lock:
                    process.start()
                try:
                    answer = _exchange(ours, question)
                finally:
                    with self._lock:
                        if process.exitcode is None:
                            process.kill()
                        process.join()
                        code = process.exitcode or 0
                        process.close()
            return answer or _no_answer(code)

        return _read(ask, package_fd, side, candidates, limits)

    def close(self) -> None:
        """Nothing: the fork server belongs to this whole process and ends with it."""


def sandbox_available() -> bool:
    """Whether workers can be isolated in full on this machine, system call filter included; found out by starting one."""
    reader = ForkedReader.start()
    try:
        with Path(os.devnull).open("rb") as empty:
            facts = reader.read(empty.fileno(), (), (), ReadLimits(wall_seconds=30.0))
    finally:
        reader.close()
    # an empty file is of no known format: any other problem means that there was no worker to ask
    return facts.isolated and facts.problem is not None and facts.problem.reason is Reason.UNSUPPORTED_FORMAT


def serve(channel: socket.socket) -> None:
    """A worker's life: take one request, isolate, read, answer, end."""
    _never_return(lambda: _serve(channel, os.getppid()))


def _serve(channel: socket.socket, parent: int) -> None:
    die_with_parent(parent)
    header, descriptors, _, _ = socket.recv_fds(channel, _LENGTH.size, 1)
    request = _receive(channel, _LENGTH.unpack(header)[0])
    side, candidates, limits = decode_request(request)
    seconds = min(limits.wall_seconds, 86_400.0)
    cpu_seconds = int(4 * seconds) + 2  # several digests at once; the parent's deadline is the real one
    isolated = isolate({channel.fileno(), descriptors[0]}, cpu_seconds=cpu_seconds)
    facts = replace(answer_for(descriptors[0], side, candidates, limits), isolated=isolated)
    channel.sendall(facts_to_json(facts).encode("ascii"))


def answer_for(
    descriptor: int, side: tuple[SideMaterial, ...], candidates: tuple[CandidateKey, ...], limits: ReadLimits
) -> PackageFacts:
    """``read_package``, with whatever a reader should never raise turned into a problem."""
    try:
        return read_package(FileSource(descriptor), side, candidates, limits)
    except (MemoryError, RecursionError) as error:
        return _failed(
            descriptor, side, Problem(Reason.RESOURCE_LIMIT, f"the reader ran out of {type(error).__name__}")
        )
    except Exception as error:  # noqa: BLE001 - hostile input met a defect: say so, and never pass
        return _failed(descriptor, side, Problem(Reason.UNREADABLE, f"the reader failed: {type(error).__name__}"))


def _fork_workers(control: socket.socket, parent: int) -> None:
    """The forked child's life: one worker after another, until the parent closes its end."""
    die_with_parent(parent)
    close_all_but({control.fileno()})
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # the parent decides what an interrupt means
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    own = os.getpid()
    while True:
        command, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if command != _READ:
            return
        worker = os.fork()
        if worker == 0:
            control.close()
            _never_return(lambda channel=descriptors[0]: _serve(socket.socket(fileno=channel), own))  # type: ignore[misc]
        os.close(descriptors[0])
        control.recv(1)  # finished, or the parent is gone; the worker's id is not free before it has been waited for
        os.kill(worker, signal.SIGKILL)
        _, status = os.waitpid(worker, 0)
        control.send(_STATUS.pack(status))


def _never_return(life: Callable[[], None]) -> NoReturn:
    """Run ``life`` and end the process without the parent's exit functions, whatever happens."""
    code = 1
    try:
        life()
        code = 0
    finally:
        os._exit(code)


def _read(
    ask: Callable[[_Question], bytes],
    package_fd: int,
    side: tuple[SideMaterial, ...],
    candidates: tuple[CandidateKey, ...],
    limits: ReadLimits,
) -> PackageFacts:
    try:
        question = _Question(
            package_fd, encode_request(side, candidates, limits), time.monotonic() + limits.wall_seconds
        )
        facts = facts_from_json(ask(question))
        if facts.size == os.fstat(package_fd).st_size:
            return facts
        problem = Problem(Reason.UNREADABLE, "the file changed while it was being read")
    except _WorkerError as error:
        problem = error.problem
    except MalformedError as error:
        problem = Problem(Reason.UNREADABLE, f"the reader's answer cannot be used: {error}")
    except OSError as error:
        problem = Problem(Reason.UNREADABLE, f"the reader could not be asked: {error.strerror or error}")
    return _failed(package_fd, side, problem)


def _exchange(channel: socket.socket, question: _Question) -> bytes:
    """Put the question and take the whole answer; empty where the worker ended without one."""
    try:
        channel.settimeout(question.seconds_left)
        socket.send_fds(channel, [_LENGTH.pack(len(question.request))], [question.package_fd])
        channel.sendall(question.request)
    except TimeoutError as error:
        raise _WorkerError(Reason.RESOURCE_LIMIT, "the reader did not finish in time") from error
    except OSError:  # it is gone; what it still said, and how it ended, is asked below
        return b""
    pieces: list[bytes] = []
    size = 0
    try:
        while size <= MAX_FACTS_BYTES:
            channel.settimeout(question.seconds_left)
            piece = channel.recv(CHUNK_BYTES)
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)
            size += len(piece)
    except TimeoutError as error:
        raise _WorkerError(Reason.RESOURCE_LIMIT, "the reader did not finish in time") from error
    except OSError:
        return b""
    raise _WorkerError(Reason.RESOURCE_LIMIT, f"the reader's answer is larger than {MAX_FACTS_BYTES} bytes")


def _no_answer(code: int) -> NoReturn:
    if -code in _OUT_OF_RESOURCES:
        raise _WorkerError(Reason.RESOURCE_LIMIT, f"the reader was ended by signal {-code}")
    raise _WorkerError(Reason.UNREADABLE, f"the reader crashed: exit {code}")


def _receive(channel: socket.socket, length: int) -> bytes:
    pieces: list[bytes] = []
    while length:
        piece = channel.recv(min(length, CHUNK_BYTES))
        if not piece:
            os._exit(0)
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)


def _failed(descriptor: int, side: tuple[SideMaterial, ...], problem: Problem) -> PackageFacts:
    """Facts that say only which file it was, and what went wrong."""
    digest = hashlib.sha256()
    size = 0
    try:
        while piece := os.pread(descriptor, CHUNK_BYTES, size):
            digest.update(piece)
            size += len(piece)
        sha256 = digest.hexdigest()
    except OSError:
        sha256 = ""
    material = tuple(sorted(item.file.sha256 for item in side))
    return PackageFacts(sha256, size, None, 0, material, problem)
