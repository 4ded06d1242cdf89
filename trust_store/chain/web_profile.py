"""The Web PKI's certificate profile (CA/Browser Forum Baseline Requirements 7.1.2), demanded where the purpose is ``server-auth``.

What a client can tell from the certificates alone, and what public roots and their subscribers keep to. Not demanded: that a common
name is one of the alternative names (7.1.4.3), as nobody may be found by it anyway; only one that *is* such a name in another spelling is
refused. Nor that an end entity has an extended key usage, which RFC 5280 section 4.2.1.12 leaves open.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from trust_store.chain.common_names import misspelt
from trust_store.chain.names import same_name
from trust_store.decode.asn1 import read_one
from trust_store.decode.public_keys import key_kind, rsa_bits
from trust_store.errors import MalformedError, ResourceLimitError

if TYPE_CHECKING:
    from trust_store.chain.extensions import Extensions
    from trust_store.model.certificate import Certificate

_EMPTY_NAME = b"\x30\x00"
_NAMES, _EKU, _SUBJECT_KEY, _POLICY_CONSTRAINTS = "2.5.29.17", "2.5.29.37", "2.5.29.14", "2.5.29.36"
_VERSION, _GENERALIZED_TIME, _FROM_2050 = 0xA0, 0x18, b"2050"
_CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})
_OTHER_KINDS = frozenset({"rsa", "dsa", "ed25519", None})
"""Kinds of keys that are no elliptic curves; whether they are strong enough is judged elsewhere."""
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII | re.IGNORECASE)
MAX_HOST = 253
_FOREIGN = {
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE.dotted_string: "any purpose",
    ExtendedKeyUsageOID.CODE_SIGNING.dotted_string: "code signing",
    ExtendedKeyUsageOID.EMAIL_PROTECTION.dotted_string: "e-mail protection",
    ExtendedKeyUsageOID.TIME_STAMPING.dotted_string: "time stamping",
    ExtendedKeyUsageOID.OCSP_SIGNING.dotted_string: "OCSP signing",
    "1.3.6.1.4.1.11129.2.4.4": "precertificate signing",
}
"""Purposes that a server's certificate never has (7.1.2.7.10)."""


def web_violations(certificate: Certificate, extensions: Extensions, *, is_anchor: bool, is_leaf: bool) -> list[str]:
    """Every rule that the certificate breaks, with the section of the Baseline Requirements or of RFC 5280."""
    found = _end_entity(certificate, extensions) if is_leaf else _authority(extensions)
    if is_anchor and not is_leaf and extensions.eku is not None:
        found.append("a root with an extended key usage (BR 7.1.2.1.2)")
    found += _key_identifiers(certificate, extensions, is_anchor=is_anchor)
    if _dated_in_the_other_form(certificate.der):
        found.append("a date until 2049 that is no UTCTime (4.1.2.5)")
    if certificate.serial_number < 0:
        found.append("a negative serial number (BR 7.1.2)")
    kind = key_kind(certificate.spki)
    if kind not in _OTHER_KINDS | _CURVES:
        found.append(f"a key on the curve {kind} (BR 6.1.5)")
    if (bits := rsa_bits(certificate.spki)) is not None and bits % 8:
        found.append(f"an RSA key of {bits} bits, which are no whole octets (BR 6.1.5)")
    return [f"{certificate.subject or 'a certificate'}: {what}" for what in found]


def _end_entity(certificate: Certificate, extensions: Extensions) -> list[str]:
    found = []
    if extensions.names is None:
        found.append("no subject alternative names (BR 7.1.2.7.12)")
    elif _NAMES in extensions.critical and certificate.subject_der != _EMPTY_NAME:
        found.append("critical alternative names beside a subject (BR 7.1.2.7.12)")
    hosts = [name.value for name in extensions.names or () if isinstance(name, x509.DNSName)]
    found += [f"the alternative name {host!r} is no host name (4.2.1.6)" for host in hosts if not _is_host(host)]
    common = [value for kind, value in certificate.subject_attributes if kind == "CN"]
    if len(common) > 1:
        found.append("more than one common name (BR 7.1.4.1)")
    found += [f"the common name {n!r} is another spelling of a name (BR 7.1.4.3)" for n in common if misspelt(n, hosts)]
    if extensions.basic is not None and extensions.basic.ca:
        found.append("a CA as end entity (BR 7.1.2.7.8)")
    foreign = [name for oid, name in _FOREIGN.items() if extensions.eku is not None and oid in extensions.eku]
    found += [f"{name} among a server's purposes (BR 7.1.2.7.10)" for name in foreign]
    if _EKU in extensions.critical:
        found.append("a critical extended key usage (BR 7.1.2.7.6)")
    return found


def _dated_in_the_other_form(der: bytes) -> bool:
    """Whether notBefore or notAfter lies before 2050 and is written as GeneralizedTime; True where that cannot be told."""
    try:
        fields = read_one(der, "certificate").children()[0].children()
        validity = fields[4 if fields[0].tag == _VERSION else 3]  # version, serialNumber, signature, issuer, validity
        return any(time.tag == _GENERALIZED_TIME and time.content < _FROM_2050 for time in validity.children())
    except (MalformedError, ResourceLimitError, IndexError):
        return True


def _is_host(name: str) -> bool:
    """Letters, digits and hyphens in labels (RFC 1123 2.1), the first of which may be a wildcard; an address is none."""
    labels = name.removeprefix("*.").split(".")
    return len(name) <= MAX_HOST and not labels[-1].isdigit() and all(_LABEL.fullmatch(label) for label in labels)


def _authority(extensions: Extensions) -> list[str]:
    found = []
    if _SUBJECT_KEY not in extensions.present:
        found.append("a CA without subject key identifier (4.2.1.2)")
    if _POLICY_CONSTRAINTS in extensions.present and _POLICY_CONSTRAINTS not in extensions.critical:
        found.append("policy constraints that are not critical (4.2.1.11)")
    return found


def _key_identifiers(certificate: Certificate, extensions: Extensions, *, is_anchor: bool) -> list[str]:
    """4.2.1.1: whoever is not self-signed says which key signed it; a root says nothing but its own (BR 7.1.2.1.3)."""
    authority = extensions.authority_key
    self_issued = same_name(certificate.subject_der, certificate.issuer_der)
    if authority is None:
        return [] if self_issued else ["no authority key identifier (4.2.1.1)"]
    found = []
    if authority.key_identifier is None:
        found.append("an authority key identifier without key identifier (4.2.1.1)")
    if is_anchor and self_issued:
        if authority.authority_cert_issuer is not None or authority.authority_cert_serial_number is not None:
            found.append("a root that names its issuer by number (BR 7.1.2.1.3)")
        own = certificate.subject_key_identifier
        if authority.key_identifier is not None and authority.key_identifier.hex() != own:
            found.append("a root of another key than its own (BR 7.1.2.1.3)")
    return found
