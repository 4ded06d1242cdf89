"""A sender that is really killed (SIGKILL), before and while the first byte leaves."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from escalation.config import DeliverySettings, SMTPSettings
from escalation.delivery.smtp import open_channel
from escalation.dispatch import dispatch_due, recover
from escalation.model import DeliveryState
from escalation.rules import decide
from escalation.storage.rows import deliveries
from escalation.triage import raise_alert
from tests.escalation.conftest import AT, make_context
from tests.escalation.test_dispatch import Run

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from tests.simulator.smtp import SMTPServer

SENDER = "r@example.org"
CHILD = """
import asyncio, sys
from datetime import datetime, UTC
from pathlib import Path
from escalation.config import DeliverySettings, SMTPSettings
from escalation.delivery.smtp import open_channel
from escalation.dispatch import dispatch_due
from trust_store.storage.connection import connect
connection = connect(Path(sys.argv[1]))
async def run(function):
    return function(connection)
settings = SMTPSettings(host="127.0.0.1", port=int(sys.argv[2]), sender="r@example.org", recipients=("s@example.org",), starttls=False)
now = lambda: datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
channel = open_channel(DeliverySettings(Path("c"), smtp=settings), {}, now)
asyncio.run(dispatch_due(run, {"smtp": channel}, now, bytes))
"""


@pytest.fixture
def alert_id(store: sqlite3.Connection, randomness: Callable[[int], bytes]) -> str:
    """One alert waiting for its mail."""
    return raise_alert(store, decide(make_context()), channels=("smtp",), at=AT, randomness=randomness)


def start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """The sender in a process of its own."""
    return subprocess.Popen([sys.executable, "-c", CHILD, str(folder / "rootwarden.db"), str(port)], cwd=Path.cwd())


async def restart(store: sqlite3.Connection, port: int) -> int:
    """What the daemon does after a restart; returns how many rows it found cut off."""
    found = recover(store, AT)
    settings = SMTPSettings(host="127.0.0.1", port=port, sender=SENDER, recipients=("s@example.org",), starttls=False)
    channel = open_channel(DeliverySettings(Path("c"), smtp=settings), {}, lambda: AT)
    assert channel is not None
    await dispatch_due(Run(store), {"smtp": channel}, lambda: AT, bytes)
    return found


async def test_killed_before_the_first_byte_it_arrives_exactly_once(
    store: sqlite3.Connection, smtp: SMTPServer, alert_id: str, tmp_path: Path
) -> None:
    """The server never said hello: the row is still queued, the mail is sent once and unmarked."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        child = start(tmp_path, silent.getsockname()[1])
        peer, _ = await asyncio.to_thread(silent.accept)
        child.send_signal(signal.SIGKILL)
        child.wait()
        peer.close()
    assert deliveries(store, alert_id)[0].state is DeliveryState.QUEUED
    assert await restart(store, smtp.port) == 0
    assert [m.mail["X-Rootwarden-Possible-Repeat-Of"] for m in smtp.messages] == [None]


@pytest.mark.parametrize("fault", ["hang", "taken"])
async def test_killed_while_sending_it_arrives_with_at_most_one_marked_repeat(
    store: sqlite3.Connection, smtp: SMTPServer, alert_id: str, tmp_path: Path, fault: str
) -> None:
    """Content on its way, or taken and unanswered: the restart sends one repeat, and it is marked."""
    smtp.faults.append(fault)
    child = start(tmp_path, smtp.port)
    assert await asyncio.to_thread(smtp.reached_data.wait, 20)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert deliveries(store, alert_id)[0].state is DeliveryState.SENDING
    assert await restart(store, smtp.port) == 1
    marks = [m.mail["X-Rootwarden-Possible-Repeat-Of"] for m in smtp.messages]
    row = deliveries(store, alert_id)[0]
    assert marks == ([row.id] if fault == "hang" else [None, row.id])
    assert row.state is DeliveryState.SENT
    assert {m.mail["Message-ID"] for m in smtp.messages} == {f"<{row.message_id}>"}
