"""A package that can be read anywhere, read from its start to its end: what the strict walk of a zip archive takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.formats.protocol import CHUNK_BYTES
from trust_store.formats.ranges import range_chunks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trust_store.formats.protocol import PackageSource


class SourceSequence:
    """``decode.zip_archive.Sequence`` over a ``PackageSource``, without a digest of its own."""

    def __init__(self, source: PackageSource) -> None:
        self._source = source
        self._position = 0
        self._buffer = b""
        self._at = 0

    def take(self, length: int) -> bytes:
        """Exactly ``length`` bytes; raises MalformedError if the file ends before."""
        return b"".join(self.chunks(length))

    def chunks(self, length: int) -> Iterator[bytes]:
        """The next ``length`` bytes in pieces of at most CHUNK_BYTES; raises MalformedError if the file ends before."""
        while length > 0:
            if self._at == len(self._buffer):
                self._fill()
            piece = self._buffer[self._at : self._at + length]
            self._at += len(piece)
            length -= len(piece)
            yield piece

    def _fill(self) -> None:
        end = max(min(self._position + CHUNK_BYTES, self._source.size), self._position + 1)
        self._buffer = next(iter(range_chunks(self._source, self._position, end)))
        self._at = 0
        self._position += len(self._buffer)
