"""Where the records of a zip archive lie that ``zip_directory`` has accepted: what signatures over parts of an archive are about."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from trust_store.decode.zip_directory import END64_BYTES, END_BYTES, LOCAL, LOCATOR_BYTES, LOCATOR_MAGIC
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from trust_store.decode.zip_directory import Bytes, Directory, Member

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

    def content_start(self, source: Bytes) -> int:
        """Where the member's content begins: after its local header, name and extra field."""
        header = LOCAL.unpack(source.read_at(self.start, LOCAL.size))
        return self.start + LOCAL.size + int(header[-2]) + int(header[-1])

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
    place = len(directory.tail) - END_BYTES - len(directory.comment) - LOCATOR_BYTES
    return place >= 0 and directory.tail.startswith(LOCATOR_MAGIC, place)


def end_records_without(directory: Directory, last: Record) -> bytes:
    """The end records as they would be without ``last``, the archive's last member, in the form in which app packages digest them.

    The short record's disk numbers are zero there, also where a zip64 one stands beside it; values that it leaves to that one stay so.
    """
    size = len(directory.tail) - len(end_record(directory)) - len(last.central)
    long = b""
    if is_zip64(directory):
        size -= END64_BYTES + LOCATOR_BYTES
        start = len(directory.tail) - len(end_record(directory)) - END64_BYTES - LOCATOR_BYTES
        record, locator = (
            directory.tail[start : start + END64_BYTES],
            directory.tail[start + END64_BYTES :][:LOCATOR_BYTES],
        )
        count = len(directory.members) - 1
        long = record[:24] + struct.pack("<QQQQ", count, count, size, last.start)
        long += locator[:8] + struct.pack("<Q", last.start + size) + locator[16:]
    end = end_record(directory)
    values = struct.unpack_from("<HHII", end, 8)
    wanted = (len(directory.members) - 1, len(directory.members) - 1, size, last.start)
    limits = (0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
    kept = [value if long and value == limit else new for value, new, limit in zip(values, wanted, limits, strict=True)]
    return long + end[:4] + bytes(4) + struct.pack("<HHII", *kept) + end[20:]
