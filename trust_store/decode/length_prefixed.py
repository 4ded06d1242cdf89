"""Little-endian, length-prefixed bytes as APK signatures are made of: a cursor that never runs past the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.errors import MalformedError, ResourceLimitError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_ELEMENTS = 4096


class LengthPrefixed:
    """A cursor over ``data``; every method raises MalformedError where there are fewer bytes than it takes. ``what`` is named in it."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data, self._what, self._position = data, what, 0

    @property
    def left(self) -> int:
        """Bytes that have not been taken."""
        return len(self._data) - self._position

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        if count > self.left:
            raise MalformedError(f"{self._what} is cut short")
        taken = self._data[self._position : self._position + count]
        self._position += count
        return taken

    def number(self, width: int = 4) -> int:
        """An unsigned number of ``width`` bytes."""
        return int.from_bytes(self.take(width), "little")

    def prefixed(self) -> bytes:
        """Bytes after their length (u32)."""
        return self.take(self.number())

    def inside(self) -> LengthPrefixed:
        """A cursor over bytes after their length."""
        return LengthPrefixed(self.prefixed(), self._what)

    def sequence(self) -> Iterator[bytes]:
        """Every length-prefixed element of a length-prefixed sequence; raises ResourceLimitError beyond MAX_ELEMENTS."""
        return self.inside().elements()

    def elements(self) -> Iterator[bytes]:
        """Every length-prefixed element that is left."""
        count = 0
        while self.left:
            count += 1
            if count > MAX_ELEMENTS:
                raise ResourceLimitError(f"{self._what} holds more than {MAX_ELEMENTS} elements")
            yield self.prefixed()

    def finish(self) -> None:
        """Raise MalformedError unless everything has been taken."""
        if self.left:
            raise MalformedError(f"{self._what} holds more than it says")
