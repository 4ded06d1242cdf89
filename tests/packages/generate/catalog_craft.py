"""Catalogs before they are signed, built from what makecat writes: certificate trust lists with an entry for each file's digest."""

from __future__ import annotations

from asn1crypto import core

from tests.packages.generate.cms_message import digest_algorithm, integer, octets, oid, seq, set_of, tlv

TRUST_LIST, INDIRECT_DATA = "1.3.6.1.4.1.311.10.1", "1.3.6.1.4.1.311.2.1.4"
CATALOG_LIST, MEMBER = "1.3.6.1.4.1.311.12.1.1", "1.3.6.1.4.1.311.12.1.3"
PE_IMAGE, LINK = "1.3.6.1.4.1.311.2.1.15", "1.3.6.1.4.1.311.2.1.25"
_FILE_FLAGS_AND_LINK = seq(b"\x03\x01\x00", tlv(0xA0, tlv(0xA2, tlv(0x80, b""))))


def indirect_data(algorithm: str, digest: bytes, kind: str = LINK) -> bytes:
    """SpcIndirectDataContent."""
    return seq(seq(oid(kind), _FILE_FLAGS_AND_LINK), seq(digest_algorithm(algorithm), octets(digest)))


def member(algorithm: str, digest: bytes, kind: str = LINK) -> bytes:
    """TrustedSubject: named by its digest, which stands in an attribute once more."""
    attribute = seq(oid(INDIRECT_DATA), set_of(indirect_data(algorithm, digest, kind)))
    return seq(octets(digest), set_of(attribute))


def trust_list(*members: bytes, usage: str = CATALOG_LIST) -> bytes:
    """CertificateTrustList."""
    return seq(
        seq(oid(usage)),
        octets(bytes(range(16))),
        tlv(0x17, b"260101000000Z"),
        seq(oid(MEMBER), bytes(core.Null().dump())),
        seq(*members) if members else b"",
    )


def unsigned(*members: bytes, usage: str = CATALOG_LIST) -> bytes:
    """The PKCS #7 message without signers, as makecat writes it and a signing tool takes it."""
    inside = seq(oid(TRUST_LIST), tlv(0xA0, trust_list(*members, usage=usage)))
    return seq(oid("1.2.840.113549.1.7.2"), tlv(0xA0, seq(integer(1), set_of(), inside, set_of())))
