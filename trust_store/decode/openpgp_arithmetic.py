"""Whether an OpenPGP signature value fits a digest and a key: arithmetic alone, by ``cryptography``.

Weak algorithms are computed like any others; whether they count is judged elsewhere.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature

from trust_store.decode.openpgp_signature import OpenPGPSignature, split_integers
from trust_store.errors import MalformedError, TrustStoreError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from trust_store.model.openpgp_key import OpenPGPComponentKey, OpenPGPKey

MAX_RSA_BITS = 8192
MAX_RSA_EXPONENT_BITS = 64  # a longer exponent makes one verification take seconds
RSA, RSA_SIGN_ONLY, DSA, ECDSA, EDDSA_LEGACY, ED25519, ED448 = 1, 3, 17, 19, 22, 27, 28

ALGORITHM_NAMES = {
    RSA: "rsa",
    RSA_SIGN_ONLY: "rsa",
    DSA: "dsa",
    ECDSA: "ecdsa",
    EDDSA_LEGACY: "eddsa",
    ED25519: "ed25519",
    ED448: "ed448",
}

# DER of DigestInfo up to the digest (RFC 9580 5.2.2, RFC 8017 9.2). The whole recovered value is compared with it, so
# nothing is parsed that a forger could have filled.
_DIGEST_INFO = {
    1: "3020300c06082a864886f70d020505000410",
    2: "3021300906052b0e03021a05000414",
    3: "3021300906052b2403020105000414",
    8: "3031300d060960864801650304020105000420",
    9: "3041300d060960864801650304020205000430",
    10: "3051300d060960864801650304020305000440",
    11: "302d300d06096086480165030402040500041c",
    12: "3031300d060960864801650304020805000420",
    14: "3051300d060960864801650304020a05000440",
}
_CURVES: dict[str, ec.EllipticCurve] = {
    "2a8648ce3d030107": ec.SECP256R1(),
    "2b81040022": ec.SECP384R1(),
    "2b81040023": ec.SECP521R1(),
    "2b2403030208010107": ec.BrainpoolP256R1(),
    "2b240303020801010b": ec.BrainpoolP384R1(),
    "2b240303020801010d": ec.BrainpoolP512R1(),
}
_LEGACY_ED25519 = "2b06010401da470f01"
# DSA and ECDSA use no more of the hash algorithm than its size, so a size stands for every algorithm that has it.
_BY_DIGEST_SIZE: dict[int, hashes.HashAlgorithm] = {
    16: hashes.MD5(),  # noqa: S303 - arithmetic only, weakness is judged by the caller
    20: hashes.SHA1(),  # noqa: S303 - arithmetic only, weakness is judged by the caller
    28: hashes.SHA224(),
    32: hashes.SHA256(),
    48: hashes.SHA384(),
    64: hashes.SHA512(),
}


def possible_signers(signature: OpenPGPSignature, key: OpenPGPKey) -> tuple[OpenPGPComponentKey, ...]:
    """The components of ``key`` that ``signature`` names, by fingerprint before key id; where it names none, those of its algorithm.

    A name is a hint: only ``signature_holds`` tells whether one of them is the signer.
    """
    if signature.issuer_fingerprint is not None:
        return tuple(one for one in key.components if one.fingerprint == signature.issuer_fingerprint)
    if signature.issuer_key_id is not None:
        return tuple(one for one in key.components if one.key_id == signature.issuer_key_id)
    name = ALGORITHM_NAMES.get(signature.public_key_algorithm)
    return tuple(one for one in key.components if name and ALGORITHM_NAMES.get(one.algorithm) == name)


def signature_holds(component: OpenPGPComponentKey, signature: OpenPGPSignature, digest: bytes) -> bool:
    """Whether ``signature`` over ``digest`` is arithmetically right under ``component``.

    False also for another algorithm than the key's and for key or signature material that is no such thing.
    Raises UnsupportedError where the algorithm, curve or hash is not implemented: not known is not the same as wrong.
    """
    algorithm = component.algorithm
    if algorithm not in _CHECKS:
        raise UnsupportedError(f"OpenPGP public key algorithm {algorithm} is not supported")
    # RFC 9580 5.2.3: a version 6 key makes version 6 signatures only, and no other key makes those.
    if ALGORITHM_NAMES[algorithm] != ALGORITHM_NAMES.get(signature.public_key_algorithm) or (
        (signature.version == 6) != (component.version == 6)
    ):
        return False
    if len(digest) != hashlib.new(signature.digest_name, usedforsecurity=False).digest_size:
        return False
    try:
        return _CHECKS[algorithm](key_material(component), signature, digest)
    except UnsupportedAlgorithm as error:
        raise UnsupportedError(f"OpenPGP algorithm not supported here: {error}") from error
    except (InvalidSignature, MalformedError, ValueError, TypeError, OverflowError):
        return False
    except (KeyboardInterrupt, SystemExit, TrustStoreError):
        raise
    except BaseException as error:
        # A panic of the Rust extension is a BaseException; it proves nothing and must not end the program.
        raise UnsupportedError("the cryptographic library gave up on OpenPGP key or signature material") from error


def key_material(component: OpenPGPComponentKey) -> bytes:
    """The algorithm-specific part of a key packet (RFC 9580 5.5.2)."""
    return component.body[10:] if component.version == 6 else component.body[6:]


def curve_name(component: OpenPGPComponentKey) -> str | None:
    """The name of an ECDSA key's curve; None for other algorithms and curves that are not supported."""
    if component.algorithm != ECDSA:
        return None
    try:
        curve = _CURVES.get(_curve(key_material(component))[0])
    except MalformedError:
        return None
    return curve.name if curve else None


def key_bits(component: OpenPGPComponentKey) -> int | None:
    """Size in bits of an RSA modulus or DSA prime; None for other algorithms; raises MalformedError."""
    if component.algorithm not in (RSA, RSA_SIGN_ONLY, DSA):
        return None
    integers = split_integers(key_material(component))
    return len(integers[0]) * 8 - _leading_zero_bits(integers[0]) if integers else 0


def _leading_zero_bits(number: bytes) -> int:
    return 8 - number[0].bit_length() if number else 0


def _exactly(count: int, values: bytes) -> tuple[int, ...]:
    integers = split_integers(values)
    if len(integers) != count:
        raise MalformedError("OpenPGP key or signature material has the wrong number of integers")
    return tuple(int.from_bytes(integer, "big") for integer in integers)


def _prehashed(digest: bytes) -> Prehashed:
    return Prehashed(_BY_DIGEST_SIZE[len(digest)])


def _rsa(material: bytes, signature: OpenPGPSignature, digest: bytes) -> bool:
    modulus, exponent = _exactly(2, material)
    (value,) = _exactly(1, signature.values)
    if modulus.bit_length() > MAX_RSA_BITS or exponent.bit_length() > MAX_RSA_EXPONENT_BITS:
        raise UnsupportedError("an OpenPGP RSA key of a size that is not supported")
    key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    if value >= modulus:
        return False
    padded = value.to_bytes((modulus.bit_length() + 7) // 8, "big")
    recovered = key.recover_data_from_signature(padded, padding.PKCS1v15(), None)
    return recovered == bytes.fromhex(_DIGEST_INFO[signature.hash_algorithm]) + digest


def _dsa(material: bytes, signature: OpenPGPSignature, digest: bytes) -> bool:
    p, q, g, y = _exactly(4, material)
    r, s = _exactly(2, signature.values)
    key = dsa.DSAPublicNumbers(y, dsa.DSAParameterNumbers(p, q, g)).public_key()
    # RFC 9580 5.2.2: the digest is cut to the size of q, which the library does.
    key.verify(encode_dss_signature(r, s), digest, _prehashed(digest))
    return True


def _curve(material: bytes) -> tuple[str, bytes]:
    """Return curve OID (hex) and the rest of the material (RFC 9580 5.5.5.4)."""
    length = material[0] if material else 0
    if length in (0, 0xFF) or len(material) < 1 + length:
        raise MalformedError("OpenPGP key material without a curve")
    return material[1 : 1 + length].hex(), material[1 + length :]


def _ecdsa(material: bytes, signature: OpenPGPSignature, digest: bytes) -> bool:
    oid, rest = _curve(material)
    curve = _CURVES.get(oid)
    if curve is None:
        raise UnsupportedError(f"OpenPGP curve {oid} is not supported")
    (point,) = split_integers(rest)
    r, s = _exactly(2, signature.values)
    key = ec.EllipticCurvePublicKey.from_encoded_point(curve, point)
    key.verify(encode_dss_signature(r, s), digest, ec.ECDSA(_prehashed(digest)))
    return True


def _eddsa_legacy(material: bytes, signature: OpenPGPSignature, digest: bytes) -> bool:
    """RFC 9580 5.5.5.5, 5.2.3.3: the point is 0x40 and 32 octets; R and S are integers that lost their leading zeros."""
    oid, rest = _curve(material)
    if oid != _LEGACY_ED25519:
        raise UnsupportedError(f"OpenPGP curve {oid} is not supported")
    (point,) = split_integers(rest)
    if len(point) != 33 or point[0] != 0x40:
        raise MalformedError("an EdDSA point that is not in native form")
    r, s = split_integers(signature.values)
    ed25519.Ed25519PublicKey.from_public_bytes(point[1:]).verify(r.rjust(32, b"\0") + s.rjust(32, b"\0"), digest)
    return True


def _ed25519(material: bytes, signature: OpenPGPSignature, digest: bytes) -> bool:
    ed25519.Ed25519PublicKey.from_public_bytes(material).verify(signature.values, digest)
    return True


def _ed448(material: bytes, signature: OpenPGPSignature, digest: bytes) -> bool:
    ed448.Ed448PublicKey.from_public_bytes(material).verify(signature.values, digest)
    return True


_CHECKS: dict[int, Callable[[bytes, OpenPGPSignature, bytes], bool]] = {
    RSA: _rsa,
    RSA_SIGN_ONLY: _rsa,
    DSA: _dsa,
    ECDSA: _ecdsa,
    EDDSA_LEGACY: _eddsa_legacy,
    ED25519: _ed25519,
    ED448: _ed448,
}
