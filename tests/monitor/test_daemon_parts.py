from __future__ import annotations

import os
import socket
import sqlite3
import threading
from pathlib import Path

import pytest

from monitor.intake_folder import look
from monitor.sd_notify import notify, watchdog_seconds
from monitor.storage_thread import StorageThread
from trust_store.storage.writer_lock import WriterBusyError, writer_lock


def test_notify_reaches_systemds_socket(tmp_path: Path) -> None:
    """READY=1 arrives as one datagram at the path of $NOTIFY_SOCKET."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "n"))
        sent = notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "n")})
        assert (sent, server.recv(100)) == (True, b"READY=1")


@pytest.mark.parametrize(
    "environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "relative"}, {"NOTIFY_SOCKET": "/nonexistent/n"}]
)
def test_notify_without_systemd_does_nothing(environ: dict[str, str]) -> None:
    """Where nobody listens the daemon runs all the same."""
    assert notify("READY=1", environ) is False


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "x"}, None),
        ({}, None),
    ],
)
def test_watchdog_is_pinged_at_half_its_time(environ: dict[str, str], seconds: float | None) -> None:
    """The ping interval is half of WATCHDOG_USEC, and only for the process systemd means."""
    assert watchdog_seconds(environ, pid=7) == seconds


async def test_storage_runs_on_one_thread_of_its_own() -> None:
    """All functions see the same connection on the same thread, and that is not the event loop's."""
    storage = StorageThread(lambda: sqlite3.connect(":memory:"))
    seen = [await storage.run(lambda c: (id(c), threading.get_ident())) for _ in range(3)]
    storage.close()
    assert len(set(seen)) == 1
    assert seen[0][1] != threading.get_ident()


async def test_storage_hands_exceptions_back() -> None:
    """What a storage function raises reaches whoever awaited it, and the thread goes on."""
    storage = StorageThread(lambda: sqlite3.connect(":memory:"))
    with pytest.raises(sqlite3.OperationalError):
        await storage.run(lambda c: c.execute("nonsense"))
    assert await storage.run(lambda c: c.execute("select 1").fetchone()) == (1,)
    storage.close()


def test_second_writer_is_refused(tmp_path: Path) -> None:
    """Only one process writes to a store at a time; the lock goes with its holder."""
    with writer_lock(tmp_path / "lock"), pytest.raises(WriterBusyError), writer_lock(tmp_path / "lock"):
        pass
    with writer_lock(tmp_path / "lock"):
        pass


def test_look_reports_what_is_no_regular_file(tmp_path: Path) -> None:
    """Links, pipes and the like are never followed or opened, and are told."""
    (tmp_path / "v").mkdir()
    (tmp_path / "v/a").write_bytes(b"x")
    (tmp_path / "v/link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "v/pipe")
    sights, odd = look(tmp_path)
    assert [s.path for s in sights] == ["v/a"]
    assert sorted(odd) == ["v/link", "v/pipe"]


def test_look_sees_a_writer(tmp_path: Path) -> None:
    """A file that a process still has open for writing is told as being written."""
    with (tmp_path / "a").open("wb") as writer:
        writer.write(b"x")
        writer.flush()
        during = look(tmp_path)[0][0].being_written
    assert (during, look(tmp_path)[0][0].being_written) == (True, False)


def test_look_at_a_missing_folder_tells_it(tmp_path: Path) -> None:
    """A folder that cannot be listed is told rather than taken for empty."""
    assert look(tmp_path / "gone") == ((), (".",))
