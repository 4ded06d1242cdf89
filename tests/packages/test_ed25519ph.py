"""Ed25519ph: the vector of RFC 8032, and what must not verify."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tests.packages.sigstore_changes import ARTIFACT
from tests.packages.sigstore_craft import Instance, pem, spki
from tests.packages.test_sigstore import NOW, facts_of, question
from trust_store.decode import ed25519ph
from trust_store.decode.ed25519ph import verifies_prehashed
from trust_store.decode.key_decides import verifies_digest
from trust_store.model.trust_view import TrustView
from trust_store.model.verdict import Reason
from trust_store.verification import verify_package
from trust_store.verification.supplied import read_material, supplied_anchors

SEED = bytes.fromhex("833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42")
VALUE = bytes.fromhex(
    "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41"
    "31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406"
)
KEY = Ed25519PrivateKey.from_private_bytes(SEED)
POINT = KEY.public_key().public_bytes_raw()
DIGEST = hashlib.sha512(b"abc").digest()
ORDER = 2**252 + 27742317777372353535851937790883648493


def prehashed(seed: bytes, digest: bytes) -> bytes:
    """A signature as RFC 8032 5.1.6 makes it, with the arithmetic that is under test."""
    prefix = b"SigEd25519 no Ed25519 collisions\x01\x00"
    expanded = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(expanded[:32], "little") & (1 << 254) - 8 | 1 << 254
    once = int.from_bytes(hashlib.sha512(prefix + expanded[32:] + digest).digest(), "little") % ORDER
    first = _encoded(ed25519ph._times(once, ed25519ph._BASE))
    point = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    factor = int.from_bytes(hashlib.sha512(prefix + first + point + digest).digest(), "little") % ORDER
    return first + ((once + factor * scalar) % ORDER).to_bytes(32, "little")


def _encoded(point: tuple[int, int, int, int]) -> bytes:
    prime = 2**255 - 19
    inverse = pow(point[2], -1, prime)
    x, y = point[0] * inverse % prime, point[1] * inverse % prime
    return (y | (x & 1) << 255).to_bytes(32, "little")


def test_the_vector_of_the_standard() -> None:
    """RFC 8032 7.3: the signature over "abc", verified and made."""
    assert verifies_prehashed(POINT, VALUE, DIGEST)
    assert prehashed(SEED, DIGEST) == VALUE


def test_a_plain_signature_is_none_over_a_digest() -> None:
    """Ed25519 over the digest's octets is another signature than Ed25519ph."""
    assert not verifies_prehashed(POINT, KEY.sign(DIGEST), DIGEST)
    assert not verifies_digest(spki(KEY), "sha256", VALUE, DIGEST)


@pytest.mark.parametrize("position", range(0, 64, 7))
def test_every_part_counts(position: int) -> None:
    """Neither half of the value, nor the digest, nor the key can be changed."""
    changed = bytearray(VALUE)
    changed[position] ^= 1
    assert not verifies_prehashed(POINT, bytes(changed), DIGEST)
    digest = bytearray(DIGEST)
    digest[position] ^= 1
    assert not verifies_prehashed(POINT, VALUE, bytes(digest))


def test_a_value_has_one_encoding() -> None:
    """5.1.7 step 1: the second half is below the order of the group."""
    second = int.from_bytes(VALUE[32:], "little") + ORDER
    assert not verifies_prehashed(POINT, VALUE[:32] + second.to_bytes(32, "little"), DIGEST)


@given(st.binary(max_size=33), st.binary(max_size=65), st.binary(max_size=65))
def test_any_bytes_are_answered(point: bytes, value: bytes, digest: bytes) -> None:
    """Whatever is handed over: no, and no exception."""
    assert not verifies_prehashed(point, value, digest)
    assert not verifies_prehashed(
        point.ljust(32, b"\0")[:32], value.ljust(64, b"\0")[:64], digest.ljust(64, b"\0")[:64]
    )


def test_a_bundle_by_an_ed25519_key() -> None:
    """What cosign signs with an Ed25519 key and Rekor logs: the file's SHA-512 digest, prehashed."""
    signed = Instance.make("edwards.example").with_key(KEY, ARTIFACT)
    signed = signed.changed(value=prehashed(SEED, hashlib.sha512(ARTIFACT).digest()))
    material = read_material(pem(KEY), "key.pub")
    view = TrustView(anchors=supplied_anchors(material, NOW), trust="supplied")
    for entry in ("hashedrekord 0.0.1", "hashedrekord 0.0.2"):
        bundle = signed.bundle(entries=[signed.entry(entry)])
        for content, reason in ((ARTIFACT, Reason.TRUSTED), (ARTIFACT + b"!", Reason.INVALID_SIGNATURE)):
            facts = facts_of(bundle, content, *material.candidates)
            assert verify_package(facts, view, question(None)).reason is reason
