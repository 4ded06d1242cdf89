"""gzip (RFC 1952) and xz streams unpacked in pieces: exactly one stream, nothing after it, and never more than a stated budget."""

from __future__ import annotations

import lzma
import struct
import zlib
from typing import TYPE_CHECKING

from trust_store.decode.byte_reader import ByteReader
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

GZIP_MAGIC, XZ_MAGIC, ZSTD_MAGIC, BZIP2_MAGIC = b"\x1f\x8b", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"BZh"
PIECE_BYTES = 1024 * 1024
XZ_MEMORY_BYTES = 80 * 1024**2
"""What the decoder may hold: xz -9 needs 65 MiB."""
MAX_HEADER_TEXT_BYTES = 4096
_SLACK_BYTES = 1024**2
_FHCRC, _FEXTRA, _FNAME, _FCOMMENT = 2, 4, 8, 16


@dataclass(frozen=True, slots=True)
class UnpackBudget:
    """At most so many bytes out, and at most so many for each byte in (the first MiB is free)."""

    max_bytes: int
    max_ratio: int

    def require(self, consumed: int, produced: int) -> None:
        """Raise ResourceLimitError beyond either."""
        if produced > self.max_bytes or produced > consumed * self.max_ratio + _SLACK_BYTES:
            raise ResourceLimitError(f"{consumed} compressed bytes unpack to more than {produced - 1}")


def compression_of(head: bytes) -> str | None:
    """``gzip``, ``xz``, ``zstd``, ``bzip2``, or None where the bytes are of none of these."""
    magics = {"gzip": GZIP_MAGIC, "xz": XZ_MAGIC, "zstd": ZSTD_MAGIC, "bzip2": BZIP2_MAGIC}
    return next((name for name, magic in magics.items() if head.startswith(magic)), None)


def unpacked_head(packed: bytes, length: int) -> bytes:
    """The first ``length`` bytes, or fewer, that the beginning of a gzip or xz stream unpacks to; none where it does not unpack."""
    try:
        if packed.startswith(XZ_MAGIC):
            return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY_BYTES).decompress(packed, length)
        return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(packed, length)
    except (lzma.LZMAError, zlib.error):
        return b""


class Unpacking:
    """One compressed stream as an iterator of its content.

    ``compression`` is gzip, xz or None (as it is). Iterating raises MalformedError, UnsupportedError or ResourceLimitError. The same
    content can be compressed in many ways, with another time and name in gzip's header: a digest of it says nothing of the stream.
    """

    def __init__(self, pieces: Iterator[bytes], compression: str | None, budget: UnpackBudget) -> None:
        if compression not in (None, "gzip", "xz"):
            raise UnsupportedError(f"{compression} is not unpacked here")
        self._input = ByteReader(pieces)
        self._compression, self._budget = compression, budget

    def __iter__(self) -> Iterator[bytes]:
        """The content in pieces."""
        if self._compression == "gzip":
            return self._gzip()
        return self._xz() if self._compression == "xz" else self._input.rest()

    def _gzip(self) -> Iterator[bytes]:
        self._gzip_header()
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        start = self._input.position
        crc = size = 0
        pending = b""
        while not inflater.eof:
            if not pending:
                pending = next(self._input.rest(), b"")
            try:
                piece = inflater.decompress(pending, PIECE_BYTES)
            except zlib.error as error:
                raise MalformedError(f"gzip: does not unpack: {error}") from error
            if not piece and not pending:
                raise MalformedError("gzip: cut short")
            pending = inflater.unconsumed_tail
            crc, size = zlib.crc32(piece, crc), size + len(piece)
            self._budget.require(self._input.position - start, size)
            yield piece
        trailer = inflater.unused_data + b"".join(self._at_most(9 - len(inflater.unused_data)))
        if trailer != struct.pack("<II", crc, size & 0xFFFFFFFF):
            raise MalformedError("gzip: checksum or size is another, or something follows the stream")

    def _at_most(self, length: int) -> Iterator[bytes]:
        """The bytes left, as soon as there are ``length`` of them."""
        for piece in self._input.rest() if length > 0 else ():
            yield piece
            length -= len(piece)
            if length <= 0:
                return

    def _gzip_header(self) -> None:
        """RFC 1952 2.3; reserved flags must be zero (2.3.1.2)."""
        head = self._input.take(10)
        flags = head[3]
        if head[:3] != GZIP_MAGIC + b"\x08" or flags & 0xE0:
            raise MalformedError("gzip: no such header")
        if flags & _FEXTRA:
            self._input.take(int.from_bytes(self._input.take(2), "little"))
        for flag in (_FNAME, _FCOMMENT):
            if flags & flag:
                self._text()
        if flags & _FHCRC:
            self._input.take(2)

    def _text(self) -> None:
        for _ in range(MAX_HEADER_TEXT_BYTES):
            if self._input.take(1) == b"\0":
                return
        raise ResourceLimitError(f"gzip: a name of more than {MAX_HEADER_TEXT_BYTES} bytes")

    def _xz(self) -> Iterator[bytes]:
        decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY_BYTES)
        size = 0
        while not decoder.eof:
            pending = b""
            if decoder.needs_input:
                pending = next(self._input.rest(), b"")
                if not pending:
                    raise MalformedError("xz: cut short")
            try:
                piece = decoder.decompress(pending, PIECE_BYTES)
            except lzma.LZMAError as error:
                kind = ResourceLimitError if "emory" in str(error) else MalformedError
                raise kind(f"xz: does not unpack: {error}") from error
            size += len(piece)
            self._budget.require(self._input.position, size)
            yield piece
        if decoder.unused_data or not self._input.at_end():
            raise MalformedError("xz: something follows the stream")
