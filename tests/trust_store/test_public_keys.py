from __future__ import annotations

import hashlib
import math

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from trust_store.decode import public_keys
from trust_store.decode.public_keys import key_kind, verifies, verifies_message

DIGEST = hashlib.sha256(b"data").digest()


def spki(
    key: dsa.DSAPublicKey
    | ec.EllipticCurvePublicKey
    | ed448.Ed448PublicKey
    | ed25519.Ed25519PublicKey
    | rsa.RSAPublicKey,
) -> bytes:
    """The key as SubjectPublicKeyInfo."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()


def test_dsa() -> None:
    """DSA verifies over the digest."""
    key = dsa.generate_private_key(1024)  # noqa: S505 - quick to make
    signature = key.sign(DIGEST, Prehashed(hashes.SHA256()))
    assert verifies(spki(key.public_key()), "dsa", "sha256", signature, DIGEST)
    assert not verifies(spki(key.public_key()), "dsa", "sha256", signature, bytes(32))
    assert key_kind(spki(key.public_key())) == "dsa"


def test_key_decides() -> None:
    """A key of another kind, an unknown algorithm or digest, or no key at all verify nothing and raise nothing."""
    signature = EC.sign(DIGEST, ec.ECDSA(Prehashed(hashes.SHA256())))
    good = spki(EC.public_key())
    assert verifies(good, "ecdsa", "sha256", signature, DIGEST)
    for arguments in (
        (good, "rsa-pkcs1", "sha256", signature, DIGEST),
        (good, "rsa-pss/32", "sha256", signature, DIGEST),
        (good, "dsa", "sha256", signature, DIGEST),
        (good, "", "sha256", signature, DIGEST),
        (good, "ecdsa", "sha384", signature, DIGEST),
        (good, "ecdsa", "crc32", signature, DIGEST),
        (good, "ecdsa", "sha256", b"", DIGEST),
        (b"no key", "ecdsa", "sha256", signature, DIGEST),
        (good[:-1], "ecdsa", "sha256", signature, DIGEST),
    ):
        assert not verifies(*arguments)


def test_ed25519_takes_the_message() -> None:
    """Ed25519 verifies over the message, under an Ed25519 key only."""
    signature = ED.sign(b"data")
    assert verifies_message(spki(ED.public_key()), signature, b"data")
    assert not verifies_message(spki(ED.public_key()), signature, b"date")
    assert not verifies_message(spki(EC.public_key()), signature, b"data")
    assert not verifies_message(b"no key", signature, b"data")


def test_kinds() -> None:
    """A key's kind is its own word; unknown kinds have none."""
    assert key_kind(spki(EC.public_key())) == "secp256r1"
    assert key_kind(spki(ED.public_key())) == "ed25519"
    assert key_kind(spki(ed448.Ed448PrivateKey.generate().public_key())) is None
    assert key_kind(b"") is None


class PanicException(BaseException):
    """Stands in for a panic of the Rust core."""


@pytest.mark.parametrize("raised", [PanicException, KeyboardInterrupt])
def test_panics_are_contained(monkeypatch: pytest.MonkeyPatch, raised: type[BaseException]) -> None:
    """A panic inside the library proves nothing; an interrupt still interrupts."""

    def panic(_: bytes) -> None:
        raise raised

    monkeypatch.setattr(public_keys, "load_der_public_key", panic)
    for call in (
        lambda: verifies(b"", "ecdsa", "sha256", b"", b""),
        lambda: verifies_message(b"", b"", b""),
        lambda: bool(key_kind(b"")),
    ):
        if raised is KeyboardInterrupt:
            with pytest.raises(KeyboardInterrupt):
                call()
        else:
            assert not call()


def test_rsa_with_a_public_exponent_that_takes_its_time() -> None:
    """An exponent of more than 256 bits verifies nothing, be the arithmetic right: dozens of such keys would take minutes."""
    key = rsa.generate_private_key(65537, 2048)
    numbers = key.private_numbers()
    signature = key.sign(DIGEST, padding.PKCS1v15(), Prehashed(hashes.SHA256()))
    period = math.lcm(numbers.p - 1, numbers.q - 1)
    slow = rsa.RSAPublicNumbers(65537 + period, numbers.public_numbers.n).public_key()
    slow.verify(signature, DIGEST, padding.PKCS1v15(), Prehashed(hashes.SHA256()))
    assert verifies(spki(key.public_key()), "rsa-pkcs1", "sha256", signature, DIGEST)
    assert not verifies(spki(slow), "rsa-pkcs1", "sha256", signature, DIGEST)
