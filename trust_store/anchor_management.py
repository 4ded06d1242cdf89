"""Proposals: key material that somebody heard of becomes a pending anchor, gets its rules, or lapses. Nothing here trusts a key.

The rules are in ``anchor_rules``, decisions in ``anchor_approval``. Every function runs in one transaction (its own, or the
caller's) with the audit entry of what it did.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from trust_store import query
from trust_store.anchor_changes import (
    CONSTRAINED,
    LAPSED,
    SYSTEM,
    Decision,
    amend,
    clean_text,
    first_sighting,
    move,
    require_anchor,
    require_not_lapsed,
)
from trust_store.anchor_narrowing import inapplicable, widened
from trust_store.anchor_rules import require_transition
from trust_store.errors import DecisionRefusedError, MalformedError, ResourceLimitError
from trust_store.model.claim import Authority
from trust_store.model.identifiers import RANDOM_BYTES, Identifier, IdentifierKind, format_time, new_id
from trust_store.model.trust_anchor import AnchorKind, AnchorState, Constraints, SignerRule, TrustAnchor
from trust_store.model.trust_view import ANY_VENDOR
from trust_store.storage.anchors import StoredAnchor, append_version, checked, current, ensure_store_id, proposal_digest
from trust_store.storage.approvals import acceptances
from trust_store.storage.connection import transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from trust_store.model.claim import Proposal

MAX_MATERIAL_BYTES = 4 * 1024 * 1024
MAX_IDENTIFIERS = 4096
_OPEN = (AnchorState.PENDING, AnchorState.VALID, AnchorState.SUPERSEDED)


def propose(
    connection: sqlite3.Connection,
    proposal: Proposal,
    *,
    signer_rule: SignerRule | None = None,
    actor: str = SYSTEM,
    at: datetime,
    randomness: Callable[[int], bytes],
) -> str:
    """Record key material as a pending anchor and return its id; nothing trusts it.

    ``actor`` is the person who proposes it, if it is one: where several people approve, he is none of them. A key that is pending,
    valid or superseded for the vendor already keeps its id. Otherwise ``previous`` names the tombstone of the same key, or its
    earlier closed anchor. Raises MalformedError or ResourceLimitError.
    """
    identifiers = _require_sound(proposal)
    with transaction(connection):
        ensure_store_id(connection, at=at, randomness=randomness)
        earlier = _earlier(connection, proposal)
        for stored in earlier:
            if stored.anchor.state in _OPEN:
                _corroborate(connection, stored, proposal, at)
                return stored.anchor.id
        buried = query.tombstones_of(connection, identifiers, proposal.key_sha256)
        previous = buried[0].id if buried else earlier[0].anchor.id if earlier else None
        return _insert(
            connection, proposal, identifiers, AnchorState.PENDING, actor, at, randomness, previous, signer_rule
        )


def entomb(
    connection: sqlite3.Connection,
    proposal: Proposal,
    *,
    identity: str,
    reason: str,
    at: datetime,
    randomness: Callable[[int], bytes],
) -> str:
    """Record a key as distrusted at once, whether anybody proposed it or not (one person); returns the anchor's id."""
    identifiers = _require_sound(proposal)
    require_transition(None, AnchorState.DISTRUSTED)
    with transaction(connection):
        ensure_store_id(connection, at=at, randomness=randomness)
        standing = [s for s in _earlier(connection, proposal) if s.anchor.state in _OPEN]
        for stored in standing:
            move(connection, stored, AnchorState.DISTRUSTED, identity, at, cause=reason)
        if standing:
            return standing[0].anchor.id
        return _insert(
            connection, proposal, identifiers, AnchorState.DISTRUSTED, identity, at, randomness, None, None, reason
        )


def propose_narrowest(
    connection: sqlite3.Connection, anchor_id: str, rule: SignerRule | None, constraints: Constraints, *, at: datetime
) -> bool:
    """Suggest the rules that cover the package at hand and as little else as possible; False if nothing changes.

    A gap is filled once, while nobody has approved and nobody has stated rules: a later package cannot widen what an earlier one
    suggested. ``dedicated`` is for a person to state, never for a suggestion.
    """
    with transaction(connection):
        stored = current(connection, anchor_id)
        if stored is None or stored.anchor.state is not AnchorState.PENDING:
            return False
        if acceptances(connection, stored):
            return False
        spoken = connection.execute(
            "SELECT 1 FROM audit_log WHERE subject = ? AND kind = ? LIMIT 1", (anchor_id, CONSTRAINED)
        ).fetchone()
        if spoken is not None:
            return False
        anchor = stored.anchor
        if rule is not None and rule.stated and not rule.dedicated and not anchor.signer_rule.stated:
            ruled = replace(anchor, signer_rule=rule)
            anchor = anchor if inapplicable(ruled) else ruled
        if stored.anchor.constraints == Constraints() and not stored.anchor.signer_rule.stated:
            anchor = replace(anchor, constraints=constraints)
        if anchor == stored.anchor:
            return False
        amend(connection, stored, anchor, "anchor.rule_suggested", SYSTEM, at)
        return True


def constrain(
    connection: sqlite3.Connection,
    anchor_id: str,
    *,
    identity: str,
    at: datetime,
    rule: SignerRule | None = None,
    limits: Mapping[str, Any] | None = None,
    follow_rotation: bool | None = None,
    lapse_days: int | None = None,
) -> Decision:
    """State the rules of an anchor: a signer rule as a whole, fields of ``Constraints`` one by one.

    Pending: any rules, and approvals given before are void, they were for other rules. Valid or superseded: one person may only
    narrow them (an earlier end, fewer products, a further condition), for lowering trust is never slowed; what widens a rule takes a
    new proposal. In every other state rules are fixed.
    """
    with transaction(connection):
        stored = require_anchor(connection, anchor_id)
        anchor = stored.anchor
        if lapse_days is not None:
            require_not_lapsed(stored, first_sighting(connection, anchor_id), lapse_days, at)
        if anchor.state not in _OPEN:
            raise DecisionRefusedError(f"{anchor_id} is {anchor.state}: its rules are fixed")
        changed = replace(
            anchor,
            signer_rule=anchor.signer_rule if rule is None else rule,
            constraints=replace(anchor.constraints, **(limits or {})),
            follow_rotation=anchor.follow_rotation if follow_rotation is None else follow_rotation,
        )
        _require_sound_rules(changed)
        if proposal_digest(changed) == stored.proposal_digest:
            raise DecisionRefusedError(f"{anchor_id} has exactly these rules already")
        if anchor.state is AnchorState.PENDING:
            void = len({a.approver for a in acceptances(connection, stored)})
            amend(connection, stored, changed, CONSTRAINED, identity, at)
            told = f"; {void} earlier approval(s) are void" if void else ""
            return Decision(anchor_id, anchor.vendor_id, "constrained", anchor.state, message=f"rules recorded{told}")
        if wider := widened(anchor, changed):
            raise DecisionRefusedError(
                f"{anchor_id} is {anchor.state} and this would let more through ({', '.join(wider)}): a decided anchor's rules can only "
                "be narrowed; remove the anchor and import the key again to have people decide on wider rules"
            )
        amend(connection, stored, changed, "anchor.narrowed", identity, at)
        return Decision(
            anchor_id, anchor.vendor_id, "narrowed", anchor.state, 1, 1, "rules narrowed, in effect at once"
        )


def lapse_proposals(
    connection: sqlite3.Connection, at: datetime, days: int, vendor_id: str | None = None
) -> tuple[str, ...]:
    """Close proposals that nobody decided within ``days`` days (of one vendor, or of all): rejected, cause ``lapsed``."""
    with transaction(connection):
        due = connection.execute(
            """SELECT c.anchor_id FROM anchor_version f JOIN anchor_current c ON c.anchor_id = f.anchor_id
               WHERE f.version = 1 AND f.state = 'pending' AND f.recorded_at <= ? AND c.state = 'pending'
               AND (? IS NULL OR f.vendor_id = ?) ORDER BY f.recorded_at""",
            (format_time(at - timedelta(days=days)), vendor_id, vendor_id),
        ).fetchall()
        for row in due:
            move(connection, require_anchor(connection, row[0]), AnchorState.REJECTED, SYSTEM, at, cause=LAPSED)
        return tuple(str(row[0]) for row in due)


def _earlier(connection: sqlite3.Connection, proposal: Proposal) -> tuple[StoredAnchor, ...]:
    """The vendor's anchors of exactly this key material, the newest first."""
    rows = connection.execute(
        "SELECT * FROM anchor_current WHERE vendor_id = ? AND key_sha256 = ? ORDER BY recorded_at DESC, anchor_id DESC",
        (proposal.vendor_id, proposal.key_sha256),
    )
    return checked(connection, rows)


def _require_sound_rules(anchor: TrustAnchor) -> None:
    limits = anchor.constraints
    if names := inapplicable(anchor):
        raise DecisionRefusedError(
            f"{anchor.id} is a key of kind {anchor.kind}, which issues no certificates: {', '.join(names)} cannot apply to it; "
            "products, formats, purposes, times and digests can"
        )
    if limits.valid_from and limits.valid_until and limits.valid_from >= limits.valid_until:
        raise DecisionRefusedError("'valid_from' must be before 'valid_until'")
    if not limits.purposes:
        raise DecisionRefusedError("an anchor is for at least one purpose")


def _require_sound(proposal: Proposal) -> tuple[Identifier, ...]:
    """The proposal's identifiers; raises unless the material is what it is said to be and identifies exactly one key."""
    if len(proposal.material) > MAX_MATERIAL_BYTES or len(proposal.identifiers) > MAX_IDENTIFIERS:
        raise ResourceLimitError(f"key material over {MAX_MATERIAL_BYTES} bytes or {MAX_IDENTIFIERS} identifiers")
    digest = hashlib.sha256(proposal.material).hexdigest()
    if not proposal.material or digest != proposal.key_sha256:
        raise MalformedError("the proposed key's digest is not that of its material")
    if proposal.vendor_id in ("", ANY_VENDOR):
        raise MalformedError("a proposal is about one vendor's key")
    identifiers = set(proposal.identifiers)
    whole = IdentifierKind.OPENPGP if proposal.kind is AnchorKind.OPENPGP else IdentifierKind.SHA256
    if whole is IdentifierKind.SHA256:
        identifiers.add(Identifier(whole, digest))
    if sum(i.kind is whole for i in identifiers) != 1:
        raise MalformedError("a proposal names exactly one certificate or key")
    return tuple(sorted(identifiers))


def _insert(
    connection: sqlite3.Connection,
    proposal: Proposal,
    identifiers: tuple[Identifier, ...],
    state: AnchorState,
    actor: str,
    at: datetime,
    randomness: Callable[[int], bytes],
    previous: str | None,
    rule: SignerRule | None,
    cause: str | None = None,
) -> str:
    anchor = TrustAnchor(
        id=new_id("anchor", at, randomness(RANDOM_BYTES)),
        vendor_id=proposal.vendor_id,
        kind=proposal.kind,
        name=clean_text(proposal.name),
        key_sha256=proposal.key_sha256,
        material=proposal.material,
        state=state,
        recorded_at=at,
        effective_from=at,
        signer_rule=rule or proposal.signer_rule,
        constraints=proposal.constraints,
        identifiers=identifiers,
        authority=proposal.authority.value,
        cause=cause,
        previous=previous,
    )
    stored = StoredAnchor(anchor, 1, clean_text(proposal.reference), proposal_digest(anchor))
    kind = "anchor.proposed" if state is AnchorState.PENDING else f"anchor.{state}"
    append_version(connection, stored, kind=kind, actor=actor, body={"previous": previous, "cause": cause}, at=at)
    return anchor.id


def _corroborate(connection: sqlite3.Connection, stored: StoredAnchor, proposal: Proposal, at: datetime) -> None:
    """A vendor-authenticated channel said what so far only others had said: the proposal stands on the better word."""
    if (
        stored.anchor.state is AnchorState.PENDING
        and proposal.authority.authenticated
        and not Authority(stored.anchor.authority).authenticated
    ):
        better = replace(stored.anchor, authority=proposal.authority.value)
        told = replace(stored, reference=clean_text(proposal.reference))
        amend(connection, told, better, "anchor.corroborated", SYSTEM, at)
