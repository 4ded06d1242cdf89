"""Reading a package in a process of its own that can do nothing else; the parent believes no more than a checked answer.

::

    parent --(package descriptor, request)--> worker: isolate, read_package --(facts as JSON)--> parent: facts_from_json

One process reads one package: what a package did to its reader never reaches another package. A worker that crashes, hangs
or answers nonsense gives facts with a problem, never an exception and never anything that could pass.

This module is the parent's side; the worker's is ``worker_process``, which only the processes that read packages import.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol

import trust_store.decode.x509  # noqa: F401 - X.509 is wanted on both sides, and dear: once, before the fork
from trust_store.decode.facts_json import MAX_FACTS_BYTES, facts_from_json
from trust_store.errors import MalformedError
from trust_store.formats.protocol import CHUNK_BYTES, ReadLimits
from trust_store.formats.worker_request import FINISH, LENGTH, READ, STATUS, encode_request, unread_facts
from trust_store.model.package_facts import Problem
from trust_store.model.verdict import Reason
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.context import ForkServerContext
    from multiprocessing.process import BaseProcess

    from trust_store.formats.protocol import SideMaterial
    from trust_store.model.package_facts import PackageFacts
    from trust_store.signatures.protocol import CandidateKey

_OUT_OF_RESOURCES = (signal.SIGKILL, signal.SIGXCPU, signal.SIGXFSZ)
PRELOAD = ["__main__", "trust_store.formats.worker_process"]
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
    """For a command: a child imports the readers, while the command goes on, and forks one worker per read. Not thread-safe."""

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
            _be_child(other, parent)
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
                    socket.send_fds(self._control, [READ], [theirs.fileno()])
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
            self._control.send(FINISH)
            return int(STATUS.unpack(self._control.recv(STATUS.size))[0])
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


class Scope:
    """Readings that end together: whoever closes it has their processes killed, and nothing more is read in it. Thread-safe."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._running: set[BaseProcess] = set()
        self.closed = False

    def require_open(self) -> None:
        """Raises what ends the wait of a coroutine for its thread just as its own cancellation does."""
        if self.closed:
            from concurrent.futures import CancelledError  # dear, and wanted only where it is loaded

            raise CancelledError

    def begin(self, process: BaseProcess) -> None:
        """Count a process in, with the lock held."""
        self._running.add(process)

    def end(self, process: BaseProcess) -> int:
        """Have a process killed if it still runs; returns how it ended."""
        with self._lock:
            self._running.discard(process)
            if process.exitcode is None:
                process.kill()
            process.join()
            code = process.exitcode or 0
            process.close()
        return code

    def close(self) -> None:
        """Kill what runs; may be called twice."""
        with self._lock:
            self.closed = True
            for process in self._running:
                process.kill()


class ForkServerReader:
    """For the daemon: multiprocessing's fork server, preloaded, forks one worker per read. Thread-safe.

    Making one starts the fork server, which is to happen before there are threads and an event loop. A read whose reader was closed
    raises concurrent.futures.CancelledError: there are no facts, and nothing about the package may be recorded.
    """

    def __init__(self) -> None:
        import multiprocessing
        from multiprocessing import forkserver

        from trust_store.formats.worker_process import serve

        self._serve = serve
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOAD)
        forkserver.ensure_running()
        self._lock = threading.Lock()
        self._own = Scope(self._lock)
        self._scopes = {self._own}

    def read(
        self,
        package_fd: int,
        side: tuple[SideMaterial, ...],
        candidates: tuple[CandidateKey, ...],
        limits: ReadLimits,
    ) -> PackageFacts:
        """The facts of the open file; whatever goes wrong stands in their ``problem``."""
        return self._read_in(self._own, package_fd, side, candidates, limits)

    @contextlib.contextmanager
    def apart(self) -> Iterator[ScopedReader]:
        """A reader that can be closed by itself; closing this one closes it as well."""
        scope = Scope(self._lock)
        with self._lock:
            scope.closed = self._own.closed
            self._scopes.add(scope)
        try:
            yield ScopedReader(lambda *asked: self._read_in(scope, *asked), scope)
        finally:
            scope.close()
            with self._lock:
                self._scopes.discard(scope)

    def close(self) -> None:
        """Kill every worker and start none any more; may be called twice. The fork server ends with this whole process."""
        with self._lock:
            self._own.closed = True
            scopes = tuple(self._scopes)
        for scope in scopes:
            scope.close()

    def _read_in(
        self,
        scope: Scope,
        package_fd: int,
        side: tuple[SideMaterial, ...],
        candidates: tuple[CandidateKey, ...],
        limits: ReadLimits,
    ) -> PackageFacts:
        def ask(question: _Question) -> bytes:
            ours, theirs = socket.socketpair()
            with ours:
                process = self._context.Process(target=self._serve, args=(theirs,), daemon=True)
                with theirs, self._lock:
                    scope.require_open()
                    process.start()
                    scope.begin(process)
                try:
                    answer = _exchange(ours, question)
                finally:
                    code = scope.end(process)
            scope.require_open()
            return answer or _no_answer(code)

        return _read(ask, package_fd, side, candidates, limits, scope.require_open)


@dataclass(frozen=True, slots=True)
class ScopedReader:
    """A ``PackageWorker`` whose workers are its own."""

    read: Callable[[int, tuple[SideMaterial, ...], tuple[CandidateKey, ...], ReadLimits], PackageFacts]
    scope: Scope

    def close(self) -> None:
        """Kill its workers; may be called twice."""
        self.scope.close()


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


def _be_child(control: socket.socket, parent: int) -> NoReturn:
    """The forked child of a command: never returns, whatever happens."""
    try:
        from trust_store.formats.worker_process import (
            fork_workers,  # the parent has no use for it, and does not wait for it
        )

        fork_workers(control, parent)
    finally:
        os._exit(1)


def _read(
    ask: Callable[[_Question], bytes],
    package_fd: int,
    side: tuple[SideMaterial, ...],
    candidates: tuple[CandidateKey, ...],
    limits: ReadLimits,
    go_on: Callable[[], None] = lambda: None,
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
    return unread_facts(package_fd, side, problem, go_on)


def _exchange(channel: socket.socket, question: _Question) -> bytes:
    """Put the question and take the whole answer; empty where the worker ended without one."""
    try:
        channel.settimeout(question.seconds_left)
        socket.send_fds(channel, [LENGTH.pack(len(question.request))], [question.package_fd])
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
