"""X.509 certificates (RFC 5280 section 4) from hostile bytes: decoded once, with every cap checked first."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import warnings
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from trust_store.decode import asn1
from trust_store.decode.library_panic import panic_is_malformed
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.model.certificate import Certificate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")
MAX_CERTIFICATE_BYTES = 64 * 1024
MAX_BUNDLE_BYTES = 8 * 1024 * 1024
MAX_CERTIFICATES = 4096
_VERSION, _SPKI = 0xA0, 6
"""Tag of TBSCertificate.version; position of subjectPublicKeyInfo where the version is written (RFC 5280 section 4.1)."""
# Possessive: a body that does not end is looked at once, not once per blank before it.
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----\s++([A-Za-z0-9+/=\s]*+)-----END \1-----")


def load_certificate(der: bytes) -> Certificate:
    """Decode one DER certificate; raises MalformedError or ResourceLimitError, nothing else."""
    if len(der) > MAX_CERTIFICATE_BYTES:
        raise ResourceLimitError(f"a certificate of {len(der)} bytes")
    return _guarded(lambda: _load(der), "certificate")


def issuer_attributes(der: bytes) -> tuple[tuple[str, str], ...]:
    """The issuer's name of a certificate in DER taken apart: (type as RFC 4514 writes it, value); raises MalformedError."""
    return _guarded(lambda: _attributes(x509.load_der_x509_certificate(der).issuer), "X.509 certificate")


def decode_certificates(data: bytes) -> tuple[Certificate, ...]:
    """Every certificate of a PEM bundle, a DER certificate or a PKCS#7 container (PEM or DER), in their order.

    Raises MalformedError where there is none or one cannot be read, ResourceLimitError beyond the caps; nothing else.
    """
    if len(data) > MAX_BUNDLE_BYTES:
        raise ResourceLimitError(f"a bundle of {len(data)} bytes")
    armoured = b"-----BEGIN " in data
    found = tuple(c for block in _blocks(data) for c in _of_block(block)) if armoured else _of_der(data)
    if not found:
        raise MalformedError("no certificate in it")
    return found


def decode_readable(data: bytes) -> tuple[tuple[Certificate, ...], tuple[bytes, ...]]:
    """As ``decode_certificates``, but what cannot be read is left out: (certificates, the DER or text that is none). Never raises."""
    try:
        return decode_certificates(data), ()
    except (MalformedError, ResourceLimitError):
        found: list[Certificate] = []
        refused: list[bytes] = []
    if len(data) > MAX_BUNDLE_BYTES:
        return (), (data,)
    for match in islice(_PEM.finditer(data), MAX_CERTIFICATES):
        block = match[1], match[2]
        try:
            block = match[1], _base64(match[2])
            found += _of_block(block)
        except (MalformedError, ResourceLimitError):
            refused.append(block[1])
    return tuple(found), tuple(refused) if found or refused else (data,)


def to_pem(certificates: Iterable[bytes]) -> bytes:
    """DER certificates as PEM (RFC 7468 5.1), one after the other."""
    blocks = (base64.encodebytes(der).decode() for der in certificates)
    return "".join(f"-----BEGIN CERTIFICATE-----\n{block}-----END CERTIFICATE-----\n" for block in blocks).encode()


def pem_blocks(data: bytes, label: bytes) -> list[bytes]:
    """DER of every PEM block with this label; raises MalformedError or ResourceLimitError."""
    return [der for found, der in _blocks(data) if found == label]


def _blocks(data: bytes) -> list[tuple[bytes, bytes]]:
    """(label, DER) of every PEM block (RFC 7468); a block that begins and does not end is malformed."""
    blocks = [(match[1], match[2]) for match in islice(_PEM.finditer(data), MAX_CERTIFICATES + 1)]
    if len(blocks) > MAX_CERTIFICATES:
        raise ResourceLimitError(f"a bundle of more than {MAX_CERTIFICATES} certificates")
    if len(blocks) != data.count(b"-----BEGIN "):
        raise MalformedError("PEM: a block is cut short or not well formed")
    return [(label, _base64(body)) for label, body in blocks]


def _base64(body: bytes) -> bytes:
    try:
        return binascii.a2b_base64(b"".join(body.split()), strict_mode=True)
    except ValueError as error:
        raise MalformedError(f"PEM: {error}") from error


def _of_block(block: tuple[bytes, bytes]) -> tuple[Certificate, ...]:
    label, der = block
    if label in (b"CERTIFICATE", b"X509 CERTIFICATE"):
        return (load_certificate(der),)
    if label == b"PKCS7":
        return _of_pkcs7(der)
    return ()  # other material in the same file is none of our business, and no certificate


def _of_der(data: bytes) -> tuple[Certificate, ...]:
    try:
        return (load_certificate(data),)
    except MalformedError as no_certificate:
        try:
            return _of_pkcs7(data)
        except MalformedError:
            raise no_certificate from None


def _of_pkcs7(der: bytes) -> tuple[Certificate, ...]:
    """A certs-only PKCS#7; its structure is walked first, so that no length or depth in it can exhaust the decoder."""
    asn1.der(asn1.read_one(der, "PKCS#7"))
    from cryptography.hazmat.primitives.serialization import pkcs7  # rare, and not cheap to import

    def decode() -> tuple[bytes, ...]:
        found = pkcs7.load_der_pkcs7_certificates(der)
        return tuple(certificate.public_bytes(serialization.Encoding.DER) for certificate in found)

    certificates = _guarded(decode, "PKCS#7")
    if len(certificates) > MAX_CERTIFICATES:
        raise ResourceLimitError(f"a PKCS#7 of more than {MAX_CERTIFICATES} certificates")
    return tuple(load_certificate(certificate) for certificate in certificates)


def _guarded(decode: Callable[[], T], what: str) -> T:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # oddities that the library will refuse one day (serial numbers) are judged elsewhere
            with panic_is_malformed:
                return decode()
    except (
        ValueError,
        TypeError,
        OverflowError,
        RecursionError,
        UnsupportedAlgorithm,
        x509.DuplicateExtension,
        x509.InvalidVersion,
    ) as error:
        raise MalformedError(f"not a readable {what}: {str(error)[:200]}") from error


def _load(der: bytes) -> Certificate:
    certificate = x509.load_der_x509_certificate(der)
    spki = _subject_public_key_info(der)
    _refuse_stray_bits(der)
    ski = aki = None
    is_ca = False
    for extension in _readable_extensions(certificate):
        if isinstance(extension.value, x509.SubjectKeyIdentifier):
            ski = extension.value.digest.hex()
        elif isinstance(extension.value, x509.AuthorityKeyIdentifier) and extension.value.key_identifier:
            aki = extension.value.key_identifier.hex()
        elif isinstance(extension.value, x509.BasicConstraints):
            is_ca = extension.value.ca
    return Certificate(
        der=der, sha256=hashlib.sha256(der).hexdigest(), sha1=hashlib.sha1(der, usedforsecurity=False).hexdigest(),
        spki=spki, spki_sha256=hashlib.sha256(spki).hexdigest(), subject=certificate.subject.rfc4514_string(),
        subject_der=certificate.subject.public_bytes(),
        subject_attributes=_attributes(certificate.subject),
        issuer=certificate.issuer.rfc4514_string(), issuer_der=certificate.issuer.public_bytes(),
        serial_number=certificate.serial_number, subject_key_identifier=ski, authority_key_identifier=aki,
        not_before=certificate.not_valid_before_utc, not_after=certificate.not_valid_after_utc, is_ca=is_ca,
    )  # fmt: skip


def _attributes(name: x509.Name) -> tuple[tuple[str, str], ...]:
    return tuple((a.rfc4514_attribute_name, str(a.value)) for a in name)


def _readable_extensions(certificate: x509.Certificate) -> tuple[x509.Extension[x509.ExtensionType], ...]:
    """Nothing where a kind of general name in them is not read: well formed all the same, and path validation refuses it."""
    try:
        return tuple(certificate.extensions)
    except x509.UnsupportedGeneralNameType:
        return ()


def _subject_public_key_info(der: bytes) -> bytes:
    """The key as it stands in the certificate, whether or not anybody can compute with it: its digest is what people compare."""
    fields = asn1.read_one(der, "certificate").children()[0].children()
    position = _SPKI if fields[0].tag == _VERSION else _SPKI - 1
    return fields[position].expect(asn1.SEQUENCE, "subject public key info").raw


def _refuse_stray_bits(der: bytes) -> None:
    """The signature is whole octets (RFC 5280 section 4.1.1.3): a count of unused bits would make one certificate many."""
    parts = asn1.read_one(der, "certificate").children()
    if not parts[-1].expect(asn1.BIT_STRING, "signature value").content.startswith(b"\0"):
        raise MalformedError("a certificate whose signature is not of whole octets")
