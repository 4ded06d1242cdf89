"""Android A/B payloads built from ``update_metadata.proto``, for fixtures and hostile tests."""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.packages.pki import Issued

HEADER = struct.Struct(">4sQQI")


def varint(value: int) -> bytes:
    """A number."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def number(field: int, value: int) -> bytes:
    """A field with a number."""
    return varint(field << 3) + varint(value)


def message(field: int, value: bytes) -> bytes:
    """A field with bytes."""
    return varint(field << 3 | 2) + varint(len(value)) + value


def manifest(blobs: Sequence[bytes], signature_size: int) -> bytes:
    """A manifest of one partition, with one operation for each blob; the payload's signature comes after them."""
    offset = 0
    operations = b""
    for blob in blobs:
        content = number(1, 0) + number(2, offset) + number(3, len(blob)) + message(8, hashlib.sha256(blob).digest())
        operations += message(8, content)
        offset += len(blob)
    partition = message(1, b"system") + operations
    signatures = number(4, offset) + number(5, signature_size) if signature_size else b""
    return number(3, 4096) + signatures + number(12, 0) + message(13, partition)


def signatures(values: Sequence[bytes], width: int = 0) -> bytes:
    """A ``Signatures`` message; values shorter than ``width`` are filled up with zeros, as update_engine does with ECDSA ones."""
    found = b""
    for value in values:
        padded = value.ljust(width, b"\0")
        fixed = varint(3 << 3 | 5) + struct.pack("<I", len(value)) if width else b""
        found += message(1, message(2, padded) + fixed)
    return found


def value_of(signer: Issued, content: bytes) -> bytes:
    """A bare value over SHA-256."""
    if isinstance(signer.key, rsa.RSAPrivateKey):
        return bytes(signer.key.sign(content, padding.PKCS1v15(), hashes.SHA256()))
    assert isinstance(signer.key, ec.EllipticCurvePrivateKey)
    return bytes(signer.key.sign(content, ec.ECDSA(hashes.SHA256())))


def payload(blobs: Sequence[bytes], *signers: Issued, width: int = 0, version: int = 2) -> bytes:
    """A payload whose metadata and whole are signed by each of ``signers``."""

    def sign(content: bytes) -> bytes:
        return signatures([value_of(signer, content) for signer in signers], width)

    size = len(sign(b"")) if signers else 0
    while True:  # the size of an ECDSA value varies where it is not filled up
        body = manifest(blobs, size)
        metadata = HEADER.pack(b"CrAU", version, len(body), size) + body
        first, last = (sign(metadata), sign(metadata + b"".join(blobs))) if signers else (b"", b"")
        if len(first) == len(last) == size:
            return metadata + first + b"".join(blobs) + last
