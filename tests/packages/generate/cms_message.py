"""CMS messages (RFC 5652) with whatever content and attributes a format asks for: what no command-line tool can be told to write."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from asn1crypto import core
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding

from trust_store.decode.asn1 import length_octets, read_one
from trust_store.decode.cms import DIGESTS, certificate_names, signer_info

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.packages.pki import Issued

DATA, SIGNED_DATA = "1.2.840.113549.1.7.1", "1.2.840.113549.1.7.2"
CONTENT_TYPE, MESSAGE_DIGEST, SIGNING_TIME = (f"1.2.840.113549.1.9.{n}" for n in (3, 4, 5))
SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"
HASHES = {
    "sha1": hashes.SHA1(),  # noqa: S303 - for fixtures that must be found weak
    "sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512(),
}  # fmt: skip
_OIDS = {name: oid for oid, name in DIGESTS.items()}
_SIGNED_AT = datetime(2026, 1, 1, tzinfo=UTC)


def tlv(tag: int, *parts: bytes) -> bytes:
    """One value with a definite length."""
    content = b"".join(parts)
    return bytes([tag]) + length_octets(len(content)) + content


def seq(*parts: bytes) -> bytes:
    """SEQUENCE."""
    return tlv(0x30, *parts)


def set_of(*parts: bytes) -> bytes:
    """SET OF, in the order of DER."""
    return tlv(0x31, *sorted(parts))


def oid(dotted: str) -> bytes:
    """OBJECT IDENTIFIER."""
    return bytes(core.ObjectIdentifier(dotted).dump())


def octets(value: bytes) -> bytes:
    """OCTET STRING."""
    return tlv(4, value)


def integer(value: int) -> bytes:
    """INTEGER."""
    return bytes(core.Integer(value).dump())


def digest_algorithm(name: str) -> bytes:
    """AlgorithmIdentifier with NULL."""
    return seq(oid(_OIDS[name]), b"\x05\x00")


def attribute(kind: str, *values: bytes) -> bytes:
    """Attribute: a type and its values."""
    return seq(oid(kind), set_of(*values))


def signing_certificate_v2(certificate: bytes) -> bytes:
    """The attribute that names the certificate by SHA-256, the default (RFC 5035 4), with issuer and serial number."""
    names = certificate_names(certificate)
    issuer = seq(seq(tlv(0xA4, names.issuer_der)), integer(names.serial_number))
    identifier = seq(octets(hashlib.sha256(certificate).digest()), issuer)
    return attribute(SIGNING_CERTIFICATE_V2, seq(seq(identifier)))


@dataclass(frozen=True)
class Signer:
    """Who signs, with which digest and further signed attributes."""

    issued: Issued
    digest: str = "sha256"
    attributes: tuple[bytes, ...] = ()
    unsigned: tuple[bytes, ...] = ()

    def info(self, content: bytes, content_type: str | None = DATA, *, unsigned: Sequence[bytes] = ()) -> bytes:
        """SignerInfo over ``content``; without content type it is a countersignature (11.4)."""
        signed = [*self.attributes, attribute(MESSAGE_DIGEST, octets(hashlib.new(self.digest, content).digest()))]
        signed.append(attribute(SIGNING_TIME, bytes(core.UTCTime(_SIGNED_AT).dump())))
        if content_type is not None:
            signed.append(attribute(CONTENT_TYPE, oid(content_type)))
        names = certificate_names(self.issued.der)
        algorithm = seq(oid("1.2.840.113549.1.1.1"), b"\x05\x00")
        if isinstance(self.issued.key, ec.EllipticCurvePrivateKey):
            algorithm = seq(oid({"sha256": "1.2.840.10045.4.3.2", "sha512": "1.2.840.10045.4.3.4"}[self.digest]))
        beside = [*self.unsigned, *unsigned]
        return seq(
            integer(1),
            seq(names.issuer_der, integer(names.serial_number)),
            digest_algorithm(self.digest),
            tlv(0xA0, *sorted(signed)),
            algorithm,
            octets(self.value(set_of(*signed))),
            tlv(0xA1, *sorted(beside)) if beside else b"",
        )

    def value(self, message: bytes) -> bytes:
        """The signature value."""
        key, digest = self.issued.key, HASHES[self.digest]
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return bytes(key.sign(message, ec.ECDSA(digest)))
        return bytes(key.sign(message, padding.PKCS1v15(), digest))


def signed_data(
    infos: Sequence[bytes],
    certificates: Sequence[Issued],
    *,
    content: bytes | None,
    content_type: str = DATA,
    digest: str = "sha256",
) -> bytes:
    """ContentInfo; ``content`` is the value inside [0] as it stands (an OCTET STRING for data), None for a detached signature."""
    inside = seq(oid(content_type), b"" if content is None else tlv(0xA0, content))
    carried = tlv(0xA0, *(one.der for one in certificates)) if certificates else b""
    body = seq(integer(1), set_of(digest_algorithm(digest)), inside, carried, set_of(*infos))
    return seq(oid(SIGNED_DATA), tlv(0xA0, body))


def signature_value(info: bytes) -> bytes:
    """The signature value of a SignerInfo made here."""
    return signer_info(read_one(info, "SignerInfo")).signature
