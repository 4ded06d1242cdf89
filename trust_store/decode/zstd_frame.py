"""Where a Zstandard frame ends (RFC 8878 section 3.1.1): its blocks are counted, nothing is unpacked."""

from __future__ import annotations

from trust_store.decode.compressed import ZSTD_MAGIC
from trust_store.errors import MalformedError

MAX_BLOCK_BYTES = 128 * 1024
_DICTIONARY_BYTES = (0, 1, 2, 4)
_CHECKSUM, _RESERVED, _SINGLE_SEGMENT = 0x04, 0x08, 0x20
_RLE, _RESERVED_BLOCK = 1, 3


def frame_end(data: bytes) -> int:
    """Length in bytes of the one frame at the start of ``data``; raises MalformedError where it is none or cut short."""
    if not data.startswith(ZSTD_MAGIC) or len(data) < 5:
        raise MalformedError("zstd: no such frame")
    descriptor = data[4]
    if descriptor & _RESERVED:
        raise MalformedError("zstd: a reserved bit is set")
    single = bool(descriptor & _SINGLE_SEGMENT)
    content_size = (1 if single else 0, 2, 4, 8)[descriptor >> 6]
    position = 5 + (0 if single else 1) + _DICTIONARY_BYTES[descriptor & 3] + content_size
    last = False
    while not last:
        header = data[position : position + 3]
        if len(header) < 3:
            raise MalformedError("zstd: a frame that is cut short")
        value = int.from_bytes(header, "little")
        last, kind, size = bool(value & 1), value >> 1 & 3, value >> 3
        if kind == _RESERVED_BLOCK or size > MAX_BLOCK_BYTES:
            raise MalformedError("zstd: a block of no known kind or size")
        position += 3 + (1 if kind == _RLE else size)
    end = position + (4 if descriptor & _CHECKSUM else 0)
    if end > len(data):
        raise MalformedError("zstd: a frame that is cut short")
    return end
