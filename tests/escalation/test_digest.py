"""The daily digest: what observed vendors would have alerted about is told once a day, and nothing is lost on the way."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import TYPE_CHECKING

from escalation.digest import MAX_LINES, defer, send_due
from escalation.model import Severity
from escalation.rules import notice
from tests.escalation.conftest import AT

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

_numbers = itertools.count(1)


def randomness(length: int) -> bytes:
    """Never the same bytes twice."""
    return next(_numbers).to_bytes(length, "big")


def put(store: sqlite3.Connection, subject: str, at: datetime = AT) -> str:
    """Defer one alert."""
    draft = notice("verdict", "unsigned", Severity.MEDIUM, f"dten: {subject}", subject=subject, vendor_id="dten")
    return defer(store, draft, at=at, randomness=randomness)


def told(store: sqlite3.Connection, at: datetime = AT) -> str | None:
    """Send what is due at seven."""
    return send_due(store, hour=7, channels=("smtp", "slack"), at=at, randomness=randomness)


def deliveries(store: sqlite3.Connection) -> int:
    """How many messages wait."""
    return int(store.execute("SELECT count(*) FROM delivery").fetchone()[0])


def test_nothing_is_sent_before_the_digest(store: sqlite3.Connection) -> None:
    """A deferred alert is on record and open, and no channel hears of it by itself."""
    alert_id = put(store, "a.zip")
    assert store.execute("SELECT status FROM alert WHERE id = ?", (alert_id,)).fetchone()[0] == "open"
    assert deliveries(store) == 0


def test_the_digest_tells_all_of_them_once(store: sqlite3.Connection) -> None:
    """One message a channel with every entry; the same day there is no other, what comes later is told the next day."""
    ids = [put(store, name) for name in ("a.zip", "b.zip", "a.zip")]
    assert ids[0] == ids[2]
    digest = told(store)
    assert digest is not None
    body = store.execute("SELECT title, body FROM alert WHERE id = ?", (digest,)).fetchone()
    assert body["title"].startswith("2 alert(s)")
    assert all(i in body["body"] for i in ids)
    assert deliveries(store) == 2
    assert told(store, AT + timedelta(hours=1)) is None
    put(store, "c.zip", AT + timedelta(hours=2))
    assert told(store, AT + timedelta(hours=3)) is None
    assert told(store, AT + timedelta(days=1)) is not None
    assert told(store, AT + timedelta(days=2)) is None


def test_the_digest_waits_for_its_hour(store: sqlite3.Connection) -> None:
    """Before the hour nothing goes out, whatever waits."""
    put(store, "a.zip", AT - timedelta(days=3))
    assert told(store, AT.replace(hour=6, minute=59)) is None
    assert told(store, AT.replace(hour=7, minute=0)) is not None


def test_a_long_digest_says_how_much_it_left_out(store: sqlite3.Connection) -> None:
    """More entries than fit are counted."""
    for number in range(MAX_LINES + 3):
        put(store, f"{number}.zip")
    digest = told(store)
    assert "and 3 more" in store.execute("SELECT body FROM alert WHERE id = ?", (digest,)).fetchone()[0]
