"""The version resource of a PE image ("PE Format", The .rsrc Section; Windows, VS_VERSIONINFO): which product and version it says it is."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trust_store.decode.containers import Bytes
    from trust_store.decode.pe import Image

RT_VERSION = 16
MAX_VERSION_BYTES = 64 * 1024
MAX_ENTRIES = 64
MAX_DEPTH = 4
_DIRECTORY = struct.Struct("<IIHHHH")
_ENTRY = struct.Struct("<II")
_BELOW = 0x80000000
_FIXED_SIGNATURE = 0xFEEF04BD
_NAMES = ("ProductName", "OriginalFilename", "InternalName")


@dataclass(frozen=True, slots=True)
class Version:
    """``product`` and ``file`` as the strings say, empty where they say nothing; ``number`` the product's version, dotted."""

    product: str
    file: str
    number: str


def read_version(source: Bytes, image: Image) -> Version | None:
    """What the image's first version resource says; None where there is none. Raises MalformedError or ResourceLimitError."""
    if image.resources is None:
        return None
    place = _find(source, image)
    if place is None:
        return None
    start, length = place
    if length > MAX_VERSION_BYTES:
        raise ResourceLimitError(f"PE: a version resource of {length} bytes")
    data = source.read_at(start, length)
    if len(data) < length:
        raise MalformedError("PE: the version resource lies outside the file")
    return _version(data)


def _find(source: Bytes, image: Image) -> tuple[int, int] | None:
    """File offset and length of the resource: a tree of type, name and language."""
    base = image.offset_of(image.resources or 0)
    at = base
    for level in range(3):
        found = next(_entries(source, at, RT_VERSION if level == 0 else None), None)
        if found is None:
            return None
        below = bool(found & _BELOW)
        if below != (level < 2):
            raise MalformedError("PE: a resource tree of another depth")
        at = base + (found & ~_BELOW)
    entry = source.read_at(at, 8)
    if len(entry) < 8:
        raise MalformedError("PE: a resource outside the file")
    address, length = _ENTRY.unpack(entry)
    return image.offset_of(address), length


def _entries(source: Bytes, at: int, wanted: int | None) -> Iterator[int]:
    """Where the entries of one directory point; of those with a number ``wanted`` alone, if it is given."""
    head = source.read_at(at, _DIRECTORY.size)
    if len(head) < _DIRECTORY.size:
        raise MalformedError("PE: a resource directory outside the file")
    named, numbered = _DIRECTORY.unpack(head)[4:6]
    count = min(named + numbered, MAX_ENTRIES)
    table = source.read_at(at + _DIRECTORY.size, count * _ENTRY.size)
    for position in range(0, len(table) - _ENTRY.size + 1, _ENTRY.size):
        number, offset = _ENTRY.unpack_from(table, position)
        if wanted is None or number == wanted:
            yield offset


def _version(data: bytes) -> Version:
    key, value, children, _ = _node(data, 0)
    if key != "VS_VERSION_INFO" or len(value) < 24:
        raise MalformedError("PE: the version resource is none")
    signature, _, _, _, high, low = struct.unpack_from("<IIIIII", value)
    if signature != _FIXED_SIGNATURE:
        raise MalformedError("PE: the version resource is none")
    number = f"{high >> 16}.{high & 0xFFFF}.{low >> 16}.{low & 0xFFFF}"
    found: dict[str, str] = {}
    _strings(data, children, found, 0)
    return Version(found.get("ProductName", ""), found.get("OriginalFilename") or found.get("InternalName", ""), number)


def _strings(data: bytes, where: tuple[int, int], found: dict[str, str], depth: int) -> None:
    """StringFileInfo, StringTable, String: the first value of each name counts."""
    position, end = where
    for _ in range(MAX_ENTRIES):
        if position + 6 > end or depth > MAX_DEPTH:
            return
        key, value, children, after = _node(data, position)
        if key in _NAMES and depth == MAX_DEPTH - 2:
            text = value.decode("utf-16-le", "replace").split("\0")[0].strip()
            found.setdefault(key, text[:200])
        elif key != "VarFileInfo":
            _strings(data, children, found, depth + 1)
        position = after + -after % 4


def _node(data: bytes, start: int) -> tuple[str, bytes, tuple[int, int], int]:
    """One block: its key, its value, where its children are, and where it ends."""
    if start + 6 > len(data):
        raise MalformedError("PE: the version resource is cut short")
    length, value_length, kind = struct.unpack_from("<HHH", data, start)
    end = start + length
    if length < 6 or end > len(data):
        raise MalformedError("PE: the version resource is cut short")
    at = start + 6
    close = at
    while close + 2 <= end and data[close : close + 2] != b"\0\0":
        close += 2
    key = data[at:close].decode("utf-16-le", "replace")
    value_at = close + 2
    value_at += -value_at % 4
    value_bytes = value_length * 2 if kind == 1 else value_length  # text is counted in characters
    value_end = min(value_at + value_bytes, end)
    return key, data[value_at:value_end], (value_end + -value_end % 4, end), end
