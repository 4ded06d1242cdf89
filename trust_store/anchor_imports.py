"""Importing: each key of a file becomes a pending anchor or, where a person asks for that, a tombstone. An import trusts nothing.

The keys come from ``exchange.importing``, which reads them; the rules of proposing are ``anchor_management``'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trust_store.anchor_management import entomb, propose
from trust_store.model.trust_anchor import TRANSITIONS, AnchorState
from trust_store.storage.anchors import checked
from trust_store.storage.connection import transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from trust_store.model.claim import Proposal

PROPOSED, KNOWN, DISTRUSTED, SKIPPED = "proposed", "known", "distrusted", "skipped"


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one key; ``anchor_id`` is None where nothing was recorded, ``reason`` says why then."""

    outcome: str
    anchor_id: str | None
    reason: str | None = None

    def told(self) -> dict[str, Any]:
        """JSON values; no name and no fingerprint."""
        return {"outcome": self.outcome, "anchor": self.anchor_id, "reason": self.reason}


def import_keys(
    connection: sqlite3.Connection,
    proposals: Iterable[Proposal],
    *,
    bury_because: str | None = None,
    identity: str,
    at: datetime,
    randomness: Callable[[int], bytes],
) -> tuple[Imported, ...]:
    """Propose the keys, or with ``bury_because`` record them as distrusted for that reason; all of them or, on an error, none.

    A key that its file lists as distrusted is never proposed, and one that its file lists as trusted is never buried: a bundle that
    says which is which must not have the one taken for the other. A key that the vendor has distrusted already is not buried again.
    Raises as ``propose`` and ``entomb`` do.
    """
    found: list[Imported] = []
    with transaction(connection):
        for proposal in proposals:
            if bury_because is None and proposal.distrusted:
                found.append(Imported(SKIPPED, None, "distrusted in the file; --distrust records that"))
            elif bury_because is None:
                before = _newest(connection)
                anchor_id = propose(connection, proposal, actor=identity, at=at, randomness=randomness)
                found.append(Imported(PROPOSED if _is_new(connection, anchor_id, before) else KNOWN, anchor_id))
            elif proposal.distrusted is False:
                found.append(Imported(SKIPPED, None, "trusted in the file, which lists what is not"))
            elif grave := _grave(connection, proposal):
                found.append(Imported(KNOWN, grave))
            else:
                anchor_id = entomb(
                    connection, proposal, identity=identity, reason=bury_because, at=at, randomness=randomness
                )
                found.append(Imported(DISTRUSTED, anchor_id))
    return tuple(found)


def _grave(connection: sqlite3.Connection, proposal: Proposal) -> str | None:
    """The anchor as which the vendor's key is distrusted already; None where anything else was recorded of it since, or waits."""
    rows = connection.execute(
        "SELECT * FROM anchor_current WHERE vendor_id = ? AND key_sha256 = ?", (proposal.vendor_id, proposal.key_sha256)
    )
    found = checked(connection, rows)
    newest = max(found, key=lambda stored: stored.audit_seq, default=None)
    waits = any((stored.anchor.state, AnchorState.DISTRUSTED) in TRANSITIONS for stored in found)
    if newest is None or newest.anchor.state is not AnchorState.DISTRUSTED or waits:
        return None
    return newest.anchor.id


def _newest(connection: sqlite3.Connection) -> int:
    """Number of the newest audit entry, 0 where there is none."""
    return int(connection.execute("SELECT coalesce(max(seq), 0) FROM audit_log").fetchone()[0])


def _is_new(connection: sqlite3.Connection, anchor_id: str, before: int) -> bool:
    """Whether the anchor's first version was written after the entry ``before``."""
    row = connection.execute(
        "SELECT audit_seq FROM anchor_version WHERE anchor_id = ? AND version = 1", (anchor_id,)
    ).fetchone()
    return int(row[0]) > before
