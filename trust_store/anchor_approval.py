"""Decisions about an anchor by people: approval after a call, rejection, withdrawal, retirement. The rules are in ``anchor_rules``.

Every function runs in one transaction (its own, or the caller's) with the audit entry of what it did. What must stay on record
although it is refused (a fingerprint that did not match) comes back as a ``Decision`` and is raised by ``decisions`` after the commit.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from trust_store import audit, lineage_records, query
from trust_store.anchor_changes import (
    LAPSED,
    Decision,
    first_sighting,
    move,
    require_anchor,
    require_not_lapsed,
    require_vendor,
)
from trust_store.anchor_rules import (
    BREAK_GLASS_PEOPLE,
    Count,
    Given,
    Reading,
    ReadingResult,
    Way,
    approvals_needed,
    compare_reading,
    count_accepted,
    count_break_glass,
    named_contact,
    require_transition,
    rules_code,
)
from trust_store.decode.x509 import load_certificate
from trust_store.errors import READ_ERRORS, DecisionRefusedError
from trust_store.model.trust_anchor import AnchorKind, AnchorState
from trust_store.storage.anchors import current
from trust_store.storage.approvals import Approval, acceptances, record_approval
from trust_store.storage.connection import transaction
from trust_store.tally import count_on

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from trust_store.anchor_changes import Sighting
    from trust_store.model.trust_anchor import TrustAnchor
    from trust_store.model.vendor import Vendor
    from trust_store.storage.anchors import StoredAnchor

UNCONFIRMED, DISOWNED = "unconfirmed", "disowned"
COMPROMISE_CAUSE = "key-compromise"
REVOCATION_CAUSES = ("unspecified", "affiliation-changed", "superseded", "cessation-of-operation", COMPROMISE_CAUSE)
"""CRL reasons (RFC 5280 5.3.1) that make sense for an anchor, with hyphens everywhere; a key compromise makes it ``compromised``.

Which of them leave older signatures alone is said by ``verification``.
"""
OR_HOLD_DOWN = "or_hold_down"


@dataclass(frozen=True, slots=True)
class Call:
    """What an approver did: typed ``fingerprint_read`` as read out by ``spoke_with``, called at ``called``, under ``ticket``."""

    fingerprint_read: str
    spoke_with: str
    called: str
    ticket: str


@dataclass(frozen=True, slots=True)
class _Acceptance:
    """One approval of a pending anchor being given."""

    stored: StoredAnchor
    vendor: Vendor
    way: Way
    first: Sighting
    needed: int

    @property
    def anchor(self) -> TrustAnchor:
        return self.stored.anchor

    @property
    def counts_from(self) -> datetime:
        """Before this time an approval without a call takes no effect."""
        return self.first.at + timedelta(days=self.vendor.policy.hold_down_days)


def approve(
    connection: sqlite3.Connection,
    anchor_id: str,
    call: Call,
    *,
    identity: str,
    vendor: Vendor | None,
    at: datetime,
    way: Way = Way.CALL,
    reason: str = "",
    rules: str = "",
) -> Decision:
    """One person's approval of a pending anchor, after a call to the vendor unless ``way`` is another one (with its ``reason``).

    ``rules`` is the code of the rules that the person looked at, if he says it. Steps: (1) pending, not lapsed, under these rules;
    (2) the way is open: a configured contact was called, or policy lets waiting stand for the call, or the glass is broken, never
    over a tombstone; (3) whoever proposed the key does not approve it where more than one person is needed; (4) the whole fingerprint
    was read out: what differs is recorded and refused; (5) a CA has a signer rule; (6) each person once, but a wait is confirmed once
    it is over; (7) with the last approval needed the anchor is valid.
    """
    with transaction(connection):
        stored = require_anchor(connection, anchor_id)
        anchor = stored.anchor
        first = first_sighting(connection, anchor_id)
        if anchor.cause == LAPSED:
            require_not_lapsed(stored, first, vendor.policy.proposal_lapse_days if vendor else 0, at)
        if anchor.state is AnchorState.VALID:
            raise DecisionRefusedError(
                f"{anchor_id} is approved already: it is valid, and nothing is left to be decided"
            )
        needed = require_transition(anchor.state, AnchorState.VALID)  # (1)
        asked = require_vendor(connection, vendor, anchor)
        require_not_lapsed(stored, first, asked.policy.proposal_lapse_days, at)
        _require_rules(stored, rules)
        over = bool(query.tombstones_of(connection, anchor.identifiers, anchor.key_sha256))
        _require_way(way, call, reason, asked, configured=vendor, over_tombstone=over)  # (2)
        wanted = BREAK_GLASS_PEOPLE if way is Way.BREAK_GLASS else approvals_needed(needed, asked, over_tombstone=over)
        if wanted > 1 and first.actor == identity:  # (3)
            raise DecisionRefusedError(
                f"{identity} proposed {anchor_id} and {wanted} people have to approve it: two others must, each after a call of "
                "their own (one person may do both only where the vendor's policy says approvals = 1)"
            )
        result = compare_reading(anchor, call.fingerprint_read)  # (4)
        if result.reading is not Reading.MATCH:
            return _refuse_reading(connection, anchor, call, result, identity, at)
        _require_signer_rule(anchor)  # (5)
        acceptance = _Acceptance(stored, asked, way, first, wanted)
        counted = _accept(connection, acceptance, call, result.algorithm, identity, reason, at)  # (6)
        return _conclude(connection, acceptance, counted, identity, at)  # (7)


def _accept(
    connection: sqlite3.Connection,
    acceptance: _Acceptance,
    call: Call,
    algorithm: str,
    identity: str,
    reason: str,
    at: datetime,
) -> Count:
    """Record the approval and count all that stand; raises DecisionRefusedError where it adds nothing to what the person gave."""
    anchor, way = acceptance.anchor, acceptance.way
    waits = acceptance.counts_from if way is Way.HOLD_DOWN else None
    standing = [a for a in acceptances(connection, acceptance.stored) if _stands(a, acceptance.vendor)]
    # What was given under a longer wait keeps it: only after the longest can anybody's word complete the count.
    longest = max([waits, *(a.counts_from for a in standing if a.counts_from)]) if waits else None
    _require_news([a for a in standing if a.approver == identity], way, longest, at)
    given = Approval(
        anchor.id, AnchorState.VALID, acceptance.stored.proposal_digest, identity,
        call.spoke_with or None, call.called or None, call.ticket or None, algorithm,
        way=way, reason=reason or None, needed=acceptance.needed, counts_from=waits,
    )  # fmt: skip
    record_approval(connection, given, kind="anchor.approval", at=at)
    counted = [Given(a.approver, Way(a.way), a.needed, a.counts_from) for a in (*standing, given)]
    if way is Way.BREAK_GLASS:
        return count_break_glass(counted)
    return count_accepted(counted, needed=acceptance.needed, counts_from=acceptance.counts_from, at=at)


def _require_news(own: list[Approval], way: Way, waits: datetime | None, at: datetime) -> None:
    """Each person counts once; but waiting changes nothing by itself, so after it whoever approved before may say so again."""
    if waits is None or at < waits:
        again = [a for a in own if a.way == way or (way is Way.HOLD_DOWN and a.way == Way.CALL)]
    else:
        again = [a for a in own if a.way == way and a.recorded_at is not None and a.recorded_at >= waits]
    if again:
        early = (
            f"; without a call it takes effect when somebody approves again from {waits:%Y-%m-%d %H:%M} UTC on"
            if waits
            else ""
        )
        raise DecisionRefusedError(f"{again[0].approver} has approved this already; another person is needed{early}")


def _stands(approval: Approval, vendor: Vendor) -> bool:
    """Whether policy as it counts now still takes an approval: the contact is still on record, waiting still stands for a call."""
    if approval.way == Way.CALL:
        return named_contact(vendor, approval.called or "") is not None
    return approval.way == Way.BREAK_GLASS or vendor.policy.call == OR_HOLD_DOWN


def _conclude(
    connection: sqlite3.Connection, acceptance: _Acceptance, counted: Count, identity: str, at: datetime
) -> Decision:
    anchor = acceptance.anchor
    alert = "break_glass" if acceptance.way is Way.BREAK_GLASS else None
    if counted.basis is not None:
        decision = move(
            connection, acceptance.stored, AnchorState.VALID, identity, at, basis=counted.basis, approvals=counted.given,
            needed=counted.needed, body={"basis": counted.basis.value},
        )  # fmt: skip
        return replace(decision, alert=alert)
    if counted.waits_until is not None:
        message = (
            f"approval {counted.given} of {counted.needed} recorded; without a call {anchor.id} stays pending until somebody "
            f"approves again on {counted.waits_until:%Y-%m-%d %H:%M} UTC or later (or at once with enough calls made)"
        )
        return Decision(anchor.id, anchor.vendor_id, "recorded", anchor.state, counted.given, counted.needed, message)
    return replace(_recorded(anchor, AnchorState.VALID, counted.given, counted.needed), alert=alert)


def _require_way(
    way: Way, call: Call, reason: str, vendor: Vendor, *, configured: Vendor | None, over_tombstone: bool
) -> None:
    """``vendor`` as it counts, ``configured`` as its file has it now."""
    if way is Way.CALL:
        _require_call(call, vendor, configured)
        return
    if not reason.strip():
        raise DecisionRefusedError("an approval without a call needs a reason for the log: --reason TEXT")
    if call.spoke_with or call.called:
        raise DecisionRefusedError("either a call was made or it was not: leave --spoke-with and --called out")
    if way is Way.HOLD_DOWN and vendor.policy.call != OR_HOLD_DOWN:
        raise DecisionRefusedError(
            f"the policy of {vendor.id} asks for a call: make it and give --spoke-with, --called and --ticket (waiting counts instead "
            'only where [vendor.policy] says call = "or_hold_down")'
        )
    if way is Way.BREAK_GLASS and over_tombstone:
        raise DecisionRefusedError(
            "this key was disowned, distrusted or compromised: no emergency brings it back, only calls to the vendor do"
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
    said: dict[str, str] | None = None,
) -> Decision:
    """Take trust away at once, by one person. ``effective_from`` is never in the future; ``said`` goes on record beside the cause."""
    if new not in (AnchorState.REVOKED, AnchorState.COMPROMISED, AnchorState.DISTRUSTED):
        raise DecisionRefusedError(f"{new} is no withdrawal of trust")
    if effective_from is not None and effective_from > at:
        raise DecisionRefusedError("a withdrawal of trust does not wait: give a time in the past, or none")
    with transaction(connection):
        stored = require_anchor(connection, anchor_id)
        return move(connection, stored, new, identity, at, cause=cause, effective_from=effective_from, body=said)


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
    ticket: str | None = None,
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
        approval = Approval(anchor_id, new, bound, identity, ticket=ticket, reason=cause)
        counted = count_on(connection, approval, wanted, kind="anchor.approval", at=at)
        if not counted.complete:
            return _recorded(stored.anchor, new, counted.given, counted.needed)
        if new is AnchorState.SUPERSEDED and successor:
            lineage_records.record(
                connection, anchor_id, successor, None, f"superseded by {identity}", at, identity=identity
            )
        return move(
            connection, stored, new, identity, at, cause=cause, successor=successor, approvals=counted.given,
            needed=counted.needed, body={"ticket": ticket} if ticket else None,
        )  # fmt: skip


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
    """Record a reading that does not identify the key: its digest, not its text, which may differ in one digit only.

    Not even that of a part: few digits are found again from their digest.
    """
    whole = result.reading is Reading.MISMATCH
    typed = hashlib.sha256(call.fingerprint_read.encode("utf-8", "backslashreplace")).hexdigest() if whole else None
    body = {
        "read_sha256": typed,
        "digits": result.digits,
        "spoke_with": call.spoke_with,
        "called": call.called,
        "ticket": call.ticket,
    }
    kind = "anchor.fingerprint_mismatch" if whole else "anchor.reading_incomplete"
    audit.append(connection, kind, identity, anchor.id, {**body, "vendor": anchor.vendor_id}, at)
    message = (
        f"what was read out is not the fingerprint of {anchor.id}; this is on record and {anchor.id} stays pending. If the "
        "vendor says the key is not theirs: rootwarden anchor reject --because disowned"
        if whole
        else f"the whole fingerprint has {result.wanted} hex digits, {result.digits} were typed: have all of it read out "
        "(a SHA-1 fingerprint or a part does not count)"
    )
    return Decision(anchor.id, anchor.vendor_id, result.reading.value, anchor.state, message=message)


def _require_call(call: Call, vendor: Vendor, configured: Vendor | None) -> None:
    if named_contact(vendor, call.called) is None:
        if configured is not None and named_contact(configured, call.called) is not None:
            raise DecisionRefusedError(
                f"the contact {call.called[:200]!r} of {vendor.id} is configured but not in force yet: rootwarden anchor "
                f"approve-policy {vendor.id}"
            )
        raise DecisionRefusedError(
            f"{call.called[:200]!r} is none of the contacts configured for {vendor.id}: call one that the team recorded itself "
            f"([[vendor.contact]] name, phone, mail or portal, written exactly so)"
        )
    if not call.spoke_with.strip() or not call.ticket.strip():
        raise DecisionRefusedError("who was spoken with and the ticket are needed")


def _require_rules(stored: StoredAnchor, rules: str) -> None:
    """Between looking and approving somebody else may have changed what is approved."""
    if rules and rules != rules_code(stored.proposal_digest):
        raise DecisionRefusedError(
            f"the rules of {stored.anchor.id} are not those of {rules[:64]!r}: they were changed since; look at them again with "
            f"'rootwarden anchor show {stored.anchor.id}', or take the new script: 'rootwarden script show ALERT'"
        )


def _require_signer_rule(anchor: TrustAnchor) -> None:
    """A known root is not a known signer: a CA says whose signatures count under it, or counts for nobody."""
    if anchor.kind not in (AnchorKind.X509, AnchorKind.SPKI) or anchor.signer_rule.stated:
        return
    try:
        is_ca = anchor.kind is AnchorKind.SPKI or load_certificate(anchor.material).is_ca
    except READ_ERRORS as error:
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
