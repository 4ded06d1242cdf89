"""Signatures in formats that do not say with which algorithm they were made: the key's own kind decides (sigstore's algorithm registry)."""

from __future__ import annotations

import hashlib

from trust_store.decode.public_keys import key_kind, verifies, verifies_message

_CURVES = {
    "secp256r1": ("sha256",),
    "secp384r1": ("sha384", "sha256"),
    "secp521r1": ("sha512", "sha256"),
    "ed25519": ("sha512",),
}


def digests_for(spki: bytes) -> tuple[str, ...]:
    """Digests that signers use with such a key, the usual one first."""
    return _CURVES.get(key_kind(spki) or "", ("sha256",))


def verifies_digest(spki: bytes, algorithm: str, signature: bytes, digest: bytes) -> bool:
    """Whether ``signature`` is one over ``digest`` (made with ``algorithm``): ECDSA, RSA with PKCS #1 v1.5 or PSS padding, Ed25519ph."""
    kind = key_kind(spki)
    if kind == "ed25519":
        from trust_store.decode.ed25519ph import verifies_prehashed  # rare beside ECDSA

        return algorithm == "sha512" and verifies_prehashed(spki[-32:], signature, digest)
    rsa = kind == "rsa"
    kinds = ["rsa-pkcs1", f"rsa-pss/{len(digest)}"] if rsa else ["ecdsa"]
    return any(verifies(spki, kind, algorithm, signature, digest) for kind in kinds)


def verifies_octets(spki: bytes, signature: bytes, message: bytes) -> bool:
    """Whether ``signature`` is one over ``message``, which is hashed as goes with the key; Ed25519 takes the message itself."""
    if key_kind(spki) == "ed25519":
        return verifies_message(spki, signature, message)
    return any(
        verifies_digest(spki, name, signature, hashlib.new(name, message).digest()) for name in digests_for(spki)
    )
