"""Signature arithmetic under a SubjectPublicKeyInfo (RFC 5280 4.1.2.7): the key's own type decides, nothing else is tried."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from trust_store.decode.library_panic import panic_is_malformed
from trust_store.errors import MalformedError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

RSA_PKCS1, RSA_PSS, ECDSA, ED25519, DSA = "rsa-pkcs1", "rsa-pss", "ecdsa", "ed25519", "dsa"
MAX_RSA_BITS = 16_384
MAX_RSA_EXPONENT_BITS = 256
"""FIPS 186-5 section 5.4 allows no longer public exponent, under which one verification takes as long as hundreds."""

_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "md5": hashes.MD5,
    "sha1": hashes.SHA1,
    "sha224": hashes.SHA224,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
    "sha3_224": hashes.SHA3_224,
    "sha3_256": hashes.SHA3_256,
    "sha3_384": hashes.SHA3_384,
    "sha3_512": hashes.SHA3_512,
}


def verifies(spki: bytes, algorithm: str, digest_algorithm: str, signature: bytes, digest: bytes) -> bool:
    """Whether ``signature`` over content whose digest is ``digest`` verifies; any other kind of key gives False.

    ``algorithm`` is rsa-pkcs1, ``rsa-pss/<salt octets>``, ecdsa or dsa. Never raises for bad input.
    """
    try:
        with panic_is_malformed:
            return _verify(spki, algorithm, digest_algorithm, signature, digest)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError, OverflowError, KeyError, MalformedError):
        return False


def verifies_message(spki: bytes, signature: bytes, message: bytes) -> bool:
    """Whether an Ed25519 ``signature`` over ``message`` verifies (RFC 8032); any other kind of key gives False."""
    try:
        with panic_is_malformed:
            key = load_der_public_key(spki)
            if not isinstance(key, ed25519.Ed25519PublicKey):
                return False
            key.verify(signature, message)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError, OverflowError, MalformedError):
        return False
    return True


def key_kind(spki: bytes) -> str | None:
    """``rsa``, ``dsa``, ``ed25519``, an EC curve's name, or None where the key cannot be read."""
    key = _loaded(spki)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.curve.name
    kinds = {rsa.RSAPublicKey: "rsa", dsa.DSAPublicKey: "dsa", ed25519.Ed25519PublicKey: "ed25519"}
    return next((name for kind, name in kinds.items() if isinstance(key, kind)), None)


@lru_cache(maxsize=1024)
def canonical_spki_sha256(spki: bytes) -> str:
    """SHA-256 of the key in its one canonical SubjectPublicKeyInfo, so that one key in two encodings has one digest.

    ``rsaEncryption`` with NULL for every RSA key (RFC 3279 2.3.1), also for one that calls itself RSASSA-PSS or leaves the parameters
    out; a named curve and an uncompressed point for elliptic curves (RFC 5480 2). A key that cannot be read has the digest of its bytes:
    nothing verifies under it.
    """
    key = _loaded(spki)
    try:
        canonical = spki if key is None else key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (UnsupportedAlgorithm, ValueError, TypeError, OverflowError):
        canonical = spki
    return hashlib.sha256(canonical).hexdigest()


def rsa_bits(spki: bytes) -> int | None:
    """Length of an RSA key's modulus in bits, None for every other kind of key."""
    key = _loaded(spki)
    return key.key_size if isinstance(key, rsa.RSAPublicKey) else None


def rsa_exponent(spki: bytes) -> int | None:
    """An RSA key's public exponent, None for every other kind of key."""
    key = _loaded(spki)
    return key.public_numbers().e if isinstance(key, rsa.RSAPublicKey) else None


def _loaded(spki: bytes) -> PublicKeyTypes | None:
    """The key, or None where it cannot be read."""
    try:
        with panic_is_malformed:
            return load_der_public_key(spki)
    except (UnsupportedAlgorithm, ValueError, TypeError, OverflowError, MalformedError):
        return None


def _is_quick(key: rsa.RSAPublicKey) -> bool:
    return key.key_size <= MAX_RSA_BITS and key.public_numbers().e.bit_length() <= MAX_RSA_EXPONENT_BITS


def _verify(spki: bytes, algorithm: str, digest_algorithm: str, signature: bytes, digest: bytes) -> bool:
    key = load_der_public_key(spki)
    digest_kind = _HASHES[digest_algorithm]()
    prehashed = utils.Prehashed(digest_kind)
    name, _, parameter = algorithm.partition("/")
    if isinstance(key, rsa.RSAPublicKey) and not _is_quick(key):
        return False
    if name == RSA_PKCS1 and isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, digest, padding.PKCS1v15(), prehashed)
    elif name == RSA_PSS and isinstance(key, rsa.RSAPublicKey):
        # the salt length is pinned to the one stated; it is never guessed from the signature
        pss = padding.PSS(mgf=padding.MGF1(digest_kind), salt_length=int(parameter))
        key.verify(signature, digest, pss, prehashed)
    elif name == ECDSA and isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, digest, ec.ECDSA(prehashed))
    elif name == DSA and isinstance(key, dsa.DSAPublicKey):
        key.verify(signature, digest, prehashed)
    else:
        return False
    return True
