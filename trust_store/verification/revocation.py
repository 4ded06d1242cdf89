"""What revocation lists and OCSP responses at hand say about a path, under the anchor's policy. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode.asn1 import read_one
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.model.verdict import Reason
from trust_store.verification.question import Finding

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from trust_store.chain.building import SignatureBudget
    from trust_store.chain.revocation import RevocationSet
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
    carried: tuple[Certificate, ...] = (),
) -> list[Finding]:
    """REVOKED or REVOCATION_UNKNOWN for the certificates below the anchor (RFC 5280 6.3, RFC 6960); lists must be current ``at`` that time.

    ``signed_at`` is a proven time of signing: a revocation that came later for a soft reason does not count. ``carried`` are the
    certificates that came with the signature; one of them may have signed a list.
    """
    policy = anchor.constraints.revocation
    handed = material.demanded_revocation
    # What the asker hands over counts even where the anchor's policy asks for nothing; what the store has does not then.
    known, policy = (handed, IF_AVAILABLE) if policy == OFF else (material.revocation, policy)
    if policy not in (IF_AVAILABLE, REQUIRED):
        return [Finding(Reason.REVOCATION_UNKNOWN, "the anchor's revocation policy is none that is known")]
    if policy == IF_AVAILABLE and known is None:
        return []
    from trust_store.chain.revocation import RevocationSet, check_path  # most questions come without lists

    problems = check_path(
        path, known or RevocationSet(), policy=policy, at=at, budget=budget, untrusted=(*carried, *material.helping),
        signed_at=signed_at, demanded=handed,
    )  # fmt: skip
    return [Finding(problem.reason, problem.detail) for problem in problems]


def decode_revocation(items: Sequence[bytes]) -> RevocationSet | None:
    """Lists and responses, told apart by what they hold; what cannot be read is counted. None where there are none."""
    if not items:
        return None
    from trust_store.chain.revocation import RevocationSet

    responses = [item for item in items if is_status_response(item)]
    return RevocationSet.decode([item for item in items if item not in responses], responses)
