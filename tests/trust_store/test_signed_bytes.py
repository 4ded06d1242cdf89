"""Signatures on lists and responses: only algorithms that prove something, in their one encoding, by keys that are long enough."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from trust_store.chain.signed_bytes import signed_by, strong_algorithm
from trust_store.decode.asn1 import read_one
from trust_store.decode.crl import SignedBytes

CONTENT = b"what was signed"
RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
RSA_SHA256, ECDSA_SHA256 = "300d06092a864886f70d01010b0500", "300a06082a8648ce3d040302"
_SHA256, _SHA512 = "300d06096086480165030402010500", "300d06096086480165030402030500"


def _pss(*fields: str) -> str:
    body = "".join(fields)
    parameters = f"30{len(body) // 2:02x}{body}"
    inner = f"06092a864886f70d01010a{parameters}"
    return f"30{len(inner) // 2:02x}{inner}"


HASH = f"a00f{_SHA256}"
MGF = f"a11c301a06092a864886f70d010108{_SHA256}"
SALT = "a203020120"


def _name(algorithm: str) -> str:
    return read_one(bytes.fromhex(algorithm), "algorithm").children()[0].oid("algorithm")


def _holds(key: Any, algorithm: str, signature: bytes, content: bytes = CONTENT) -> bool:
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return signed_by(spki, SignedBytes(content, bytes.fromhex(algorithm), signature, "00"))


def test_each_kind_of_signature_holds_under_its_own_algorithm() -> None:
    """PKCS#1, PSS with its parameters written out, ECDSA and Ed25519; not with another content, key or algorithm."""
    plain = RSA.sign(CONTENT, padding.PKCS1v15(), hashes.SHA256())
    pss = RSA.sign(CONTENT, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    made = (
        (RSA, RSA_SHA256, plain), (RSA, "300b06092a864886f70d01010b", plain), (RSA, _pss(HASH, MGF, SALT), pss),
        (RSA, _pss(HASH, MGF, SALT, "a303020101"), pss), (EC, ECDSA_SHA256, EC.sign(CONTENT, ec.ECDSA(hashes.SHA256()))),
        (ED, "300506032b6570", ED.sign(CONTENT)),
    )  # fmt: skip
    for key, algorithm, signature in made:
        assert _holds(key, algorithm, signature)
        assert not _holds(key, algorithm, signature, b"something else")
        assert not _holds(
            rsa.generate_private_key(65537, 2048) if key is RSA else ec.generate_private_key(ec.SECP256R1()),
            algorithm,
            signature,
        )
        others = [other for _, other, _ in made if _name(other) != _name(algorithm)]
        assert not any(_holds(key, other, signature) for other in others)


@pytest.mark.parametrize(
    "algorithm",
    [
        "", "3000", "300506032b6571", "30050603550403", "300d06092a864886f70d0101050500", "0500",
        RSA_SHA256.replace("0500", "0501") + "00", "301006092a864886f70d01010b0503000000", _pss(), _pss(HASH), _pss(HASH, MGF),
        _pss(HASH, f"a11c301a06092a864886f70d010108{_SHA512}", SALT), _pss(f"a00f{_SHA512}", MGF, SALT),
        _pss(HASH, MGF, "a203020121"), _pss(HASH, MGF, "a2030201ff"), _pss(HASH, MGF, SALT, "a303020102"),
        "300b06092a864886f70d01010a",
    ],
)  # fmt: skip
def test_other_algorithms_and_parameters_prove_nothing(algorithm: str) -> None:
    """A signature that is right stays unproven under an algorithm that is not, or whose parameters are not the ones it was made with."""
    for signature in (
        RSA.sign(CONTENT, padding.PKCS1v15(), hashes.SHA256()),
        RSA.sign(CONTENT, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()),
    ):
        assert not _holds(RSA, algorithm, signature)


def test_weak_keys_and_unreadable_ones_prove_nothing() -> None:
    """RSA of 1024 bits, a curve of 192 bits, and bytes that are no key."""
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505 - what must be refused
    assert not _holds(short, RSA_SHA256, short.sign(CONTENT, padding.PKCS1v15(), hashes.SHA256()))
    small = ec.generate_private_key(ec.SECP192R1())
    assert not _holds(small, ECDSA_SHA256, small.sign(CONTENT, ec.ECDSA(hashes.SHA256())))
    for spki in (b"", b"\x30\x00", b"junk"):
        assert not signed_by(spki, SignedBytes(CONTENT, bytes.fromhex(RSA_SHA256), b"", "00"))


def test_strong_algorithms_are_told_from_others() -> None:
    """SHA-2, PSS and Edwards curves; not SHA-1, DSA or nothing."""
    for algorithm, strong in ((RSA_SHA256, True), (ECDSA_SHA256, True), ("300506032b6570", True), (_pss(), True),
                              ("300d06092a864886f70d0101050500", False), ("3000", False), ("", False)):  # fmt: skip
        assert strong_algorithm(SignedBytes(CONTENT, bytes.fromhex(algorithm), b"", "00")) is strong
