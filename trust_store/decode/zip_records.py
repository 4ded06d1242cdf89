"""Where the records of a zip archive lie that ``zip_directory`` has accepted: what signatures over parts of an archive are about."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from trust_store.decode.zip_directory import END_BYTES, LOCATOR_MAGIC
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from trust_store.decode.zip_directory import Directory, Member

_LENGTHS = struct.Struct("<HHH")
_LENGTHS_AT, _OFFSET_AT, CENTRAL_BYTES = 28, 42, 46
_ATTRIBUTES_AT = 38


@dataclass(frozen=True, slots=True)
class Record:
    """One member and its places, offsets in the file: its entry is [``start``, ``end``), local header to data descriptor.

    ``central`` is its record in the central directory as it stands, at ``central_start``.
    """

    member: Member
    start: int
    end: int
    central_start: int
    central: bytes

    @property
    def external_attributes(self) -> int:
        """APPNOTE 4.4.15."""
        return int.from_bytes(self.central[_ATTRIBUTES_AT : _ATTRIBUTES_AT + 4], "little")

    def moved(self, by: int) -> bytes:
        """The central record with the offset of the local header changed by ``by`` bytes; only where it has no zip64 offset."""
        offset = int.from_bytes(self.central[_OFFSET_AT:CENTRAL_BYTES], "little") + by
        return self.central[:_OFFSET_AT] + offset.to_bytes(4, "little") + self.central[CENTRAL_BYTES:]


def records_of(directory: Directory) -> tuple[Record, ...]:
    """Every member's record, in the order of the central directory, which is that of the entries."""
    found: list[Record] = []
    ends = [member.header_offset for member in directory.members[1:]] + [directory.start]
    position = 0
    for member, end in zip(directory.members, ends, strict=False):
        length = CENTRAL_BYTES + sum(_LENGTHS.unpack_from(directory.tail, position + _LENGTHS_AT))
        central = directory.tail[position : position + length]
        found.append(Record(member, member.header_offset, end, directory.start + position, central))
        position += length
    return tuple(found)


def end_record(directory: Directory) -> bytes:
    """The end record with the comment (APPNOTE 4.3.16)."""
    return directory.tail[len(directory.tail) - END_BYTES - len(directory.comment) :]


def is_zip64(directory: Directory) -> bool:
    """Whether there is a zip64 end record (APPNOTE 4.3.14)."""
    place = len(directory.tail) - END_BYTES - len(directory.comment) - 20
    return directory.tail[max(place, 0) : max(place, 0) + 4] == LOCATOR_MAGIC and place >= 0
