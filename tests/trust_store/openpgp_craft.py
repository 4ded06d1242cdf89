"""OpenPGP packets made by hand (RFC 9580), right or wrong in exactly one place."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

CREATED = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp())
SIGNED = int(datetime(2024, 2, 1, tzinfo=UTC).timestamp())
CERTIFY, SIGN = 0x01, 0x02
_OID = bytes.fromhex("092b06010401da470f01")


def packet(tag: int, body: bytes) -> bytes:
    """A packet with new-format header and five-octet length."""
    return bytes((0xC0 | tag, 0xFF)) + len(body).to_bytes(4, "big") + body


def integer(value: bytes) -> bytes:
    """A multiprecision integer, leading zeros removed."""
    number = int.from_bytes(value, "big")
    return number.bit_length().to_bytes(2, "big") + number.to_bytes((number.bit_length() + 7) // 8, "big")


def subpacket(kind: int, value: bytes, *, critical: bool = False) -> bytes:
    """A signature subpacket with five-octet length."""
    return b"\xff" + (len(value) + 1).to_bytes(4, "big") + bytes((kind | (0x80 if critical else 0),)) + value


def seconds(kind: int, value: int) -> bytes:
    """A subpacket that holds a time or duration in seconds."""
    return subpacket(kind, value.to_bytes(4, "big"))


@dataclass(frozen=True)
class CraftedKey:
    """A legacy EdDSA key, made from a number."""

    number: int
    created: int = CREATED

    @property
    def private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.number.to_bytes(32, "big"))

    @property
    def body(self) -> bytes:
        point = b"\x40" + self.private.public_key().public_bytes_raw()
        return b"\x04" + self.created.to_bytes(4, "big") + b"\x16" + _OID + integer(point)

    @property
    def framed(self) -> bytes:
        return b"\x99" + len(self.body).to_bytes(2, "big") + self.body

    @property
    def fingerprint(self) -> str:
        return hashlib.sha1(self.framed).hexdigest()  # noqa: S324 - version 4 fingerprints are SHA-1

    @property
    def issuer(self) -> bytes:
        return subpacket(33, b"\x04" + bytes.fromhex(self.fingerprint))

    def signature(
        self,
        kind: int,
        covered: bytes,
        *,
        created: int | None = SIGNED,
        hashed: bytes = b"",
        unhashed: bytes = b"",
        hash_algorithm: int = 8,
        issuer: bytes | None = None,
    ) -> bytes:
        """The body of a version 4 signature packet over ``covered``."""
        area = (b"" if created is None else seconds(2, created)) + hashed + (self.issuer if issuer is None else issuer)
        signed = bytes((4, kind, 22, hash_algorithm)) + len(area).to_bytes(2, "big") + area
        name = {1: "md5", 2: "sha1", 8: "sha256", 10: "sha512"}[hash_algorithm]
        digest = hashlib.new(name, covered + signed + b"\x04\xff" + len(signed).to_bytes(4, "big")).digest()
        value = self.private.sign(digest)
        return (
            signed
            + len(unhashed).to_bytes(2, "big")
            + unhashed
            + digest[:2]
            + integer(value[:32])
            + integer(value[32:])
        )

    def user_id(
        self, text: bytes = b"Vendor <v@example.org>", *, flags: int | None = CERTIFY | SIGN, **options: object
    ) -> bytes:
        """A user id packet and its self-certification; the key's flags are in it."""
        hashed = options.pop("hashed", b"")
        assert isinstance(hashed, bytes)
        hashed += b"" if flags is None else subpacket(27, bytes((flags,)))
        covered = self.framed + b"\xb4" + len(text).to_bytes(4, "big") + text
        options.setdefault("created", self.created)
        return packet(13, text) + packet(2, self.signature(0x13, covered, hashed=hashed, **options))  # type: ignore[arg-type]

    def subkey(
        self, sub: CraftedKey, *, flags: int | None = SIGN, back: bytes | None = None, **options: object
    ) -> bytes:
        """A subkey packet and its binding; ``back`` replaces the right back signature, b"" leaves it out."""
        covered = self.framed + sub.framed
        embedded = sub.signature(0x19, covered, created=sub.created) if back is None else back
        hashed = (subpacket(32, embedded) if embedded else b"") + (
            b"" if flags is None else subpacket(27, bytes((flags,)))
        )
        options.setdefault("created", sub.created)
        return packet(14, sub.body) + packet(2, self.signature(0x18, covered, hashed=hashed, **options))  # type: ignore[arg-type]

    @property
    def primary(self) -> bytes:
        return packet(6, self.body)

    @property
    def certificate(self) -> bytes:
        return self.primary + self.user_id()
