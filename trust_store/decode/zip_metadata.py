"""What a zip archive says beyond the names and contents of its members: no signature over members covers it, and the walk binds the rest.

Free are versions, times, attributes (regular file or folder, which ``zip_directory`` holds to), extra fields (of which it reads the ones
that matter), comments, and the bits after the end of a deflated stream. Everything else in a header must say what the content is.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from trust_store.decode.zip_directory import DEFLATED, DESCRIPTOR_FLAG, END64_BYTES, END_BYTES, LOCAL, LOCATOR_BYTES
from trust_store.decode.zip_records import CENTRAL_BYTES, is_zip64, records_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator
    from typing import Protocol

    from trust_store.decode.zip_directory import Directory
    from trust_store.decode.zip_records import Record

    class Bytes(Protocol):
        """The archive."""

        def read_at(self, offset: int, length: int) -> bytes: ...


MAX_LISTED_MEMBERS = 1024
"""Of a larger archive the fields are not listed one by one: the central directory stands for them."""
_LENGTHS = struct.Struct("<HHH")
_VERSIONS_END = 6


def free_ranges(source: Bytes, directory: Directory, *, unsigned: Container[str] = ()) -> tuple[tuple[int, int], ...]:
    """[start, end) of all that no signature over members covers, in order and joined; contents of members in ``unsigned`` too.

    ``directory`` is of an archive that was walked, ``source`` the same bytes.
    """
    records = records_of(directory)
    found: list[tuple[int, int]] = []
    if len(records) > MAX_LISTED_MEMBERS:
        found.append((directory.start, directory.start + len(directory.tail)))
        found += [_data(source, r) for r in records if r.member.name in unsigned]
        return _joined(found)
    for record in records:
        found += _local(source, record, unsigned=record.member.name in unsigned)
        found += _central(record)
    end = directory.start + len(directory.tail)
    comment = end - len(directory.comment)
    found.append((comment - 2, end))  # with its length, which must be that of what follows
    if is_zip64(directory):
        record64 = comment - END_BYTES - LOCATOR_BYTES - END64_BYTES
        found.append((record64 + 12, record64 + 16))  # versions
    return _joined(found)


def _local(source: Bytes, record: Record, *, unsigned: bool) -> Iterator[tuple[int, int]]:
    start = record.start
    header = LOCAL.unpack(source.read_at(start, LOCAL.size))
    data = start + LOCAL.size + int(header[-2]) + int(header[-1])
    yield start + 4, start + _VERSIONS_END
    yield start + 10, start + 14  # time and date
    if record.member.flags & DESCRIPTOR_FLAG:
        yield start + 14, start + 26  # checksum and sizes, which may be zero where a descriptor states them
    yield data - int(header[-1]), data  # extra fields
    end = data + record.member.compressed_size
    if unsigned:
        yield data, end
    elif record.member.method == DEFLATED and end > data:
        yield end - 1, end


def _data(source: Bytes, record: Record) -> tuple[int, int]:
    header = LOCAL.unpack(source.read_at(record.start, LOCAL.size))
    data = record.start + LOCAL.size + int(header[-2]) + int(header[-1])
    return data, data + record.member.compressed_size


def _central(record: Record) -> Iterator[tuple[int, int]]:
    start = record.central_start
    name, _, _ = _LENGTHS.unpack_from(record.central, 28)
    yield start + 4, start + 8  # versions made by and needed
    yield start + 12, start + 16  # time and date
    yield start + 36, start + 42  # attributes
    yield start + CENTRAL_BYTES + int(name), start + len(record.central)  # extra fields and comment


def _joined(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    found: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if start >= end:
            continue
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return tuple(found)
