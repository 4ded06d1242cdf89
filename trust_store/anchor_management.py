"""Proposals: key material that somebody heard of becomes a pending anchor, gets its rules, or lapses. Nothing here trusts a key.

The rules are in ``anchor_rules``, decisions in ``anchor_approval``. Every function runs in one transaction (its own, or the
caller's) with the audit entry of what it did.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from trust_store import query
from trust_store.anchor_changes import Decision, amend, clean_text, move, require_anchor
from trust_store.anchor_rules import require_transition
from trust_store.errors import DecisionRefusedError, MalformedError, ResourceLimitError
from trust_store.model.claim import Authority
from trust_store.model.identifiers import RANDOM_BYTES, Identifier, IdentifierKind, format_time, new_id
from trust_store.model.trust_anchor import AnchorKind, AnchorState, Constraints, SignerRule, TrustAnchor
from trust_store.storage.anchors import StoredAnchor, append_version, checked, current, ensure_store_id, proposal_digest
from trust_store.storage.approvals import approvers
from trust_store.storage.connection import transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from datetime import datetime

    from trust_store.model.claim import Proposal

SYSTEM = "system"
MAX_MATERIAL_BYTES = 4 * 1024 * 1024
MAX_IDENTIFIERS = 4096
LAPSED = "lapsed"
_OPEN = (AnchorState.PENDING, AnchorState.VALID, AnchorState.SUPERSEDED)


def propose(
    connection: sqlite3.Connection,
    proposal: Proposal,
    *,
    signer_rule: SignerRule | None = None,
    at: datetime,
    randomness: Callable[[int], bytes],
) -> str:
    """Record key material as a pending anchor and return its id; nothing trusts it.

    A key that is pending, valid or superseded for the vendor already keeps its id. Otherwise ``previous`` names the tombstone
    of the same key, or its earlier closed anchor. Raises MalformedError or ResourceLimitError.
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
            connection, proposal, identifiers, AnchorState.PENDING, SYSTEM, at, randomness, previous, signer_rule
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


def propose_signer_rule(connection: sqlite3.Connection, anchor_id: str, rule: SignerRule, *, at: datetime) -> bool:
    """Suggest whose signatures count under a pending CA anchor; False if there is a rule or an approval already.

    ``dedicated`` is for a person to state, never for a suggestion.
    """
    with transaction(connection):
        stored = current(connection, anchor_id)
        if stored is None or stored.anchor.state is not AnchorState.PENDING or stored.anchor.signer_rule.stated:
            return False
        if rule.dedicated or not rule.stated or stored.anchor.kind is not AnchorKind.X509:
            return False
        if approvers(connection, anchor_id, AnchorState.VALID, stored.proposal_digest):
            return False
        amend(connection, stored, replace(stored.anchor, signer_rule=rule), "anchor.rule_suggested", SYSTEM, at)
        return True


def constrain(
    connection: sqlite3.Connection,
    anchor_id: str,
    *,
    identity: str,
    at: datetime,
    rule: SignerRule | None = None,
    constraints: Constraints | None = None,
    follow_rotation: bool | None = None,
) -> Decision:
    """State the rules under which a pending key would be accepted; approvals given before are void, they were for other rules."""
    with transaction(connection):
        stored = require_anchor(connection, anchor_id)
        anchor = stored.anchor
        if anchor.state is not AnchorState.PENDING:
            raise DecisionRefusedError(f"{anchor_id} is {anchor.state}: only a pending anchor's rules can change")
        changed = replace(
            anchor,
            signer_rule=anchor.signer_rule if rule is None else rule,
            constraints=anchor.constraints if constraints is None else constraints,
            follow_rotation=anchor.follow_rotation if follow_rotation is None else follow_rotation,
        )
        void = len(approvers(connection, anchor_id, AnchorState.VALID, stored.proposal_digest))
        if proposal_digest(changed) == stored.proposal_digest:
            raise DecisionRefusedError(f"{anchor_id} has exactly these rules already")
        amend(connection, stored, changed, "anchor.constrained", identity, at)
        told = f"; {void} earlier approval(s) are void" if void else ""
        return Decision(anchor_id, anchor.vendor_id, "constrained", anchor.state, message=f"rules recorded{told}")


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


def _require_sound(proposal: Proposal) -> tuple[Identifier, ...]:
    """The proposal's identifiers; raises unless the material is what it is said to be and identifies exactly one key."""
    if len(proposal.material) > MAX_MATERIAL_BYTES or len(proposal.identifiers) > MAX_IDENTIFIERS:
        raise ResourceLimitError(f"key material over {MAX_MATERIAL_BYTES} bytes or {MAX_IDENTIFIERS} identifiers")
    digest = hashlib.sha256(proposal.material).hexdigest()
    if not proposal.material or digest != proposal.key_sha256:
        raise MalformedError("the proposed key's digest is not that of its material")
    if proposal.vendor_id in ("", query.ANY_VENDOR):
        raise MalformedError("a proposal is about one vendor's key")
    identifiers = set(proposal.identifiers)
    if proposal.kind is AnchorKind.X509:
        identifiers.add(Identifier(IdentifierKind.SHA256, digest))
    whole = IdentifierKind.SHA256 if proposal.kind is AnchorKind.X509 else IdentifierKind.OPENPGP
    if sum(i.kind is whole for i in identifiers) != 1:
        raise MalformedError("a proposal names exactly one certificate or OpenPGP key")
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
        signer_rule=rule or SignerRule(),
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
