"""A digest over a file without some of its ranges, fed with the whole of it in order: what one pass over a large package takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.formats.streaming import new_state
from trust_store.signatures.protocol import DigestRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trust_store.signatures.protocol import DigestState


class SkippingState:
    """``DigestState`` that leaves out ``skipped`` ranges (start, end), which are in order and apart; raises UnsupportedError."""

    def __init__(self, algorithm: str, skipped: Iterable[tuple[int, int]]) -> None:
        self._state = new_state(DigestRequest(algorithm))
        self._skipped = [(start, end) for start, end in skipped if start < end]
        self._position = 0

    def update(self, data: bytes, /) -> None:
        """Take the next piece of the file."""
        start, end = self._position, self._position + len(data)
        self._position = end
        at = start
        while self._skipped and self._skipped[0][0] < end:
            skip_start, skip_end = self._skipped[0]
            if skip_start > at:
                self._state.update(data[at - start : skip_start - start])
            at = max(at, min(skip_end, end))
            if skip_end > end:
                break
            self._skipped.pop(0)
        if at < end and not (self._skipped and self._skipped[0][0] < end):
            self._state.update(data[at - start :] if at > start else data)

    def copy(self) -> DigestState:
        """The digest so far, without what it would still leave out."""
        return self._state.copy()

    def digest(self) -> bytes:
        """The digest of what was taken."""
        return self._state.digest()
