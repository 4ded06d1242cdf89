"""Public keys of minisign and signify: a comment line and base64 of ``Ed``, 8 bytes of key number, 32 bytes of Ed25519 key.

https://jedisct1.github.io/minisign/ ("Public key format"); signify(1) writes the same. minisign shows the key number as one
little-endian number in hex, so the bytes are turned round for display.
"""

from __future__ import annotations

import binascii
import re

from trust_store.decode import spki
from trust_store.decode.key_readers.protocol import KeyFile, Reading
from trust_store.errors import MalformedError, UnsupportedError
from trust_store.model.identifiers import Identifier, IdentifierKind
from trust_store.model.key_material import KeyMaterial
from trust_store.model.trust_anchor import AnchorKind

KEY_BYTES, SIGNATURE_BYTES = 42, 74
MAX_FILE_BYTES = 4096
_COMMENT = b"untrusted comment:"
_BARE = re.compile(rb"RW[A-Za-z0-9+/]{54}\s*\Z")


class MinisignReader:
    """One key: the file as written, or the base64 line alone as ``minisign -P`` takes it."""

    NAME = "minisign or signify key"

    def recognises(self, file: KeyFile, /) -> bool:
        """The comment's fixed beginning, or 56 characters of base64 that begin with ``Ed``."""
        return file.data.startswith(_COMMENT) or (len(file.data) < 100 and bool(_BARE.match(file.data)))

    def read(self, file: KeyFile, /) -> Reading:
        """The one key in it."""
        if len(file.data) > MAX_FILE_BYTES:
            raise MalformedError("a minisign key is two lines")
        lines = file.data.replace(b"\r\n", b"\n").removesuffix(b"\n").split(b"\n")
        comment = b""
        if lines[0].startswith(_COMMENT):
            comment = lines.pop(0)[len(_COMMENT) :].strip()
        if len(lines) != 1:
            raise MalformedError("a minisign key is a comment line and one line of base64; a signature is more")
        return Reading((minisign_key(_decoded(lines[0]), comment.decode("utf-8", "replace")),))


def minisign_key(material: bytes, comment: str) -> KeyMaterial:
    """The 42 bytes as key material; raises MalformedError or UnsupportedError."""
    if len(material) == SIGNATURE_BYTES:
        raise MalformedError("this is a signature, not a public key")
    if len(material) > SIGNATURE_BYTES:
        raise UnsupportedError("this looks like a secret key; only public keys are read")
    if len(material) != KEY_BYTES:
        raise MalformedError(f"a minisign key has {KEY_BYTES} bytes, not {len(material)}")
    if material[:2] != b"Ed":
        raise UnsupportedError("a minisign key of another algorithm than Ed25519")
    number = key_number(material)
    identifiers = (
        spki.whole(material),
        Identifier(IdentifierKind.KEY_ID, number),
        *spki.spki_identifiers(spki.ed25519_spki(material[10:])),
    )
    return KeyMaterial(AnchorKind.MINISIGN, comment[:200] or f"minisign key {number.upper()}", material, identifiers)


def key_number(material: bytes) -> str:
    """The key number as minisign shows it, in lower case; ``material`` is a key or a signature."""
    return material[2:10][::-1].hex()


def _decoded(line: bytes) -> bytes:
    try:
        return binascii.a2b_base64(line.rstrip(b" \t\r"), strict_mode=True)
    except ValueError as error:
        raise MalformedError(f"a minisign key that is not base64: {error}") from error
