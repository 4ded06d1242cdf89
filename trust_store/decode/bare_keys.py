"""Keys that are anchors themselves, without a certificate: of each kind the SubjectPublicKeyInfo that it stands for."""

from __future__ import annotations

from trust_store.decode.public_keys import canonical_spki_sha256
from trust_store.decode.spki import ed25519_spki
from trust_store.errors import MalformedError, UnsupportedError

MINISIGN, SSH, NPM, RAW = "minisign", "ssh", "npm", "raw"
KINDS = frozenset({MINISIGN, SSH, NPM, RAW})
_MINISIGN_BYTES = 42


def spki_of(kind: str, material: bytes) -> bytes:
    """The key as SubjectPublicKeyInfo; ``material`` as anchors of ``kind`` hold it. Raises MalformedError or UnsupportedError."""
    if kind == MINISIGN:
        if len(material) != _MINISIGN_BYTES or material[:2] != b"Ed":
            raise MalformedError("a minisign key is 42 bytes that begin with Ed")
        return ed25519_spki(material[10:])
    if kind == SSH:
        from trust_store.decode.ssh_keys import ssh_spki  # few questions are about SSH keys

        return ssh_spki(material)[1]
    if kind in (NPM, RAW):
        return material
    raise UnsupportedError(f"a key of kind {kind[:40]} is no bare key")


def canonical_sha256(kind: str, material: bytes) -> str:
    """The one digest of the key, whatever the kind and encoding in which it stands; raises like ``spki_of``."""
    return canonical_spki_sha256(spki_of(kind, material))
