"""The one pass over an APK: entries in the order in which they lie, what lies between them, the signing block, the directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode.apk_archive import ENCRYPTED_FLAG
from trust_store.decode.member_bytes import MemberBytes
from trust_store.decode.zip_archive import unpack
from trust_store.decode.zip_directory import DESCRIPTOR_FLAG, LOCAL, LOCAL_MAGIC
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.formats.ranges import range_chunks
from trust_store.formats.streaming import SourceChangedError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trust_store.decode.apk_archive import APKArchive
    from trust_store.decode.zip_archive import MemberSink, Sequence
    from trust_store.decode.zip_directory import Member
    from trust_store.formats.protocol import PackageSource

_DESCRIPTOR_MAGIC = b"PK\x07\x08"
MAX_PADDING_ENTRY_BYTES = LOCAL.size + 65_535


class _From:
    """``decode.zip_archive.Sequence`` from some place of a source on."""

    def __init__(self, source: PackageSource, offset: int) -> None:
        self._source, self._offset = source, offset

    def take(self, length: int) -> bytes:
        """Exactly ``length`` bytes; raises MalformedError if the file ends before."""
        return b"".join(self.chunks(length))

    def chunks(self, length: int) -> Iterator[bytes]:
        """The next ``length`` bytes in pieces; raises MalformedError if the file ends before."""
        start, self._offset = self._offset, self._offset + length
        return range_chunks(self._source, start, self._offset)


def member_content(source: PackageSource, member: Member, max_bytes: int) -> bytes:
    """A member's content, read where it lies; raises MalformedError, and ResourceLimitError where it says to be longer."""
    if member.size > max_bytes:
        raise ResourceLimitError(f"{member.name[:80]!a} of {member.size} bytes")
    sequence = _From(source, member.header_offset)
    _local_header(sequence, member)
    sink = MemberBytes()
    unpack(sequence, member, sink)
    return sink.data


class _Counted:
    """A sequence that knows how much of it was taken."""

    def __init__(self, sequence: Sequence) -> None:
        self._sequence = sequence
        self.taken = 0

    def take(self, length: int) -> bytes:
        """Exactly ``length`` bytes."""
        self.taken += length
        return self._sequence.take(length)

    def chunks(self, length: int) -> Iterator[bytes]:
        """The next ``length`` bytes in pieces."""
        for piece in self._sequence.chunks(length):
            self.taken += len(piece)
            yield piece


@dataclass(frozen=True, slots=True)
class Walked:
    """``odd`` are ranges between entries that are more than padding, and local headers that contradict the central directory.

    ``damaged`` are members with a sink that do not unpack.

    ``contents`` are the ranges of the members' content as it lies, by name.
    """

    odd: tuple[tuple[int, int], ...]
    damaged: frozenset[str]
    contents: dict[str, tuple[int, int]]


def walk_apk(sequence: Sequence, archive: APKArchive, sink_of: Callable[[Member], MemberSink | None]) -> Walked:
    """Read the file from its first to its last byte.

    Raises MalformedError where entries overlap or a local header is of another name, SourceChangedError where the end is another by
    now.
    """
    odd: list[tuple[int, int]] = []
    damaged: set[str] = set()
    contents: dict[str, tuple[int, int]] = {}
    position = 0
    ends = [member.header_offset for member in archive.members[1:]] + [archive.entries_end]
    for member, end in zip(archive.members, ends, strict=False):
        if member.header_offset < position:
            raise MalformedError(f"zip: member {member.name[:80]!a} overlaps what lies before")
        _pass(sequence, position, member.header_offset, odd)
        length, agrees = _local_header(sequence, member)
        position = member.header_offset + length
        if not agrees:
            odd.append((member.header_offset, position))
        if position + member.compressed_size > end:
            raise MalformedError(f"zip: member {member.name[:80]!a} overlaps what follows")
        sink = sink_of(member)
        counted = _Counted(sequence)
        try:
            if sink is not None:
                unpack(counted, member, sink)
        except MalformedError:
            damaged.add(member.name)
        for _ in sequence.chunks(member.compressed_size - counted.taken):
            pass
        contents[member.name] = position, position + member.compressed_size
        position += member.compressed_size
        if member.flags & DESCRIPTOR_FLAG:
            position += _descriptor(sequence, member, end - position)
    if archive.entries_end < position:
        raise MalformedError("zip: the last member reaches into what follows")
    _pass(sequence, position, archive.entries_end, odd)
    block = archive.block.data if archive.block is not None else b""
    if sequence.take(len(block)) != block or sequence.take(len(archive.tail)) != archive.tail:
        raise SourceChangedError("the file changed while it was being read")
    return Walked(tuple(odd), frozenset(damaged), contents)


def _local_header(sequence: Sequence, member: Member) -> tuple[int, bool]:
    """Take the local header, which must be of the same name; returns its length in bytes, and whether sizes and checksum agree too.

    Android refuses an archive in which these differ (libziparchive, FindEntry), and reads no method here; whoever unpacks an archive
    from its start on goes by them.
    """
    magic, _, flags, _, _, _, crc, packed, size, name_bytes, extra_bytes = LOCAL.unpack(sequence.take(LOCAL.size))
    if magic != LOCAL_MAGIC or sequence.take(name_bytes) != member.raw_name:
        raise MalformedError(f"zip: the local header of {member.name[:80]!a} contradicts the central directory")
    sequence.take(extra_bytes)
    later = flags & DESCRIPTOR_FLAG  # sizes and checksum come after the content, and may be zero here (APPNOTE 4.4.4)
    pairs = zip((crc, packed, size), (member.crc32, member.compressed_size, member.size), strict=True)
    agrees = (
        not flags & ENCRYPTED_FLAG
        and later == member.flags & DESCRIPTOR_FLAG
        and all(here == there or (later and not here) for here, there in pairs)
    )
    return LOCAL.size + int(name_bytes) + int(extra_bytes), agrees


def _descriptor(sequence: Sequence, member: Member, room: int) -> int:
    """Take the data descriptor after a member's content (APPNOTE 4.3.9), which must say what the directory says."""
    values = b"".join(value.to_bytes(4, "little") for value in (member.crc32, member.compressed_size, member.size))
    if room < len(values):
        raise MalformedError(f"zip: no data descriptor after member {member.name[:80]!a}")
    found = sequence.take(len(values))
    if found == values:
        return len(values)
    if found[:4] != _DESCRIPTOR_MAGIC or room < len(values) + 4 or found[4:] + sequence.take(4) != values:
        raise MalformedError(f"zip: the data descriptor of {member.name[:80]!a} contradicts the central directory")
    return len(values) + 4


def _pass(sequence: Sequence, start: int, end: int, odd: list[tuple[int, int]]) -> None:
    """Take what lies between entries: zeros, or an entry without name and content, as writers reserve room; else it is odd."""
    if start >= end:
        return
    if end - start <= MAX_PADDING_ENTRY_BYTES:
        gap = sequence.take(end - start)
        # flags, method and everything from the checksum on are zero, but for the length of the extra field
        empty = gap[:4] == LOCAL_MAGIC and not (gap[6:10] + gap[14:28]).strip(b"\0") and not gap[30:].strip(b"\0")
        plain = empty or not gap.strip(b"\0")
    else:
        plain = True
        for chunk in sequence.chunks(end - start):
            plain = plain and not chunk.strip(b"\0")
    if not plain:
        odd.append((start, end))
