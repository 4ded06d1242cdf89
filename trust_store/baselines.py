"""Day one: a set of keys that the team already relies on, proposed as one and approved as one, without a call for each.

Its members become valid with the basis ``baseline``, which is weaker than ``called`` and is told in every verdict. An approver reads
the set's digest from a colleague's screen (it is the team's own and may be shown), all of it. An approval is bound to that digest: a
member that changed, was decided or buried meanwhile makes the whole set void.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from trust_store import query
from trust_store.anchor_changes import clean_text, first_sighting, move, require_anchor, require_not_lapsed
from trust_store.anchor_management import constrain, propose
from trust_store.decode.x509 import load_certificate
from trust_store.errors import (
    READ_ERRORS,
    DecisionRefusedError,
    UsageError,
)
from trust_store.model.identifiers import RANDOM_BYTES, new_id, normalise_hex
from trust_store.model.trust_anchor import AnchorKind, AnchorState, Constraints, TrustBasis
from trust_store.storage.anchors import rules_since
from trust_store.storage.approvals import Approval
from trust_store.storage.baselines import (
    APPROVED,
    PENDING,
    REJECTED,
    Member,
    StoredBaseline,
    append_baseline,
    baseline_digest,
    current,
)
from trust_store.storage.connection import transaction
from trust_store.storage.vendors import effective_vendor
from trust_store.tally import Tally, count_on

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from trust_store.model.claim import Proposal
    from trust_store.model.trust_anchor import SignerRule, TrustAnchor
    from trust_store.model.vendor import Vendor
    from trust_store.storage.anchors import StoredAnchor

MAX_MEMBERS = 1000
ALERT = "baseline"
_OPEN = (AnchorState.VALID, AnchorState.SUPERSEDED)


@dataclass(frozen=True, slots=True)
class Rules:
    """Under which rules every member of a set would be accepted; a CA among them needs a stated ``signer_rule``.

    ``limits`` are fields of ``Constraints``.
    """

    signer_rule: SignerRule | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)


def propose_baseline(
    connection: sqlite3.Connection,
    vendor: Vendor,
    proposals: Iterable[Proposal],
    rules: Rules,
    *,
    identity: str,
    at: datetime,
    randomness: Callable[[int], bytes],
) -> dict[str, Any]:
    """Propose the keys as pending anchors and the set of them as one baseline; nothing is trusted yet.

    Keys that are valid or superseded already stay as they are and are left out. Raises DecisionRefusedError for a key on which
    there is a tombstone, for a CA without a stated signer rule and for a set without a member; UsageError above MAX_MEMBERS.
    """
    distinct = {(p.kind, p.key_sha256): p for p in proposals}
    if len(distinct) > MAX_MEMBERS:
        raise UsageError(f"a baseline of {len(distinct)} keys; at most {MAX_MEMBERS} are approved as one")
    with transaction(connection):
        members: list[Member] = []
        known = 0
        for proposal in distinct.values():
            stored = _pending(connection, proposal, rules, identity=identity, at=at, randomness=randomness)
            if stored is None:
                known += 1
            else:
                members.append(_member(stored))
        if not members:
            raise DecisionRefusedError("every key of these files is trusted already: there is nothing to propose")
        baseline = StoredBaseline(
            new_id("baseline", at, randomness(RANDOM_BYTES)), 1, vendor.id, baseline_digest(vendor.id, members),
            tuple(sorted(members)), PENDING, identity, at,
        )  # fmt: skip
        append_baseline(connection, baseline, actor=identity, body={}, at=at)
        needed = effective_vendor(connection, vendor).policy.approvals
        told = f"{len(members)} key(s) proposed as one set" + (f", {known} trusted already" if known else "")
        return _told(baseline, "proposed", Tally(0, needed), f"{told}; its digest is {baseline.digest}")


def approve_baseline(
    connection: sqlite3.Connection,
    baseline_id: str,
    digest_read: str,
    *,
    vendor: Vendor | None,
    identity: str,
    at: datetime,
) -> dict[str, Any]:
    """One person's approval of a set as it was proposed; with the last one needed every member is valid.

    Steps: (1) pending; (2) the whole digest was typed; (3) every member still stands as it was proposed, no tombstone on any,
    every CA with a signer rule; (4) who proposed it or a member approves it only where policy asks for one person; (5) each person once.
    """
    with transaction(connection):
        baseline = require_baseline(connection, baseline_id)
        if baseline.state != PENDING:  # (1)
            raise DecisionRefusedError(f"{baseline_id} is {baseline.state} already")
        if vendor is None or vendor.id != baseline.vendor_id:
            raise DecisionRefusedError(f"vendor {baseline.vendor_id!r} is not configured: no policy to decide by")
        counting = effective_vendor(connection, vendor)
        _require_digest(baseline, digest_read)  # (2)
        members = _require_unchanged(connection, baseline, counting.policy.proposal_lapse_days, at)  # (3)
        needed = counting.policy.approvals
        if needed > 1 and identity in _proposers(connection, baseline):  # (4)
            raise DecisionRefusedError(
                f"{identity} proposed {baseline_id} or a key in it: {needed} others approve it, since policy asks for more than one"
            )
        approval = Approval(baseline_id, AnchorState.VALID, baseline.digest, identity)
        tally = count_on(connection, approval, needed, kind="baseline.approval", at=at)  # (5)
        if not tally.complete:
            told = f"approval {tally.given} of {tally.needed}; its keys stay pending until {tally.missing} more"
            return _told(baseline, "recorded", tally, told)
        for stored in members:
            move(
                connection, stored, AnchorState.VALID, identity, at, basis=TrustBasis.BASELINE, approvals=tally.given,
                needed=tally.needed, body={"baseline": baseline_id},
            )  # fmt: skip
        done = replace(baseline, version=baseline.version + 1, state=APPROVED, recorded_at=at)
        body = {"approvals": tally.given, "needed": tally.needed}
        append_baseline(connection, done, actor=identity, body=body, at=at)
        return _told(done, APPROVED, tally, f"{len(members)} key(s) are valid, without a call")


def reject_baseline(
    connection: sqlite3.Connection, baseline_id: str, reason: str, *, identity: str, at: datetime
) -> dict[str, Any]:
    """Close a pending set, by one person; its keys stay pending, to be decided one by one or to lapse."""
    with transaction(connection):
        baseline = require_baseline(connection, baseline_id)
        if baseline.state != PENDING:
            raise DecisionRefusedError(f"{baseline_id} is {baseline.state} already")
        closed = replace(baseline, version=baseline.version + 1, state=REJECTED, recorded_at=at)
        append_baseline(connection, closed, actor=identity, body={"because": clean_text(reason)}, at=at)
        return _told(closed, REJECTED, Tally(1, 1), "rejected; its keys stay pending")


def require_baseline(connection: sqlite3.Connection, baseline_id: str) -> StoredBaseline:
    """The current version; raises DecisionRefusedError where there is none of this id."""
    baseline = current(connection, baseline_id)
    if baseline is None:
        raise DecisionRefusedError(f"there is no baseline {baseline_id[:64]!r}; 'rootwarden baseline list' shows them")
    return baseline


def _pending(
    connection: sqlite3.Connection,
    proposal: Proposal,
    rules: Rules,
    *,
    identity: str,
    at: datetime,
    randomness: Callable[[int], bytes],
) -> StoredAnchor | None:
    """The proposal's pending anchor under the rules stated; None where the key is trusted already."""
    issues = proposal.kind is AnchorKind.SIGSTORE_ROOT or _may_issue(proposal.kind, proposal.material)
    rule = (rules.signer_rule or proposal.signer_rule) if issues else None
    anchor_id = propose(connection, proposal, signer_rule=rule, actor=identity, at=at, randomness=randomness)
    stored = require_anchor(connection, anchor_id)
    if stored.anchor.state in _OPEN:
        return None
    _require_no_tombstone(connection, stored.anchor)
    # A key that was pending already keeps its limits, but for those that this file or whoever proposes the set states.
    said = {f.name: getattr(proposal.constraints, f.name) for f in fields(Constraints)}
    limits = {name: value for name, value in said.items() if value != getattr(Constraints(), name)} | dict(rules.limits)
    other_limits = limits if replace(stored.anchor.constraints, **limits) != stored.anchor.constraints else None
    other_rule = rule if rule is not None and rule.stated and rule != stored.anchor.signer_rule else None
    if other_rule is not None or other_limits is not None:
        constrain(connection, anchor_id, identity=identity, at=at, rule=other_rule, limits=other_limits)
        stored = require_anchor(connection, anchor_id)
    _require_rule(stored.anchor)
    return stored


def _member(stored: StoredAnchor) -> Member:
    anchor = stored.anchor
    return Member(anchor.kind.value, anchor.key_sha256, stored.proposal_digest, anchor.id)


def _require_digest(baseline: StoredBaseline, digest_read: str) -> None:
    """The whole digest, compared in constant time; a part of it says which set was meant, not what is in it."""
    read = normalise_hex(digest_read) or ""
    if not hmac.compare_digest(read.encode(), baseline.digest.encode()):
        raise DecisionRefusedError(
            f"this is not the digest of {baseline.id}: have all {len(baseline.digest)} hex digits read out by who proposed it "
            f"('rootwarden baseline show {baseline.id}')"
        )


def _proposers(connection: sqlite3.Connection, baseline: StoredBaseline) -> set[str]:
    """Whoever proposed the set, or imported one of its keys before."""
    return {baseline.proposed_by} | {first_sighting(connection, m.anchor_id).actor for m in baseline.members}


def _require_unchanged(
    connection: sqlite3.Connection, baseline: StoredBaseline, lapse_days: int, at: datetime
) -> tuple[StoredAnchor, ...]:
    """The members as they stand; raises DecisionRefusedError unless each is exactly what was proposed and may be trusted."""
    found = []
    for member in baseline.members:
        stored = require_anchor(connection, member.anchor_id)
        if stored.anchor.state is not AnchorState.PENDING:
            raise DecisionRefusedError(
                f"{baseline.id} is void: {member.anchor_id} is {stored.anchor.state} by now; propose the set again"
            )
        # Rules that were changed and put back void the set as well: whoever changed them had a reason.
        if _member(stored) != member or rules_since(connection, stored) > baseline.audit_seq:
            raise DecisionRefusedError(
                f"{baseline.id} is void: the rules of {member.anchor_id} changed; propose the set again"
            )
        require_not_lapsed(stored, first_sighting(connection, member.anchor_id), lapse_days, at)
        _require_no_tombstone(connection, stored.anchor)
        _require_rule(stored.anchor)
        found.append(stored)
    if not found or baseline_digest(baseline.vendor_id, baseline.members) != baseline.digest:
        raise DecisionRefusedError(f"{baseline.id} is void: its digest is not that of its keys")
    return tuple(found)


def _require_no_tombstone(connection: sqlite3.Connection, anchor: TrustAnchor) -> None:
    buried = (*query.tombstones_of(connection, anchor.identifiers, anchor.key_sha256), *_revoked(connection, anchor))
    if buried:
        raise DecisionRefusedError(
            f"the key of {anchor.id} ({anchor.name[:100]!r}) is {buried[0].state} ({buried[0].id}): it is decided alone, after a call"
        )


def _revoked(connection: sqlite3.Connection, anchor: TrustAnchor) -> tuple[TrustAnchor, ...]:
    """Earlier anchors of the vendor on the very same key that were revoked: trusting it again is a decision of its own."""
    return tuple(
        earlier
        for earlier in query.anchors_with(connection, anchor.identifiers)
        if earlier.state is AnchorState.REVOKED
        and earlier.vendor_id == anchor.vendor_id
        and query.same_key(earlier.identifiers, anchor.identifiers)
    )


def _require_rule(anchor: TrustAnchor) -> None:
    """A known root is not a known signer: without a stated rule a CA of the set would count for whoever it issues to."""
    if not anchor.signer_rule.stated and _may_issue(anchor.kind, anchor.material):
        raise DecisionRefusedError(
            f"{anchor.name[:100]!r} is a CA and nobody said whose signatures count under it: say --dedicated (it issues for "
            "this vendor only), --signer-subject ATTRIBUTE=VALUE or --signer-spki SHA256 for the whole set"
        )


def _may_issue(kind: AnchorKind, material: bytes) -> bool:
    """Whether certificates under this key could count: a CA certificate, or a name with a key."""
    if kind is AnchorKind.SPKI:
        return True
    if kind is not AnchorKind.X509:
        return False
    try:
        return load_certificate(material).is_ca
    except READ_ERRORS:
        return True


def _told(baseline: StoredBaseline, outcome: str, tally: Tally, message: str) -> dict[str, Any]:
    return {
        "baseline": baseline.id,
        "vendor": baseline.vendor_id,
        "outcome": outcome,
        "state": baseline.state,
        "digest": baseline.digest,
        "anchors": [m.anchor_id for m in baseline.members],
        "approvals": tally.given,
        "needed": tally.needed,
        "alert": ALERT,
        "message": f"{baseline.id}: {message}",
    }
