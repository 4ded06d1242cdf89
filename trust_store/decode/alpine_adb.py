"""Alpine packages and indexes of version 3 (apk-v3(5); apk-tools ``src/adb.h``): blocks of metadata, signatures and file contents.

::

    ADB. | ADBd (deflate) | ADBc algorithm level           then, unpacked: ADB. schema (u32, little-endian like every number here)
    block: u32 (2 bits type, 30 bits length with these 4 octets), content, zeros up to a multiple of 8
           type 3: the 30 bits are the type, u32 reserved, u64 length with these 16 octets
    blocks: one of metadata (0), any number of signatures (1), any number of file contents (2), in this order

Metadata are values of 32 bits: 4 bits of type, 28 bits of a number or of the offset at which the value lies.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trust_store.decode.byte_reader import ByteReader
    from trust_store.decode.compressed import UnpackBudget

MAGIC, DEFLATED, CUSTOM = b"ADB.", b"ADBd", b"ADBc"
PACKAGE, INDEX = b"pckg", b"indx"
METADATA, SIGNATURE, DATA = 0, 1, 2
MAX_METADATA_BYTES = 64 * 1024 * 1024
MAX_SIGNATURE_BYTES = 2048
MAX_FILES = 262_144
"""Folders and files of one package: metadata may point to the same ones again and again."""
MAX_SLOTS = 256
"""Of an object; apk-tools 3 knows of none with more than 32."""
_ALIGNMENT = 8
_EXTENDED = 3
_INT, _INT32, _INT64 = 1, 2, 3
_BLOBS = {8: 1, 9: 2, 10: 4}
_ARRAY, _OBJECT = 13, 14
_PIECE_BYTES = 1024 * 1024
SIGNATURE_HEADER = struct.Struct("<BB16s")


@dataclass(frozen=True, slots=True)
class AdbBlock:
    """The header of a block: its type and the length of its content in bytes."""

    type: int
    length: int


@dataclass(frozen=True, slots=True)
class AdbFile:
    """A file with content, as metadata list it: its digest, and its size in bytes."""

    digest: bytes
    size: int


def unpacked(pieces: Iterator[bytes], budget: UnpackBudget) -> Iterator[bytes]:
    """The blocks with what comes before them, from a file in ``pieces`` of which the first has at least 6 bytes.

    Raises MalformedError, UnsupportedError for zstd, ResourceLimitError for a bomb. A deflated body is exactly one stream.
    """
    first = next(pieces, b"")
    magic = first[:4]
    if magic == MAGIC:
        yield first
        yield from pieces
        return
    skipped = 4
    if magic == CUSTOM:
        skipped, algorithm = 6, first[4:5]
        if algorithm == b"\0":
            yield first[skipped:]
            yield from pieces
            return
        if algorithm != b"\1":
            raise UnsupportedError("Alpine package: compressed with zstd, which is not unpacked here")
    elif magic != DEFLATED:
        raise MalformedError("Alpine package: no such file")
    yield from _inflated(first[skipped:], pieces, budget)


def _inflated(first: bytes, pieces: Iterator[bytes], budget: UnpackBudget) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    consumed = produced = 0
    packed = first
    while not inflater.eof:
        if not packed:
            packed = next(pieces, b"")
            if not packed:
                raise MalformedError("Alpine package: cut short")
        before = len(packed)
        try:
            piece = inflater.decompress(packed, _PIECE_BYTES)
        except zlib.error as error:
            raise MalformedError(f"Alpine package: does not unpack: {error}") from error
        packed = inflater.unconsumed_tail
        consumed, produced = consumed + before - len(packed), produced + len(piece)
        budget.require(consumed, produced)
        yield piece
    if inflater.unused_data or next(pieces, b""):
        raise MalformedError("Alpine package: something follows the compressed blocks")


def read_block(reader: ByteReader) -> AdbBlock:
    """The header of the block that begins here; raises MalformedError."""
    value = int.from_bytes(reader.take(4), "little")
    kind, length, header = value >> 30, value & 0x3FFFFFFF, 4
    if kind == _EXTENDED:
        reserved, length = struct.unpack("<IQ", reader.take(12))
        kind, header = value & 0x3FFFFFFF, 16
        if reserved:
            raise MalformedError("Alpine package: a block with reserved bits")
    if length < header or kind > DATA:
        raise MalformedError("Alpine package: a block of no known kind or size")
    return AdbBlock(kind, length - header)


def skip_padding(reader: ByteReader, start: int) -> None:
    """Zeros from here up to a multiple of 8 from ``start``, the place of the first block; raises MalformedError."""
    if reader.take(-(reader.position - start) % _ALIGNMENT).strip(b"\0"):
        raise MalformedError("Alpine package: padding that is not of zeros")


class AdbValues:
    """The metadata block; every reading raises MalformedError for a value that is not of its kind or lies outside."""

    def __init__(self, content: bytes) -> None:
        if len(content) < 8 or content[:4] != bytes(4):
            raise MalformedError("Alpine package: metadata of another version")
        self._content = content
        self.root = int.from_bytes(content[4:8], "little")

    def slots(self, value: int, most: int = MAX_SLOTS) -> tuple[int, ...]:
        """The values of an object or array, the first of them at index 1; () for none. Raises ResourceLimitError above ``most``."""
        if value == 0:
            return ()
        kind, offset = value >> 28, value & 0x0FFFFFFF
        if kind not in (_ARRAY, _OBJECT):
            raise MalformedError("Alpine package: a value that is no object")
        count = self._number(offset, 4)
        if not 1 <= count <= len(self._content) // 4:
            raise MalformedError("Alpine package: an object of no possible size")
        if count - 1 > most:
            raise ResourceLimitError(f"Alpine package: an object with more than {most} values")
        return struct.unpack(f"<{count}I", self._at(offset, 4 * count))

    def blob(self, value: int) -> bytes:
        """Octets; b"" for none."""
        if value == 0:
            return b""
        width, offset = _BLOBS.get(value >> 28), value & 0x0FFFFFFF
        if width is None:
            raise MalformedError("Alpine package: a value that is no text")
        return self._at(offset + width, self._number(offset, width))

    def integer(self, value: int) -> int:
        """A number; 0 for none."""
        kind, low = value >> 28, value & 0x0FFFFFFF
        if value == 0 or kind == _INT:
            return low
        if kind not in (_INT32, _INT64):
            raise MalformedError("Alpine package: a value that is no number")
        return self._number(low, 4 if kind == _INT32 else 8)

    def _number(self, offset: int, width: int) -> int:
        return int.from_bytes(self._at(offset, width), "little")

    def _at(self, offset: int, length: int) -> bytes:
        data = self._content[offset : offset + length]
        if len(data) != length:
            raise MalformedError("Alpine package: a value outside the metadata")
        return data


def slot(slots: tuple[int, ...], number: int) -> int:
    """The value in a slot, 0 where the object has none."""
    return slots[number] if number < len(slots) else 0


def product_of(values: AdbValues) -> tuple[str, str]:
    """Name and version of a package (ADBI_PI_NAME, ADBI_PI_VERSION); raises MalformedError."""
    info = values.slots(slot(values.slots(values.root), 1))
    name, version = (values.blob(slot(info, number)).decode("utf-8", "replace") for number in (1, 2))
    if not name or not version:
        raise MalformedError("Alpine package: metadata without a name and a version")
    return name, version


def files_of(values: AdbValues) -> dict[tuple[int, int], AdbFile]:
    """(path, file) as blocks of content number them, from 1 -> the files that have content, in their order.

    Raises MalformedError, UnsupportedError for a digest that is not SHA-256 or SHA-512, ResourceLimitError.
    """
    found: dict[tuple[int, int], AdbFile] = {}
    read: dict[int, AdbFile | None] = {}
    paths = values.slots(slot(values.slots(values.root), 2), MAX_FILES)
    room = MAX_FILES
    for path_number, path in enumerate(paths[1:], 1):
        files = values.slots(slot(values.slots(path), 3), MAX_FILES)[1:]
        room -= 1 + len(files)
        if room < 0:
            raise ResourceLimitError(f"Alpine package: more than {MAX_FILES} folders and files")
        for file_number, value in enumerate(files, 1):
            if value not in read:
                read[value] = _file(values, value)
            file = read[value]
            if file is not None:
                found[path_number, file_number] = file
    return found


def _file(values: AdbValues, value: int) -> AdbFile | None:
    """One file; None where it has no content: it is empty, or a link or device."""
    slots = values.slots(value)
    size = values.integer(slot(slots, 3))
    if size == 0 or slot(slots, 6):
        return None
    digest = values.blob(slot(slots, 5))
    if len(digest) not in (32, 64):
        raise UnsupportedError("Alpine package: a file whose digest is neither SHA-256 nor SHA-512")
    return AdbFile(digest, size)
