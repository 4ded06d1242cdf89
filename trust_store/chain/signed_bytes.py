"""Signatures on revocation lists and OCSP responses (RFC 5280 section 5.1.1.2, RFC 6960 section 4.2.1): SHA-2 and better only.

A list whose digest is broken could be exchanged for another one with the same signature, so that it proves nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import load_der_public_key

from trust_store.chain.algorithms import MAX_EXPONENT_BITS, MAX_RSA_BITS, MIN_EC_BITS, MIN_RSA_BITS
from trust_store.decode.asn1 import NULL, SEQUENCE, Element, read_one
from trust_store.decode.library_panic import panic_is_malformed
from trust_store.errors import MalformedError, ResourceLimitError

if TYPE_CHECKING:
    from trust_store.decode.crl import SignedBytes

_PSS, _MGF1 = "1.2.840.113549.1.1.10", "1.2.840.113549.1.1.8"
_RSA: dict[str, type[hashes.HashAlgorithm]] = {
    "1.2.840.113549.1.1.11": hashes.SHA256,
    "1.2.840.113549.1.1.12": hashes.SHA384,
    "1.2.840.113549.1.1.13": hashes.SHA512,
    "1.2.840.113549.1.1.14": hashes.SHA224,
}
_ECDSA: dict[str, type[hashes.HashAlgorithm]] = {
    "1.2.840.10045.4.3.1": hashes.SHA224,
    "1.2.840.10045.4.3.2": hashes.SHA256,
    "1.2.840.10045.4.3.3": hashes.SHA384,
    "1.2.840.10045.4.3.4": hashes.SHA512,
}
_DIGESTS: dict[str, type[hashes.HashAlgorithm]] = {
    "2.16.840.1.101.3.4.2.1": hashes.SHA256,
    "2.16.840.1.101.3.4.2.2": hashes.SHA384,
    "2.16.840.1.101.3.4.2.3": hashes.SHA512,
    "2.16.840.1.101.3.4.2.4": hashes.SHA224,
}
_EDWARDS = {"1.3.101.112": ed25519.Ed25519PublicKey, "1.3.101.113": ed448.Ed448PublicKey}
_MAX_SALT = 512


def strong_algorithm(signed: SignedBytes) -> bool:
    """Whether the algorithm is one that proves something; False also for one that cannot be read."""
    try:
        oid = _oid(signed)
    except (MalformedError, ResourceLimitError):
        return False
    return oid in _RSA or oid in _ECDSA or oid in _EDWARDS or oid == _PSS


def signed_by(spki: bytes, signed: SignedBytes) -> bool:
    """Whether the key ``spki`` (DER SubjectPublicKeyInfo) signed it with an algorithm and a size that count; never raises."""
    try:
        with panic_is_malformed:
            _verify(load_der_public_key(spki), signed, pss_only=_key_oid(spki) == _PSS)
    except (
        InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError, OverflowError, LookupError, MalformedError,
        ResourceLimitError,
    ):  # fmt: skip
        return False
    return True


def _verify(key: object, signed: SignedBytes, *, pss_only: bool) -> None:
    oid = _oid(signed)
    if isinstance(key, rsa.RSAPublicKey) and (oid in _RSA or oid == _PSS):
        affordable = key.key_size <= MAX_RSA_BITS and key.public_numbers().e.bit_length() <= MAX_EXPONENT_BITS
        if not affordable or key.key_size < MIN_RSA_BITS or (pss_only and oid != _PSS):  # RFC 4055 section 3.1
            raise InvalidSignature
        if oid == _PSS:
            scheme, digest = _pss(signed)
            key.verify(signed.signature, _digest(signed, digest), scheme, utils.Prehashed(digest))
        else:
            _no_parameters(signed)
            digest = _RSA[oid]()
            key.verify(signed.signature, _digest(signed, digest), padding.PKCS1v15(), utils.Prehashed(digest))
    elif isinstance(key, ec.EllipticCurvePublicKey) and oid in _ECDSA and key.key_size >= MIN_EC_BITS:
        digest = _ECDSA[oid]()
        key.verify(signed.signature, _digest(signed, digest), ec.ECDSA(utils.Prehashed(digest)))
    elif isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)) and isinstance(
        key, _EDWARDS.get(oid, type(None))
    ):
        key.verify(signed.signature, signed.content)
    else:
        raise InvalidSignature


def _digest(signed: SignedBytes, algorithm: hashes.HashAlgorithm) -> bytes:
    """A list may be large: it is hashed where it lies."""
    context = hashes.Hash(algorithm)
    context.update(signed.content)
    return context.finalize()


def _identifier(signed: SignedBytes) -> tuple[Element, ...]:
    return read_one(signed.algorithm, "algorithm").expect(SEQUENCE, "algorithm").children()


def _oid(signed: SignedBytes) -> str:
    parts = _identifier(signed)
    if not parts:
        raise MalformedError("a signature algorithm without a name")
    return parts[0].oid("algorithm")


def _no_parameters(signed: SignedBytes) -> None:
    """RFC 4055 section 5: NULL; that it is left out is forgiven."""
    if any(part.tag != NULL or part.content for part in _identifier(signed)[1:]):
        raise MalformedError("a signature algorithm with parameters")


def _key_oid(spki: bytes) -> str:
    return read_one(spki, "key").children()[0].children()[0].oid("key algorithm")


def _pss(signed: SignedBytes) -> tuple[padding.PSS, hashes.HashAlgorithm]:
    """RSASSA-PSS-params (RFC 4055 section 3.1); its defaults are SHA-1, which does not count."""
    parts = _identifier(signed)
    fields = {field.tag: read_one(field.content, "parameters") for field in parts[1].expect(SEQUENCE, "pss").children()}
    digest, mask = fields[0xA0].children(), fields[0xA1].children()
    used, inner = _DIGESTS[digest[0].oid("hash")], mask[1].children()
    salt = fields[0xA2].integer("salt length") if 0xA2 in fields else 20
    trailer = fields[0xA3].integer("trailer field") if 0xA3 in fields else 1
    same = mask[0].oid("mask") == _MGF1 and _DIGESTS[inner[0].oid("hash")] is used
    if not same or not 0 <= salt <= _MAX_SALT or trailer != 1:
        raise MalformedError("RSASSA-PSS parameters that are not used")
    return padding.PSS(padding.MGF1(used()), salt), used()
