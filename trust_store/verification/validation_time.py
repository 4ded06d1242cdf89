"""The time a signature is judged at: a proven timestamp or countersignature if one verifies, else the question's. Pure.

Timestamps stand beside a signature where anybody can put and take them. So a broken or untrusted one takes nothing away and gives
nothing: it is told, and the signature is judged as if it were not there. A trusted one proves that the signature existed by then:
certificates may have expired since, and a key may have been revoked or compromised since; what was wrong by then stays wrong.

The proof has no end of its own: that the authority's certificate expires later does not matter (``chain.timestamping``). It ends with
trust: where the authority's anchor or a key of its path is recorded as distrusted or compromised, at whatever date, since who has
such a key writes any time; where it is revoked for a hard reason (RFC 3161 section 4); and where its algorithms are too weak.

What is stamped is the signature's value alone (RFC 3161 appendix A), not the certificates beside it. Whoever has a vendor's CA key
can compute, for an old stamped value, another key under which it verifies other content, and certify that key with an old date. So
after the compromise of a CA, unlike that of a signer, a timestamp is as good as what else is known of the signer's certificate.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from trust_store.chain.building import SignatureBudget
from trust_store.chain.validation import PathProblem
from trust_store.model.trust_anchor import Purpose
from trust_store.model.verdict import Reason
from trust_store.quick_dataclass import dataclass
from trust_store.verification.anchor_scope import Use, path_scope_findings
from trust_store.verification.anchor_state import state_findings
from trust_store.verification.material import counts_for, vendor_findings
from trust_store.verification.question import Finding
from trust_store.verification.revocation import revocation_findings
from trust_store.verification.signer_rule import rule_findings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from trust_store.chain.timestamping import ProvenTime
    from trust_store.decode.timestamp_token import TimestampToken
    from trust_store.model.certificate import Certificate
    from trust_store.model.package_facts import SignatureFact
    from trust_store.model.trust_anchor import TrustAnchor
    from trust_store.verification.material import TrustMaterial
    from trust_store.verification.question import Question

MAX_TOKENS = 8
COUNTERSIGNED_SCHEMES = frozenset({"authenticode", "catalog"})
"""Microsoft's schemes: a countersignature tells when the signature was made, as it did before RFC 3161, and the certificates of Microsoft's
own authority had an extended key usage that was not critical. Elsewhere the one tells nothing and the other must be critical (2.3)."""
ID_LIFETIME_SIGNING = "1.3.6.1.4.1.311.10.3.13"
"""An extended key usage (szOID_KP_LIFETIME_SIGNING)."""
TOKEN_CHECKS = 32
"""Public-key operations spent on one token: what somebody adds to a signature takes nothing from it, nor from another token."""


@dataclass(frozen=True, slots=True)
class ValidationTime:
    """``at`` is the time to judge at: where ``proven``, the end of the interval in which the trusted timestamp was made.

    The signature existed before ``at`` then. ``timestamped_at`` is the timestamp's own time (genTime), None where nothing is proven.
    ``findings`` tell what is wrong with the timestamps that prove nothing; they are no findings against the signature.
    """

    at: datetime
    proven: bool = False
    timestamped_at: datetime | None = None
    findings: tuple[Finding, ...] = ()


def validation_time(
    fact: SignatureFact, material: TrustMaterial, question: Question, *, container: str | None
) -> ValidationTime:
    """The validation time of one signature of a package of format ``container``: of several proven timestamps the earliest."""
    told: list[Finding] = []
    proven: list[tuple[datetime, datetime]] = []
    counted = fact.scheme in COUNTERSIGNED_SCHEMES
    if fact.countersignatures and not counted:
        told.append(Finding(Reason.UNSUPPORTED_FORMAT, "a PKCS #9 countersignature proves no time (RFC 5652 11.4)"))
    if not fact.timestamps and not (fact.countersignatures and counted):
        return ValidationTime(question.at, findings=tuple(told))
    from trust_store.chain.timestamping import prove, prove_countersignature, readable  # few signatures are stamped

    stamps: list[tuple[Callable[..., ProvenTime], bytes]] = [
        (partial(prove, critical=not counted), token) for token in fact.timestamps[:MAX_TOKENS]
    ]
    stamps += [(prove_countersignature, one) for one in fact.countersignatures[:MAX_TOKENS] if counted]

    # An authority's certificates may stand in the signature instead of in its token.
    helping = [*readable(fact.certificates), *material.helping]
    authorities = [pair for pair in material.certificates if counts_for(pair[0], question)]
    for proof, stamp in stamps:
        budget = SignatureBudget(TOKEN_CHECKS)
        against = _Objections(material, question, container, budget)
        found = proof(
            stamp, fact.signature, authorities, helping, at=question.checked_at, budget=budget, objections=against
        )
        told += [Finding(problem.reason, problem.detail) for problem in found.problems]
        if found.latest is None or found.at is None:
            continue
        # Accuracy and clock skew may reach past now; the signature is at hand now.
        existed = min(found.latest, question.checked_at)
        if existed <= question.at:
            proven.append((existed, found.at))
        else:
            told.append(Finding(Reason.NOT_YET_VALID, "timestamp: it was made after the time that is asked about"))
    if not proven:
        return ValidationTime(question.at, findings=tuple(told))
    existed, stated = min(proven)
    return ValidationTime(existed, proven=True, timestamped_at=stated, findings=tuple(told))


def ends_with(fact: SignatureFact, signers: Iterable[Certificate]) -> bool:
    """Whether the signature ends with its signer's certificate, whatever was stamped: Microsoft's "lifetime signing" says so in it."""
    if fact.scheme not in COUNTERSIGNED_SCHEMES or not (fact.timestamps or fact.countersignatures):
        return False
    from trust_store.chain.timestamping import purposes

    return any(ID_LIFETIME_SIGNING in purposes(signer) for signer in signers)


def without_timestamps(time: ValidationTime, question: Question) -> ValidationTime:
    """The question's time in place of a proven one, which is told."""
    ends = Finding(Reason.EXPIRED, "timestamp: the signer's certificate says that signatures end with it")
    return ValidationTime(question.at, findings=(*time.findings, ends))


class _Objections:
    """What the store knows against an authority, beyond the rules for paths."""

    def __init__(
        self, material: TrustMaterial, question: Question, container: str | None, budget: SignatureBudget
    ) -> None:
        self._material, self._question, self._container, self._budget = material, question, container, budget

    def __call__(
        self, anchor: TrustAnchor, path: tuple[Certificate, ...], token: TimestampToken
    ) -> tuple[PathProblem, ...]:
        return tuple(PathProblem(one.reason, one.detail) for one in self._findings(anchor, path, token))

    def _findings(self, anchor: TrustAnchor, path: tuple[Certificate, ...], token: TimestampToken) -> Iterable[Finding]:
        from trust_store.chain.timestamping import readable

        latest = token.info.latest
        # A compromised key writes any time, so that nothing it says can be older than the compromise: no proven time here.
        for certificate in path:
            yield from self._material.tombstones_on(certificate, "the time-stamp authority", None)
        yield from state_findings(anchor, latest, None)
        use = Use(
            name=self._question.name,
            container=self._container,
            at=latest,
            signed_at=(latest,),
            digest=token.signers[0].digest_algorithm,
            purposes=frozenset({Purpose.TIMESTAMP.value}),
        )
        yield from path_scope_findings(anchor, use, path, self._budget)
        yield from rule_findings(anchor, path)
        # RFC 3161 section 4: a revocation for a soft reason spares what was stamped before, any other nothing.
        yield from revocation_findings(
            anchor, path, self._material, at=self._question.at, signed_at=latest, budget=self._budget,
            carried=tuple(readable(token.certificates)),
        )  # fmt: skip
        yield from vendor_findings(anchor, self._question)
