"""ECDSA values as two numbers of one width (IEEE P1363), which Mender and U-Boot write, turned into the DER that everything else reads."""

from __future__ import annotations

from trust_store.decode.asn1 import INTEGER, SEQUENCE, length_octets
from trust_store.errors import MalformedError

MAX_BYTES = 132
"""Two numbers of P-521."""


def to_der(value: bytes) -> bytes:
    """ECDSA-Sig-Value (RFC 3279 2.2.3) of ``r || s``; raises MalformedError where the halves differ in width."""
    if not 2 <= len(value) <= MAX_BYTES or len(value) % 2:
        raise MalformedError(f"an ECDSA value of {len(value)} bytes")
    half = len(value) // 2
    body = b"".join(_integer(part) for part in (value[:half], value[half:]))
    return bytes([SEQUENCE]) + length_octets(len(body)) + body


def _integer(part: bytes) -> bytes:
    number = part.lstrip(b"\0") or b"\0"
    if number[0] & 0x80:
        number = b"\0" + number
    return bytes([INTEGER]) + length_octets(len(number)) + number
