"""CBOR (RFC 8949) from hostile bytes: one data item of definite lengths, small and shallow; floating-point numbers are not read."""

from __future__ import annotations

from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

MAX_DEPTH = 16
MAX_ITEMS = 8192
"""Data items in one, of every depth together."""
_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_SIMPLE_VALUES: dict[int, bool | None] = {20: False, 21: True, 22: None}
_FLOATS = (25, 26, 27)
_ONE_BYTE, _EIGHT_BYTES = 24, 27

Value = object
"""int, bytes, str, bool, None, list of values, dict from int, str or bytes to values, Tag."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A tagged value (3.4)."""

    number: int
    value: Value


def decode(data: bytes) -> Value:
    """The one data item that ``data`` is; raises MalformedError, UnsupportedError or ResourceLimitError, nothing else."""
    reader = _Reader(data)
    value = reader.value(0)
    if reader.at != len(data):
        raise MalformedError(f"CBOR: {len(data) - reader.at} bytes after the end")
    return value


def encode_bytes(data: bytes) -> bytes:
    """A byte string in its shortest form (4.2.1)."""
    return head(_BYTES, len(data)) + data


def encode_text(text: str) -> bytes:
    """A text string in its shortest form."""
    data = text.encode()
    return head(_TEXT, len(data)) + data


def encode_array(items: tuple[bytes, ...]) -> bytes:
    """An array of items that are encoded already."""
    return head(_ARRAY, len(items)) + b"".join(items)


def head(major: int, argument: int) -> bytes:
    """The initial bytes of a data item of this major type, as short as can be (3)."""
    if argument < _ONE_BYTE:
        return bytes([major << 5 | argument])
    power = next(p for p in range(4) if argument < 1 << (8 << p))
    return bytes([major << 5 | _ONE_BYTE + power]) + argument.to_bytes(1 << power, "big")


class _Reader:
    """What has been read so far."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._items = 0
        self.at = 0

    def value(self, depth: int) -> Value:
        """The next data item."""
        self._items += 1
        if depth > MAX_DEPTH or self._items > MAX_ITEMS:
            raise ResourceLimitError("CBOR: too deep, or too many items")
        initial = self._take(1)[0]
        major, argument = initial >> 5, self._argument(initial & 0x1F, initial >> 5)
        if major == _UNSIGNED:
            return argument
        if major == _NEGATIVE:
            return -1 - argument
        if major == _BYTES:
            return self._take(argument)
        if major == _TEXT:
            return self._text(argument)
        if major == _ARRAY:
            self._require(argument)
            return [self.value(depth + 1) for _ in range(argument)]
        if major == _MAP:
            return self._map(argument, depth)
        if major == _TAG:
            return Tag(argument, self.value(depth + 1))
        if argument not in _SIMPLE_VALUES or initial & 0x1F != argument:
            raise UnsupportedError(f"CBOR: the simple value {argument}")
        return _SIMPLE_VALUES[argument]

    def _argument(self, information: int, major: int) -> int:
        if information < _ONE_BYTE:
            return information
        if major == _SIMPLE and information in _FLOATS:
            raise UnsupportedError("CBOR: a floating-point number")
        if information > _EIGHT_BYTES:
            raise MalformedError("CBOR: an indefinite or a reserved length")
        return int.from_bytes(self._take(1 << information - _ONE_BYTE), "big")

    def _take(self, length: int) -> bytes:
        piece = self._data[self.at : self.at + length]
        if len(piece) != length:
            raise MalformedError("CBOR: cut short")
        self.at += length
        return piece

    def _text(self, length: int) -> str:
        try:
            return self._take(length).decode("utf-8")
        except UnicodeDecodeError as error:
            raise MalformedError("CBOR: a text that is not UTF-8") from error

    def _require(self, count: int) -> None:
        """Each item takes a byte at least."""
        if count > len(self._data) - self.at:
            raise MalformedError("CBOR: cut short")

    def _map(self, count: int, depth: int) -> dict[int | str | bytes, Value]:
        self._require(2 * count)
        found: dict[int | str | bytes, Value] = {}
        for _ in range(count):
            key = self.value(depth + 1)
            if not isinstance(key, int | str | bytes) or isinstance(key, bool):
                raise UnsupportedError("CBOR: a key that is neither number nor string")
            if key in found:
                raise MalformedError("CBOR: a key stands twice in one map")
            found[key] = self.value(depth + 1)
        return found
