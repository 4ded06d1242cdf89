"""Random access to a package that is certain to show the bytes that were hashed: for formats that cannot be read in order.

The package is read once, from start to end, for its SHA-256 and whatever other digests are wanted; the digest of every chunk is kept (32
bytes of each 256 KiB). Reads after that are compared with it: a file that somebody writes to meanwhile is unreadable, not something else.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING

from trust_store.formats.protocol import CHUNK_BYTES
from trust_store.formats.streaming import SHA256, PackageStream, SourceChangedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from trust_store.formats.protocol import PackageSource
    from trust_store.signatures.protocol import DigestRequest, DigestState

PIECE_BYTES = 256 * 1024
KEPT_PIECES = 16
"""At most 4 MiB are kept to be read again."""


class PinnedSource:
    """``PackageSource`` over a package that has been read to its end."""

    def __init__(self, source: PackageSource, requests: Iterable[DigestRequest] = ()) -> None:
        """Read ``source`` once; raises OSError, and UnsupportedError for a digest that there is not."""
        self._source = source
        self._digests: list[bytes] = []
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        stream = PackageStream(source, requests)
        left = source.size
        while left:
            data = stream.take(min(left, CHUNK_BYTES))
            left -= len(data)
            for start in range(0, len(data), PIECE_BYTES):
                self._digests.append(_digest(data[start : start + PIECE_BYTES]))
        self.states: Mapping[DigestRequest, DigestState] = stream.states
        self.sha256 = stream.sha256

    @property
    def size(self) -> int:
        """Bytes."""
        return self._source.size

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes from ``offset``, fewer only at the end; raises SourceChangedError where they are other ones by now."""
        if offset < 0 or length <= 0 or offset >= self.size:
            return b""
        end = min(offset + length, self.size)
        pieces = [self._piece(number) for number in range(offset // PIECE_BYTES, (end - 1) // PIECE_BYTES + 1)]
        start = offset % PIECE_BYTES
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return data[start : start + end - offset]

    def _piece(self, number: int) -> bytes:
        found = self._kept.get(number)
        if found is not None:
            self._kept.move_to_end(number)
            return found
        data = self._source.read_at(number * PIECE_BYTES, PIECE_BYTES)
        if _digest(data) != self._digests[number]:
            raise SourceChangedError("the file changed while it was being read")
        self._kept[number] = data
        if len(self._kept) > KEPT_PIECES:
            self._kept.popitem(last=False)
        return data


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


__all__ = ["SHA256", "PinnedSource"]
