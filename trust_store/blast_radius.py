"""Which stored packages a decision about an anchor would flip, before anybody makes it. Read-only: nothing is written.

The verdicts of the affected packages are computed twice: under what the store trusts, and under the same with the anchor's version
replaced by the one that the decision would write.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from trust_store.anchor_rules import require_transition
from trust_store.errors import DecisionRefusedError
from trust_store.model.trust_anchor import AnchorState, Constraints, SignerRule, TrustBasis
from trust_store.model.verdict import ExpectedVendor
from trust_store.query import snapshot
from trust_store.storage.affected import by_anchors
from trust_store.storage.anchors import current
from trust_store.storage.facts import packages_of_vendors, sightings
from trust_store.stored_verdict import AskedPlace, PackageUnknownError, verify_stored

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from datetime import datetime

    from trust_store.model.trust_anchor import TrustAnchor
    from trust_store.model.vendor import Vendor
    from trust_store.model.verdict import Verdict
    from trust_store.storage.anchors import StoredAnchor

MAX_PACKAGES = 100_000
NOT_RECORDED = 2**62
"""Number of the audit entry that the decision would get: later than all there are."""


@dataclass(frozen=True, slots=True)
class Change:
    """A decision that might be made: the anchor's new state (None: it stays) and rules (None: they stay).

    ``effective_from`` (None: at once) is from when a revocation or compromise would count, ``cause`` why.
    """

    anchor_id: str
    state: AnchorState | None = None
    cause: str | None = None
    effective_from: datetime | None = None
    constraints: Constraints | None = None
    signer_rule: SignerRule | None = None


@dataclass(frozen=True, slots=True)
class Flip:
    """One package whose verdict would become another: (outcome, reason) before and after, as a question about ``vendor``'s package."""

    package_sha256: str
    name: str
    vendor: str
    before: tuple[str, str]
    after: tuple[str, str]


@dataclass(frozen=True, slots=True)
class BlastRadius:
    """``looked_at`` counts packages; ``complete`` is False where there are more than are looked at."""

    flips: tuple[Flip, ...]
    looked_at: int
    complete: bool = True


def blast_radius(
    connection: sqlite3.Connection, change: Change, vendors: Iterable[Vendor], at: datetime
) -> BlastRadius:
    """What ``change`` would flip at ``at`` (now), for each vendor that an affected package was said to be of.

    Raises DecisionRefusedError for an anchor that is not there or a transition that the table does not list.
    """
    known = tuple(vendors)
    with snapshot(connection):
        stored = current(connection, change.anchor_id)
        if stored is None:
            raise DecisionRefusedError(
                f"there is no anchor {change.anchor_id[:64]!r}; 'rootwarden anchor list' shows them"
            )
        after = replace(stored, anchor=changed(stored.anchor, change, at), audit_seq=NOT_RECORDED)
        affected = by_anchors(connection, [change.anchor_id])
        chosen = set(affected.packages)
        if affected.everything or affected.vendors:
            among = None if affected.everything else affected.vendors
            chosen |= set(packages_of_vendors(connection, among, MAX_PACKAGES + 1))
        packages = sorted(chosen)[:MAX_PACKAGES]
        flips = tuple(f for sha256 in packages for f in _flips(connection, sha256, after, known, at))
    return BlastRadius(flips, len(packages), complete=len(packages) == len(chosen))


def changed(anchor: TrustAnchor, change: Change, at: datetime) -> TrustAnchor:
    """The version of the anchor that the decision would write; raises DecisionRefusedError for what cannot be decided."""
    state = anchor.state if change.state is None else change.state
    if state is not anchor.state:
        require_transition(anchor.state, state)
    approved = state is AnchorState.VALID and anchor.basis is TrustBasis.NONE
    return replace(
        anchor,
        state=state,
        recorded_at=at,
        effective_from=(change.effective_from or at) if change.state is not None else anchor.effective_from,
        cause=change.cause if change.state is not None else anchor.cause,
        constraints=anchor.constraints if change.constraints is None else change.constraints,
        signer_rule=anchor.signer_rule if change.signer_rule is None else change.signer_rule,
        basis=TrustBasis.CALLED if approved else anchor.basis,
    )


def _flips(
    connection: sqlite3.Connection, sha256: str, after: StoredAnchor, vendors: tuple[Vendor, ...], at: datetime
) -> Iterable[Flip]:
    """The flips of one package: for every vendor that it was said to be of, nobody's included."""
    seen = {s.vendor_id or "": s.origin for s in reversed(sightings(connection, sha256))}
    for vendor_id in sorted(seen) or [after.anchor.vendor_id]:
        expected = ExpectedVendor(vendor_id or None, "folder" if vendor_id else "none")
        asked = AskedPlace(asker=seen.get(vendor_id))
        try:
            before = verify_stored(connection, sha256, expected, vendors, at=at, asked=asked)
            then = verify_stored(connection, sha256, expected, vendors, at=at, asked=asked, instead=after)
        except PackageUnknownError:
            continue
        if _answer(before) != _answer(then):
            yield Flip(sha256, before.name, vendor_id, _answer(before), _answer(then))


def _answer(verdict: Verdict) -> tuple[str, str]:
    return verdict.outcome.value, verdict.reason.value
