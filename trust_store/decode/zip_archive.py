"""The strict walk through a zip archive: every byte from offset 0 belongs to a member, the directory or the end record.

``read_directory`` reads the archive's end; ``walk`` then takes the whole file in order, once, and hands out member contents
from the same reads that the caller hashes. Local headers must say what the central directory says (APPNOTE 4.3.7), nothing
may lie between members, and the end must still be the one that was read.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Protocol

from trust_store.decode.zip_directory import (
    DEFLATED,
    DESCRIPTOR_FLAG,
    LOCAL,
    LOCAL_MAGIC,
    Directory,
    Member,
    may_hold,
    parse_extra,
    read_directory,
    recognises,
    zip64_values,
)
from trust_store.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Directory", "Member", "MemberSink", "Sequence", "may_hold", "read_directory", "recognises", "walk"]

_DESCRIPTOR_MAGIC = b"PK\x07\x08"
_FULL32 = 0xFFFFFFFF
_INFLATE_BYTES = 1024 * 1024


class Sequence(Protocol):
    """The file read from its start to its end."""

    def take(self, length: int) -> bytes:
        """Exactly ``length`` bytes; raises MalformedError if the file ends before."""
        ...

    def chunks(self, length: int) -> Iterator[bytes]:
        """The next ``length`` bytes in pieces; raises MalformedError if the file ends before."""
        ...


class MemberSink(Protocol):
    """Takes one member's unpacked content."""

    def update(self, data: bytes, /) -> None: ...


def walk(
    sequence: Sequence, directory: Directory, sink_of: Callable[[Member], MemberSink | None] | None = None
) -> None:
    """Read the archive from its first to its last byte.

    ``sink_of`` names who gets a member's unpacked content; members without a sink are not unpacked, their content is only
    passed by. Raises MalformedError.
    """
    ends = [member.header_offset for member in directory.members[1:]] + [directory.start]
    for member, end in zip(directory.members, ends, strict=False):
        header_bytes = _check_local_header(sequence, member)
        data_end = member.header_offset + header_bytes + member.compressed_size
        if data_end > end:
            raise MalformedError(f"zip: member {member.name[:80]!a} overlaps what follows")
        sink = sink_of(member) if sink_of else None
        if sink is None:
            for _ in sequence.chunks(member.compressed_size):
                pass
        else:
            unpack(sequence, member, sink)
        _check_descriptor(sequence.take(end - data_end) if end - data_end <= 24 else None, member)
    if sequence.take(len(directory.tail)) != directory.tail:
        raise MalformedError("zip: the central directory changed while the archive was being read")


def _check_local_header(sequence: Sequence, member: Member) -> int:
    """Compare the local header with the directory's entry; returns its length in bytes."""
    magic, _, flags, method, _, _, crc, packed, size, name_bytes, extra_bytes = LOCAL.unpack(sequence.take(LOCAL.size))
    raw_name: bytes = sequence.take(name_bytes) if magic == LOCAL_MAGIC else b""
    if (magic, raw_name, flags, method) != (LOCAL_MAGIC, member.raw_name, member.flags, member.method):
        raise MalformedError(f"zip: the local header of {member.name[:80]!a} contradicts the central directory")
    extra = parse_extra(sequence.take(extra_bytes), raw_name)
    if flags & DESCRIPTOR_FLAG and extra is not None and not any(extra) and _FULL32 not in (packed, size):
        extra = None  # a zip64 field that only announces the descriptor's width, with zeros (APPNOTE 4.3.9.2)
    size, packed = zip64_values(_local_zip64(extra, size, packed), ((size, _FULL32, 8), (packed, _FULL32, 8)))
    stated = (member.crc32, member.compressed_size, member.size)
    agrees = (crc, packed, size) == stated
    if flags & DESCRIPTOR_FLAG:  # what follows in the descriptor may be zero here (APPNOTE 4.4.4, bit 3)
        agrees = all(here in (0, there) for here, there in zip((crc, packed, size), stated, strict=True))
    if not agrees:
        raise MalformedError(f"zip: the local header of {member.name[:80]!a} contradicts the central directory")
    return LOCAL.size + int(name_bytes) + int(extra_bytes)


def _local_zip64(extra: bytes | None, size: int, packed: int) -> bytes | None:
    """The extra field, or None where neither size refers to it and it only repeats them (as some writers do)."""
    if extra is not None and _FULL32 not in (size, packed) and extra == struct.pack("<QQ", size, packed):
        return None
    return extra


def _check_descriptor(gap: bytes | None, member: Member) -> None:
    """What lies between content and the next header: nothing, or the data descriptor with the same values (APPNOTE 4.3.9)."""
    if gap == b"" and not member.flags & DESCRIPTOR_FLAG:
        return
    allowed: list[bytes] = []
    if member.flags & DESCRIPTOR_FLAG:
        values = (member.crc32, member.compressed_size, member.size)
        long = struct.pack("<IQQ", *values)
        allowed = [long, _DESCRIPTOR_MAGIC + long]
        if max(values[1:]) <= _FULL32:
            short = struct.pack("<III", *values)
            allowed += [short, _DESCRIPTOR_MAGIC + short]
    if gap not in allowed:
        raise MalformedError(f"zip: bytes after member {member.name[:80]!a} that belong to nothing")


def unpack(sequence: Sequence, member: Member, sink: MemberSink) -> None:
    """Feed the unpacked content to ``sink``; it must have exactly the stated size and CRC-32."""
    crc = size = 0
    for piece in _pieces(sequence, member):
        size += len(piece)
        if size > member.size:
            raise MalformedError(f"zip: member {member.name[:80]!a} unpacks to more than it says")
        crc = zlib.crc32(piece, crc)
        sink.update(piece)
    if (size, crc) != (member.size, member.crc32):
        raise MalformedError(f"zip: member {member.name[:80]!a} is not of the size or checksum it says")


def _pieces(sequence: Sequence, member: Member) -> Iterator[bytes]:
    if member.method != DEFLATED:
        yield from sequence.chunks(member.compressed_size)
        return
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for chunk in sequence.chunks(member.compressed_size):
            if inflater.eof:
                raise MalformedError(f"zip: bytes after the compressed data of {member.name[:80]!a}")
            pending = chunk
            while pending and not inflater.eof:
                yield inflater.decompress(pending, _INFLATE_BYTES)
                pending = inflater.unconsumed_tail
        while not inflater.eof:
            piece = inflater.decompress(inflater.unconsumed_tail, _INFLATE_BYTES)
            if not piece:
                break
            yield piece
    except zlib.error as error:
        raise MalformedError(f"zip: member {member.name[:80]!a} does not unpack: {error}") from error
    if not inflater.eof or inflater.unused_data:
        raise MalformedError(f"zip: the compressed data of {member.name[:80]!a} does not end where it says")
