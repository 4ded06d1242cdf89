"""What ends is told 90, 30, 7 and 1 day before, once each."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from escalation.storage.schema import MIGRATIONS
from monitor.expiry_alerts import MAX_LINES, expiry_notices, tell
from trust_store.forecast import ANCHOR, PACKAGE, Expiry
from trust_store.storage.connection import connect
from trust_store.storage.migrations import migrate

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ROOT = Expiry(AT + 100 * DAY, ANCHOR, "the root expires", "dten", anchor_id="anchor_1")
_numbers = itertools.count(1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A store with the tables of alerts."""
    connection = connect(tmp_path / "rootwarden.db", create=True)
    migrate(connection, tmp_path / "migrate.lock", (MIGRATIONS,))
    yield connection
    connection.close()


def told(store: sqlite3.Connection, at: datetime, *expiries: Expiry) -> list[tuple[str, str]]:
    """Tell, and list (reason, status) of every alert."""
    tell(store, expiries, channels=("smtp",), at=at, randomness=lambda n: next(_numbers).to_bytes(n, "big"))
    return [(r[0], r[1]) for r in store.execute("SELECT reason, status FROM alert ORDER BY opened_at, id")]


def test_each_step_is_told_once_and_takes_the_place_of_the_one_before(store: sqlite3.Connection) -> None:
    """Nothing before 90 days; then one open alert at a time, one message a step, and nothing once it has ended."""
    assert told(store, AT, ROOT) == []
    assert told(store, AT + 11 * DAY, ROOT) == [("within_90_days", "open")]
    assert told(store, AT + 12 * DAY, ROOT) == [("within_90_days", "open")]
    assert told(store, AT + 75 * DAY, ROOT)[-1] == ("within_30_days", "open")
    assert told(store, AT + 94 * DAY, ROOT)[-1] == ("within_7_days", "open")
    assert told(store, AT + 99.5 * DAY, ROOT) == [
        ("within_90_days", "resolved"), ("within_30_days", "resolved"), ("within_7_days", "resolved"), ("within_1_days", "open"),
    ]  # fmt: skip
    assert len(told(store, AT + 101 * DAY, ROOT)) == 4
    assert store.execute("SELECT count(*) FROM delivery").fetchone()[0] == 4


def test_what_ends_together_is_one_alert(store: sqlite3.Connection) -> None:
    """An anchor and every product under it that ends with it are told together, others apart, and a long list says what it left out."""
    products = [Expiry(ROOT.at, PACKAGE, "x", "dten", product=f"{n}.zip") for n in range(MAX_LINES + 5)]
    notices = expiry_notices([ROOT, *products, Expiry(ROOT.at, ANCHOR, "y", "acme")], AT + 20 * DAY)
    assert len(notices) == 2
    long = next(n.draft for n in notices if n.draft.vendor_id == "dten")
    assert "45 product(s)" in long.title
    assert long.lines[-1].startswith("and 6 more")
    assert len(told(store, AT + 20 * DAY, ROOT, *products)) == 1
