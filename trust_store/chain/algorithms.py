"""Signature algorithms of certificates: does one key's signature on another hold, and is the algorithm strong enough?

The key's own type decides which arithmetic is tried; the AlgorithmIdentifier inside the certificate must equal the one outside
(RFC 5280 section 4.1.1.2).
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from trust_store.decode.asn1 import BIT_STRING, SEQUENCE, Element, read_one
from trust_store.decode.library_panic import panic_is_malformed
from trust_store.errors import MalformedError, ResourceLimitError

if TYPE_CHECKING:
    from trust_store.model.certificate import Certificate

MIN_RSA_BITS, MAX_RSA_BITS = 2048, 16_384
MAX_EXPONENT_BITS = 256
"""FIPS 186-5 section 5.4 allows no longer public exponent."""
MIN_EC_BITS = 224
_RSA, _ECDSA = "1.2.840.113549.1.1.", "1.2.840.10045.4."
_DSA = ("1.2.840.10040.4.3", "2.16.840.1.101.3.4.3.")
WEAK_HASHES = frozenset({"md5", "sha1"})
_UNREADABLE = (
    InvalidSignature,
    UnsupportedAlgorithm,
    ValueError,
    TypeError,
    OverflowError,
    AttributeError,
    x509.InvalidVersion,
)
_ML_DSA = (
    (mldsa.MLDSA44PublicKey, "2.16.840.1.101.3.4.3.17"),
    (mldsa.MLDSA65PublicKey, "2.16.840.1.101.3.4.3.18"),
    (mldsa.MLDSA87PublicKey, "2.16.840.1.101.3.4.3.19"),
)
"""RFC 9881 section 2: key and signature have the same identifier."""
_RSASSA_PSS = "1.2.840.113549.1.1.10"
_OWN_DIGESTS = {"1.3.101.112": "sha512", "1.3.101.113": "shake256"}


def signature_holds(issuer_spki: bytes, certificate: Certificate) -> bool:
    """Whether the key of ``issuer_spki`` (DER SubjectPublicKeyInfo) signed ``certificate``; never raises for bad input."""
    return _holds(issuer_spki, certificate.der)


@lru_cache(maxsize=256)
def _holds(issuer_spki: bytes, der: bytes) -> bool:
    try:
        if not _well_signed(der, issuer_spki):
            return False
        with panic_is_malformed:
            certificate = _parsed(der)
            key = load_der_public_key(issuer_spki)
            _verify(key, certificate)
    except (*_UNREADABLE, IndexError, MalformedError, ResourceLimitError):
        return False
    return True


def _parsed(der: bytes) -> x509.Certificate:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # serial numbers are judged by the profile
        return x509.load_der_x509_certificate(der)


def _verify(key: object, certificate: x509.Certificate) -> None:
    signature, signed = certificate.signature, certificate.tbs_certificate_bytes
    if isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
        wanted = "1.3.101.112" if isinstance(key, ed25519.Ed25519PublicKey) else "1.3.101.113"
        if certificate.signature_algorithm_oid.dotted_string != wanted:
            raise InvalidSignature
        key.verify(signature, signed)
        return
    if isinstance(key, (mldsa.MLDSA44PublicKey, mldsa.MLDSA65PublicKey, mldsa.MLDSA87PublicKey)):
        wanted = next(oid for kind, oid in _ML_DSA if isinstance(key, kind))
        if certificate.signature_algorithm_oid.dotted_string != wanted:
            raise InvalidSignature
        key.verify(signature, signed)
        return
    digest, algorithm = certificate.signature_hash_algorithm, certificate.signature_algorithm_oid.dotted_string
    if digest is None:
        raise InvalidSignature
    if isinstance(key, rsa.RSAPublicKey) and algorithm.startswith(_RSA) and _affordable(key):
        # The library names parameters for the algorithms it likes only; the others are weak, which is another finding.
        parameters = certificate.signature_algorithm_parameters
        key.verify(signature, signed, parameters if isinstance(parameters, padding.PSS) else padding.PKCS1v15(), digest)
    elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm.startswith(_ECDSA):
        key.verify(signature, signed, ec.ECDSA(digest))
    elif isinstance(key, dsa.DSAPublicKey) and algorithm.startswith(_DSA):
        key.verify(signature, signed, digest)
    else:
        raise InvalidSignature


def _affordable(key: rsa.RSAPublicKey) -> bool:
    """Whether a verification is cheap: an exponent as long as the modulus makes it cost as much as signing."""
    return key.key_size <= MAX_RSA_BITS and key.public_numbers().e.bit_length() <= MAX_EXPONENT_BITS


def _well_signed(der: bytes, issuer_spki: bytes) -> bool:
    """Whether what nobody signed can be read in one way only, and the issuer's key is one for this algorithm.

    signatureAlgorithm and TBSCertificate.signature are the same bytes; signatureValue is whole octets, or a bit of it could be
    changed unnoticed; a key that is for RSASSA-PSS alone (RFC 4055 section 3.1) makes no other signature.
    """
    outer = read_one(der, "certificate").children()
    if len(outer) != 3:  # tbsCertificate, signatureAlgorithm, signatureValue
        return False
    inner = outer[0].children()
    position = 2 if inner and inner[0].tag == 0xA0 else 1
    if len(inner) <= position or inner[position].raw != outer[1].raw:
        return False
    if not outer[2].expect(BIT_STRING, "signature").content.startswith(b"\0"):
        return False
    return _algorithm_oid(read_one(issuer_spki, "key").children()[0]) != _RSASSA_PSS or (
        _algorithm_oid(outer[1]) == _RSASSA_PSS
    )


def _algorithm_oid(identifier: Element) -> str:
    parts = identifier.expect(SEQUENCE, "algorithm identifier").children()
    return parts[0].oid("algorithm") if parts else ""


def weak_signature(certificate: Certificate) -> str | None:
    """Why the signature on ``certificate`` is made with too weak a digest, or None."""
    digest = signature_digest(certificate)
    if digest in WEAK_HASHES:
        return f"the signature on {certificate.subject or 'a certificate'} uses {digest}"
    return None


def signature_digest(certificate: Certificate) -> str | None:
    """The digest under the signature on ``certificate`` (``sha256``, ``sha3-256``), None where it is not known.

    Ed25519 and Ed448 bring their own (RFC 8032 5.1, 5.2).
    """
    try:
        parsed = _parsed(certificate.der)
        digest = parsed.signature_hash_algorithm
        algorithm = parsed.signature_algorithm_oid.dotted_string
    except _UNREADABLE:
        return None
    return _OWN_DIGESTS.get(algorithm) if digest is None else digest.name


def weak_key(certificate: Certificate) -> str | None:
    """Why the key of ``certificate`` is too weak, or None."""
    return weak_spki(certificate.spki, certificate.subject or "a certificate")


def weak_spki(spki: bytes, owner: str) -> str | None:
    """Why a SubjectPublicKeyInfo holds too weak a key, or none that can be read; None where nothing is wrong with it."""
    try:
        with panic_is_malformed:
            key = load_der_public_key(spki)
    except (*_UNREADABLE, MalformedError):
        return f"the key of {owner} cannot be read"
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < MIN_RSA_BITS:
        return f"an RSA key of {key.key_size} bits"
    if isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < MIN_EC_BITS:
        return f"an elliptic curve key of {key.key_size} bits"
    if isinstance(key, dsa.DSAPublicKey):
        return "a DSA key"
    return None
