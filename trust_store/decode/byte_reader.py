"""Bytes that come in pieces, taken in order and once: what a strict walk through a tar or cpio archive reads from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Iterator


class ByteReader:
    """The pieces of an iterator as one sequence of bytes; ``position`` is how many have been taken."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._buffer = b""
        self._at = 0
        self.position = 0

    def take(self, length: int) -> bytes:
        """Exactly ``length`` bytes; raises MalformedError if there are fewer left."""
        if length <= len(self._buffer) - self._at:
            piece = self._buffer[self._at : self._at + length]
            self._at += length
            self.position += length
            return piece
        return b"".join(self.chunks(length))

    def chunks(self, length: int) -> Iterator[bytes]:
        """The next ``length`` bytes in pieces; raises MalformedError if there are fewer left."""
        while length > 0:
            if self._at == len(self._buffer) and not self._fill():
                raise MalformedError("the archive ends before what it describes does")
            piece = self._buffer[self._at : self._at + length]
            self._at += len(piece)
            self.position += len(piece)
            length -= len(piece)
            yield piece

    def rest(self) -> Iterator[bytes]:
        """All that is left."""
        while self._at < len(self._buffer) or self._fill():
            piece = self._buffer[self._at :]
            self._at = len(self._buffer)
            self.position += len(piece)
            yield piece

    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self._at == len(self._buffer) and not self._fill()

    def _fill(self) -> bool:
        self._at = 0
        for piece in self._pieces:
            if piece:
                self._buffer = piece
                return True
        self._buffer = b""
        return False
