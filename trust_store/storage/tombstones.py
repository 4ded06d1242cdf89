"""Tombstones (distrusted and compromised keys) found by identifier, at a cost that does not grow with their number times the keys'.

``tombstone`` is derived from the anchors that the audit log says were buried. A tombstone that cannot be found would let a
package pass, so the table is compared with the log: every question compares how many rows there are with what the newest burial
recorded, and the walks of ``audit.verify`` compare every row.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from trust_store.errors import StoreInconsistentError
from trust_store.model.trust_anchor import AnchorState
from trust_store.storage import audit_log, lookup

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from trust_store.model.identifiers import Identifier
    from trust_store.model.trust_anchor import TrustAnchor

STATES = (AnchorState.DISTRUSTED, AnchorState.COMPROMISED)
TOTAL = "tombstone_identifiers"
"""Key in the body of the audit entry of a burial: rows of the table after it."""


def bury(connection: sqlite3.Connection, anchor: TrustAnchor) -> dict[str, int]:
    """Enter a tombstone inside the caller's transaction; returns what the audit entry of the burial has to say."""
    connection.executemany(
        "INSERT OR IGNORE INTO tombstone VALUES (?, ?, ?)",
        [(i.kind.value, i.value, anchor.id) for i in sorted(lookup.all_of(anchor))],
    )
    return {TOTAL: _count(connection)}


def owners(connection: sqlite3.Connection, identifiers: Iterable[Identifier]) -> tuple[str, ...]:
    """Ids of the tombstones of any vendor that are found by one of ``identifiers``; none is left out."""
    found: set[str] = set()
    for identifier in set(identifiers):
        rows = connection.execute(
            "SELECT anchor_id FROM tombstone WHERE kind = ? AND value = ?", (identifier.kind.value, identifier.value)
        )
        found |= {str(row[0]) for row in rows}
    return tuple(sorted(found))


def require_complete(connection: sqlite3.Connection) -> None:
    """Raise StoreInconsistentError unless there are as many rows as the newest burial recorded."""
    newest = [
        row
        for state in STATES
        for row in connection.execute(
            "SELECT * FROM audit_log WHERE state = ? AND record_kind = 'anchor' ORDER BY seq DESC LIMIT 1",
            (state.value,),
        )
    ]
    said = 0
    if newest:
        last = max(newest, key=lambda row: int(row["seq"]))
        audit_log.signatures_of(connection).require(last)
        try:
            said = int(json.loads(last["body"])[TOTAL])
        except (ValueError, TypeError, KeyError) as error:
            raise StoreInconsistentError(
                f"audit_log: entry {last['seq']} does not say how many tombstones there are"
            ) from error
    if said != (found := _count(connection)):
        raise StoreInconsistentError(f"tombstone: {found} identifiers, the audit log recorded {said}")


def require_projection(connection: sqlite3.Connection, buried: Iterable[TrustAnchor], *, whole: bool) -> None:
    """Raise StoreInconsistentError unless each of ``buried`` is found by all its identifiers; ``whole``: and nothing else is."""
    require_complete(connection)
    said = {(i.kind.value, i.value, anchor.id) for anchor in buried for i in lookup.all_of(anchor)}
    if whole:
        found = {(str(r[0]), str(r[1]), str(r[2])) for r in connection.execute("SELECT * FROM tombstone")}
    else:
        found = {
            row
            for row in said
            if connection.execute(
                "SELECT 1 FROM tombstone WHERE kind = ? AND value = ? AND anchor_id = ?", row
            ).fetchone()
        }
    if said != found:
        raise StoreInconsistentError(f"tombstone: the rows of {min(said ^ found)[2]} are not those of its anchor")


def _count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM tombstone").fetchone()[0])
