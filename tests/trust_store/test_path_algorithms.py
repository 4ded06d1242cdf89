"""Signatures on certificates: the key's own type decides the arithmetic, and no pairing of key and algorithm ends in an exception."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.trust_store.path_craft import alternative, ask, authority, issue, name, signed_anew
from trust_store.chain import algorithms
from trust_store.chain.algorithms import signature_holds, weak_key, weak_signature
from trust_store.decode.asn1 import read_one
from trust_store.model.verdict import Reason

RSA = rsa.generate_private_key(65537, 2048)
KEYS = {
    "rsa": RSA,
    "p256": ec.generate_private_key(ec.SECP256R1()),
    "p521": ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "dsa": dsa.generate_private_key(2048),
}
ISSUED = {title: issue("self", private=key) for title, key in KEYS.items()}
ISSUED["pss"] = issue(
    "self", private=RSA, rsa_padding=padding.PSS(padding.MGF1(hashes.SHA384()), 17), digest=hashes.SHA384()
)


def _spki(key: object) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize("title", ISSUED)
def test_a_signature_holds_under_its_own_key_alone(title: str) -> None:
    """Every kind of signature holds under its key, and under no key of any other kind."""
    certificate = ISSUED[title].decoded
    assert signature_holds(certificate.spki, certificate)
    for other, key in KEYS.items():
        if other != title and not (title == "pss" and other == "rsa"):
            assert not signature_holds(_spki(key.public_key()), certificate)
    assert not signature_holds(_spki(x25519.X25519PrivateKey.generate().public_key()), certificate)
    assert not signature_holds(_spki(ed448.Ed448PrivateKey.generate().public_key()), certificate)


@pytest.mark.parametrize("spki", [b"", b"\x30\x00", b"\x30\x02\x30\x00", b"junk"])
def test_a_key_that_cannot_be_read_holds_nothing(spki: bytes) -> None:
    """Bytes that are no key verify nothing, and are weak."""
    certificate = ISSUED["p256"].decoded
    assert not signature_holds(spki, certificate)
    assert "cannot be read" in str(weak_key(replace(certificate, spki=spki)))


@pytest.mark.parametrize("der", [b"", b"\x30\x00", b"\x30\x06\x30\x00\x30\x00\x03\x00", b"\x30\x80\0\0"])
def test_a_certificate_that_cannot_be_read_is_not_signed(der: bytes) -> None:
    """Bytes that are no certificate carry no signature, strong or weak."""
    broken = replace(ISSUED["p256"].decoded, der=der)
    assert not signature_holds(broken.spki, broken)
    assert weak_signature(broken) is None


def test_no_bit_of_a_signature_value_is_free() -> None:
    """A signature of a number of bits that is no whole number of octets is none: its last bits could be changed unnoticed."""
    der = ISSUED["p256"].der
    value = read_one(der, "certificate").children()[2]
    position = len(der) - len(value.content)
    assert der[position] == 0
    for unused in range(1, 8):
        changed = replace(ISSUED["p256"].decoded, der=der[:position] + bytes([unused]) + der[position + 1 :])
        assert not signature_holds(changed.spki, changed)


def test_short_keys_and_dsa_are_weak() -> None:
    """RSA below 2048 bits, curves below 224 and DSA prove too little."""
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505 - too short on purpose
    for key, weak in (
        (short, True),
        (RSA, False),
        (ec.generate_private_key(ec.SECP192R1()), True),
        (KEYS["dsa"], True),
    ):
        assert (weak_key(issue("x", private=key, signed_with=RSA).decoded) is not None) is weak
    assert weak_key(ISSUED["ed25519"].decoded) is None


@pytest.mark.parametrize("question", ["signature", "key"])
def test_a_panic_of_the_library_proves_nothing(question: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A panic of the Rust core is no signature and no good key; an interrupt goes through."""

    class PanicException(BaseException):
        pass

    certificate = issue("fresh").decoded

    def asked() -> bool:
        if question == "key":
            return weak_key(certificate) is None
        return signature_holds(certificate.spki, certificate)

    def raising(kind: type[BaseException]) -> object:
        def load(_: bytes) -> None:
            raise kind

        return load

    monkeypatch.setattr(algorithms, "load_der_public_key", raising(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        asked()
    monkeypatch.setattr(algorithms, "load_der_public_key", raising(PanicException))
    assert not asked()


def test_sha1_and_md5_under_rsa_hold_and_are_weak_where_the_library_still_computes_them() -> None:
    """A legacy digest never makes a path good."""
    root = authority("rsa", private=RSA)
    plain = issue("leaf", root)
    sha256, sha1 = bytes.fromhex("06092a864886f70d01010b"), bytes.fromhex("06092a864886f70d010105")
    der = signed_anew(plain, _RSAWithSHA1(), sha256, sha1, outer=(sha256, sha1))
    found = replace(plain.decoded, der=der, sha256="1" * 64)
    assert signature_holds(root.decoded.spki, found)
    assert "sha1" in str(weak_signature(found))


class _RSAWithSHA1:
    """Signs as the elliptic curve keys of the builder are asked to, with RSA and SHA-1."""

    def sign(self, data: bytes, _: object) -> bytes:
        """PKCS #1 v1.5."""
        return RSA.sign(data, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303 - the weak one is the point


def test_alternative_names_without_a_name_mean_nothing() -> None:
    """An empty list of alternative names breaks the path (section 4.2.1.6)."""
    root = authority("root")
    assert ask(issue("leaf", root, alternative()), [], [root]).outcome == "failed"


def test_an_empty_issuer_or_a_nameless_ca_breaks_the_profile() -> None:
    """Issuers have names (sections 4.1.2.4, 4.1.2.6)."""
    nameless = authority(name(None))
    found = ask(issue("leaf", nameless), [], [nameless])
    assert (found.reason, "4.1.2.4" in found.detail) == (Reason.PATH_INVALID, True)


def test_a_key_that_makes_verification_dear_holds_nothing() -> None:
    """A public exponent as long as the modulus is refused before any arithmetic (FIPS 186-5 section 5.4)."""
    dear = rsa.RSAPublicNumbers((1 << 2000) + 1, RSA.public_key().public_numbers().n).public_key()
    assert not signature_holds(_spki(dear), ISSUED["rsa"].decoded)
