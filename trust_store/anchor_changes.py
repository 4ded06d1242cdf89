"""How one anchor goes from one version to the next: shared by ``anchor_management`` and ``anchor_approval``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from trust_store.anchor_rules import Reading, require_transition
from trust_store.errors import DecisionRefusedError, StoreInconsistentError
from trust_store.model.identifiers import parse_time
from trust_store.model.trust_anchor import AnchorState
from trust_store.storage import audit_log
from trust_store.storage.anchors import StoredAnchor, append_version, current, proposal_digest
from trust_store.storage.vendors import effective_vendor

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from trust_store.model.trust_anchor import TrustAnchor, TrustBasis
    from trust_store.model.vendor import Vendor

MAX_NAME_CHARACTERS = 1000
SYSTEM = "system"
LAPSED = "lapsed"
CONSTRAINED = "anchor.constrained"
"""The kind of the entry with which a person states the rules of a pending anchor."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """An entry about an anchor, its first version for one: when, and by whom (a person, or ``system``)."""

    at: datetime
    actor: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What a decision came to. ``outcome`` is the new state, ``recorded`` (more people needed), ``mismatch`` or ``incomplete``.

    ``alert`` names what everybody has to be told of at once.
    """

    anchor_id: str
    vendor_id: str
    outcome: str
    state: AnchorState
    approvals: int = 0
    needed: int = 0
    message: str = ""
    alert: str | None = None

    @property
    def refused(self) -> bool:
        """Whether this goes on record and is refused all the same."""
        return self.outcome in (Reading.MISMATCH, Reading.INCOMPLETE)


def require_anchor(connection: sqlite3.Connection, anchor_id: str) -> StoredAnchor:
    """The current version, checked against the log; raises DecisionRefusedError if there is no such anchor."""
    stored = current(connection, anchor_id)
    if stored is None:
        raise DecisionRefusedError(f"there is no anchor {anchor_id[:64]!r}; 'rootwarden anchor list' shows them")
    return stored


def first_sighting(connection: sqlite3.Connection, anchor_id: str) -> Sighting:
    """When an anchor was heard of first, and from whom, as the audit log has it; raises StoreInconsistentError if it has not."""
    row = connection.execute(
        "SELECT seq FROM audit_log WHERE record_kind = 'anchor' AND record_id = ? AND record_version = 1", (anchor_id,)
    ).fetchone()
    if row is None:
        raise StoreInconsistentError(f"audit_log: the first entry about {anchor_id} is missing")
    entry = audit_log.entry(connection, row[0])
    return Sighting(parse_time(entry["recorded_at"]), str(entry["actor"]))


def rules_stated(connection: sqlite3.Connection, anchor_id: str) -> Sighting | None:
    """When a person stated the rules of a pending anchor last, and who; None where nobody did."""
    row = connection.execute(
        "SELECT seq FROM audit_log WHERE subject = ? AND kind = ? ORDER BY seq DESC LIMIT 1", (anchor_id, CONSTRAINED)
    ).fetchone()
    if row is None:
        return None
    entry = audit_log.entry(connection, row[0])
    return Sighting(parse_time(entry["recorded_at"]), str(entry["actor"]))


def require_not_lapsed(stored: StoredAnchor, first: Sighting, days: int, at: datetime) -> None:
    """Raises DecisionRefusedError for a proposal that nobody decided within ``days`` days, closed already or not."""
    anchor = stored.anchor
    closed = anchor.state is AnchorState.REJECTED and anchor.cause == LAPSED
    if closed or (anchor.state is AnchorState.PENDING and at >= first.at + timedelta(days=days)):
        raise DecisionRefusedError(
            f"{anchor.id} lapsed: nobody decided within {days} days of {first.at:%Y-%m-%d}. If the key is still in use, propose it "
            f"again: rootwarden anchor import FILE --vendor {anchor.vendor_id}"
        )


def require_vendor(connection: sqlite3.Connection, vendor: Vendor | None, anchor: TrustAnchor) -> Vendor:
    """The anchor's vendor as its policy counts now; raises DecisionRefusedError if it is not configured."""
    if vendor is None or vendor.id != anchor.vendor_id:
        raise DecisionRefusedError(
            f"vendor {anchor.vendor_id!r} is not configured: nobody to call, no policy to decide by"
        )
    return effective_vendor(connection, vendor)


def amend(
    connection: sqlite3.Connection,
    stored: StoredAnchor,
    anchor: TrustAnchor,
    kind: str,
    actor: str,
    at: datetime,
    *,
    body: dict[str, Any] | None = None,
) -> None:
    """Append a version in the same state."""
    changed = replace(anchor, recorded_at=at)
    amended = StoredAnchor(changed, stored.version + 1, stored.reference, proposal_digest(changed))
    append_version(connection, amended, kind=kind, actor=actor, body=body or {}, at=at)


def move(
    connection: sqlite3.Connection,
    stored: StoredAnchor,
    new: AnchorState,
    actor: str,
    at: datetime,
    *,
    cause: str | None = None,
    effective_from: datetime | None = None,
    successor: str | None = None,
    basis: TrustBasis | None = None,
    approvals: int = 1,
    needed: int = 1,
    body: dict[str, Any] | None = None,
) -> Decision:
    """Append the version in the new state; raises DecisionRefusedError for a change that the table does not list."""
    if stored.anchor.cause == LAPSED:
        raise DecisionRefusedError(
            f"{stored.anchor.id} lapsed, nobody decided in time: propose the key again with 'rootwarden anchor import FILE --vendor "
            f"{stored.anchor.vendor_id}' (--distrust buries it)"
        )
    require_transition(stored.anchor.state, new)
    moved = replace(
        stored.anchor, state=new, recorded_at=at, effective_from=effective_from or at, cause=clean_text(cause) if cause else None,
        successor=successor, basis=basis or stored.anchor.basis,
    )  # fmt: skip
    said = {**(body or {}), "from": stored.anchor.state.value, "cause": moved.cause, "successor": successor}
    version = StoredAnchor(moved, stored.version + 1, stored.reference, stored.proposal_digest)
    append_version(connection, version, kind=f"anchor.{new}", actor=actor, body=said, at=at)
    message = f"{moved.id} is {new}"
    return Decision(moved.id, moved.vendor_id, new.value, new, approvals, needed, message)


def clean_text(text: str) -> str:
    """Text from outside as a table holds it: valid Unicode, capped."""
    return text.encode("utf-8", "backslashreplace").decode()[:MAX_NAME_CHARACTERS]
