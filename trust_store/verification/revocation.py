"""What revocation lists and OCSP responses at hand say about a path, under the anchor's policy. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode.asn1 import read_one
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.model.verdict import Reason
from trust_store.verification.question import Finding

if TYPE_CHECKING:
    from datetime import datetime

    from trust_store.chain.building import SignatureBudget
    from trust_store.model.certificate import Certificate
    from trust_store.model.trust_anchor import TrustAnchor
    from trust_store.verification.material import TrustMaterial

_ENUMERATED = 0x0A
OFF, IF_AVAILABLE, REQUIRED = "off", "if_available", "required"


def is_status_response(data: bytes) -> bool:
    """Whether DER claims to be an OCSP response: it begins with a responseStatus (RFC 6960 4.2.1), a revocation list never does."""
    try:
        children = read_one(data, "revocation").children()
    except (MalformedError, ResourceLimitError):
        return False
    return bool(children) and children[0].tag == _ENUMERATED


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
