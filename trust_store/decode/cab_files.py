"""The files of a cabinet ([MS-CAB] 2): directory and data blocks, stored or MSZIP ([MS-MCI]), each accounted for.

Folders are streams of data blocks; files lie in them one after the other, without gaps. Cabinets that are one of a set, and LZX or Quantum,
are not read.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Protocol

from trust_store.decode.member_names import check_name
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FILES, MAX_FOLDERS = 4096, 256
MAX_NAME_BYTES = 257
STORED, MSZIP = 0, 1
_HEADER = struct.Struct("<4sIIIIIBBHHHHH")
_RESERVE = struct.Struct("<HBB")
_FOLDER, _FILE, _DATA = struct.Struct("<IHH"), struct.Struct("<IIHHHH"), struct.Struct("<IHH")
_PREVIOUS, _NEXT, _RESERVED = 1, 2, 4
_UTF8_NAME = 0x80
_BLOCK_BYTES = 32_768
_MAX_PACKED_BYTES = _BLOCK_BYTES + 6144


class Bytes(Protocol):
    """Random access to the file."""

    @property
    def size(self) -> int: ...

    def read_at(self, offset: int, length: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class CabFolder:
    """Where a folder's data blocks begin, how many there are, and how they are compressed."""

    offset: int
    blocks: int
    compression: int


@dataclass(frozen=True, slots=True)
class CabFile:
    """A file: its name with ``/``, and where it lies in which folder's content."""

    name: str
    folder: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class CabDirectory:
    """Folders and files in their order; ``data_start`` is where what describes them ends, ``block_reserve`` what each block sets aside."""

    folders: tuple[CabFolder, ...]
    files: tuple[CabFile, ...]
    data_start: int
    end: int
    block_reserve: int


def read_directory(source: Bytes) -> CabDirectory:
    """Read what describes the files; raises MalformedError, UnsupportedError or ResourceLimitError."""
    fields = _HEADER.unpack(_exactly(source, 0, _HEADER.size))
    magic, size, files_at, major, folders, files, flags = (fields[at] for at in (0, 2, 4, 7, 8, 9, 10))
    if magic != b"MSCF" or major != 1 or not _HEADER.size <= size <= source.size:
        raise MalformedError("cabinet: no header, or another size than the file's")
    if flags & (_PREVIOUS | _NEXT):
        raise UnsupportedError("cabinet: one of a set")
    if files > MAX_FILES or folders > MAX_FOLDERS:
        raise ResourceLimitError(f"cabinet: {files} files in {folders} folders")
    position, folder_reserve, block_reserve = _HEADER.size, 0, 0
    if flags & _RESERVED:
        in_header, folder_reserve, block_reserve = _RESERVE.unpack(_exactly(source, position, _RESERVE.size))
        position += _RESERVE.size + in_header
    found_folders: list[CabFolder] = []
    for _ in range(folders):
        offset, blocks, compression = _FOLDER.unpack(_exactly(source, position, _FOLDER.size))
        found_folders.append(CabFolder(offset, blocks, compression & 0x0F))
        position += _FOLDER.size + folder_reserve
    if position != files_at:
        raise MalformedError("cabinet: the files are not listed where the folders end")
    found_files: list[CabFile] = []
    for _ in range(files):
        one, position = _file(source, position, folders)
        found_files.append(one)
    return CabDirectory(tuple(found_folders), tuple(found_files), position, size, block_reserve)


def contents(source: Bytes, directory: CabDirectory) -> Iterator[tuple[CabFile, Iterator[bytes]]]:
    """Every file with its content in pieces, to be taken before the next file; all blocks and files must follow one another.

    Raises MalformedError, UnsupportedError or ResourceLimitError.
    """
    position = directory.data_start
    for number, folder in enumerate(directory.folders):
        if folder.offset != position:
            raise MalformedError("cabinet: a folder's data is not where the one before it ends")
        unpacked = _Folder(source, directory, folder)
        offset = 0
        for file in (one for one in directory.files if one.folder == number):
            if file.offset != offset:
                raise MalformedError(f"cabinet: {file.name[:80]!a} overlaps another file, or leaves a gap")
            pieces = unpacked.take(file.size)
            yield file, pieces
            for _ in pieces:
                pass
            offset += file.size
        unpacked.finish()
        position = unpacked.position
    if position != directory.end:
        raise MalformedError("cabinet: bytes after the last folder's data")


class _Folder:
    """One folder's content, block after block."""

    def __init__(self, source: Bytes, directory: CabDirectory, folder: CabFolder) -> None:
        if folder.compression not in (STORED, MSZIP):
            raise UnsupportedError(f"cabinet: compression {folder.compression}; stored and MSZIP are read")
        self._source, self._reserve, self._end = source, directory.block_reserve, directory.end
        self._folder, self._left = folder, folder.blocks
        self._history = self._buffer = b""
        self.position = folder.offset

    def take(self, length: int) -> Iterator[bytes]:
        """The next ``length`` bytes in pieces."""
        while length:
            if not self._buffer:
                self._buffer = self._block()
            piece, self._buffer = self._buffer[:length], self._buffer[length:]
            length -= len(piece)
            yield piece

    def finish(self) -> None:
        """Raise MalformedError unless everything has been taken."""
        if self._buffer or self._left:
            raise MalformedError("cabinet: a folder with more in it than its files")

    def _block(self) -> bytes:
        if not self._left:
            raise MalformedError("cabinet: a file that goes past its folder's end")
        self._left -= 1
        checksum, packed, size = _DATA.unpack(_exactly(self._source, self.position, _DATA.size))
        start = self.position + _DATA.size + self._reserve
        if not 0 < size <= _BLOCK_BYTES or not packed <= _MAX_PACKED_BYTES or start + packed > self._end:
            raise MalformedError("cabinet: a data block of a size that none has")
        data = _exactly(self._source, start, packed)
        sizes = _exactly(self._source, self.position + 4, 4 + self._reserve)
        if checksum and checksum != block_checksum(sizes, block_checksum(data)):
            raise MalformedError("cabinet: a data block that is not of its checksum")
        self.position = start + packed
        content = data if self._folder.compression == STORED else self._unzip(data, size)
        if len(content) != size:
            raise MalformedError("cabinet: a data block that is not of the size it says")
        return content

    def _unzip(self, data: bytes, size: int) -> bytes:
        """[MS-MCI] 2: ``CK`` and one deflate stream, which may refer to the blocks before it."""
        if data[:2] != b"CK":
            raise MalformedError("cabinet: an MSZIP block without its mark")
        inflater = zlib.decompressobj(-zlib.MAX_WBITS, zdict=self._history)
        try:
            content = inflater.decompress(data[2:], size + 1)
        except zlib.error as error:
            raise MalformedError(f"cabinet: a data block does not unpack: {error}") from error
        if not inflater.eof or inflater.unused_data:
            raise MalformedError("cabinet: an MSZIP block that does not end where it says")
        self._history = (self._history + content)[-_BLOCK_BYTES:]
        return content


def block_checksum(data: bytes, seed: int = 0) -> int:
    """[MS-CAB] 3.1: the exclusive or of all little-endian words; of a last part of a word, the bytes count from its high end."""
    whole = len(data) // 4 * 4
    value = seed
    width = whole
    folded = int.from_bytes(data[:whole], "little")
    while width > 4:
        half = (width // 4 + 1) // 2 * 4
        folded = (folded & ((1 << 8 * half) - 1)) ^ (folded >> 8 * half)
        width = half
    return value ^ folded ^ int.from_bytes(data[whole:], "big")


def _file(source: Bytes, position: int, folders: int) -> tuple[CabFile, int]:
    size, offset, folder, _, _, attributes = _FILE.unpack(_exactly(source, position, _FILE.size))
    raw = source.read_at(position + _FILE.size, MAX_NAME_BYTES)
    name, nul, _ = raw.partition(b"\0")
    if not nul:
        raise MalformedError("cabinet: a file's name without an end")
    if folder >= folders:
        raise UnsupportedError("cabinet: a file that goes on in another cabinet, or a folder that is not there")
    try:
        text = name.decode("utf-8" if attributes & _UTF8_NAME else "ascii").replace("\\", "/")
    except UnicodeDecodeError as error:
        raise MalformedError("cabinet: a file's name in an encoding that is not stated") from error
    check_name(text)
    return CabFile(text, folder, offset, size), position + _FILE.size + len(name) + 1


def _exactly(source: Bytes, offset: int, length: int) -> bytes:
    data = source.read_at(offset, length)
    if len(data) != length:
        raise MalformedError("cabinet: cut short")
    return data
