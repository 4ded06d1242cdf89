"""The certificate profile (RFC 5280 section 4): what a conforming CA never issues, beyond what path validation itself asks.

A certificate that breaks it is not one whose meaning is agreed on. No fault here: key identifiers that are missing, which only
makes paths harder to find; a negative serial number, which is to be handled gracefully (section 4.1.2.2); policy constraints
that are not critical, which RFC 3280 allowed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509

    from trust_store.chain.extensions import Extensions
    from trust_store.model.certificate import Certificate

MAX_SERIAL_BITS = 20 * 8 - 1
_EMPTY_NAME = b"\x30\x00"
_BASIC, _NAMES = "2.5.29.19", "2.5.29.17"
_ALWAYS_CRITICAL = {
    "2.5.29.30": "name constraints",
    "2.5.29.54": "inhibit any policy",
}
_NEVER_CRITICAL = {
    "2.5.29.14": "subject key identifier",
    "2.5.29.35": "authority key identifier",
}


def violations(certificate: Certificate, extensions: Extensions, *, is_anchor: bool) -> list[str]:
    """Every rule of the profile that the certificate breaks, with the section."""
    is_ca = extensions.basic is not None and extensions.basic.ca
    found = []
    if certificate.serial_number == 0 or certificate.serial_number.bit_length() > MAX_SERIAL_BITS:
        found.append("the serial number is zero or longer than 20 octets (4.1.2.2)")
    if certificate.issuer_der == _EMPTY_NAME:
        found.append("the issuer's name is empty (4.1.2.4)")
    if certificate.subject_der == _EMPTY_NAME and (is_ca or _NAMES not in extensions.critical):
        found.append("an empty subject, without critical alternative names (4.1.2.6)")
    if extensions.names is not None and not list(extensions.names):
        found.append("empty subject alternative names (4.2.1.6)")
    for oid, name in _ALWAYS_CRITICAL.items():
        if oid in extensions.present and oid not in extensions.critical:
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
    if extensions.usage is not None and extensions.usage.key_cert_sign and extensions.basic is not None and not is_ca:
        found.append("it may sign certificates and is no CA (4.2.1.9)")
    return [f"{certificate.subject or 'a certificate'}: {what}" for what in found]


def _bits(usage: x509.KeyUsage) -> tuple[bool, ...]:
    """encipherOnly and decipherOnly say something only beside keyAgreement."""
    return (
        usage.digital_signature, usage.content_commitment, usage.key_encipherment, usage.data_encipherment,
        usage.key_agreement, usage.key_cert_sign, usage.crl_sign,
    )  # fmt: skip
