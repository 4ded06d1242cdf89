"""The certificate profile (RFC 5280 section 4): what a conforming CA never issues, beyond what path validation itself asks.

A certificate that breaks it is not one whose meaning is agreed on. No fault here: key identifiers that are missing, which only
makes paths harder to find; a negative serial number, or zero in an anchor, as public roots have it, which are to be handled
gracefully (section 4.1.2.2); policy constraints that are not critical, which RFC 3280 allowed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode.asn1 import read_one
from trust_store.errors import MalformedError, ResourceLimitError

if TYPE_CHECKING:
    from cryptography import x509

    from trust_store.chain.extensions import Extensions
    from trust_store.model.certificate import Certificate

MAX_SERIAL_BITS = 20 * 8 - 1
_EMPTY_NAME = b"\x30\x00"
_BASIC, _NAMES, _CONSTRAINTS = "2.5.29.19", "2.5.29.17", "2.5.29.30"
_ALWAYS_CRITICAL = {
    _CONSTRAINTS: "name constraints",
    "2.5.29.54": "inhibit any policy",
}
_EC, _OBJECT_IDENTIFIER = "1.2.840.10045.2.1", 0x06
_ONLY_SIGNING = {"1.3.101.112": "RFC 9295 3", "1.3.101.113": "RFC 9295 3"} | {
    f"2.16.840.1.101.3.4.3.{number}": "RFC 9881 5" for number in (17, 18, 19)
}
"""Ed25519, Ed448 and ML-DSA keys establish no keys."""
_NEVER_CRITICAL = {
    "2.5.29.14": "subject key identifier",
    "2.5.29.35": "authority key identifier",
}


def violations(
    certificate: Certificate, extensions: Extensions, *, is_anchor: bool, web_pki: bool = False
) -> list[str]:
    """Every rule of the profile that the certificate breaks, with the section.

    ``web_pki``: name constraints may be not critical, which the Baseline Requirements allow as an exception (7.1.2.10.8); they bind
    all the same.
    """
    is_ca = extensions.basic is not None and extensions.basic.ca
    found = []
    if (certificate.serial_number == 0 and not is_anchor) or certificate.serial_number.bit_length() > MAX_SERIAL_BITS:
        found.append("the serial number is zero or longer than 20 octets (4.1.2.2)")
    if certificate.issuer_der == _EMPTY_NAME:
        found.append("the issuer's name is empty (4.1.2.4)")
    if certificate.subject_der == _EMPTY_NAME and (is_ca or _NAMES not in extensions.critical):
        found.append("an empty subject, without critical alternative names (4.1.2.6)")
    if extensions.names is not None and not list(extensions.names):
        found.append("empty subject alternative names (4.2.1.6)")
    for oid, name in _ALWAYS_CRITICAL.items():
        if oid in extensions.present and oid not in extensions.critical and not (web_pki and oid == _CONSTRAINTS):
            found.append(f"{name} that are not critical (4.2.1)")
    for oid, name in _NEVER_CRITICAL.items():
        if oid in extensions.critical:
            found.append(f"a critical {name} (4.2.1)")
    if is_anchor and is_ca and _BASIC not in extensions.critical:
        found.append("basic constraints that are not critical (4.2.1.9)")
    if extensions.usage is not None and not any(_bits(extensions.usage)):
        found.append("key usage without a use (4.2.1.3)")
    if extensions.constraints is not None and not is_ca:
        found.append("name constraints in a certificate that is no CA's (4.2.1.10)")
    if extensions.usage is not None and extensions.usage.key_cert_sign and not is_ca:
        found.append("it may sign certificates and is no CA (4.2.1.9)")
    found += [f"an extension {oid} that lists nothing (4.2)" for oid in extensions.empty]
    if extensions.policy_twice:
        found.append("a policy that stands twice (4.2.1.4)")
    found += _key_faults(certificate, extensions)
    return [f"{certificate.subject or 'a certificate'}: {what}" for what in found]


def _key_faults(certificate: Certificate, extensions: Extensions) -> list[str]:
    """What a kind of key rules out: curves that are not named, and encryption with a key that only signs."""
    try:
        algorithm, *parameters = read_one(certificate.spki, "key").children()[0].children()
        oid = algorithm.oid("algorithm")
    except (MalformedError, ResourceLimitError, IndexError, ValueError):
        return []  # a key that cannot be read is too weak, which is another finding
    found = []
    if oid == _EC and (len(parameters) != 1 or parameters[0].tag != _OBJECT_IDENTIFIER):
        found.append("an elliptic curve that is not named (RFC 5480 2.1.1)")
    usage, section = extensions.usage, _ONLY_SIGNING.get(oid)
    if section and usage is not None and (usage.key_encipherment or usage.data_encipherment or usage.key_agreement):
        found.append(f"a key that only signs is used for encryption ({section})")
    return found


def _bits(usage: x509.KeyUsage) -> tuple[bool, ...]:
    """encipherOnly and decipherOnly say something only beside keyAgreement."""
    return (
        usage.digital_signature, usage.content_commitment, usage.key_encipherment, usage.data_encipherment,
        usage.key_agreement, usage.key_cert_sign, usage.crl_sign,
    )  # fmt: skip
