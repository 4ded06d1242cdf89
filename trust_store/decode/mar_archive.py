"""Mozilla archives (``MAR1``; wiki.mozilla.org "Software Update:MAR", ``modules/libmar``): the strict walk through headers and index.

Layout: ``MAR1``, u32be index offset | u64be file size, u32be count of signatures, each u32be algorithm, u32be size, value | u32be count of
blocks, each u32be size, u32be kind, content | files | index: u32be size, each u32be offset, u32be size, u32be mode, name and NUL.
The older form has its first file at offset 8: no signatures, no blocks.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Protocol

from trust_store.decode.member_names import decode_name, require_distinct
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = b"MAR1"
PRODUCT_BLOCK = 1
MAX_SIGNATURES = 8
MAX_SIGNATURE_BYTES = 2048
MAX_BLOCKS = 64
MAX_BLOCK_BYTES = 64 * 1024
MAX_INDEX_BYTES = 16 * 1024**2
MAX_NAME_BYTES = 4096
_HEADER_BYTES = 8


class Bytes(Protocol):
    """Random access to the file."""

    @property
    def size(self) -> int: ...

    def read_at(self, offset: int, length: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class MARSignature:
    """A signature entry: algorithm 1 (RSA with SHA-1) or 2 (RSA with SHA-384), where its value lies, and the value."""

    algorithm: int
    start: int
    value: bytes


@dataclass(frozen=True, slots=True)
class MARArchive:
    """``blocks`` are (kind, content); ``files`` name -> (offset, size) in bytes."""

    signatures: tuple[MARSignature, ...]
    blocks: tuple[tuple[int, bytes], ...]
    files: dict[str, tuple[int, int]]

    @property
    def product(self) -> tuple[str, str] | None:
        """Channel and version of the product information block; None where there is none, raises MalformedError for two or a broken one."""
        found = [content for kind, content in self.blocks if kind == PRODUCT_BLOCK]
        if not found:
            return None
        parts = found[0].split(b"\0")
        if len(found) > 1 or len(parts) < 3:  # whatever follows fills up the block
            raise MalformedError("MAR: product information twice, or not a channel and a version")
        try:
            return parts[0].decode("ascii"), parts[1].decode("ascii")
        except UnicodeDecodeError as error:
            raise MalformedError("MAR: product information that is not ASCII") from error


def parse(source: Bytes, *, max_members: int = 65_535) -> MARArchive:
    """Read headers and index; raises MalformedError or ResourceLimitError."""
    magic, index = struct.unpack(">4sI", _exactly(source, 0, _HEADER_BYTES))
    if magic != MAGIC or not _HEADER_BYTES <= index <= source.size - 4:
        raise MalformedError("MAR: the index is not in the file")
    entries = tuple(_entries(source, index, max_members))
    require_distinct(name for name, _, _ in entries)
    first = min((offset for _, offset, _ in entries), default=index)
    signatures, blocks, start = ((), (), _HEADER_BYTES) if first == _HEADER_BYTES else _signed_header(source, index)
    position = start
    for _, offset, size in sorted(entries, key=lambda entry: (entry[1], entry[2])):
        if offset < position or offset + size > index:
            raise MalformedError("MAR: a file that overlaps others, the headers or the index")
        position = offset + size
    return MARArchive(signatures, blocks, {name: (offset, size) for name, offset, size in entries})


def _signed_header(source: Bytes, index: int) -> tuple[tuple[MARSignature, ...], tuple[tuple[int, bytes], ...], int]:
    size, count = struct.unpack(">QI", _exactly(source, _HEADER_BYTES, 12))
    if size != source.size:
        raise MalformedError("MAR: the file is not of the size it says")
    if count > MAX_SIGNATURES:
        raise ResourceLimitError(f"MAR: {count} signatures")
    position = _HEADER_BYTES + 12
    signatures: list[MARSignature] = []
    for _ in range(count):
        algorithm, length = struct.unpack(">II", _exactly(source, position, 8))
        if not 0 < length <= MAX_SIGNATURE_BYTES:
            raise MalformedError(f"MAR: a signature of {length} bytes")
        signatures.append(MARSignature(algorithm, position + 8, _exactly(source, position + 8, length)))
        position += 8 + length
    blocks, position = _blocks(source, position)
    if position > index:
        raise MalformedError("MAR: headers that reach into the index")
    return tuple(signatures), blocks, position


def _blocks(source: Bytes, position: int) -> tuple[tuple[tuple[int, bytes], ...], int]:
    count = struct.unpack(">I", _exactly(source, position, 4))[0]
    if count > MAX_BLOCKS:
        raise ResourceLimitError(f"MAR: {count} additional blocks")
    position += 4
    blocks: list[tuple[int, bytes]] = []
    for _ in range(count):
        size, kind = struct.unpack(">II", _exactly(source, position, 8))
        if not 8 <= size <= MAX_BLOCK_BYTES:
            raise MalformedError(f"MAR: an additional block of {size} bytes")
        blocks.append((kind, _exactly(source, position + 8, size - 8)))
        position += size
    return tuple(blocks), position


def _entries(source: Bytes, index: int, most: int) -> Iterator[tuple[str, int, int]]:
    """(name, offset, size); the index ends where the file does."""
    size = struct.unpack(">I", _exactly(source, index, 4))[0]
    if size > MAX_INDEX_BYTES:
        raise ResourceLimitError(f"MAR: an index of {size} bytes")
    if index + 4 + size != source.size:
        raise MalformedError("MAR: the index does not end where the file does")
    data = _exactly(source, index + 4, size)
    position = count = 0
    while position < len(data):
        count += 1
        end = data.find(b"\0", position + 12)
        if end < 0:
            raise MalformedError("MAR: an entry of the index is cut short")
        if count > most:
            raise ResourceLimitError(f"MAR: more than {most} files")
        offset, length, _ = struct.unpack_from(">III", data, position)
        yield decode_name(data[position + 12 : end], max_bytes=MAX_NAME_BYTES), offset, length
        position = end + 1


def _exactly(source: Bytes, offset: int, length: int) -> bytes:
    data = source.read_at(offset, length)
    if len(data) != length:
        raise MalformedError("MAR: cut short")
    return data
