"""What an anchor's state says against a signature, and what a tombstone does, by the time that is proven. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.model.identifiers import format_time
from trust_store.model.trust_anchor import AnchorState
from trust_store.model.verdict import Reason
from trust_store.verification.question import Finding

if TYPE_CHECKING:
    from datetime import datetime

    from trust_store.model.trust_anchor import TrustAnchor

DISOWNED = "disowned"
SOFT_CAUSES = frozenset({"superseded", "cessation-of-operation", "affiliation-changed"})
"""Causes that leave older signatures alone (RFC 5280 5.3.1); every other one, and none, does not."""


def tombstone_reason(anchor: TrustAnchor) -> Reason | None:
    """COMPROMISED or DISTRUSTED for a buried key (a disowned one is distrusted), else None."""
    if anchor.state is AnchorState.COMPROMISED:
        return Reason.COMPROMISED
    disowned = anchor.state is AnchorState.REJECTED and anchor.cause == DISOWNED
    return Reason.DISTRUSTED if disowned or anchor.state is AnchorState.DISTRUSTED else None


def spared(reason: Reason, effective_from: datetime, proven_at: datetime | None) -> bool:
    """Whether a tombstone leaves a signature alone: only a compromise, and only what a trusted timestamp proves older than it.

    What the signer claims proves nothing: whoever has the key writes any date. Distrust has no before.
    """
    return reason is Reason.COMPROMISED and proven_at is not None and proven_at < effective_from


def state_findings(anchor: TrustAnchor, at: datetime, proven_at: datetime | None) -> list[Finding]:
    """What the anchor's state says against a signature whose validation time is ``at`` (the proven one if there is one).

    Superseded and softly revoked anchors spare what is older: a proven signature, or a question about a time before the change,
    when the anchor still stood. A hard revocation spares nothing.
    """
    told, since = _named(anchor), format_time(anchor.effective_from)
    reason = tombstone_reason(anchor)
    if reason:
        if spared(reason, anchor.effective_from, proven_at):
            return []
        return [Finding(reason, f"{told} is recorded as {reason} since {since}")]
    if anchor.state is AnchorState.VALID:
        return []
    soft = anchor.state is AnchorState.SUPERSEDED or (
        anchor.state is AnchorState.REVOKED and anchor.cause in SOFT_CAUSES
    )
    if soft and at < anchor.effective_from:
        return []
    older = "nothing proves that the signature is older" if soft else "its cause spares no older signature either"
    return [Finding(Reason.REVOKED, f"{told} is {anchor.state} since {since}, and {older}")]


def _named(anchor: TrustAnchor) -> str:
    return f"the anchor '{anchor.name[:120]}'"
