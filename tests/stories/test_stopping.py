"""A daemon in the middle of long work ends when it is told to, and leaves nothing running."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.stories.demo import vendor_file
from tests.stories.installation import Installation, await_
from tests.stories.watching import alive, descendants
from trust_store.api.readings import READINGS_OF_A_USER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.enable_socket
BIG = 64 * 1024**3
LONG_BEFORE_ITS_END = 5.0
"""Seconds: whatever has not ended by then waits for the reading."""


@pytest.fixture
def place(folder: Path) -> Iterator[Installation]:
    """A running daemon that takes files in at once."""
    made = Installation(folder / "place", vendors={"dten": vendor_file("dten", "DTEN")}, sidecar_wait_seconds=0.1)
    made.configure()
    made.start()
    yield made
    made.stop()


def big_file(path: Path) -> Path:
    """A file that takes long to read and no room."""
    path.touch()
    os.truncate(path, BIG)
    return path


def readers(place: Installation) -> set[int]:
    """The processes below the daemon that have the big file open."""
    assert place.daemon is not None
    found = set()
    for pid in descendants(place.daemon.pid):
        try:
            opened = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]  # noqa: PTH208, PTH115
        except OSError:
            continue
        if any(name.endswith("big.bin") for name in opened):
            found.add(pid)
    return found


def asked_about(place: Installation, path: Path) -> socket.socket:
    """A connection over which the verdict on a path was asked for."""
    body = json.dumps({"path": str(path), "vendor": "dten"}).encode()
    asking = socket.socket(socket.AF_UNIX)
    asking.connect(str(place.folder / "api.sock"))
    head = b"POST /v1/check HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    asking.sendall(head % len(body) + body)
    return asking


def require_quick_end(place: Installation) -> None:
    """Once a worker reads, SIGTERM ends everything in time."""
    await_("a worker to read the file", lambda: readers(place))
    assert place.daemon is not None
    below = descendants(place.daemon.pid)
    began = time.monotonic()
    assert place.stop() == 0
    assert time.monotonic() - began < LONG_BEFORE_ITS_END
    await_("its processes to end", lambda: not alive(below), LONG_BEFORE_ITS_END)
    assert "Traceback" not in place.log()


def test_stop_ends_what_the_intake_reads(place: Installation) -> None:
    """SIGTERM during a long read ends the daemon within two seconds, no process of it stays, and nothing is said of the file."""
    big_file(place.incoming / "dten/big.bin")
    require_quick_end(place)
    assert place.alerts() == []


def test_stop_ends_what_an_asker_has_read(place: Installation) -> None:
    """So it does while somebody waits for an answer over HTTP: he gets none that could be taken for a verdict."""
    with asked_about(place, big_file(place.incoming / ".big.bin")) as asking:
        require_quick_end(place)
        answer = asking.recv(65536)
    assert b" 200 " not in answer
    assert place.alerts() == []


def test_a_reading_ends_when_the_asker_hangs_up(place: Installation) -> None:
    """Nobody's answer is worked for: the worker ends with the connection, and the journal holds no traceback."""
    with asked_about(place, big_file(place.incoming / ".big.bin")):
        await_("a worker to read it", lambda: readers(place))
    await_("the worker to end", lambda: not readers(place), LONG_BEFORE_ITS_END)
    assert "Traceback" not in place.log()


def test_askers_keep_the_intake_from_nothing(place: Installation) -> None:
    """However many readings a user asks for, two run, and what is dropped meanwhile is taken in."""
    path = big_file(place.incoming / ".big.bin")
    with ExitStack() as held:
        for _ in range(10):
            held.enter_context(asked_about(place, path))
        await_("workers to read it", lambda: len(readers(place)) == READINGS_OF_A_USER)
        (place.incoming / "dten/small.bin").write_bytes(b"unsigned")
        await_("the alert", place.alerts)
        assert len(readers(place)) == READINGS_OF_A_USER


def test_questions_wait_for_no_writer_and_keep_none_waiting(place: Installation) -> None:
    """While somebody else holds the store's write lock, what is known is answered; what has to be recorded waits."""
    with closing(sqlite3.connect(place.folder / "state/rootwarden.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        with httpx.Client(
            transport=httpx.HTTPTransport(uds=str(place.folder / "api.sock")), base_url="http://x"
        ) as http:
            for path in ("/v1/anchors", "/v1/bundle", "/readyz"):
                assert http.get(path).status_code == 200
            assert http.get(f"/v1/packages/{'a' * 64}?vendor=dten").status_code == 404
        other.rollback()
