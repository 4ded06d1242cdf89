"""The end records and the central directory of a zip archive (APPNOTE.TXT 4.3.12 to 4.3.16), read as strictly as can be.

Programs disagree about every looseness of this format: which end record counts, which of two equal names wins, where data
begins. What two of them could read in two ways is refused here as malformed.
"""

from __future__ import annotations

import stat
import struct
from typing import Protocol

from trust_store.decode.member_names import NameSet, decode_name
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

LOCAL_MAGIC, CENTRAL_MAGIC, END_MAGIC = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
END64_MAGIC, LOCATOR_MAGIC = b"PK\x06\x06", b"PK\x06\x07"
END_BYTES, LOCATOR_BYTES, END64_BYTES = 22, 20, 56
MAX_COMMENT_BYTES = 65_535
MAX_DEFLATE_RATIO = 1032
MAX_DIRECTORY_BYTES = 64 * 1024**2
STORED, DEFLATED = 0, 8
DESCRIPTOR_FLAG, UTF8_FLAG = 0x0008, 0x0800
_ENCRYPTION_FLAGS = 0x2041
_NEWEST_VERSION = 63  # APPNOTE 4.4.3.2, times ten; extractors refuse what is newer
_KNOWN_FLAGS = 0x080E
_ZIP64_EXTRA, _UNICODE_PATH_EXTRA, _AES_EXTRA = 0x0001, 0x7075, 0x9901
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_APK_BLOCK_MAGIC = b"APK Sig Block 42"
CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
LOCAL = struct.Struct("<4sHHHHHIIIHH")
_DOS_FOLDER = 0x10


class Bytes(Protocol):
    """Random access to the archive."""

    @property
    def size(self) -> int: ...

    def read_at(self, offset: int, length: int) -> bytes: ...


class ArchiveLimits(Protocol):
    """Caps, in members and bytes."""

    @property
    def max_members(self) -> int: ...
    @property
    def max_name_bytes(self) -> int: ...
    @property
    def max_member_ratio(self) -> int: ...
    @property
    def max_total_unpacked_bytes(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of the central directory; offsets and sizes in bytes, ``header_offset`` of its local header."""

    name: str
    raw_name: bytes
    flags: int
    method: int
    crc32: int
    compressed_size: int
    size: int
    header_offset: int

    @property
    def is_folder(self) -> bool:
        """Whether it is a directory entry (APPNOTE 4.3.6: its name ends with a slash)."""
        return self.name.endswith("/")


@dataclass(frozen=True, slots=True)
class Directory:
    """The archive's own account of itself. ``tail`` is everything from ``start`` to the end of the file."""

    members: tuple[Member, ...]
    start: int
    comment: bytes
    tail: bytes


@dataclass(frozen=True, slots=True)
class End:
    """What the end records say: ``offset`` of the short one, ``first`` of the first of them; the directory's place and size in bytes."""

    offset: int
    entries: int
    directory_size: int
    directory_offset: int
    first: int
    comment: bytes


def recognises(source: Bytes) -> bool:
    """Whether the bytes are a zip archive by content: a local header at the start, or an end record at the end."""
    return source.read_at(0, 4) == LOCAL_MAGIC or bool(_end_offsets(source))


def may_hold(source: Bytes, name: bytes, limits: ArchiveLimits) -> bool:
    """Whether ``name`` occurs in the central directory's bytes: a cheap no, and a yes that is to be looked into.

    Raises as ``read_directory`` does where there is no such directory.
    """
    end = find_end(source)
    return name in read_tail(source, end, limits)


def read_directory(source: Bytes, limits: ArchiveLimits) -> Directory:
    """Read end record and central directory; raises MalformedError, UnsupportedError or ResourceLimitError."""
    end = find_end(source)
    tail = read_tail(source, end, limits)
    members = _members(source, tail[: end.directory_size], end, limits)
    if not members and end.directory_offset != 0:
        raise MalformedError("zip: bytes before an empty central directory")
    _refuse_signing_block(source, end, members)
    return Directory(members, end.directory_offset, end.comment, tail)


def read_tail(source: Bytes, end: End, limits: ArchiveLimits) -> bytes:
    """Everything from the central directory to the end of the file; raises MalformedError or ResourceLimitError."""
    # contradictions come before caps: a number that cannot be true is damage, not size
    if end.directory_offset + end.directory_size != end.first or end.entries * CENTRAL.size > end.directory_size:
        raise MalformedError("zip: the central directory does not reach to its end record, or is too small")
    if end.entries > limits.max_members:
        raise ResourceLimitError(f"zip: {end.entries} members")
    if end.directory_size > MAX_DIRECTORY_BYTES:
        raise ResourceLimitError(f"zip: a central directory of {end.directory_size} bytes")
    tail = source.read_at(end.directory_offset, source.size - end.directory_offset)
    if len(tail) != source.size - end.directory_offset:
        raise MalformedError("zip: cut short")
    return tail


def _end_offsets(source: Bytes) -> list[int]:
    """Where an end record stands whose comment reaches exactly to the end of the file."""
    base = max(0, source.size - END_BYTES - MAX_COMMENT_BYTES)
    window = source.read_at(base, source.size - base)
    found: list[int] = []
    position = window.find(END_MAGIC)
    while position >= 0:
        record = window[position : position + END_BYTES]
        if len(record) == END_BYTES and position + END_BYTES + int.from_bytes(record[20:], "little") == len(window):
            found.append(base + position)
        position = window.find(END_MAGIC, position + 1)
    return found


def find_end(source: Bytes) -> End:
    """The one end record of the archive; raises MalformedError where there is none, or two that count."""
    offsets = _end_offsets(source)
    if not offsets:
        raise MalformedError("zip: no end record at the end; cut short, or something is appended")
    if len(offsets) > 1:
        raise MalformedError("zip: two end records, and programs differ in which one they take")
    offset = offsets[0]
    record = source.read_at(offset, source.size - offset)
    if END_MAGIC in record[4:]:
        raise MalformedError("zip: the mark of an end record occurs in the comment")
    disk, start_disk, here, entries, size, start, _ = struct.unpack_from("<HHHHIIH", record, 4)
    locator = source.read_at(max(0, offset - LOCATOR_BYTES), LOCATOR_BYTES) if offset >= LOCATOR_BYTES else b""
    if locator[:4] == LOCATOR_MAGIC:
        return _find_end64(source, offset, locator, (disk, start_disk, here, entries, size, start), record[END_BYTES:])
    if disk or start_disk or here != entries:
        raise MalformedError("zip: one part of an archive split over several disks")
    if entries == _FULL16 or _FULL32 in (size, start):
        raise MalformedError("zip: the end record refers to a zip64 record that is not there")
    return End(offset, entries, size, start, offset, record[END_BYTES:])


def _find_end64(
    source: Bytes, offset: int, locator: bytes, short: tuple[int, int, int, int, int, int], comment: bytes
) -> End:
    """The zip64 end record (APPNOTE 4.3.14), which must stand right before its locator and agree with the short one."""
    disk, place, disks = struct.unpack_from("<IQI", locator, 4)
    if disk or disks != 1:
        raise MalformedError("zip: one part of an archive split over several disks")
    if place + END64_BYTES + LOCATOR_BYTES != offset:
        raise MalformedError("zip: the zip64 end record is not where it must be")
    record = source.read_at(place, END64_BYTES)
    if len(record) != END64_BYTES or record[:4] != END64_MAGIC:
        raise MalformedError("zip: no zip64 end record where its locator points")
    length, _, _, disk, start_disk, here, entries, size, start = struct.unpack_from("<QHHIIQQQQ", record, 4)
    if length != END64_BYTES - 12 or disk or start_disk or here != entries:
        raise MalformedError("zip: a zip64 end record that contradicts itself")
    full = (_FULL16, _FULL16, _FULL16, _FULL16, _FULL32, _FULL32)
    long = (disk, start_disk, here, entries, size, start)
    if any(s not in (f, v) for s, f, v in zip(short, full, long, strict=True)):
        raise MalformedError("zip: the two end records contradict each other")
    return End(offset, entries, size, start, place, comment)


def _members(source: Bytes, directory: bytes, end: End, limits: ArchiveLimits) -> tuple[Member, ...]:
    members: list[Member] = []
    names = NameSet()
    position = previous = total = 0
    for index in range(end.entries):
        try:
            member, position = _member(directory, position, limits)
        except (UnsupportedError, ResourceLimitError):
            _refuse_contradiction(source, directory, position)
            raise
        if (member.header_offset < previous) if index else member.header_offset != 0:
            raise MalformedError("zip: members out of order, or something before the first")
        previous = member.header_offset + 1
        total += member.size
        if total > limits.max_total_unpacked_bytes:
            raise ResourceLimitError(f"zip: unpacks to more than {limits.max_total_unpacked_bytes} bytes")
        names.add(member.name)
        if not member.flags & UTF8_FLAG and not member.raw_name.isascii():
            names.add(member.raw_name.decode("cp437"))  # what it is to programs that go by the flag (APPNOTE D.1)
        members.append(member)
    if position != len(directory):
        raise MalformedError("zip: the central directory holds more than its members")
    names.check()
    return tuple(members)


def _member(directory: bytes, position: int, limits: ArchiveLimits) -> tuple[Member, int]:
    if len(directory) - position < CENTRAL.size:
        raise MalformedError("zip: the central directory is cut short")
    (magic, made, needed, flags, method, _, _, crc, packed, size, name_bytes, extra_bytes, comment_bytes, disk, _, attributes,
     offset) = CENTRAL.unpack_from(directory, position)  # fmt: skip
    start = position + CENTRAL.size
    end = start + name_bytes + extra_bytes + comment_bytes
    if magic != CENTRAL_MAGIC or end > len(directory):
        raise MalformedError("zip: the central directory is broken")
    raw_name = directory[start : start + name_bytes]
    extra = parse_extra(directory[start + name_bytes : start + name_bytes + extra_bytes], raw_name)
    size, packed, offset, disk = zip64_values(
        extra, ((size, _FULL32, 8), (packed, _FULL32, 8), (offset, _FULL32, 8), (disk, _FULL16, 4))
    )
    if disk:
        raise MalformedError("zip: one part of an archive split over several disks")
    if needed & 0xFF > _NEWEST_VERSION:
        raise MalformedError(f"zip: a member for version {needed & 0xFF} of the format, which does not exist")
    check_flags(flags, method)
    name = decode_name(raw_name, max_bytes=limits.max_name_bytes)
    member = Member(name, raw_name, flags, method, crc, packed, size, offset)
    _check_kind(member, made, attributes)
    if size > MAX_DEFLATE_RATIO * (packed + 1):  # no deflated data unpacks to so much
        raise MalformedError(f"zip: member {name[:80]!a} cannot unpack to {size} bytes from {packed}")
    if size > limits.max_member_ratio * max(packed, 1):
        raise ResourceLimitError(f"zip: member {name[:80]!a} unpacks to {size} bytes from {packed}")
    return member, end


def _refuse_contradiction(source: Bytes, directory: bytes, position: int) -> None:
    """Raise MalformedError where the local header says otherwise: then the entry is damaged, not merely unsupported."""
    fields = CENTRAL.unpack_from(directory, position)
    header = source.read_at(fields[16], LOCAL.size)
    if len(header) != LOCAL.size:
        raise MalformedError("zip: a member that is not there")
    local = LOCAL.unpack(header)
    # magic, flags, method, length of the name
    if (local[0], local[2], local[3], local[9]) != (LOCAL_MAGIC, fields[3], fields[4], fields[10]):
        raise MalformedError("zip: a local header contradicts the central directory")


def check_flags(flags: int, method: int) -> None:
    """Raise UnsupportedError for encryption and other methods than stored and deflated, MalformedError for unknown flags."""
    if flags & _ENCRYPTION_FLAGS:
        raise UnsupportedError("zip: an encrypted member")
    if flags & ~_KNOWN_FLAGS:
        raise MalformedError(f"zip: unknown member flags {flags:#06x}")
    if method not in (STORED, DEFLATED):
        raise UnsupportedError(f"zip: compression method {method}")


def parse_extra(extra: bytes, raw_name: bytes) -> bytes | None:
    """The zip64 extra field's content or None (APPNOTE 4.5); zero padding, as zipalign writes it, is passed over."""
    zip64: bytes | None = None
    position = 0
    end = len(extra.rstrip(b"\0"))
    while position < end:
        if len(extra) - position < 4:
            raise MalformedError("zip: a broken extra field")
        kind, length = struct.unpack_from("<HH", extra, position)
        content = extra[position + 4 : position + 4 + length]
        position += 4 + length
        if position > len(extra):
            raise MalformedError("zip: a broken extra field")
        if kind == _ZIP64_EXTRA:
            if zip64 is not None:
                raise MalformedError("zip: two zip64 extra fields")
            zip64 = content
        elif kind == _AES_EXTRA:
            raise UnsupportedError("zip: an encrypted member")
        elif kind == _UNICODE_PATH_EXTRA and content[5:] != raw_name:
            raise MalformedError("zip: a member with a second, different name")
    return zip64


def zip64_values(extra: bytes | None, fields: tuple[tuple[int, int, int], ...]) -> tuple[int, ...]:
    """The true values of ``fields`` (value, sentinel, width in bytes), from the zip64 extra field where it says so (4.5.3)."""
    values: list[int] = []
    rest = extra or b""
    for value, sentinel, width in fields:
        if value != sentinel:
            values.append(value)
            continue
        if extra is None or len(rest) < width:
            raise MalformedError("zip: a size is said to stand in a zip64 field, and does not")
        values.append(int.from_bytes(rest[:width], "little"))
        rest = rest[width:]
    if rest:
        raise MalformedError("zip: a zip64 extra field with more than it should hold")
    return tuple(values)


def _check_kind(member: Member, made: int, attributes: int) -> None:
    """Only regular files and directories, and both ways of saying so must agree."""
    kind = stat.S_IFMT(attributes >> 16)
    unix = made >> 8 in (3, 19)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise MalformedError(f"zip: member {member.name[:80]!a} is a link, device or the like")
    folder = kind == stat.S_IFDIR or (attributes & _DOS_FOLDER and not (unix and kind))
    if (folder and not member.is_folder) or (member.is_folder and kind == stat.S_IFREG):
        raise MalformedError(
            f"zip: member {member.name[:80]!a} is a file by name and a folder by attributes, or the reverse"
        )
    if member.is_folder and (member.size or member.compressed_size > 2):
        raise MalformedError(f"zip: folder {member.name[:80]!a} has content")
    if member.method == STORED and member.size != member.compressed_size:
        raise MalformedError(f"zip: stored member {member.name[:80]!a} with two sizes")


def _refuse_signing_block(source: Bytes, end: End, members: tuple[Member, ...]) -> None:
    """An APK Signing Block is legitimate and not understood here: say so rather than call it a gap."""
    if members and end.directory_offset >= 16 and source.read_at(end.directory_offset - 16, 16) == _APK_BLOCK_MAGIC:
        raise UnsupportedError("zip: carries an APK Signing Block, which is not supported")
