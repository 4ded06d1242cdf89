"""Reads before the one pass over a package, and the proof that it met the same bytes: for formats whose headers say what to digest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.formats.streaming import SourceChangedError

if TYPE_CHECKING:
    from trust_store.formats.protocol import PackageSource
    from trust_store.formats.streaming import PackageStream
    from trust_store.signatures.protocol import DigestState

MAX_READS = 4096


class LookedAt:
    """``PackageSource`` that remembers what it showed, and ``DigestState`` that compares it with the bytes of the pass."""

    def __init__(self, source: PackageSource) -> None:
        self._source = source
        self._shown: dict[int, bytes] = {}
        self._position = 0
        self._changed = False

    @property
    def size(self) -> int:
        """Bytes."""
        return self._source.size

    def read_at(self, offset: int, length: int) -> bytes:
        """As the source; what is shown is kept until the pass is over."""
        data = self._source.read_at(offset, length)
        if len(data) > len(self._shown.get(offset, b"")):
            if len(self._shown) >= MAX_READS:
                raise SourceChangedError("too many reads before the pass")
            self._shown[offset] = data
        return data

    def update(self, data: bytes, /) -> None:
        """Take the next piece of the pass."""
        start, end = self._position, self._position + len(data)
        self._position = end
        for offset, shown in self._shown.items():
            first, last = max(offset, start), min(offset + len(shown), end)
            if first < last and shown[first - offset : last - offset] != data[first - start : last - start]:
                self._changed = True

    def copy(self) -> DigestState:
        """Itself: it stands for no digest."""
        return self

    def digest(self) -> bytes:
        """Nothing; raises SourceChangedError where the pass met other bytes."""
        if self._changed:
            raise SourceChangedError("the file changed while it was being read")
        return b""

    def pass_over(self, stream: PackageStream) -> None:
        """Read ``stream`` to its end; raises SourceChangedError where it met other bytes than were looked at."""
        stream.read_to_end()
        self.digest()
