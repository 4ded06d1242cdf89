"""Flattened device trees, version 17 (Devicetree Specification, chapter 5): where nodes and properties lie; values are read when asked for.

Only what every reader takes for the same tree is accepted: blocks that do not overlap, one root, names that occur once.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Protocol

from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = b"\xd0\x0d\xfe\xed"
HEADER_BYTES = 40
VERSION = 17
MAX_DEPTH = 32
MAX_TAGS = 100_000
MAX_NODES = 10_000
MAX_NAME_BYTES = 256
MAX_STRINGS_BYTES = 1024 * 1024
MAX_VALUE_BYTES = 64 * 1024
BEGIN_NODE, END_NODE, PROPERTY, NOP, END = 1, 2, 3, 4, 9
_NAME = re.compile(rb"[A-Za-z0-9,._+?#@-]+")
_WORD = struct.Struct(">I")


class Bytes(Protocol):
    """Random access to the file."""

    @property
    def size(self) -> int: ...

    def read_at(self, offset: int, length: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Header:
    """Offsets and sizes in bytes from the start of the tree, which is that of the file."""

    total: int
    structure: tuple[int, int]
    strings: tuple[int, int]
    reserved: int


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag of the structure block, from ``start`` to ``end`` in the file.

    ``path`` is that of the node it belongs to (``/`` for the root); of a property ``name`` is its name, ``name_end`` where that ends in
    the strings block, and ``value`` its first and last offset.
    """

    kind: int
    start: int
    end: int
    path: str = ""
    name: str = ""
    name_end: int = 0
    value: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Tree:
    """All tags in their order, the properties by node and name, and the paths of the nodes right below each."""

    header: Header
    tags: tuple[Tag, ...]
    properties: dict[str, dict[str, Tag]]
    below: dict[str, tuple[str, ...]]
    source: Bytes

    def children(self, path: str) -> tuple[str, ...]:
        """The paths of the nodes right below ``path``, in their order."""
        return self.below.get(path, ())

    def octets(self, path: str, name: str) -> bytes | None:
        """A property's value, None where there is none; raises ResourceLimitError for one of more than MAX_VALUE_BYTES."""
        tag = self.properties.get(path, {}).get(name)
        if tag is None:
            return None
        start, end = tag.value
        if end - start > MAX_VALUE_BYTES:
            raise ResourceLimitError(f"device tree: a value of {end - start} bytes")
        return self.source.read_at(start, end - start)

    def texts(self, path: str, name: str) -> tuple[str, ...] | None:
        """A property that is a list of strings, each with its NUL; None where there is none, raises MalformedError where it is none."""
        value = self.octets(path, name)
        if value is None:
            return None
        if not value.endswith(b"\0"):
            raise MalformedError(f"device tree: {name[:40]!a} is no text")
        try:
            return tuple(part.decode("ascii") for part in value[:-1].split(b"\0"))
        except UnicodeDecodeError as error:
            raise MalformedError(f"device tree: {name[:40]!a} is no text") from error

    def text(self, path: str, name: str) -> str | None:
        """A property that is one string."""
        texts = self.texts(path, name)
        if texts is not None and len(texts) != 1:
            raise MalformedError(f"device tree: {name[:40]!a} is more than one text")
        return texts[0] if texts else None

    def number(self, path: str, name: str) -> int | None:
        """A property that is one cell of 32 bits."""
        value = self.octets(path, name)
        if value is not None and len(value) != _WORD.size:
            raise MalformedError(f"device tree: {name[:40]!a} is no number of 32 bits")
        return None if value is None else int.from_bytes(value, "big")


def parse(source: Bytes) -> Tree:
    """Read the tree at the start of ``source``; raises MalformedError, UnsupportedError or ResourceLimitError."""
    header = _header(source)
    if header.strings[1] - header.strings[0] > MAX_STRINGS_BYTES:
        raise ResourceLimitError("device tree: a strings block beyond the limit")
    strings = source.read_at(header.strings[0], header.strings[1] - header.strings[0])
    tags = tuple(_Structure(source, header, strings).tags())
    properties: dict[str, dict[str, Tag]] = {}
    below: dict[str, list[str]] = {}
    for tag in tags:
        if tag.kind == BEGIN_NODE:
            if tag.path in properties:
                raise MalformedError(f"device tree: node {tag.path[:80]!a} stands twice")
            if len(properties) >= MAX_NODES:
                raise ResourceLimitError(f"device tree: more than {MAX_NODES} nodes")
            properties[tag.path] = {}
            if tag.path != "/":
                below.setdefault(tag.path.rpartition("/")[0] or "/", []).append(tag.path)
        elif tag.kind == PROPERTY:
            if tag.name in properties[tag.path]:
                raise MalformedError(f"device tree: property {tag.name[:40]!a} stands twice")
            properties[tag.path][tag.name] = tag
    return Tree(header, tags, properties, {path: tuple(nodes) for path, nodes in below.items()}, source)


def _header(source: Bytes) -> Header:
    data = source.read_at(0, HEADER_BYTES)
    if data[:4] != MAGIC or len(data) < HEADER_BYTES:
        raise MalformedError("device tree: no header")
    values = struct.unpack(">10I", data)
    total, structure, strings, reserved, version, compatible, _, strings_size, structure_size = values[1:]
    if version < VERSION or compatible > VERSION:
        raise UnsupportedError(f"device tree: version {version}; {VERSION} is read")
    blocks = sorted([(HEADER_BYTES, HEADER_BYTES), (reserved, reserved + 16)])
    blocks = sorted([*blocks, (structure, structure + structure_size), (strings, strings + strings_size)])
    ends = [end for _, end in blocks]
    if any(start < end for (start, _), end in zip(blocks[1:], ends, strict=False)) or ends[-1] > total:
        raise MalformedError("device tree: blocks that overlap or go past the end")
    if total > source.size or structure % 4 or reserved % 8:
        raise MalformedError("device tree: cut short, or a block out of line")
    return Header(total, (structure, structure + structure_size), (strings, strings + strings_size), reserved)


class _Structure:
    def __init__(self, source: Bytes, header: Header, strings: bytes) -> None:
        self._source, self._strings = source, strings
        self._position, self._end = header.structure
        self._path: list[str] = []

    def tags(self) -> Iterator[Tag]:
        """Every tag up to the end, which must be that of the block."""
        ended = False
        for _ in range(MAX_TAGS):
            start = self._position
            kind = _WORD.unpack(self._take(4))[0]
            if ended and kind != END:
                raise MalformedError("device tree: more than one root")
            if kind == END:
                if self._path or not ended or self._position != self._end:
                    raise MalformedError("device tree: the end is not where it should be")
                yield Tag(END, start, self._position)
                return
            yield self._tag(kind, start)
            ended = kind == END_NODE and not self._path
        raise ResourceLimitError(f"device tree: more than {MAX_TAGS} tags")

    def _tag(self, kind: int, start: int) -> Tag:
        if kind == BEGIN_NODE:
            self._begin()
            return Tag(kind, start, self._position, self._where())
        if kind == NOP:
            return Tag(kind, start, self._position, self._where() if self._path else "/")
        if not self._path:
            raise MalformedError("device tree: a tag outside the root")
        path = self._where()
        if kind == END_NODE:
            self._path.pop()
            return Tag(kind, start, self._position, path)
        if kind == PROPERTY:
            return self._property(start, path)
        raise MalformedError(f"device tree: no such tag as {kind}")

    def _begin(self) -> None:
        data = self._source.read_at(self._position, min(MAX_NAME_BYTES, self._end - self._position))
        name, nul, _ = data.partition(b"\0")
        if not nul or bool(name) != bool(self._path) or (name and not _NAME.fullmatch(name)):
            raise MalformedError("device tree: a node's name that is none")
        self._path.append(name.decode("ascii"))
        if len(self._path) > MAX_DEPTH:
            raise ResourceLimitError(f"device tree: nested deeper than {MAX_DEPTH}")
        self._skip(len(name) + 1)

    def _property(self, start: int, path: str) -> Tag:
        length, at = struct.unpack(">II", self._take(8))
        end = self._strings.find(b"\0", at) if at < len(self._strings) else -1
        name = self._strings[at:end]
        if end < 0 or len(name) > MAX_NAME_BYTES or not _NAME.fullmatch(name):
            raise MalformedError("device tree: a property's name that is none")
        value = self._position, self._position + length
        self._skip(length)
        return Tag(PROPERTY, start, self._position, path, name.decode("ascii"), end + 1, value)

    def _where(self) -> str:
        return "/" + "/".join(self._path[1:])

    def _take(self, length: int) -> bytes:
        if self._position + length > self._end:
            raise MalformedError("device tree: the structure is cut short")
        data = self._source.read_at(self._position, length)
        self._position += length
        return data

    def _skip(self, length: int) -> None:
        """Over a name or value, and its padding to four bytes: libfdt leaves in it what was there before."""
        padding = -length % 4
        if self._position + length + padding > self._end:
            raise MalformedError("device tree: a name or value goes past the end")
        self._position += length + padding
