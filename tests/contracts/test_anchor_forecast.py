"""``rootwarden anchor forecast``: what ends when, out of a store."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tests.contracts.packages import CONTENT, DAY, Holder, issue
from tests.contracts.test_store_answers import Store
from tests.trust_store.package_craft import read
from tests.trust_store.store_setup import randomness
from tests.trust_store.verdict_craft import beside
from trust_store import forecaster
from trust_store.model.identifiers import format_time
from trust_store.storage.connection import connect, transaction
from trust_store.storage.facts import record_sighting, save_facts

if TYPE_CHECKING:
    import pytest

    from tests.contracts.conftest import Rootwarden


def seen(store: Store, holder: Holder, name: str, vendor: str | None, at: datetime, content: bytes = CONTENT) -> None:
    """A package that the store has seen."""
    facts = read(content, beside(holder.cms(content)))
    with closing(connect(store.folder / "rootwarden.db")) as connection, transaction(connection):
        save_facts(connection, facts, origin="intake", at=at, randomness=randomness)
        record_sighting(connection, facts.sha256, name, f"/incoming/{name}", vendor, "intake", at)


def test_what_ends_is_told(fast: Rootwarden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anchors and the newest package of every product, as text and as JSON; of one vendor where one is named."""
    now = datetime.now(UTC).replace(microsecond=0)
    store = Store(tmp_path, fast)
    assert fast.run("anchor", "forecast")[:2] == (0, "Nothing ends within 180 days; products asked about: 0\n")
    root = issue(tmp_path, "root", ca=True, days=(-400, 100))
    old, new = (issue(tmp_path, name, root, days=(-100, days)) for name, days in (("old", 20), ("new", 50)))
    anchor = store.trust(root)
    seen(store, old, "camera.bin", "dten", now - 9 * DAY)
    seen(store, new, "camera.bin", "dten", now - 5 * DAY, CONTENT + b"2")
    seen(store, old, "panel\x1b[31m.bin", "dten", now - 4 * DAY, CONTENT + b"3")
    seen(store, old, "nobody.bin", None, now - 3 * DAY, CONTENT + b"4")
    seen(store, old, "other.bin", "acme", now - 3 * DAY, CONTENT + b"5")
    code, out, _ = fast.run("anchor", "forecast", "--json", "--days", "365")
    document = json.loads(out)
    assert (code, document["products"], document["complete"]) == (0, 4, True)
    told = [(one["product"], one["what"], one["anchor"], one["vendor"]) for one in document["expiries"]]
    assert told == [
        ("panel\x1b[31m.bin", "package_stops", anchor, "dten"),
        ("camera.bin", "package_stops", anchor, "dten"),
        (None, "anchor_expires", anchor, "dten"),
    ]
    assert document["expiries"][-1]["at"] == format_time(root.certificate.not_valid_after_utc)
    code, out, _ = fast.run("anchor", "forecast", "--vendor", "dten", "--days", "30")
    assert code == 0
    assert "\x1b" not in out
    assert out.splitlines()[-1] == "Ends within 30 days: 1; products asked about: 2"
    assert fast.run("anchor", "forecast", "--vendor", "acme")[1].startswith("Nothing ends")
    monkeypatch.setattr(forecaster, "MAX_PRODUCTS", 1)
    document = json.loads(fast.run("anchor", "forecast", "--json")[1])
    assert (document["products"], document["complete"]) == (1, False)
    assert "and there are more" in fast.run("anchor", "forecast")[1]


def test_wrong_questions(fast: Rootwarden, tmp_path: Path) -> None:
    """A vendor nobody configured and no days at all are usage errors; without a store there is nothing to read."""
    code, _, err = fast.run("anchor", "forecast")
    assert code in (2, 4)
    assert err
    Store(tmp_path, fast)
    code, _, err = fast.run("anchor", "forecast", "--vendor", "dte")
    assert code == 2
    assert "dten" in err
    for days in ("0", "-1", "x", "99999999999"):
        assert fast.run("anchor", "forecast", "--days", days)[0] == 2


def test_damaged_facts_are_left_out(fast: Rootwarden, tmp_path: Path) -> None:
    """Facts that cannot be read any more, or that an older reader wrote, hide no other package's end."""
    now = datetime.now(UTC).replace(microsecond=0)
    store = Store(tmp_path, fast)
    root = issue(tmp_path, "root", ca=True, days=(-400, 400))
    signer = issue(tmp_path, "signer", root, days=(-100, 20))
    store.trust(root)
    for number, name in enumerate(("a.bin", "b.bin", "c.bin")):
        seen(store, signer, name, "dten", now, CONTENT + bytes([number]))
    with closing(connect(store.folder / "rootwarden.db")) as connection, transaction(connection):
        first, second, _ = (row[0] for row in connection.execute("SELECT id FROM fact_set ORDER BY id").fetchall())
        connection.execute("UPDATE fact_set SET facts = '{' WHERE id = ?", (first,))
        connection.execute("UPDATE fact_set SET reader_version = 1 WHERE id = ?", (second,))
    document = json.loads(fast.run("anchor", "forecast", "--json")[1])
    assert [one["what"] for one in document["expiries"]] == ["package_stops"]
