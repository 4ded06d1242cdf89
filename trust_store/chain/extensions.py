"""The extensions of one certificate that path validation understands (RFC 5280 section 4.2), read strictly."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, TypeVar

from cryptography import x509
from cryptography.x509.oid import NameOID

from trust_store.decode.asn1 import SEQUENCE, read_one
from trust_store.errors import MalformedError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from trust_store.model.certificate import Certificate

ANY_POLICY = "2.5.29.32.0"
_NAME_CONSTRAINTS, _POLICY_MAPPINGS = "2.5.29.30", "2.5.29.33"
_UNDERSTOOD = (
    x509.BasicConstraints,
    x509.KeyUsage,
    x509.ExtendedKeyUsage,
    x509.NameConstraints,
    x509.SubjectAlternativeName,
    x509.IssuerAlternativeName,
    x509.SubjectKeyIdentifier,
    x509.AuthorityKeyIdentifier,
    x509.CertificatePolicies,
    x509.PolicyConstraints,
    x509.InhibitAnyPolicy,
    x509.CRLDistributionPoints,
)
_LISTS = (
    x509.AuthorityInformationAccess,
    x509.SubjectInformationAccess,
    x509.CRLDistributionPoints,
    x509.FreshestCRL,
    x509.CertificatePolicies,
    x509.IssuerAlternativeName,
)
"""Lists of at least one member (sections 4.2.1.4, 4.2.1.7, 4.2.1.13, 4.2.1.15, 4.2.2), which the library does not insist on."""
E = TypeVar("E", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True)
class Extensions:
    """None for an extension that is absent; ``critical``, ``present``, ``unknown_critical`` and ``empty`` hold dotted OIDs."""

    version: int
    critical: frozenset[str] = frozenset()
    present: frozenset[str] = frozenset()
    unknown_critical: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    basic: x509.BasicConstraints | None = None
    usage: x509.KeyUsage | None = None
    eku: frozenset[str] | None = None
    constraints: x509.NameConstraints | None = None
    names: x509.SubjectAlternativeName | None = None
    email: tuple[str, ...] = ()
    policies: frozenset[str] | None = None
    policy_twice: bool = False
    mappings: tuple[tuple[str, str], ...] | None = None
    policy_constraints: x509.PolicyConstraints | None = None
    inhibit_any: int | None = None
    authority_key: x509.AuthorityKeyIdentifier | None = None


def read_extensions(certificate: Certificate) -> Extensions:
    """Raises MalformedError or ResourceLimitError where one of them cannot be read or stands twice, nothing else."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # serial numbers are judged by the profile
            parsed = x509.load_der_x509_certificate(certificate.der)
            found = list(parsed.extensions)
            email = tuple(str(a.value) for a in parsed.subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS))
    except (
        ValueError,
        TypeError,
        OverflowError,
        x509.InvalidVersion,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    ) as error:
        raise MalformedError(f"{certificate.subject or 'a certificate'} cannot be read: {str(error)[:200]}") from error
    version = 3 if parsed.version is x509.Version.v3 else 1
    if found and version != 3:  # section 4.1.2.9
        raise MalformedError(f"{certificate.subject or 'a certificate'} has extensions and is of version {version}")
    if any(isinstance(extension.value, x509.NameConstraints) for extension in found):
        _plain_subtrees(certificate.der)
    return _sort(found, version, email)


def _plain_subtrees(der: bytes) -> None:
    """What the library passes over in name constraints (section 4.2.1.10).

    Raises MalformedError for a subtree with a minimum or maximum and for a list without a subtree.
    """
    fields = read_one(der, "certificate").children()[0].children()
    for extension in fields[-1].children()[0].children():
        parts = extension.children()
        if parts[0].oid("extension") != _NAME_CONSTRAINTS:
            continue
        for subtrees in read_one(parts[-1].content, "name constraints").children():
            listed = subtrees.children()
            if not listed:
                raise MalformedError("name constraints with an empty list of subtrees")
            if any(len(subtree.children()) != 1 for subtree in listed):
                raise MalformedError("name constraints with a minimum or a maximum")


def _sort(found: list[x509.Extension[x509.ExtensionType]], version: int, email: tuple[str, ...]) -> Extensions:
    by_type = {type(extension.value): extension.value for extension in found}

    def of(kind: type[E]) -> E | None:
        value = by_type.get(kind)
        return value if isinstance(value, kind) else None

    eku, policies, inhibit = of(x509.ExtendedKeyUsage), of(x509.CertificatePolicies), of(x509.InhibitAnyPolicy)
    mappings = next((e.value.public_bytes() for e in found if e.oid.dotted_string == _POLICY_MAPPINGS), None)
    critical = frozenset(e.oid.dotted_string for e in found if e.critical)
    known = {e.oid.dotted_string for e in found if isinstance(e.value, _UNDERSTOOD)} | {_POLICY_MAPPINGS}
    return Extensions(
        version=version,
        critical=critical,
        present=frozenset(e.oid.dotted_string for e in found),
        unknown_critical=tuple(sorted(critical - known)),
        empty=tuple(e.oid.dotted_string for e in found if isinstance(e.value, _LISTS) and not list(e.value)),
        basic=of(x509.BasicConstraints),
        usage=of(x509.KeyUsage),
        eku=None if eku is None else frozenset(oid.dotted_string for oid in eku),
        constraints=of(x509.NameConstraints),
        names=of(x509.SubjectAlternativeName),
        email=email,
        policies=None if policies is None else frozenset(p.policy_identifier.dotted_string for p in policies),
        policy_twice=policies is not None and len({p.policy_identifier for p in policies}) < len(policies),
        mappings=None if mappings is None else _mappings(mappings),
        policy_constraints=of(x509.PolicyConstraints),
        inhibit_any=None if inhibit is None else inhibit.skip_certs,
        authority_key=of(x509.AuthorityKeyIdentifier),
    )


def _mappings(value: bytes) -> tuple[tuple[str, str], ...]:
    """PolicyMappings (RFC 5280 section 4.2.1.5): pairs of issuerDomainPolicy and subjectDomainPolicy."""
    pairs = []
    for pair in read_one(value, "policy mappings").expect(SEQUENCE, "policy mappings").children():
        parts = pair.expect(SEQUENCE, "policy mapping").children()
        if len(parts) != 2:  # issuerDomainPolicy and subjectDomainPolicy
            raise MalformedError("a policy mapping is a pair of policies")
        pairs.append((parts[0].oid("issuer domain policy"), parts[1].oid("subject domain policy")))
    if not pairs:
        raise MalformedError("policy mappings without a mapping")
    return tuple(pairs)
