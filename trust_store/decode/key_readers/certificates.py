"""PEM files (RFC 7468) of certificates, PKCS#7, OpenSSL trusted certificates and bare public keys; and DER files of one of them."""

from __future__ import annotations

import binascii
import re
from itertools import islice
from typing import TYPE_CHECKING

from trust_store.decode import asn1, spki
from trust_store.decode.certificate_keys import ANY_USAGE, CODE_SIGNING, certificate_material, key_material, purposes_of
from trust_store.decode.key_readers.protocol import MAX_KEYS_PER_FILE, MAX_LEFT_OUT, KeyFile, Reading, top_tags
from trust_store.decode.x509 import decode_certificates, load_certificate
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.model.trust_anchor import Constraints

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trust_store.model.key_material import KeyMaterial


# Possessive: a body that does not end is looked at once, not once per blank before it.
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----\s++([A-Za-z0-9+/=\s]*+)-----END \1-----")
_BEGIN = re.compile(rb"^[ \t]*-----BEGIN (?!PGP )[A-Z0-9 ]{1,40}-----", re.MULTILINE)
_LATER_BEGIN = re.compile(rb"-----BEGIN [A-Z0-9 ]{1,40}-----")
_P11_KIT = b"[p11-kit-object-v1]"


class PEMReader:
    """Any number of PEM blocks, text around them ignored."""

    NAME = "PEM"

    def recognises(self, file: KeyFile, /) -> bool:
        """A block that is not OpenPGP's, outside a p11-kit file."""
        return b"-----BEGIN " in file.data and bool(_BEGIN.search(file.data)) and _P11_KIT not in file.data

    def read(self, file: KeyFile, /) -> Reading:
        """Its certificates and public keys; other blocks, private keys above all, are left out and named."""
        found: list[KeyMaterial] = []
        left_out: list[str] = []
        for label, der in _blocks(file.data):
            try:
                read, told = _of_block(label, der, file.name), f"a block {label!r} is no public key and no certificate"
            except UnsupportedError as error:
                read, told = (), f"a block {label!r}: {error}"
            found += read
            if len(found) > MAX_KEYS_PER_FILE:
                raise ResourceLimitError(f"more than {MAX_KEYS_PER_FILE} keys in one file")
            if not read and len(left_out) < MAX_LEFT_OUT:
                left_out.append(told)
        if not found and any("PRIVATE KEY" in sentence for sentence in left_out):
            raise UnsupportedError("a private key was given; only certificates and public keys are read")
        if not found:
            raise MalformedError(left_out[0] if left_out else "no certificate and no public key in it")
        return Reading(tuple(found), tuple(left_out))


class DERReader:
    """One certificate, certs-only PKCS#7, SubjectPublicKeyInfo or RSAPublicKey in DER."""

    NAME = "DER"

    def recognises(self, file: KeyFile, /) -> bool:
        """A single SEQUENCE that does not begin with a version, unless it is an RSA modulus."""
        kinds = top_tags(file.data)
        return kinds is not None and (kinds[0] in (asn1.SEQUENCE, asn1.OID) or kinds == (asn1.INTEGER, asn1.INTEGER))

    def read(self, file: KeyFile, /) -> Reading:
        """Its keys, by structure."""
        kinds = top_tags(file.data)
        if kinds == (asn1.SEQUENCE, asn1.BIT_STRING):
            return Reading((key_material(file.data, file.name),))
        if kinds == (asn1.INTEGER, asn1.INTEGER):
            return Reading((key_material(spki.spki_of_pkcs1(file.data), file.name),))
        return Reading(tuple(certificate_material(c) for c in decode_certificates(file.data)))


def _blocks(data: bytes) -> Iterable[tuple[str, bytes]]:
    blocks = list(islice(_PEM.finditer(data), MAX_KEYS_PER_FILE + 1))
    if len(blocks) > MAX_KEYS_PER_FILE:
        raise ResourceLimitError(f"more than {MAX_KEYS_PER_FILE} PEM blocks in one file")
    # An encrypted private key has header lines (RFC 1421) and is no block here, but not a broken one either.
    private = len(re.findall(rb"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY-----", data))
    read_private = sum(block[1].endswith(b"PRIVATE KEY") for block in blocks)
    if len(_LATER_BEGIN.findall(data)) - private != len(blocks) - read_private:
        raise MalformedError("PEM: a block is cut short or not well formed")
    for block in blocks:
        try:
            yield block[1].decode(), binascii.a2b_base64(b"".join(block[2].split()), strict_mode=True)
        except ValueError as error:
            raise MalformedError(f"PEM: {error}") from error
    if private and not blocks:
        raise UnsupportedError("a private key was given; only certificates and public keys are read")


def _of_block(label: str, der: bytes, name: str) -> tuple[KeyMaterial, ...]:
    if label in ("CERTIFICATE", "X509 CERTIFICATE"):
        return (certificate_material(load_certificate(der)),)
    if label == "TRUSTED CERTIFICATE":
        return (_trusted(der),)
    if label in ("PKCS7", "CMS"):
        return tuple(certificate_material(c) for c in decode_certificates(der))
    if label == "PUBLIC KEY":
        return (key_material(der, name),)
    if label == "RSA PUBLIC KEY":
        return (key_material(spki.spki_of_pkcs1(der), name),)
    return ()


def _trusted(der: bytes) -> KeyMaterial:
    """A certificate and OpenSSL's X509_CERT_AUX: trusted and rejected usages, alias, key id, others (crypto/x509/x_x509a.c)."""
    if len(der) > spki.MAX_SPKI_BYTES * 8:
        raise ResourceLimitError(f"a trusted certificate of {len(der)} bytes")
    # Read as the contents of one constructed value: the certificate, and what stands behind it.
    parts = asn1.read_one(b"\x30" + asn1.length_octets(len(der)) + der, "trusted certificate").children()
    if not 1 <= len(parts) <= 2:
        raise MalformedError("a trusted certificate is a certificate and at most one structure behind it")
    certificate = load_certificate(parts[0].raw)
    if len(parts) == 1:
        return certificate_material(certificate)
    trusted: tuple[str, ...] | None = None
    rejected: tuple[str, ...] = ()
    for field in parts[1].expect(asn1.SEQUENCE, "trust settings").children():
        if field.tag == asn1.SEQUENCE and trusted is None:
            trusted = _usages(field)
        elif field.tag == 0xA0 and not rejected:
            rejected = _usages(field)
        elif field.tag not in (0x0C, asn1.OCTET_STRING, 0xA1):
            raise MalformedError(f"trust settings with a field of tag {field.tag:#04x}")
    allowed = purposes_of((CODE_SIGNING,) if trusted is None else trusted, rejected)
    distrusted = ANY_USAGE in rejected or not allowed
    limits = Constraints(purposes=allowed or Constraints().purposes)
    return certificate_material(certificate, constraints=limits, distrusted=distrusted)


def _usages(field: asn1.Element) -> tuple[str, ...]:
    found = tuple(child.oid("usage") for child in field.children()[:100])
    if not found:
        raise MalformedError("trust settings with an empty list of usages")
    return found
