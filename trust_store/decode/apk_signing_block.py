"""The APK Signing Block between the entries of an APK and its central directory: identifiers and values, nothing judged.

Layout, all little-endian (source.android.com/docs/security/features/apksigning/v2, "APK Signing Block")::

    u64 size | pairs: u64 length, u32 identifier, value | u64 the same size | "APK Sig Block 42"
"""

from __future__ import annotations

import struct
from typing import Protocol

from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.quick_dataclass import dataclass

MAGIC = b"APK Sig Block 42"
V2, V3, V31 = 0x7109871A, 0xF05368C0, 0x1B93AD61
STAMP_V1, STAMP_V2 = 0x2B09189E, 0x6DFF800D
PADDING, DEPENDENCIES, FROSTING = 0x42726577, 0x504B4453, 0x2146444E
SIGNATURES = frozenset({V2, V3, V31, STAMP_V1, STAMP_V2})
KNOWN = SIGNATURES | {PADDING, DEPENDENCIES, FROSTING}
"""Padding, and what Google Play adds: the list of libraries that an app is made of, and its own mark."""
MAX_BLOCK_BYTES = 64 * 1024**2
MAX_PAIRS = 1024
MAX_SIGNATURE_BYTES = 4 * 1024**2
_FOOTER_BYTES = 24
_HEADER = struct.Struct("<QI")


class Bytes(Protocol):
    """Random access to the package."""

    @property
    def size(self) -> int: ...

    def read_at(self, offset: int, length: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class SigningBlock:
    """The block lies in [``start``, ``end``); ``data`` is all of it. ``values`` holds the signatures among its pairs, by identifier.

    ``pairs`` are identifier, start and end of every pair, its length included; offsets in the file.
    """

    start: int
    end: int
    data: bytes
    values: dict[int, bytes]
    pairs: tuple[tuple[int, int, int], ...]


def find_signing_block(source: Bytes, end: int) -> SigningBlock | None:
    """The block that ends at ``end``, where the central directory starts; None where its magic is not there.

    Raises MalformedError where the block contradicts itself or a signature scheme stands in it twice, ResourceLimitError beyond the caps.
    """
    footer = source.read_at(end - _FOOTER_BYTES, _FOOTER_BYTES) if end >= _FOOTER_BYTES else b""
    if footer[8:] != MAGIC:
        return None
    size = int.from_bytes(footer[:8], "little")
    start = end - size - 8
    if size < _FOOTER_BYTES or start < 0:
        raise MalformedError("APK Signing Block: a size that cannot be true")
    if size > MAX_BLOCK_BYTES:
        raise ResourceLimitError(f"APK Signing Block: {size} bytes")
    data = source.read_at(start, size + 8)
    if int.from_bytes(data[:8], "little") != size:
        raise MalformedError("APK Signing Block: its two sizes differ")
    values: dict[int, bytes] = {}
    pairs: list[tuple[int, int, int]] = []
    position, last = 8, len(data) - _FOOTER_BYTES
    while position < last:
        if last - position < _HEADER.size:
            raise MalformedError("APK Signing Block: a pair is cut short")
        length, identifier = _HEADER.unpack_from(data, position)
        after = position + 8 + length
        if length < 4 or after > last:
            raise MalformedError("APK Signing Block: a pair reaches beyond the block")
        if identifier in SIGNATURES:
            if identifier in values:  # Android takes the first; whoever takes the last sees another signature
                raise MalformedError(f"APK Signing Block: {identifier:#010x} stands in it twice")
            if length > MAX_SIGNATURE_BYTES:
                raise ResourceLimitError(f"APK Signing Block: a signature of {length} bytes")
            values[identifier] = data[position + _HEADER.size : after]
        pairs.append((identifier, start + position, start + after))
        if len(pairs) > MAX_PAIRS:
            raise ResourceLimitError(f"APK Signing Block: more than {MAX_PAIRS} pairs")
        position = after
    return SigningBlock(start, end, data, values, tuple(pairs))
