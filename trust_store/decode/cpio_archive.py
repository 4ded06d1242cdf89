"""The strict walk through a cpio archive in the "new ASCII" forms (cpio(5): ``newc`` 070701, ``crc`` 070702), as SWUpdate reads them.

Each member is a header of 110 characters, its name with a NUL, padding to 4, its content, padding to 4; ``TRAILER!!!`` ends the archive.
Padding is of zeros, and after the end there is nothing but zeros.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Protocol

from trust_store.decode.member_names import NameSet, decode_name
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

    from trust_store.decode.byte_reader import ByteReader

NEWC, CRC = b"070701", b"070702"
HEADER_BYTES = 110
TRAILER = b"TRAILER!!!"
MAX_NAME_BYTES = 4096
_REGULAR = 0o100000
_KIND = 0o170000
_HEX = re.compile(rb"[0-9A-Fa-f]{104}")
_SUMMED = 256
"""So many bytes add up to less than Adler-32's modulus: its low half is then their sum and one."""


class MemberSink(Protocol):
    """Takes one member's content."""

    def update(self, data: bytes, /) -> None: ...


@dataclass(frozen=True, slots=True)
class CpioMember:
    """One file: its name, size in bytes, and where its header and its content start in the archive."""

    name: str
    size: int
    header_offset: int
    data_offset: int
    is_file: bool = True


@dataclass(frozen=True, slots=True)
class CpioArchive:
    """The members in their order, where the trailer begins, and where the zeros after it end."""

    members: tuple[CpioMember, ...]
    trailer_offset: int
    end: int


def walk(
    reader: ByteReader, sink_of: Callable[[CpioMember], MemberSink | None] | None = None, *, max_members: int = 65_535
) -> CpioArchive:
    """Read the archive to its last byte; raises MalformedError or ResourceLimitError.

    ``sink_of`` names who gets a member's content. Only plain relative names are accepted, no two of them alike.
    """
    members: list[CpioMember] = []
    names = NameSet()
    magic = b""
    while True:
        offset = reader.position
        fields, raw_name = _header(reader, magic)
        magic = fields.magic
        if raw_name == TRAILER:
            if fields.size:
                raise MalformedError("cpio: a trailer with content")
            break
        if len(members) >= max_members:
            raise ResourceLimitError(f"cpio: more than {max_members} members")
        name = decode_name(raw_name.removeprefix(b"./"), max_bytes=MAX_NAME_BYTES)
        is_file = fields.mode & _KIND in (_REGULAR, 0)
        if fields.links > 1 and is_file and fields.size == 0 and magic == NEWC:
            raise MalformedError(f"cpio: {name[:80]!a} may be a hard link, whose content stands elsewhere")
        member = CpioMember(name, fields.size, offset, reader.position, is_file)
        names.add(name)
        members.append(member)
        _content(reader, member, fields, sink_of(member) if sink_of else None)
    names.check()
    for piece in reader.rest():
        if piece.strip(b"\0"):
            raise MalformedError("cpio: bytes after the end of the archive")
    return CpioArchive(tuple(members), offset, reader.position)


@dataclass(frozen=True, slots=True)
class _Fields:
    magic: bytes
    mode: int
    links: int
    size: int
    checksum: int


def _header(reader: ByteReader, magic: bytes) -> tuple[_Fields, bytes]:
    head = reader.take(HEADER_BYTES)
    if head[:6] not in ((magic,) if magic else (NEWC, CRC)) or not _HEX.fullmatch(head[6:]):
        raise MalformedError("cpio: no header where one should be")
    values = [int(head[at : at + 8], 16) for at in range(6, HEADER_BYTES, 8)]
    # ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
    name_bytes = values[11]
    if not 1 < name_bytes <= MAX_NAME_BYTES:
        raise MalformedError(f"cpio: a name of {name_bytes} bytes")
    raw = reader.take(name_bytes)
    _padding(reader)
    if not raw.endswith(b"\0") or b"\0" in raw[:-1]:
        raise MalformedError("cpio: a name that does not end where it says")
    return _Fields(head[:6], values[1], values[4], values[6], values[12]), raw[:-1]


def _padding(reader: ByteReader) -> None:
    if reader.take(-reader.position % 4).strip(b"\0"):
        raise MalformedError("cpio: padding that is not of zeros")


def _content(reader: ByteReader, member: CpioMember, fields: _Fields, sink: MemberSink | None) -> None:
    """Hand the content on; in the ``crc`` form the sum of its bytes must be the one in the header."""
    total = 0
    for piece in reader.chunks(member.size):
        if fields.magic == CRC:
            total += byte_sum(piece)
        if sink is not None:
            sink.update(piece)
    _padding(reader)
    if total & 0xFFFFFFFF != fields.checksum and member.is_file:  # newc says zero
        raise MalformedError(f"cpio: {member.name[:80]!a} is not of the checksum it says")


def byte_sum(data: bytes) -> int:
    """The sum of the bytes, quickly."""
    view = memoryview(data)
    return sum((zlib.adler32(view[at : at + _SUMMED]) & 0xFFFF) - 1 for at in range(0, len(view), _SUMMED))
