"""OLE compound files ([MS-CFB]): the tree of storages and streams, and where in the file each stream's bytes are.

Read strictly: no sector belongs to two things, no chain runs in a circle, no entry is met twice, no two names of a storage are one to a
reader that folds case. Every count comes from the file's size, so that no input makes this take more than it is worth.
"""

from __future__ import annotations

import struct
import sys
from array import array
from typing import TYPE_CHECKING

from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from trust_store.decode.containers import Bytes

MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
MAX_SECTORS = 4 * 1024 * 1024
MAX_ENTRIES = 16_384
MAX_DEPTH = 16
STORAGE, STREAM, ROOT = 1, 2, 5
_HEADER = struct.Struct("<8s16sHHHHH6xIIIIIIIII")
_HEADER_BYTES = 512
_ENTRY_BYTES = 128
_IN_HEADER = 109
_MINI_BYTES = 64
_CUTOFF = 4096
_LAST_SECTOR, _END, _FREE, _NONE = 0xFFFFFFFA, 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFF
_SHIFTS = {3: 9, 4: 12}

Ranges = tuple[tuple[int, int], ...]
_Key = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class Node:
    """A storage or stream. ``entry`` is its directory entry of 128 bytes, ``name`` in UTF-16LE without the NUL.

    ``ranges`` are the file offsets of a stream's bytes in their order; ``children`` those of a storage, in no order.
    """

    kind: int
    name: bytes
    entry: bytes
    ranges: Ranges = ()
    children: tuple[Node, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of a stream."""
        return sum(end - start for start, end in self.ranges)

    @property
    def class_id(self) -> bytes:
        """CLSID as it stands."""
        return self.entry[80:96]

    def child(self, name: str) -> Node | None:
        """The child of exactly that name."""
        wanted = name.encode("utf-16-le")
        return next((node for node in self.children if node.name == wanted), None)


@dataclass(frozen=True, slots=True)
class CompoundFile:
    """``root`` is the root storage; ``used_end`` the file offset after the last sector that belongs to anything."""

    root: Node
    used_end: int


def root_class(source: Bytes) -> bytes:
    """The root storage's CLSID, looked up without reading the tree; empty where it cannot be found."""
    head = source.read_at(0, _HEADER_BYTES)
    if len(head) < _HEADER_BYTES or head[:8] != MAGIC:
        return b""
    sector_bytes = 1 << _SHIFTS.get(int.from_bytes(head[26:28], "little"), 9)
    entry = source.read_at((int.from_bytes(head[48:52], "little") + 1) * sector_bytes, _ENTRY_BYTES)
    return entry[80:96]


def read_compound(source: Bytes) -> CompoundFile:
    """The tree; raises MalformedError, UnsupportedError or ResourceLimitError."""
    return _Reader(source).read()


class _Reader:
    """One reading: the allocation tables, and which sectors are taken."""

    def __init__(self, source: Bytes) -> None:
        self._source = source
        head = source.read_at(0, _HEADER_BYTES)
        if len(head) < _HEADER_BYTES or head[:8] != MAGIC:
            raise MalformedError("OLE: no header")
        fields = _HEADER.unpack_from(head)
        major, order, shift, mini_shift = fields[3:7]
        if order != 0xFFFE or mini_shift != 6 or _SHIFTS.get(major) != shift:
            raise UnsupportedError(f"OLE: version {major} with sectors of 2^{shift} bytes")
        (_, fat_count, self._directory, _, cutoff, self._mini_fat_at, _, difat_at, _) = fields[7:]
        if cutoff != _CUTOFF:
            raise MalformedError(f"OLE: streams of up to {cutoff} bytes in the mini stream")
        self._major = major
        self._sector: int = 1 << shift
        self._count = max(0, -(-(source.size - self._sector) // self._sector))
        if self._count > MAX_SECTORS:
            raise ResourceLimitError(f"OLE: {self._count} sectors")
        self._taken = bytearray(self._count)
        self._last = -1
        self._fat = self._read_fat(head, fat_count, difat_at)

    def read(self) -> CompoundFile:
        """Directory, mini stream, and every stream of the tree."""
        directory = self._bytes(self._chain(self._fat, self._directory), MAX_ENTRIES * _ENTRY_BYTES)
        if len(directory) < _ENTRY_BYTES or directory[66] != ROOT:
            raise MalformedError("OLE: the directory does not begin with the root storage")
        mini_size = self._size(directory[:_ENTRY_BYTES])
        start = int.from_bytes(directory[116:120], "little")
        self._mini_sectors: array[int] = self._chain(self._fat, start) if mini_size else array("I")
        if len(self._mini_sectors) * self._sector < mini_size:
            raise MalformedError("OLE: the mini stream is cut short")
        minis = self._chain(self._fat, self._mini_fat_at) if self._mini_fat_at < _LAST_SECTOR else array("I")
        needed = -(-mini_size // (_MINI_BYTES * self._sector // 4))  # what is longer tells of no sector that is there
        self._mini_fat = _numbers(self._bytes(minis[:needed], self._count * self._sector))
        self._mini_taken = bytearray(min(len(self._mini_fat), -(-mini_size // _MINI_BYTES)))
        self._entries = directory
        self._met = bytearray(len(directory) // _ENTRY_BYTES)
        self._met[0] = 1
        children = self._children(int.from_bytes(directory[76:80], "little"), 1)
        root = Node(ROOT, _name(directory[:_ENTRY_BYTES]), directory[:_ENTRY_BYTES], (), children)
        return CompoundFile(root, min((self._last + 2) * self._sector, self._source.size))

    def _read_fat(self, head: bytes, count: int, difat_at: int) -> array[int]:
        """The sectors of the allocation table are listed in the header, and from there on in a chain of lists."""
        if count * (self._sector // 4) > 2 * MAX_SECTORS or count > self._count:
            raise MalformedError(f"OLE: an allocation table of {count} sectors in a file of {self._count}")
        listed = list(_numbers(head[76:]))[: min(count, _IN_HEADER)]
        position = difat_at
        while len(listed) < count:
            self._take(position)
            numbers = list(_numbers(self._read_sector(position)))
            listed += numbers[: min(len(numbers) - 1, count - len(listed))]
            position = numbers[-1]
        fat = array("I")
        for sector in listed:
            self._take(sector)
            fat += _numbers(self._read_sector(sector))
        return fat

    def _take(self, sector: int) -> None:
        if sector >= self._count:
            raise MalformedError(f"OLE: sector {sector} lies outside the file")
        if self._taken[sector]:
            raise MalformedError(f"OLE: sector {sector} belongs to two things")
        self._taken[sector] = 1
        self._last = max(self._last, sector)

    def _read_sector(self, sector: int) -> bytes:
        data = self._source.read_at((sector + 1) * self._sector, self._sector)
        return data + bytes(self._sector - len(data))

    def _chain(self, fat: array[int], start: int) -> array[int]:
        """The sectors of a chain; each is taken, so that none comes twice."""
        found = array("I")
        while start != _END:
            self._take(start)
            if start >= len(fat):
                raise MalformedError("OLE: a sector without a place in the allocation table")
            found.append(start)
            start = fat[start]
        return found

    def _mini_chain(self, start: int) -> array[int]:
        found = array("I")
        while start != _END:
            if start >= len(self._mini_taken):
                raise MalformedError("OLE: a mini sector outside the mini stream")
            if self._mini_taken[start]:
                raise MalformedError("OLE: a mini sector belongs to two things")
            self._mini_taken[start] = 1
            found.append(start)
            start = self._mini_fat[start]
        return found

    def _bytes(self, sectors: array[int], limit: int) -> bytes:
        if len(sectors) * self._sector > limit:
            raise ResourceLimitError(f"OLE: a structure of {len(sectors)} sectors")
        return b"".join(self._read_sector(sector) for sector in sectors)

    def _size(self, entry: bytes) -> int:
        """Version 3 files have 32 bits of size; the others may be anything there ([MS-CFB] 2.6.3)."""
        size = int.from_bytes(entry[120 : 124 if self._major == 3 else 128], "little")
        if size > self._source.size:
            raise MalformedError("OLE: a stream that is larger than the file")
        return size

    def _children(self, first: int, depth: int) -> tuple[Node, ...]:
        """The storage's entries, which stand in a binary tree of siblings.

        Each must stand where its name is looked for ([MS-CFB] 2.6.4): to others a stream anywhere else is not there.
        """
        if depth > MAX_DEPTH:
            raise ResourceLimitError(f"OLE: storages nested deeper than {MAX_DEPTH}")
        found: list[Node] = []
        waiting: list[tuple[int, _Key | None, _Key | None]] = [(first, None, None)]
        while waiting:
            number, above, below = waiting.pop()
            if number == _NONE:
                continue
            if number >= len(self._met) or self._met[number]:
                raise MalformedError("OLE: a directory entry that is not there, or in two places")
            self._met[number] = 1
            entry = self._entries[number * _ENTRY_BYTES : (number + 1) * _ENTRY_BYTES]
            left, right, child = struct.unpack_from("<III", entry, 68)
            found.append(self._node(entry, child, depth))
            key = _key(found[-1].name)
            if (above is not None and key <= above) or (below is not None and key >= below):
                raise MalformedError("OLE: a directory entry where nobody finds it")
            waiting += [(right, key, below), (left, above, key)]
        folded = [node.name.decode("utf-16-le", "surrogatepass").upper() for node in found]
        if len(set(folded)) != len(folded):
            raise MalformedError("OLE: two entries of one name in one storage")
        return tuple(found)

    def _node(self, entry: bytes, child: int, depth: int) -> Node:
        kind = entry[66]
        if kind == STORAGE:
            return Node(STORAGE, _name(entry), entry, (), self._children(child, depth + 1))
        if kind != STREAM:
            raise MalformedError(f"OLE: a directory entry of kind {kind}")
        size = self._size(entry)
        start = int.from_bytes(entry[116:120], "little")
        return Node(STREAM, _name(entry), entry, self._ranges(start, size))

    def _ranges(self, start: int, size: int) -> Ranges:
        if size == 0:
            return ()
        mini = size < _CUTOFF
        length = _MINI_BYTES if mini else self._sector
        sectors = self._mini_chain(start) if mini else self._chain(self._fat, start)
        if len(sectors) * length < size:
            raise MalformedError("OLE: a stream's chain is shorter than the stream")
        found: list[tuple[int, int]] = []
        for sector in sectors:
            at = self._mini_at(sector) if mini else (sector + 1) * self._sector
            end = at + min(length, size)
            if end > self._source.size:
                raise MalformedError("OLE: a stream is cut short")
            if found and found[-1][1] == at:
                found[-1] = (found[-1][0], end)
            else:
                found.append((at, end))
            size -= end - at
            if not size:
                break
        return tuple(found)

    def _mini_at(self, sector: int) -> int:
        index, offset = divmod(sector * _MINI_BYTES, self._sector)
        return (self._mini_sectors[index] + 1) * self._sector + offset


def _numbers(data: bytes) -> array[int]:
    """Little-endian numbers of 32 bits."""
    found = array("I")
    found.frombytes(data)
    if sys.byteorder == "big":
        found.byteswap()
    return found


def _key(name: bytes) -> _Key:
    """What names are ordered by ([MS-CFB] 2.6.4): their length, then their units in upper case."""
    text = name.decode("utf-16-le", "surrogatepass")
    upper = "".join(up if len(up := one.upper()) == 1 else one for one in text)
    return len(name), upper.encode("utf-16-be", "surrogatepass")


def _name(entry: bytes) -> bytes:
    """The name in UTF-16LE; its length field counts the NUL ([MS-CFB] 2.6.1)."""
    length = int.from_bytes(entry[64:66], "little")
    if not 2 < length <= 64 or length % 2 or entry[length - 2 : length] != b"\0\0":
        raise MalformedError("OLE: a directory entry with a broken name")
    name = entry[: length - 2]
    if "\0" in name.decode("utf-16-le", "surrogatepass"):  # where names end for others
        raise MalformedError("OLE: a directory entry with a broken name")
    return name
