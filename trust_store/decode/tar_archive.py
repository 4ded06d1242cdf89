"""The strict walk through a tar archive: ustar (POSIX.1-1988), pax (POSIX.1-2001) and GNU long names, every byte accounted for.

Sparse files, continued volumes and other vendor types are refused. Padding is of zeros, so are all bytes after the end mark, and every
header must be of its checksum. Names are plain relative paths, no two of which some file system takes for one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from trust_store.decode.member_names import NameSet, decode_name
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trust_store.decode.byte_reader import ByteReader

BLOCK_BYTES = 512
MAX_NAME_BYTES = 4096
MAX_EXTENDED_BYTES = 64 * 1024
MAX_LINKS_BYTES = 16 * 1024 * 1024
"""Of the targets of all links together."""
MAX_SIZE = 1 << 62
FILE, FOLDER, SYMBOLIC_LINK, HARD_LINK, SPECIAL = "file", "folder", "symbolic link", "hard link", "special file"
_KINDS = {
    b"0": FILE, b"\0": FILE, b"7": FILE, b"5": FOLDER, b"2": SYMBOLIC_LINK, b"1": HARD_LINK,
    b"3": SPECIAL, b"4": SPECIAL, b"6": SPECIAL,
}  # fmt: skip
_POSIX, _GNU = b"ustar\x0000", b"ustar  \0"
_OCTAL = re.compile(rb" *([0-7]*)[ \0]*")
_CHECKSUM = re.compile(rb"[ 0]*([0-7]+)(?:\0 | \0|\0|\0\0|  )")
_GNU_TIMES = re.compile(rb"[0-7 \0]{24}\0{131}")
_RECORD = re.compile(rb"([1-9][0-9]{0,5}) ")
_EXTENDED, _GLOBAL, _LONG_NAME, _LONG_LINK = b"x", b"g", b"L", b"K"
_SPARSE = ("GNU.sparse.", "SCHILY.realsize")
_MOST_IN_HEADER = 0o77777777777
_DECIDING = frozenset({"path", "linkpath", "size", "hdrcharset"})
"""Keywords that say which file a header is about and what is in it; all others (times, owners, attributes) are passed over."""


class MemberSink(Protocol):
    """Takes one member's content."""

    def update(self, data: bytes, /) -> None: ...


@dataclass(frozen=True, slots=True)
class TarMember:
    """One member: its name (a folder's ends with ``/``), kind, size in bytes, the target of a link, and where its content starts.

    ``data_offset`` is in bytes from the start of the archive as it unpacks.
    """

    name: str
    kind: str
    size: int
    link: str
    data_offset: int

    @property
    def is_file(self) -> bool:
        """Whether it is a file with content of its own: no folder, link, device or pipe."""
        return self.kind == FILE

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.kind == FOLDER


def walk(
    reader: ByteReader, sink_of: Callable[[TarMember], MemberSink | None] | None = None, *, max_members: int = 65_535
) -> tuple[TarMember, ...]:
    """Read the archive to its last byte; raises MalformedError, UnsupportedError or ResourceLimitError.

    ``sink_of`` names who gets a file's content. The folder ``./`` is no member.
    """

    def into_sink(member: TarMember, content: Iterator[bytes]) -> None:
        sink = sink_of(member) if sink_of else None
        if sink is None:
            return
        for piece in content:
            sink.update(piece)

    return walk_with(reader, into_sink, max_members=max_members)


def walk_with(
    reader: ByteReader, take: Callable[[TarMember, Iterator[bytes]], None], *, max_members: int = 65_535
) -> tuple[TarMember, ...]:
    """The same, where ``take`` is called for each member and draws as much of its content as it wants: an archive inside, say."""
    return _Walk(reader, take, max_members).run()


class _Walk:
    def __init__(
        self, reader: ByteReader, take: Callable[[TarMember, Iterator[bytes]], None], max_members: int
    ) -> None:
        self._reader, self._take, self._max = reader, take, max_members
        self._names = NameSet()
        self._members: list[TarMember] = []
        self._said: dict[str, bytes] = {}
        self._before = b""  # the types of the extended headers before the next member
        self._link_bytes = 0

    def run(self) -> tuple[TarMember, ...]:
        headers = 0
        while (block := self._reader.take(BLOCK_BYTES)).strip(b"\0"):
            headers += 1
            if headers > 4 * self._max + 4:
                raise ResourceLimitError("tar: too many headers")
            self._header(block)
        if self._before:
            raise MalformedError("tar: an extended header that nothing follows")
        for piece in self._reader.rest():
            if piece.strip(b"\0"):
                raise MalformedError("tar: bytes after the end of the archive")
        self._names.check()
        return tuple(self._members)

    def _header(self, block: bytes) -> None:
        kind, magic = block[156:157], block[257:265]
        _require_checksum(block)
        if magic not in (_POSIX, _GNU):
            raise MalformedError("tar: a header that is neither ustar nor GNU")
        size = number(block[124:136])
        if kind in (_EXTENDED, _GLOBAL, _LONG_NAME, _LONG_LINK):
            self._extended(kind, self._small(size))
        elif kind in _KINDS:
            self._member(_KINDS[kind], block, size)
        else:
            raise UnsupportedError(f"tar: a member of type {kind!a}, sparse or of a vendor's own kind")

    def _small(self, size: int) -> bytes:
        if size > MAX_EXTENDED_BYTES:
            raise ResourceLimitError(f"tar: an extended header of {size} bytes")
        data = self._reader.take(size)
        self._padding(size)
        return data

    def _extended(self, kind: bytes, data: bytes) -> None:
        """What the next header is said to mean; nothing may be said twice."""
        if kind == _GLOBAL:
            if _DECIDING & pax_records(data).keys():
                raise UnsupportedError("tar: a global header about names or sizes")
            return
        if kind in self._before:
            raise MalformedError("tar: two extended headers about one member")
        self._before += kind
        if kind == _EXTENDED:
            said = {key: value for key, value in pax_records(data).items() if key in _DECIDING}
        else:
            said = {"path" if kind == _LONG_NAME else "linkpath": data.removesuffix(b"\0")}
        if said.keys() & self._said.keys():
            raise MalformedError("tar: two extended headers about one member")
        self._said |= said

    def _member(self, kind: str, block: bytes, size: int) -> None:
        said, self._said, self._before = self._said, {}, b""
        if "hdrcharset" in said:
            raise UnsupportedError("tar: names in another character set")
        if "size" in said:
            size = _size(_decimal(said["size"]), size)
        if kind != FILE and size:  # GNU tar steps over what it calls its content, others take it for headers
            raise MalformedError(f"tar: a {kind} with content")
        raw = said.get("path", _name(block)).removeprefix(b"./")
        link = said.get("linkpath", block[157:257].split(b"\0", 1)[0])
        if kind == FILE and raw.endswith(b"/"):
            kind = FOLDER  # the form before POSIX
        if kind == FOLDER and size:
            raise MalformedError("tar: a folder with content")
        if block[257:265] == _GNU and not _GNU_TIMES.fullmatch(block[345:500]):  # Python takes it for a prefix
            raise MalformedError("tar: a GNU header with something after its times")
        if kind == FOLDER and raw in (b"", b"."):
            return
        name = decode_name(raw.removesuffix(b"/") + b"/" if kind == FOLDER else raw, max_bytes=MAX_NAME_BYTES)
        if kind in (SYMBOLIC_LINK, HARD_LINK) and not link:
            raise MalformedError(f"tar: {name[:80]!a} is a link to nothing")
        self._link_bytes += len(link)
        if len(self._members) >= self._max or self._link_bytes > MAX_LINKS_BYTES:
            raise ResourceLimitError(f"tar: more than {self._max} members, or too long targets of links")
        self._names.add(name)
        member = TarMember(name, kind, size, link.decode("utf-8", "replace")[:MAX_NAME_BYTES], self._reader.position)
        self._members.append(member)
        content = self._reader.chunks(size)
        self._take(member, content)
        for _ in content:
            pass
        self._padding(size)

    def _padding(self, size: int) -> None:
        if self._reader.take(-size % BLOCK_BYTES).strip(b"\0"):
            raise MalformedError("tar: padding that is not of zeros")


def pax_records(data: bytes) -> dict[str, bytes]:
    """The records of a pax header (POSIX.1-2001 "pax Extended Header"): ``length keyword=value\\n``; raises MalformedError.

    A sparse file (``GNU.sparse.*``, star's ``SCHILY.realsize``) raises UnsupportedError.
    """
    records: dict[str, bytes] = {}
    position = 0
    while position < len(data):
        match = _RECORD.match(data, position)
        end = position + int(match[1]) if match else 0
        if match is None or not match.end() < end <= len(data) or data[end - 1 : end] != b"\n":
            raise MalformedError("tar: a broken pax record")
        key, equals, value = data[match.end() : end - 1].partition(b"=")
        name = key.decode("utf-8", "replace")
        if not equals or not name or name in records:
            raise MalformedError(f"tar: pax record {name[:40]!a} without a value, or twice")
        if name.startswith(_SPARSE):
            raise UnsupportedError("tar: a sparse file")
        records[name] = value
        position = end
    return records


def number(field: bytes) -> int:
    """A number in octal, or in base 256 as GNU writes large ones; raises MalformedError."""
    if field[:1] == b"\x80":
        value = int.from_bytes(field[1:], "big")
    else:
        match = _OCTAL.fullmatch(field)
        if match is None:
            raise MalformedError("tar: a number that is not octal")
        value = int(match[1] or b"0", 8)
    if value > MAX_SIZE:
        raise MalformedError("tar: a number beyond all sizes")
    return value


def _require_checksum(block: bytes) -> None:
    """The sum of the header's bytes with spaces in place of the checksum."""
    match = _CHECKSUM.fullmatch(block[148:156])
    if match is None or int(match[1], 8) != sum(block[:148]) + sum(block[156:]) + 8 * 0x20:
        raise MalformedError("tar: a header that is not of its checksum")


def _name(block: bytes) -> bytes:
    """Name, below its prefix in a POSIX header."""
    name = block[:100].split(b"\0", 1)[0]
    prefix = block[345:500].split(b"\0", 1)[0] if block[257:265] == _POSIX else b""
    return prefix + b"/" + name if prefix else name


def _size(said: int, stated: int) -> int:
    """By the extended header, which is there for sizes beyond the header's field: of any other the header says the same."""
    if said != stated and said <= _MOST_IN_HEADER:
        raise MalformedError("tar: a size in an extended header that is not the header's")
    return said


def _decimal(value: bytes) -> int:
    if not re.fullmatch(rb"[0-9]{1,19}", value):
        raise MalformedError("tar: a pax size that is no number")
    return int(value)
