"""NIST PKITS 1.0.1 (2011): every test with its inputs and the result that the document states, over the vectors of cryptography-vectors.

A test's certificates and lists are found from names: the issuers of its end entity, and every list one of them or a cRLIssuer made.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import cryptography_vectors
from asn1crypto import crl as asn1_crl
from asn1crypto import pem
from asn1crypto import x509 as asn1_x509

from trust_store.chain.certificate_points import points_of
from trust_store.chain.names import canonical
from trust_store.decode.crl import load_list
from trust_store.decode.distribution_points import DIRECTORY_NAME
from trust_store.errors import MalformedError

FOLDER = Path(cryptography_vectors.__file__).parent / "x509" / "PKITS_data"
AT = "2026-11-25T12:00:00Z"
_POLICY = "2.16.840.1.101.3.2.1.48."
_ANCHOR = "TrustAnchorRootCertificate"


@dataclass(frozen=True)
class Case:
    """``number`` as in the document (``4.8.1.3``: the third set of inputs of 4.8.1); ``leaf`` a file of certs/ without suffix."""

    number: str
    leaf: str
    valid: bool
    policies: dict[str, Any] = field(default_factory=dict)

    @property
    def section(self) -> str:
        """4.1 to 4.16."""
        return ".".join(self.number.split(".")[:2])


TITLES = {
    "4.1": "Signature verification",
    "4.2": "Validity periods",
    "4.3": "Name chaining",
    "4.4": "Basic certificate revocation",
    "4.5": "Self-issued certificates",
    "4.6": "Basic constraints",
    "4.7": "Key usage",
    "4.8": "Certificate policies",
    "4.9": "Require explicit policy",
    "4.10": "Policy mappings",
    "4.11": "Inhibit policy mapping",
    "4.12": "Inhibit any policy",
    "4.13": "Name constraints",
    "4.14": "Distribution points",
    "4.15": "Delta lists",
    "4.16": "Private certificate extensions",
}
_SECTIONS = {
    "4.1": r"(ValidCertificatePath|InvalidCASignature|InvalidEESignature|ValidDSA\w+|InvalidDSASignature)Test",
    "4.2": r"\w*(notBefore|notAfter)\w*Test",
    "4.3": r"\w*(NameChaining|NameUIDs|RFC3280|Rollover|UTF8String)\w*Test",
    "4.4": r"(InvalidMissingCRL|InvalidRevoked\w\w|InvalidBadCRL\w+|InvalidWrongCRL|ValidTwoCRLs|InvalidUnknownCRL\w+|"
    r"InvalidOldCRL\w+|\w*CRLnextUpdate|\w*SerialNumber|\w*SeparateCertificateandCRLKeys)Test",
    "4.5": r"\w*BasicSelfIssued\w*Test",
    "4.6": r"\w*(basicConstraints|cAFalse|pathLenConstraint)\w*Test",
    "4.7": r"\w*keyUsage\w*Test",
    "4.8": r"(\w*Policies|\w*anyPolicy|AnyPolicy|UserNoticeQualifier|CPSPointerQualifier)Test",
    "4.9": r"\w*requireExplicitPolicy\w*Test",
    "4.10": r"\w*(PolicyMapping|MappingFromanyPolicy|MappingToanyPolicy)Test",
    "4.11": r"\w*inhibitPolicyMapping\w*Test",
    "4.12": r"\w*inhibitAnyPolicy\w*Test",
    "4.13": r"\w*nameConstraints\w*Test",
    "4.14": r"\w*(distributionPoint|issuingDistributionPoint|onlyContains\w+|onlySomeReasons|IDPwithindirectCRL|cRLIssuer)Test",
    "4.15": r"\w*deltaCRL\w*Test",
    "4.16": r"\w*CriticalCertificateExtensionTest",
}
_ORDER = [
    "4.16",
    "4.15",
    "4.11",
    "4.12",
    "4.10",
    "4.9",
    "4.5",
    "4.7",
    "4.6",
    "4.13",
    "4.14",
    "4.8",
    "4.4",
    "4.2",
    "4.3",
    "4.1",
]
"""The first section whose pattern fits; the wide ones last."""
_EXPLICIT, _NO_MAPPING, _NO_ANY = {"require_explicit": True}, {"inhibit_mapping": True}, {"inhibit_any": True}


def _of(*numbers: int) -> dict[str, Any]:
    return {"initial_set": [f"{_POLICY}{number}" for number in numbers]}


INPUTS: dict[str, tuple[tuple[dict[str, Any], bool], ...]] = {
    "4.8.1": (({}, True), (_EXPLICIT, True), (_EXPLICIT | _of(1), True), (_EXPLICIT | _of(2), False), (_EXPLICIT | _of(1, 2), True)),
    "4.8.2": (({}, True), (_EXPLICIT, False)),
    "4.8.3": (({}, True), (_EXPLICIT, False), (_EXPLICIT | _of(1, 2), False)),
    "4.8.4": (({}, False),),
    "4.8.5": (({}, False),),
    "4.8.6": (({}, True), (_of(1), True), (_of(2), False)),
    "4.8.7": (({}, False),),
    "4.8.8": (({}, False),),
    "4.8.9": (({}, False),),
    "4.8.10": (({}, True), (_of(1), True), (_of(2), True)),
    "4.8.11": (({}, True), (_of(1), True)),
    "4.8.12": (({}, False),),
    "4.8.13": ((_of(1), True), (_of(2), True), (_of(3), True)),
    "4.8.14": ((_of(1), True), (_of(2), False)),
    "4.8.15": (({}, True),),
    "4.8.16": (({}, True),),
    "4.8.17": (({}, True),),
    "4.8.18": ((_of(1), True), (_of(2), True)),
    "4.8.19": (({}, True),),
    "4.8.20": (({}, True),),
    "4.10.1": ((_of(1), True), (_of(2), False), (_NO_MAPPING, False)),
    "4.10.2": (({}, False), (_NO_MAPPING, False)),
    "4.10.3": ((_of(1), False), (_of(2), True)),
    "4.10.5": ((_of(1), True), (_of(6), False)),
    "4.10.6": ((_of(1), True), (_of(6), False)),
    "4.10.12": ((_of(1), True), (_of(2), True)),
    "4.12.3": (({}, True), (_NO_ANY, False)),
}  # fmt: skip
"""Tests with inputs of their own (sections 4.8, 4.10, 4.12); all others take the default ones and the result in their name."""


@dataclass(frozen=True)
class _Names:
    der: bytes
    subject_der: bytes
    issuer_der: bytes

    @classmethod
    def of(cls, der: bytes) -> _Names:
        """Read by somebody else: the program refuses some of the certificates, as it should."""
        found = asn1_x509.Certificate.load(der)
        return cls(der, found.subject.dump(), found.issuer.dump())


@cache
def cases() -> tuple[Case, ...]:
    """Every test of the document, in its order."""
    found: list[Case] = []
    for leaf in sorted(path.stem for path in (FOLDER / "certs").glob("*EE.crt")):
        section = next(s for s in _ORDER if re.match(_SECTIONS[s], leaf))
        number = f"{section}.{re.search(r'Test([0-9]+)EE', leaf)[1]}"  # type: ignore[index]
        found += _cases(number, leaf)
    found += _cases("4.8.1", "ValidCertificatePathTest1EE")  # PKITS has 4.8.1 and 4.14.10's end entities once each
    return tuple(sorted(found, key=lambda case: [int(part) for part in case.number.split(".")]))


def _cases(number: str, leaf: str) -> list[Case]:
    if number not in INPUTS:
        return [Case(number, leaf, leaf.startswith("Valid"))]
    inputs = INPUTS[number]
    if len(inputs) == 1:
        return [Case(number, leaf, inputs[0][1], inputs[0][0])]
    return [Case(f"{number}.{index}", leaf, valid, given) for index, (given, valid) in enumerate(inputs, 1)]


def line(case: Case, *, everything: bool = False) -> dict[str, Any]:
    """The batch line of a test; ``everything``: with every certificate and list of the suite at hand, as in a directory."""
    intermediates = (
        [s for s in _certificates() if s != _ANCHOR and not s.endswith("EE")] if everything else _above(case.leaf)
    )
    lists = list(_lists()) if everything else _lists_for([case.leaf, *intermediates])
    return {
        "id": case.number,
        "leaf": _pem("certs", case.leaf),
        "intermediates": [_pem("certs", stem) for stem in intermediates],
        "anchors": [_pem("certs", _ANCHOR)],
        "crls": [_pem("crls", stem) for stem in lists],
        "at": AT,
        "policies": case.policies,
    }


@cache
def _certificates() -> dict[str, Any]:
    return {path.stem: _Names.of(path.read_bytes()) for path in sorted((FOLDER / "certs").glob("*.crt"))}


@cache
def _lists() -> dict[str, Any]:
    """Name of the file -> canonical issuer; None for one that cannot be read, which goes to everybody of its name."""
    found: dict[str, Any] = {}
    for path in sorted((FOLDER / "crls").glob("*.crl")):
        try:
            found[path.stem] = canonical(load_list(path.read_bytes()).issuer_der)
        except MalformedError:
            found[path.stem] = canonical(asn1_crl.CertificateList.load(path.read_bytes()).issuer.dump())
    return found


def _above(leaf: str) -> list[str]:
    """Every CA certificate that may stand above the end entity, and those of whoever makes lists about it."""
    by_subject: dict[Any, list[str]] = {}
    for stem, certificate in _certificates().items():
        if stem != _ANCHOR and not stem.endswith("EE"):
            by_subject.setdefault(canonical(certificate.subject_der), []).append(stem)
    found: list[str] = []
    wanted = [leaf]
    while wanted:
        certificate = _certificates()[wanted.pop()]
        names = [canonical(certificate.issuer_der), *_list_issuers(certificate)]
        new = [stem for name in names for stem in by_subject.get(name, []) if stem not in found]
        found += dict.fromkeys(new)
        wanted += dict.fromkeys(new)
    return found


def _list_issuers(certificate: Any) -> list[Any]:
    names = [name for point in points_of(certificate) or () for name in point.crl_issuer]
    return [canonical(name.content) for name in names if name.tag == DIRECTORY_NAME]


def _lists_for(stems: list[str]) -> list[str]:
    certificates = [_certificates()[stem] for stem in stems]
    names = {canonical(c.issuer_der) for c in certificates} | {n for c in certificates for n in _list_issuers(c)}
    return [stem for stem, issuer in _lists().items() if issuer in names]


@cache
def _pem(folder: str, stem: str) -> str:
    data = next(FOLDER.glob(f"{folder}/{stem}.cr[tl]")).read_bytes()
    label = "X509 CRL" if folder == "crls" else "CERTIFICATE"
    return str(pem.armor(label, data).decode())
