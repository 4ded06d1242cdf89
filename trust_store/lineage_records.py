"""Rotation lineage as data: which anchor replaced which, with the proof and what it was worth. The rules are in ``lineage``.

A link makes no key trusted and changes no state. It is written down with its audit entry, and graded again whenever it is shown:
a proof is verified anew, and what the vendor said since may corroborate what was only asserted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trust_store import query
from trust_store.anchor_changes import clean_text, require_anchor
from trust_store.errors import DecisionRefusedError, UsageError
from trust_store.lineage import MAX_PROOF_BYTES, Grade, Graded, grade_succession
from trust_store.model.claim import ClaimKind
from trust_store.model.identifiers import IdentifierKind
from trust_store.storage.connection import transaction
from trust_store.storage.lineage import Link, append_link, of_successor, of_vendor

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from trust_store.model.claim import Evidence
    from trust_store.model.trust_anchor import TrustAnchor
    from trust_store.query import EvidenceSource

SYSTEM = "system"
_IDENTITIES = frozenset({IdentifierKind.SHA256, IdentifierKind.SPKI_SHA256, IdentifierKind.OPENPGP})
_SUCCESSIONS = frozenset({ClaimKind.ROTATED.value, ClaimKind.NEW_ROOT_ADDED.value})


@dataclass(frozen=True, slots=True)
class ShownLink:
    """A link as recorded, and what it is worth now."""

    link: Link
    now: Graded


def record(
    connection: sqlite3.Connection,
    predecessor: str,
    successor: str,
    proof: bytes | None,
    reference: str,
    at: datetime,
    *,
    identity: str = SYSTEM,
    evidence: EvidenceSource | None = None,
) -> Link:
    """Write down that anchor ``successor`` replaced anchor ``predecessor`` (ids), graded; returns the link.

    Said again with nothing better it stays as it is and the link there is comes back. Raises DecisionRefusedError for
    anchors that do not exist, are one and the same or belong to two vendors, UsageError for a proof above MAX_PROOF_BYTES.
    """
    if proof is not None and len(proof) > MAX_PROOF_BYTES:
        raise UsageError(f"a proof of {len(proof)} bytes; at most {MAX_PROOF_BYTES} are kept")
    with transaction(connection):
        old, new = (require_anchor(connection, name).anchor for name in (predecessor, successor))
        if old.id == new.id:
            raise DecisionRefusedError("an anchor does not replace itself")
        if old.vendor_id != new.vendor_id:
            raise DecisionRefusedError(
                "one vendor's key is never replaced by another's: propose it for the vendor it is of"
            )
        graded = grade_succession(old, new, proof or None, _said_of(evidence, old, new))
        known = of_successor(connection, new.id)
        kept = graded.proof if graded.proof is not None else proof or None
        for link in known:
            if link.predecessor_id == old.id and link.grade is graded.grade and kept in (None, link.proof):
                return link
        link = Link(
            new.id,
            len(known) + 1,
            new.vendor_id,
            old.id,
            graded.grade,
            graded.proof_kind,
            kept,
            clean_text(reference),
            at,
        )
        append_link(connection, link, actor=identity, at=at)
        return link


def told(link: Link) -> dict[str, Any]:
    """What came of recording a link, as JSON values; it holds no key."""
    return {
        "vendor": link.vendor_id,
        "outcome": "recorded",
        "predecessor": link.predecessor_id,
        "successor": link.successor_id,
        "grade": link.grade.value,
        "proof_kind": link.proof_kind.value,
        "message": f"{link.predecessor_id} -> {link.successor_id}: {link.grade}"
        + ("" if link.grade is Grade.CRYPTOGRAPHIC else "; it proves nothing by itself"),
    }


def lineage_of(
    connection: sqlite3.Connection, anchor_id: str, evidence: EvidenceSource | None = None
) -> tuple[ShownLink, ...]:
    """Every link that leads to or from this anchor, over any number of steps, the oldest first, each graded now."""
    with query.snapshot(connection):
        start = require_anchor(connection, anchor_id).anchor
        links = of_vendor(connection, start.vendor_id)
        chosen = _reached(links, anchor_id, back=True) | _reached(links, anchor_id, back=False)
        shown = []
        for link in (one for one in links if one.audit_seq in chosen):
            old, new = (require_anchor(connection, name).anchor for name in (link.predecessor_id, link.successor_id))
            shown.append(ShownLink(link, grade_succession(old, new, link.proof, _said_of(evidence, old, new))))
    return tuple(shown)


def _reached(links: tuple[Link, ...], anchor_id: str, *, back: bool) -> set[int]:
    """Numbers of the links met when going from an anchor to its predecessors (or successors); a circle ends where it closes."""
    found: set[int] = set()
    seen, waiting = {anchor_id}, [anchor_id]
    while waiting:
        here = waiting.pop()
        for link in links:
            near, far = (link.successor_id, link.predecessor_id) if back else (link.predecessor_id, link.successor_id)
            if near == here:
                found.add(link.audit_seq)
                if far not in seen:
                    seen.add(far)
                    waiting.append(far)
    return found


def _said_of(evidence: EvidenceSource | None, old: TrustAnchor, new: TrustAnchor) -> tuple[Evidence, ...]:
    """Statements about a succession that name both keys: one that names the new key alone says nothing about the old one."""
    if evidence is None:
        return ()
    of_old, of_new = (
        evidence.evidence_for([i for i in anchor.identifiers if i.kind in _IDENTITIES]) for anchor in (old, new)
    )
    both = set(of_old) & set(of_new)
    return tuple(e for e in of_new if e in both and e.claim in _SUCCESSIONS)
