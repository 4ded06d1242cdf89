"""The strict walk through an ``ar`` archive in its common form (deb(5), ar(5)), as .deb packages are: every byte accounted for.

::

    !<arch>\\n
    name (16) mtime (12) uid (6) gid (6) mode (8) size (10) `\\n      each padded with blanks
    content, and a line feed where its size is odd

Long names of GNU and BSD are refused: dpkg reads neither.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from trust_store.decode.member_names import NameSet, check_name
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = b"!<arch>\n"
HEADER_BYTES = 60
PADDING = b"\n"
_NAME = re.compile(rb"([!-.0-~]{1,16})/? *")
_FIELDS = re.compile(rb"[0-9 ]{12}[0-9 ]{6}[0-9 ]{6}[0-7 ]{8}")
_SIZE = re.compile(rb"([0-9]{1,10}) *")
_END = b"`\n"


class Bytes(Protocol):
    """Random access to a file."""

    @property
    def size(self) -> int: ...

    def read_at(self, offset: int, length: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class ArMember:
    """One member; offsets in bytes from the start of the file: ``header_offset`` of its 60 bytes, ``offset`` and ``end`` of its content.

    ``next_offset`` is where its padding ends.
    """

    name: str
    header: bytes
    header_offset: int
    offset: int
    end: int
    next_offset: int

    @property
    def size(self) -> int:
        """Bytes of content."""
        return self.end - self.offset


def read_members(source: Bytes, *, max_members: int) -> tuple[ArMember, ...]:
    """The members in their order, which fill the file; no two have names that some file system takes for one.

    Raises MalformedError, or ResourceLimitError for more than ``max_members``. Contents are not looked at.
    """
    names = NameSet()
    found: list[ArMember] = []
    for member in _members(source):
        if len(found) >= max_members:
            raise ResourceLimitError(f"ar: more than {max_members} members")
        check_name(member.name)
        names.add(member.name)
        found.append(member)
    return tuple(found)


def _members(source: Bytes) -> Iterator[ArMember]:
    if source.read_at(0, len(MAGIC)) != MAGIC:
        raise MalformedError("ar: no such archive")
    position = len(MAGIC)
    while position < source.size:
        header = source.read_at(position, HEADER_BYTES)
        name, size = _parsed(header)
        offset = position + HEADER_BYTES
        end = offset + size
        # a member at the end of the file may lack its padding: not every writer adds it there
        padded = min(end + size % 2, source.size)
        if end > source.size:
            raise MalformedError(f"ar: member {name[:20]!a} is cut short")
        if source.read_at(end, padded - end) not in (b"", PADDING):
            raise MalformedError(f"ar: member {name[:20]!a} is padded with something else than a line feed")
        yield ArMember(name, header, position, offset, end, padded)
        position = padded


def _parsed(header: bytes) -> tuple[str, int]:
    """Name and size in bytes."""
    if len(header) < HEADER_BYTES or header[58:] != _END:
        raise MalformedError("ar: a member without a header, or bytes after the last one")
    name, size = _NAME.fullmatch(header[:16]), _SIZE.fullmatch(header[48:58])
    if name is None or size is None or _FIELDS.fullmatch(header[16:48]) is None:
        raise MalformedError("ar: a member header that is not of plain names and numbers")
    return name[1].decode("ascii"), int(size[1])
