"""Which pending proposals fit what a package shows (pure): the question a call to the vendor is about.

A proposal fits an X.509 signature if a certification path leads from the signer to it, and an OpenPGP signature if the
arithmetic holds under it. Names and key identifiers alone fit nothing.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from trust_store.chain.building import SignatureBudget, find_paths
from trust_store.decode.x509 import load_certificate
from trust_store.errors import READ_ERRORS
from trust_store.model.identifiers import IdentifierKind
from trust_store.model.trust_anchor import AnchorKind, AnchorState, Constraints, Purpose, SignerRule, TrustAnchor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trust_store.model.certificate import Certificate
    from trust_store.model.package_facts import PackageFacts, SignatureFact

MATCHING_BUDGET = 200


def signers_of(facts: PackageFacts) -> tuple[Certificate, ...]:
    """The certificates whose keys made a signature that holds."""
    found: dict[str, Certificate] = {}
    for signature in facts.signatures:
        holding = {check.key for check in signature.key_checks if check.holds}
        for certificate in _certificates(signature.certificates):
            if certificate.sha256 in holding:
                found[certificate.sha256] = certificate
    return tuple(found.values())


def fitting(facts: PackageFacts, anchors: Iterable[TrustAnchor]) -> tuple[TrustAnchor, ...]:
    """The pending anchors that would give a signature of the package its root, in the order given."""
    pending = [a for a in anchors if a.state is AnchorState.PENDING]
    certificates = {c.sha256: c for a in pending if a.kind is AnchorKind.X509 for c in _certificates([a.material])}
    carried = [c for s in facts.signatures for c in _certificates(s.certificates)]
    budget = SignatureBudget(MATCHING_BUDGET)
    reached: set[str] = set()
    for signer in signers_of(facts):
        for certificate in certificates.values():
            others = [c for c in (*carried, *certificates.values()) if c.sha256 != certificate.sha256]
            if find_paths(signer, others, [certificate], budget).paths:
                reached.add(certificate.sha256)
    for signature in facts.signatures:
        reached.update(_openpgp_owners(signature))
    return tuple(a for a in pending if a.key_sha256 in reached or _fingerprint(a) in reached)


def narrowest_rule(facts: PackageFacts) -> SignerRule | None:
    """The signer rule that covers this package and as little else as possible: the exact subject of its one signer."""
    signers = signers_of(facts)
    if len(signers) != 1:
        return None
    if signers[0].subject_attributes:
        return SignerRule(subject=signers[0].subject_attributes)
    return SignerRule(spki_sha256=(signers[0].spki_sha256,))


def narrowest_limits(facts: PackageFacts, name: str, patterns: Iterable[str]) -> Constraints:
    """The limits that cover this package and as little else as possible: its format, the vendor's own patterns that fit its file name.

    The file name itself is whoever named the file's, and no pattern.
    """
    return Constraints(
        products=tuple(pattern for pattern in patterns if fnmatchcase(name, pattern)),
        formats=(facts.format,) if facts.format else (),
        purposes=(Purpose.CODE.value,),
    )


def _openpgp_owners(signature: SignatureFact) -> set[str]:
    """Primary fingerprints of the OpenPGP keys under which the signature holds."""
    return {check.owner for check in signature.key_checks if check.holds and signature.scheme == "openpgp"}


def _fingerprint(anchor: TrustAnchor) -> str | None:
    return next((i.value for i in anchor.identifiers if i.kind is IdentifierKind.OPENPGP), None)


def _certificates(material: Iterable[bytes]) -> list[Certificate]:
    """Those of ``material`` that can be read; the others were reported where they were found."""
    found = []
    for der in material:
        try:
            found.append(load_certificate(der))
        except READ_ERRORS:
            continue
    return found
