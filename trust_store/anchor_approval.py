"""Decisions about an anchor by people: approval after a call, rejection, withdrawal, retirement. The rules are in ``anchor_rules``.

Every function runs in one transaction (its own, or the caller's) with the audit entry of what it did. What must stay on record
although it is refused (a fingerprint that did not match) comes back as a ``Decision`` and is raised by ``decisions`` after the commit.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trust_store import audit, query
from trust_store.anchor_changes import Decision, move, require_anchor, require_vendor
from trust_store.anchor_rules import (
    Reading,
    ReadingResult,
    approvals_needed,
    compare_reading,
    named_contact,
    require_transition,
)
from trust_store.decode.x509 import load_certificate
from trust_store.errors import DecisionRefusedError, MalformedError, ResourceLimitError, UnsupportedError
from trust_store.model.trust_anchor import AnchorKind, AnchorState, TrustBasis
from trust_store.storage.anchors import current
from trust_store.storage.approvals import Approval, approvers, record_approval
from trust_store.storage.connection import transaction

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from trust_store.model.trust_anchor import TrustAnchor
    from trust_store.model.vendor import Vendor

UNCONFIRMED, DISOWNED = "unconfirmed", "disowned"
COMPROMISE_CAUSE = "key_compromise"
REVOCATION_CAUSES = ("unspecified", "affiliation_changed", "superseded", "cessation_of_operation", COMPROMISE_CAUSE)
"""CRL reasons (RFC 5280 5.3.1) that make sense for an anchor; a key compromise makes it ``compromised``."""


@dataclass(frozen=True, slots=True)
class Call:
    """What an approver did: typed ``fingerprint_read`` as read out by ``spoke_with``, called at ``called``, under ``ticket``."""

    fingerprint_read: str
    spoke_with: str
    called: str
    ticket: str


def approve(
    connection: sqlite3.Connection, anchor_id: str, call: Call, *, identity: str, vendor: Vendor | None, at: datetime
) -> Decision:
    """One person's approval of a pending anchor after a call to the vendor.

    Steps: (1) pending; (2) a configured contact was called; (3) the whole fingerprint was read out: what differs is recorded
    and refused; (4) a CA has a signer rule; (5) each person once; (6) with the last approval needed the anchor is valid.
    """
    with transaction(connection):
        stored = require_anchor(connection, anchor_id)
        anchor = stored.anchor
        needed = require_transition(anchor.state, AnchorState.VALID)  # (1)
        asked = require_vendor(connection, vendor, anchor)
        _require_call(call, asked)  # (2)
        result = compare_reading(anchor, call.fingerprint_read)  # (3)
        if result.reading is not Reading.MATCH:
            return _refuse_reading(connection, anchor, call, result, identity, at)
        _require_signer_rule(anchor)  # (4)
        over = bool(query.tombstones_of(connection, anchor.identifiers, anchor.key_sha256))
        wanted = approvals_needed(needed, asked, over_tombstone=over)
        approval = Approval(
            anchor_id, AnchorState.VALID, stored.proposal_digest, identity, call.spoke_with, call.called, call.ticket,
            result.algorithm,
        )  # fmt: skip
        given = _count_on(connection, approval, at)  # (5)
        if given < wanted:
            return _recorded(anchor, AnchorState.VALID, given, wanted)
        # (6) No hold-down: it is for keys accepted without a call, and there is no other way to get here than a call.
        return move(
            connection, stored, AnchorState.VALID, identity, at, basis=TrustBasis.CALLED, approvals=given, needed=wanted
        )


def reject(
    connection: sqlite3.Connection,
    anchor_id: str,
    because: str,
    *,
    identity: str,
    at: datetime,
    call: Call | None = None,
) -> Decision:
    """``disowned``: the vendor says the key is not theirs, which buries it (distrusted). ``unconfirmed``: nobody could say."""
    if because not in (DISOWNED, UNCONFIRMED):
        raise DecisionRefusedError(f"a rejection is because {DISOWNED} or {UNCONFIRMED}")
    new = AnchorState.DISTRUSTED if because == DISOWNED else AnchorState.REJECTED
    with transaction(connection):
        stored = require_anchor(connection, anchor_id)
        said = {"spoke_with": call.spoke_with, "called": call.called, "ticket": call.ticket} if call else {}
        return move(connection, stored, new, identity, at, cause=because, body=said)


def lower(
    connection: sqlite3.Connection,
    anchor_id: str,
    new: AnchorState,
    *,
    identity: str,
    cause: str,
    at: datetime,
    effective_from: datetime | None = None,
) -> Decision:
    """Take trust away at once: revoked, compromised or distrusted, by one person. ``effective_from`` is never in the future."""
    if new not in (AnchorState.REVOKED, AnchorState.COMPROMISED, AnchorState.DISTRUSTED):
        raise DecisionRefusedError(f"{new} is no withdrawal of trust")
    if effective_from is not None and effective_from > at:
        raise DecisionRefusedError("a withdrawal of trust does not wait: give a time in the past, or none")
    with transaction(connection):
        stored = require_anchor(connection, anchor_id)
        return move(connection, stored, new, identity, at, cause=cause, effective_from=effective_from)


def retire(
    connection: sqlite3.Connection,
    anchor_id: str,
    new: AnchorState,
    *,
    identity: str,
    vendor: Vendor | None,
    at: datetime,
    successor: str | None = None,
    cause: str | None = None,
) -> Decision:
    """Supersede an anchor (naming its valid successor) or remove it; needs as many people as the vendor's policy asks."""
    if new not in (AnchorState.SUPERSEDED, AnchorState.REMOVED):
        raise DecisionRefusedError(f"{new} is no retirement")
    with transaction(connection):
        stored = require_anchor(connection, anchor_id)
        needed = require_transition(stored.anchor.state, new)
        asked = require_vendor(connection, vendor, stored.anchor)
        if new is AnchorState.SUPERSEDED:
            _require_successor(connection, stored.anchor, successor)
        wanted = approvals_needed(needed, asked, over_tombstone=False)
        bound = hashlib.sha256(
            f"{stored.proposal_digest} {stored.version} {new} {successor or ''}".encode()
        ).hexdigest()
        given = _count_on(connection, Approval(anchor_id, new, bound, identity), at)
        if given < wanted:
            return _recorded(stored.anchor, new, given, wanted)
        return move(
            connection, stored, new, identity, at, cause=cause, successor=successor, approvals=given, needed=wanted
        )


def _count_on(connection: sqlite3.Connection, approval: Approval, at: datetime) -> int:
    """Record an approval and return how many distinct people have approved exactly this; each person once."""
    before = approvers(connection, approval.subject, approval.transition, approval.digest)
    if approval.approver in before:
        raise DecisionRefusedError(f"{approval.approver} has approved this already; another person is needed")
    record_approval(connection, approval, kind="anchor.approval", at=at)
    return len(before) + 1


def _recorded(anchor: TrustAnchor, new: AnchorState, given: int, wanted: int) -> Decision:
    message = f"approval {given} of {wanted} recorded; {anchor.id} stays {anchor.state} until {wanted - given} more"
    return Decision(anchor.id, anchor.vendor_id, "recorded", anchor.state, given, wanted, f"{message} ({new})")


def _refuse_reading(
    connection: sqlite3.Connection,
    anchor: TrustAnchor,
    call: Call,
    result: ReadingResult,
    identity: str,
    at: datetime,
) -> Decision:
    """Record a reading that does not identify the key. Its digest, not its text: it may differ in one digit only."""
    typed = hashlib.sha256(call.fingerprint_read.encode("utf-8", "backslashreplace")).hexdigest()
    body = {
        "read_sha256": typed,
        "digits": result.digits,
        "spoke_with": call.spoke_with,
        "called": call.called,
        "ticket": call.ticket,
    }
    kind = "anchor.fingerprint_mismatch" if result.reading is Reading.MISMATCH else "anchor.reading_incomplete"
    audit.append(connection, kind, identity, anchor.id, {**body, "vendor": anchor.vendor_id}, at)
    message = (
        f"what was read out is not the fingerprint of {anchor.id}; this is on record and {anchor.id} stays pending. If the "
        "vendor says the key is not theirs: rootwarden anchor reject --because disowned"
        if result.reading is Reading.MISMATCH
        else f"the whole fingerprint has {result.wanted} hex digits, {result.digits} were typed: have all of it read out "
        "(a SHA-1 fingerprint or a part does not count)"
    )
    return Decision(anchor.id, anchor.vendor_id, result.reading.value, anchor.state, message=message)


def _require_call(call: Call, vendor: Vendor) -> None:
    if named_contact(vendor, call.called) is None:
        raise DecisionRefusedError(
            f"{call.called[:200]!r} is none of the contacts configured for {vendor.id}: call one that the team recorded itself "
            f"([[vendor.contact]] name, phone, mail or portal, written exactly so)"
        )
    if not call.spoke_with.strip() or not call.ticket.strip():
        raise DecisionRefusedError("who was spoken with and the ticket are needed")


def _require_signer_rule(anchor: TrustAnchor) -> None:
    """A known root is not a known signer: a CA certificate says whose signatures count under it, or counts for nobody."""
    if anchor.kind is not AnchorKind.X509 or anchor.signer_rule.stated:
        return
    try:
        is_ca = load_certificate(anchor.material).is_ca
    except (MalformedError, ResourceLimitError, UnsupportedError) as error:
        raise DecisionRefusedError(f"the certificate of {anchor.id} cannot be read: {error}") from error
    if is_ca:
        raise DecisionRefusedError(
            f"{anchor.id} is a CA and nobody said whose signatures count under it: rootwarden anchor constrain {anchor.id} "
            "--dedicated (it issues for this vendor only) | --signer-subject ATTRIBUTE=VALUE | --signer-spki SHA256"
        )


def _require_successor(connection: sqlite3.Connection, anchor: TrustAnchor, successor: str | None) -> None:
    heir = current(connection, successor) if successor and successor != anchor.id else None
    if heir is None or heir.anchor.state is not AnchorState.VALID or heir.anchor.vendor_id != anchor.vendor_id:
        raise DecisionRefusedError("an anchor is superseded by another valid anchor of the same vendor: name it")
