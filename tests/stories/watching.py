"""Looks from outside at a running installation: its tables, its processes, and the wires to its channels."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import threading
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.stories.installation import await_

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from tests.stories.installation import Installation


def rows(place: Installation, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """What a read-only question to the store answers."""
    with closing(sqlite3.connect(f"file:{place.folder}/state/rootwarden.db?mode=ro", uri=True, timeout=10)) as store:
        return store.execute(statement, values).fetchall()


def intake(place: Installation, path: str) -> tuple[str, str] | None:
    """(status, SHA-256 of the package) of a file in the incoming folder, None while the store does not know it."""
    found = rows(place, "SELECT status, package_sha256 FROM intake WHERE path = ?", path)
    return (str(found[0][0]), str(found[0][1])) if found else None


def deliveries(place: Installation) -> dict[str, tuple[str, str | None]]:
    """Channel -> (state, possible repeat of) of the one alert's deliveries."""
    return {c: (s, r) for c, s, r in rows(place, "SELECT channel, state, possible_repeat_of FROM delivery")}


def descendants(pid: int) -> set[int]:
    """The processes below ``pid``, zombies left out."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        if fields[0] != "Z":
            parents[int(entry.parent.name)] = int(fields[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def alive(pids: set[int]) -> set[int]:
    """Those of ``pids`` that still run."""
    living = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            living.add(pid)
    return living


def kill(place: Installation) -> None:
    """SIGKILL to the daemon alone; its worker processes have to notice by themselves."""
    assert place.daemon is not None
    below = descendants(place.daemon.pid)
    place.stop(9)
    await_("the worker processes to end", lambda: not alive(below))


def _attached_tracer(pid: int, number: int) -> subprocess.Popen[bytes]:
    """An strace that holds every thread of ``pid``; one that came while a thread was ending is refused and tries again."""

    def attempt() -> subprocess.Popen[bytes] | None:
        tracer = subprocess.Popen(
            [
                "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync,fsync",
                "-e", f"inject=fdatasync,fsync:signal=SIGKILL:when={number}", "-p", str(pid),
            ]
        )  # fmt: skip

        def holds() -> bool:
            traced = [
                f"TracerPid:\t{tracer.pid}\n" in s.read_text() for s in Path(f"/proc/{pid}/task").glob("*/status")
            ]
            return tracer.poll() is not None or (bool(traced) and all(traced))

        await_("strace to hold every thread or to end", holds)
        return tracer if tracer.poll() is None else None

    tracer: subprocess.Popen[bytes] = await_("strace to attach", attempt)
    return tracer


@contextmanager
def killed_at_sync(place: Installation, number: int) -> Iterator[Callable[[], bool]]:
    """Have the kernel kill the daemon as it makes its ``number``-th write to disk lasting from now on (strace's injection).

    Gives the question whether it has died; afterwards nobody traces it any more.
    """
    assert place.daemon is not None
    pid = place.daemon.pid
    tracer = _attached_tracer(pid, number)
    try:
        yield lambda: not alive({pid})
    finally:
        tracer.kill()  # also where it does not notice that the last thread is gone
        tracer.wait()


class Gate:
    """A wire to a server on loopback: shut (connections are refused), silent (taken, and nothing is said), then open."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """Where it is."""
        return int(self._socket.getsockname()[1])

    def silent(self) -> None:
        """Let connections be made, and say nothing."""
        self._socket.listen()

    def open(self) -> None:
        """Hand every connection on from now on; those made while it was silent are cut."""
        port = self.port
        self._socket.close()
        self._socket = socket.create_server(("127.0.0.1", port))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> Gate:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._socket.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=_carry, args=(one, other), daemon=True).start()


def _carry(one: socket.socket, other: socket.socket) -> None:
    try:
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        one.close()
        other.close()
