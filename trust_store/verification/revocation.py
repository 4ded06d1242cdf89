"""What revocation lists and OCSP responses at hand say about a path, under the anchor's policy. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.model.verdict import Reason
from trust_store.verification.question import Finding

if TYPE_CHECKING:
    from datetime import datetime

    from trust_store.chain.building import SignatureBudget
    from trust_store.model.certificate import Certificate
    from trust_store.model.trust_anchor import TrustAnchor
    from trust_store.verification.material import TrustMaterial

OFF, IF_AVAILABLE, REQUIRED = "off", "if_available", "required"


def revocation_findings(
    anchor: TrustAnchor,
    path: tuple[Certificate, ...],
    material: TrustMaterial,
    *,
    at: datetime,
    signed_at: datetime | None,
    budget: SignatureBudget,
) -> list[Finding]:
    """REVOKED or REVOCATION_UNKNOWN for the certificates below the anchor."""
    lists = material.view.revocation
    if anchor.constraints.revocation == REQUIRED or lists.demanded:
        return [Finding(Reason.REVOCATION_UNKNOWN, "not implemented: revocation lists")]
    return []
