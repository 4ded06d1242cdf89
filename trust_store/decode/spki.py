"""Bare public keys: SubjectPublicKeyInfo (RFC 5280 4.1.2.7) from hostile bytes, and the identifiers that point at one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from trust_store.decode import asn1
from trust_store.decode.library_panic import panic_is_malformed
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.model.identifiers import Identifier, IdentifierKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

T = TypeVar("T")
MAX_SPKI_BYTES = 16 * 1024
MAX_RSA_BITS = 16_384
MIN_RSA_BITS = 1024
_ED25519_PREFIX = bytes.fromhex("302a300506032b6570032100")
_ED25519_PRIME = 2**255 - 19
_SMALL_ORDER = frozenset(
    {
        0,
        1,
        _ED25519_PRIME - 1,
        int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"),
        int.from_bytes(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little"),
    }
)
"""The y coordinates of the points of order 1, 2, 4 and 8: under such a key almost anything verifies."""


def ed25519_spki(point: bytes) -> bytes:
    """The SubjectPublicKeyInfo (RFC 8410) of a 32-byte Ed25519 key; raises MalformedError for one that no signer can have."""
    if len(point) != 32:
        raise MalformedError(f"an Ed25519 key of {len(point)} bytes")
    y = int.from_bytes(point, "little") & (2**255 - 1)
    if y >= _ED25519_PRIME or y in _SMALL_ORDER:  # RFC 8032 5.1.3 step 1; and no key is of small order
        raise MalformedError("an Ed25519 key that is no point of the large group")
    return _ED25519_PREFIX + point


def ec_spki(curve: ec.EllipticCurve, point: bytes) -> bytes:
    """The SubjectPublicKeyInfo of an uncompressed point; raises MalformedError where it is not on the curve."""
    if not point.startswith(b"\x04"):
        raise MalformedError("an EC key that is not an uncompressed point")
    return _encoded(guarded(lambda: ec.EllipticCurvePublicKey.from_encoded_point(curve, point), "EC key"))


def rsa_spki(modulus: int, exponent: int) -> bytes:
    """The SubjectPublicKeyInfo of an RSA key; raises MalformedError or ResourceLimitError."""
    _require_rsa(modulus, exponent)
    return _encoded(guarded(lambda: rsa.RSAPublicNumbers(exponent, modulus).public_key(), "RSA key"))


def require_spki(spki: bytes) -> str:
    """A word for the kind of key in the DER ``spki``, which must be one structure in DER that the library can compute with.

    Raises MalformedError, ResourceLimitError, or UnsupportedError for algorithms that no signature here uses.
    """
    if len(spki) > MAX_SPKI_BYTES:
        raise ResourceLimitError(f"a public key of {len(spki)} bytes")
    parts = asn1.read_one(spki, "public key").expect(asn1.SEQUENCE, "public key").children()
    if len(parts) != 2 or parts[1].tag != asn1.BIT_STRING or not parts[1].content.startswith(b"\0"):
        raise MalformedError("a public key that is not an algorithm and a bit string of whole octets")
    if asn1.der(asn1.read_one(spki, "public key")) != spki:
        raise MalformedError("a public key that is not DER")
    key = guarded(lambda: load_der_public_key(spki), "public key")
    kind = _described(key, parts[1].content[1:])
    # One key, one encoding: otherwise a buried key would come back under another digest.
    if guarded(lambda: key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), "public key") != spki:
        raise UnsupportedError(
            f"an {kind} key in an unusual encoding; 'openssl pkey -pubin -outform DER' writes the usual one"
        )
    return kind


def spki_of_pkcs1(der: bytes) -> bytes:
    """The SubjectPublicKeyInfo of an RSAPublicKey (RFC 8017 A.1.1)."""
    if len(der) > MAX_SPKI_BYTES:
        raise ResourceLimitError(f"a public key of {len(der)} bytes")
    parts = asn1.read_one(der, "RSA public key").expect(asn1.SEQUENCE, "RSA public key").children()
    if len(parts) != 2 or any(p.tag != asn1.INTEGER or not p.content for p in parts):
        raise MalformedError("an RSA public key is a modulus and an exponent")
    modulus, exponent = (int.from_bytes(p.content, "big", signed=True) for p in parts)
    return rsa_spki(modulus, exponent)


def spki_identifiers(spki: bytes) -> tuple[Identifier, ...]:
    """The digest of the key and, as a hint, its subject key identifier (RFC 5280 4.2.1.2, method 1)."""
    bits = asn1.read_one(spki, "public key").children()[1].content[1:]
    return (
        Identifier(IdentifierKind.SPKI_SHA256, hashlib.sha256(spki).hexdigest()),
        Identifier(IdentifierKind.SUBJECT_KEY_IDENTIFIER, hashlib.sha1(bits, usedforsecurity=False).hexdigest()),
    )


def whole(material: bytes) -> Identifier:
    """The identity of a key: the digest of all its material."""
    return Identifier(IdentifierKind.SHA256, hashlib.sha256(material).hexdigest())


def guarded(decode: Callable[[], T], what: str) -> T:
    """What ``decode`` returns; whatever the library raises for hostile input is malformed or unsupported."""
    try:
        with panic_is_malformed:
            return decode()
    except UnsupportedAlgorithm as error:
        raise UnsupportedError(f"a {what} of a kind that is not supported: {str(error)[:200]}") from error
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise MalformedError(f"not a readable {what}: {str(error)[:200]}") from error


def _described(key: PublicKeyTypes, bits: bytes) -> str:
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        _require_rsa(numbers.n, numbers.e)
        return f"RSA {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"ECDSA {key.curve.name}"
    if isinstance(key, ed25519.Ed25519PublicKey):
        ed25519_spki(bits)
        return "Ed25519"
    raise UnsupportedError("a public key of a kind that signs nothing here; RSA, ECDSA and Ed25519 keys are read")


def _require_rsa(modulus: int, exponent: int) -> None:
    if modulus <= 0 or exponent <= 1 or not modulus & 1 or not exponent & 1:
        raise MalformedError("an RSA key with an even, negative or trivial number")
    if modulus.bit_length() > MAX_RSA_BITS or exponent.bit_length() > 64:
        raise ResourceLimitError(f"an RSA key of {modulus.bit_length()} bits, exponent {exponent.bit_length()} bits")
    if modulus.bit_length() < MIN_RSA_BITS:
        raise UnsupportedError(f"an RSA key of {modulus.bit_length()} bits; at least {MIN_RSA_BITS} are read")


def _encoded(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> bytes:
    return guarded(lambda: key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), "public key")
