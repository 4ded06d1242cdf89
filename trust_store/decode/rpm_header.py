"""The header structure of RPM packages (rpm's ``docs/manual/format_header.md``): an index of tags and the data that it points into.

::

    8e ad e8 01  00 00 00 00        magic, version 1, reserved
    u32 entries  u32 data bytes     big-endian, like every number here
    entries x (u32 tag, u32 type, u32 offset, u32 count)
    data

The first entry of a signature header or main header is a *region*: it says which entries were there when the header was made. One that
does not span everything lets somebody add entries that no signature covers, and is refused, as rpm does (``hdrblobVerifyRegion``).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

MAGIC = b"\x8e\xad\xe8\x01\0\0\0\0"
INTRO_BYTES = 16
MAX_ENTRIES = 65_535
MAX_DATA_BYTES = 64 * 1024 * 1024
MAX_STRINGS = 64
"""Of one value that is read; what is only walked may have as many as there is data."""

HEADER_IMAGE, HEADER_SIGNATURES, HEADER_IMMUTABLE = 61, 62, 63
_FIRST_TAG = 100
_ENTRY = struct.Struct(">IIiI")
_STRING, _BINARY, _STRING_ARRAY, _TRANSLATED = 6, 7, 8, 9
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, _BINARY: 1}
_TEXTS = frozenset({_STRING, _STRING_ARRAY, _TRANSLATED})
_INTEGERS = {2: 1, 3: 2, 4: 4, 5: 8}
_TRAILER_BYTES = 16


@dataclass(frozen=True, slots=True)
class HeaderEntry:
    """One entry of the index: ``offset`` in bytes from the start of the data, ``end`` where the next entry's data may begin."""

    tag: int
    type: int
    offset: int
    count: int
    end: int


@dataclass(frozen=True, slots=True)
class RpmHeader:
    """One header: ``blob`` with its magic, which is what header signatures are over. ``region`` is None in packages before rpm 4."""

    blob: bytes
    region: int | None
    data_start: int
    entries: Mapping[int, HeaderEntry]
    repeated: frozenset[int]

    def has(self, tag: int) -> bool:
        """Whether there is such an entry."""
        return tag in self.entries

    def strings(self, tag: int) -> tuple[bytes, ...]:
        """The strings of a tag, () where it is not there; raises MalformedError for another type and a tag that occurs twice."""
        entry = self._entry(tag, _TEXTS)
        if entry is None:
            return ()
        if entry.count > MAX_STRINGS:
            raise ResourceLimitError(f"rpm: tag {tag} with {entry.count} strings")
        return tuple(self._data(entry).split(b"\0", entry.count)[: entry.count])

    def string(self, tag: int) -> bytes | None:
        """The first string of a tag; raises like ``strings``."""
        return next(iter(self.strings(tag)), None)

    def binary(self, tag: int) -> bytes | None:
        """The octets of a tag; raises MalformedError for another type and a tag that occurs twice."""
        entry = self._entry(tag, frozenset({_BINARY}))
        return None if entry is None else self._data(entry)[: entry.count]

    def integer(self, tag: int) -> int | None:
        """The first number of a tag; raises MalformedError for another type and a tag that occurs twice."""
        entry = self._entry(tag, frozenset(_INTEGERS))
        return None if entry is None else int.from_bytes(self._data(entry)[: _INTEGERS[entry.type]], "big")

    def _entry(self, tag: int, types: frozenset[int]) -> HeaderEntry | None:
        if tag in self.repeated:
            raise MalformedError(f"rpm: tag {tag} occurs twice")
        entry = self.entries.get(tag)
        if entry is not None and entry.type not in types:
            raise MalformedError(f"rpm: tag {tag} is of type {entry.type}")
        return entry

    def _data(self, entry: HeaderEntry) -> bytes:
        return self.blob[self.data_start + entry.offset : self.data_start + entry.end]


def header_bytes(intro: bytes) -> int:
    """Length in bytes of the header that begins with the 16 bytes of ``intro``; raises MalformedError or ResourceLimitError."""
    if len(intro) < INTRO_BYTES or not intro.startswith(MAGIC):
        raise MalformedError("rpm: a header that does not begin with its magic")
    entries, data = int.from_bytes(intro[8:12], "big"), int.from_bytes(intro[12:16], "big")
    if entries > MAX_ENTRIES or data > MAX_DATA_BYTES:
        raise ResourceLimitError(f"rpm: a header with {entries} entries and {data} bytes")
    return INTRO_BYTES + entries * _ENTRY.size + data


def parse_header(blob: bytes, region: int) -> RpmHeader:
    """The header that ``blob`` is; ``region`` is the tag that its first entry has to have (62 or 63), if any region is there.

    Raises MalformedError for everything that ``hdrblobInit`` of rpm refuses in a package: a region that does not span the whole header, a
    second region, data out of order, overlapping, not aligned or outside; ResourceLimitError above the caps.
    """
    if header_bytes(blob[:INTRO_BYTES]) != len(blob):
        raise MalformedError("rpm: a header of another length than it says")
    count = int.from_bytes(blob[8:12], "big")
    start = INTRO_BYTES + count * _ENTRY.size
    length = len(blob) - start
    index = [_ENTRY.unpack_from(blob, INTRO_BYTES + number * _ENTRY.size) for number in range(count)]
    if not index:
        raise MalformedError("rpm: an empty header")
    has_region = HEADER_IMAGE <= index[0][0] <= HEADER_IMMUTABLE
    if has_region:
        _require_region(index[0], region, blob, start, count)
        length -= _TRAILER_BYTES
    entries: dict[int, HeaderEntry] = {}
    repeated: set[int] = set()
    rest = index[1:] if has_region else index
    ends = [entry[2] for entry in rest[1:]] + [length]
    for (tag, kind, offset, items), end in zip(rest, ends, strict=True):
        entry = HeaderEntry(tag, kind, offset, items, end)
        _require_data(entry, blob, start, length)
        if tag in entries:
            repeated.add(tag)
        entries.setdefault(tag, entry)
    return RpmHeader(blob, region if has_region else None, start, entries, frozenset(repeated))


def _require_region(first: tuple[int, int, int, int], region: int, blob: bytes, start: int, count: int) -> None:
    """The first entry points at a trailer in the last 16 bytes, which says that the region has every entry."""
    tag, kind, offset, items = first
    length = len(blob) - start
    if tag != region or kind != _BINARY or items != _TRAILER_BYTES:
        raise MalformedError("rpm: a header that begins with another region than it should")
    if length < _TRAILER_BYTES or offset != length - _TRAILER_BYTES:
        raise MalformedError("rpm: the region does not span the whole header")
    trailer_tag, trailer_kind, back, trailer_items = _ENTRY.unpack_from(blob, start + offset)
    # rpm up to 4.0 ends the region of a signature header with the tag of an older one
    tags = (region, HEADER_IMAGE) if region == HEADER_SIGNATURES else (region,)
    if trailer_tag not in tags or trailer_kind != _BINARY or trailer_items != _TRAILER_BYTES:
        raise MalformedError("rpm: the region has no end")
    if back != -count * _ENTRY.size:
        raise MalformedError("rpm: the region does not span the whole header")


def _require_data(entry: HeaderEntry, blob: bytes, start: int, length: int) -> None:
    """Whether the data of ``entry`` is what it says and ends before the next entry's begins."""
    if entry.tag < _FIRST_TAG:
        raise MalformedError(f"rpm: tag {entry.tag} has no place in the index")
    size = _SIZES.get(entry.type)
    if size is None and entry.type not in _TEXTS:
        raise MalformedError(f"rpm: tag {entry.tag} is of type {entry.type}")
    if entry.count == 0 or not 0 <= entry.offset < entry.end <= length:
        raise MalformedError(f"rpm: the data of tag {entry.tag} is empty, out of order or outside the header")
    if size is None:
        if entry.type == _STRING and entry.count != 1:
            raise MalformedError(f"rpm: tag {entry.tag} is one string and says {entry.count}")
        fits = blob.count(0, start + entry.offset, start + entry.end) >= entry.count
    else:
        if entry.type in _INTEGERS and entry.offset % size:
            raise MalformedError(f"rpm: the data of tag {entry.tag} is not aligned")
        fits = size * entry.count <= entry.end - entry.offset
    if not fits:
        raise MalformedError(f"rpm: the data of tag {entry.tag} runs into what comes after it")
