"""A fact set that somebody else wrote into the database: it counts for nothing, is told, and stops no other package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalation.model import Severity
from monitor.places import Place
from monitor.set_alerts import STORE_KIND
from tests.monitor.test_intake import Place1, place
from tests.simulator.vendor_pki import vendor_bundle
from trust_store.model.identifiers import format_time
from trust_store.model.verdict import Reason
from trust_store.storage.fact_signatures import require_all

if TYPE_CHECKING:
    import sqlite3

__all__ = ["place"]


def edit(connection: sqlite3.Connection) -> None:
    """Date every package back."""
    connection.execute("UPDATE fact_set SET recorded_at = '2001-01-01T00:00:00Z'")


async def test_reading_a_package_again_replaces_a_foreign_row(place: Place1) -> None:
    """The package is judged by what was read just now, first seen now, and a critical alert names the row that was there."""
    data = vendor_bundle(place.pki, {"f": b"x"})
    (place.incoming / "dten/p.zip").write_bytes(data)
    first = (await place.settled())["dten/p.zip"]
    assert first is not None
    await place.storage.run(edit)
    place.clock.move(3600)
    (place.incoming / "dten/again.zip").write_bytes(data)
    again = (await place.settled())["dten/again.zip"]
    assert again is not None
    assert again.reason is first.reason is Reason.UNKNOWN_ROOT
    (alert,) = await place.alerts(kind=STORE_KIND)
    assert (alert.severity, alert.reason, "facts_" in alert.summary) == (Severity.CRITICAL, "facts", True)
    assert await place.storage.run(require_all) == 1
    (row,) = await place.storage.run(lambda c: c.execute("SELECT recorded_at FROM fact_set").fetchall())
    assert row[0] == format_time(place.clock())


async def test_a_foreign_row_keeps_no_other_package_from_being_judged_again(place: Place1) -> None:
    """Its package needs its file; the others are judged by their facts as ever."""
    for name in ("a", "b"):
        (place.incoming / f"dten/{name}.zip").write_bytes(vendor_bundle(place.pki, {"f": name.encode()}))
    taken = await place.settled()
    bad, good = (str(taken[f"dten/{name}.zip"].sha256) for name in ("a", "b"))  # type: ignore[union-attr]
    edited = "UPDATE fact_set SET origin = 'x' WHERE package_sha256 = ? RETURNING id"
    (row,) = await place.storage.run(lambda c: c.execute(edited, (bad,)).fetchall())
    places = [(sha256, Place(place.incoming / "dten/p.zip", "dten")) for sha256 in (bad, good)]
    assert await place.storage.run(lambda c: place.alerting.reconsider(c, places)) == (bad,)
    (alert,) = await place.alerts(kind=STORE_KIND)
    assert row[0] in alert.summary
