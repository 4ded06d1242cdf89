"""PKCS#12 by hand: each part that may be missing, doubled or of another kind, and the key derivation against a second one."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.trust_store.key_files_craft import certificate
from trust_store.decode.asn1 import length_octets
from trust_store.decode.pkcs12 import derive, read_certificates
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError

READ_ERRORS = (MalformedError, ResourceLimitError, UnsupportedError)
DATA, SIGNED, ENCRYPTED = "2a864886f70d010701", "2a864886f70d010702", "2a864886f70d010706"
CERT_BAG, X509, SDSI = "2a864886f70d010c0a0103", "2a864886f70d01091601", "2a864886f70d01091602"
KEY_BAG, FRIENDLY, LOCAL_KEY = "2a864886f70d010c0a0102", "2a864886f70d010914", "2a864886f70d010915"
PBES2, PBKDF2, RC2, SHA1, SHA3 = (
    "2a864886f70d01050d", "2a864886f70d01050c", "2a864886f70d010c0106", "2b0e03021a", "608648016503040208",
)  # fmt: skip
AES256, DES = "60864801650304012a", "2a864886f70d0307"
DER = certificate("Root").public_bytes(Encoding.DER)


def tlv(tag: int, *parts: bytes) -> bytes:
    """One DER value."""
    content = b"".join(parts)
    return bytes([tag]) + length_octets(len(content)) + content


def seq(*parts: bytes) -> bytes:
    """A SEQUENCE."""
    return tlv(0x30, *parts)


def oid(hexadecimal: str) -> bytes:
    """An object identifier."""
    return tlv(6, bytes.fromhex(hexadecimal))


def octets(data: bytes) -> bytes:
    """An OCTET STRING."""
    return tlv(4, data)


def number(value: int) -> bytes:
    """A positive INTEGER."""
    return tlv(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def info(kind: str, *inner: bytes) -> bytes:
    """A ContentInfo."""
    return seq(oid(kind), tlv(0xA0, *inner))


def bag(kind: str = CERT_BAG, *more: bytes, value: bytes | None = None) -> bytes:
    """A SafeBag with a certificate."""
    return seq(oid(kind), tlv(0xA0, seq(oid(X509), tlv(0xA0, octets(DER))) if value is None else value), *more)


def attribute(kind: str, *values: bytes) -> bytes:
    """A bag attribute."""
    return seq(oid(kind), tlv(0x31, *values))


def pfx(*parts: bytes, mac: bytes = b"", version: int = 3) -> bytes:
    """A file of these ContentInfos."""
    return seq(number(version), info(DATA, octets(seq(*parts))), mac)


def plain(*bags: bytes) -> bytes:
    """An unencrypted ContentInfo."""
    return info(DATA, octets(seq(*bags)))


def locked(algorithm: bytes, *more: bytes) -> bytes:
    """An encrypted ContentInfo."""
    return info(ENCRYPTED, seq(number(0), seq(oid(DATA), algorithm, *(more or (tlv(0x80, bytes(32)),)))))


def pbes2(kdf: bytes, cipher: bytes = seq(oid(AES256), octets(bytes(16)))) -> bytes:
    """A PBES2 algorithm."""
    return seq(oid(PBES2), seq(kdf, cipher))


def pbkdf2(salt: bytes = bytes(8), rounds: int = 10, *more: bytes) -> bytes:
    """A PBKDF2 algorithm."""
    return seq(oid(PBKDF2), seq(octets(salt), number(rounds), *more))


def mac(digest: str = SHA1, salt: bytes = bytes(8), *more: bytes) -> bytes:
    """A MacData that holds for nothing."""
    return seq(seq(seq(oid(digest)), octets(bytes(20))), octets(salt), *more)


def test_bags_are_read_with_their_attributes() -> None:
    """A certificate in one piece or in pieces, with an alias, of a private key or not; other bags are passed over."""
    pieces = seq(oid(X509), tlv(0xA0, tlv(0x24, octets(DER[:9]), octets(DER[9:]))))
    named = tlv(0x31, attribute(FRIENDLY, tlv(0x1E, "Ü".encode("utf-16-be"))), attribute(LOCAL_KEY, octets(b"1")))
    sdsi = seq(oid(SDSI), tlv(0xA0, octets(b"x")))
    data = pfx(plain(bag(), bag(KEY_BAG), bag(value=sdsi)), plain(bag(CERT_BAG, named, value=pieces)))
    first, second = read_certificates(data, ("",))
    assert (first.der, first.alias, first.of_private_key, first.trusted_usages) == (DER, "", False, None)
    assert (second.der, second.alias, second.of_private_key) == (DER, "Ü", True)


@pytest.mark.parametrize(
    "data",
    [
        pfx(plain(bag()), version=4),
        seq(number(3)),
        seq(number(3), info(SIGNED, octets(b""))),
        seq(number(3), info(ENCRYPTED, octets(b""))),
        seq(number(3), info(DATA)),
        seq(number(3), info(DATA, octets(b""), octets(b""))),
        seq(number(3), info(DATA, number(1))),
        pfx(info(SIGNED, octets(b""))),
        pfx(*[plain()] * 65),
        pfx(plain(seq(oid(CERT_BAG)))),
        pfx(plain(bag(value=seq(oid(X509))))),
        pfx(plain(bag(value=seq(oid(X509), tlv(0xA0))))),
        pfx(plain(seq(oid(CERT_BAG), tlv(0xA0)))),
        pfx(plain(number(1))),
        pfx(plain(bag(CERT_BAG, tlv(0x31, seq(oid(FRIENDLY)))))),
        pfx(plain(bag(CERT_BAG, tlv(0x31, *[attribute(LOCAL_KEY)] * 2)))),
        pfx(plain(bag(value=seq(oid(X509), tlv(0xA0, number(1)))))),
        pfx(plain(*[bag(value=seq(oid(X509), tlv(0xA0, octets(b"x"))))] * 4097)),
        pfx(locked(seq(oid(RC2), seq(octets(bytes(8)), number(1))))),
        pfx(locked(seq(oid(PBES2)))),
        pfx(locked(seq())),
        pfx(locked(pbes2(pbkdf2()))),
        pfx(locked(pbes2(pbkdf2(rounds=250_001)))),
        pfx(locked(pbes2(pbkdf2(rounds=0)))),
        pfx(locked(pbes2(pbkdf2(bytes(1025))))),
        pfx(locked(pbes2(pbkdf2(), seq(oid(DES), octets(bytes(8)))))),
        pfx(locked(pbes2(pbkdf2(), seq(oid(AES256), octets(bytes(8)))))),
        pfx(locked(pbes2(pbkdf2(), seq(oid(AES256))))),
        pfx(locked(pbes2(pbkdf2(bytes(8), 1, seq(oid(SHA3)))))),
        pfx(locked(pbes2(seq(oid(PBKDF2), seq(octets(b"")))))),
        pfx(locked(seq(oid(PBES2), seq(pbkdf2())))),
        pfx(locked(pbes2(pbkdf2()), number(1), number(1))),
        pfx(info(ENCRYPTED, seq(number(0)))),
        pfx(locked(pbes2(pbkdf2()), tlv(0xA0, octets(bytes(16))))),
        pfx(*[locked(pbes2(pbkdf2(rounds=200_000)))] * 3),
        pfx(plain(bag()), mac=mac()),
        pfx(plain(bag()), mac=mac(SHA3)),
        pfx(plain(bag()), mac=seq(number(1))),
        pfx(plain(bag()), mac=mac(SHA1, bytes(2000))),
        pfx(plain(bag()), mac=mac(SHA1, b"", number(300_000))),
        pfx(plain(bag()), mac=mac(SHA1, b"", number(0))),
        pfx(plain(bag()), mac=seq(seq(), octets(b""))),
    ],
    ids=lambda _: "file",  # numbered: the certificate in them differs from one process to the next
)
def test_what_is_not_exact_is_refused(data: bytes) -> None:
    """Nothing but a read error comes of a part that is missing, doubled, of another kind or too large."""
    with pytest.raises(READ_ERRORS):
        read_certificates(data, ("", "changeit"))


def test_a_password_that_is_too_long_fits_nothing() -> None:
    """A password over the cap is never derived from."""
    with pytest.raises(MalformedError, match="password"):
        read_certificates(pfx(plain(bag()), mac=mac()), ("x" * 2000,))


def test_the_key_derivation_is_rfc_7292s() -> None:
    """The vectors that OpenSSL and BouncyCastle share for SHA-1 (password "smeg", appendix B.2)."""
    password = "smeg".encode("utf-16-be") + b"\0\0"
    key = derive(1, "sha1", password, bytes.fromhex("0a58cf64530d823f"), 1, 24)
    assert key.hex() == "8aaae6297b6cb04642ab5b077851284eb7128f1a2a7fbca3"
    assert derive(2, "sha1", password, bytes.fromhex("0a58cf64530d823f"), 1, 8).hex() == "79993dfe048d3b76"
    assert (
        derive(3, "sha1", password, bytes.fromhex("3d83c0e4546ac140"), 1, 20).hex()
        == "8d967d88f6caa9d714800ab3d48051d63f73a312"
    )
