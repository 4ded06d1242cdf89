"""PE images (Microsoft, "PE Format"): the headers that say what Authenticode leaves out, and the attribute certificate table.

Nothing is loaded or mapped: what is read is what decides which bytes a signature covers.
"""

from __future__ import annotations

import struct

from trust_store.decode.asn1 import read_first
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

MAX_HEADER_BYTES = 1024 * 1024
MAX_TABLE_BYTES = 16 * 1024 * 1024
MAX_CERTIFICATES = 16
PKCS_SIGNED_DATA = 2
ALIGNMENT = 8
_PE32, _PE32_PLUS = 0x10B, 0x20B
_COFF = struct.Struct("<HHIIIHH")
_SECTION = struct.Struct("<8sIIIIIIHHI")
_ENTRY = struct.Struct("<IHH")
_DOS_BYTES = 64
_CHECKSUM_AT = 64
_DIRECTORIES_AT = {_PE32: 96, _PE32_PLUS: 112}
_RESOURCES, _SECURITY = 2, 4
_DIRECTORY_BYTES = 8
_REVISIONS = (0x0100, 0x0200)


@dataclass(frozen=True, slots=True)
class Image:
    """File offsets in bytes, ends after the last: the checksum field, the directory entry of the certificate table, and the table.

    ``directory`` is None where the image has no such entry; ``table`` then and where there is no table. ``sections`` are the raw data of
    the sections that have any, ``addresses`` where they are loaded (address, length, file offset); ``resources`` the address of
    the resources.
    """

    checksum: tuple[int, int]
    directory: tuple[int, int] | None
    table: tuple[int, int] | None
    sections: tuple[tuple[int, int], ...] = ()
    addresses: tuple[tuple[int, int, int], ...] = ()
    resources: int | None = None

    def offset_of(self, address: int) -> int:
        """The file offset of what is loaded at ``address``; raises MalformedError where that comes from no section."""
        for first, length, at in self.addresses:
            if first <= address < first + length:
                return at + address - first
        raise MalformedError(f"PE: nothing of the file is loaded at {address:#x}")


@dataclass(frozen=True, slots=True)
class CertificateEntry:
    """One WIN_CERTIFICATE: offsets of the whole entry (padding included) in the table, its type, and the PKCS #7 message in it.

    ``rest`` are the bytes of the entry after the message; for another type than PKCS_SIGNED_DATA all of it.
    """

    start: int
    end: int
    kind: int
    message: bytes
    rest_start: int
    rest: bytes


def header_bytes(head: bytes) -> int:
    """How long the headers are, sections included, or how much must be read to know; ``head`` is what was read so far.

    Raises MalformedError or ResourceLimitError.
    """
    if len(head) < _DOS_BYTES or head[:2] != b"MZ":
        raise MalformedError("PE: no MS-DOS header")
    start = int.from_bytes(head[60:64], "little")
    if start > MAX_HEADER_BYTES:
        raise ResourceLimitError(f"PE: headers at byte {start}")
    optional = start + 4 + _COFF.size
    if len(head) < optional:
        return optional
    _, count, _, _, _, optional_bytes, _ = _COFF.unpack_from(head, start + 4)
    return int(optional + optional_bytes + count * _SECTION.size)


def read_image(head: bytes, size: int) -> Image:
    """The image of ``size`` bytes whose headers are ``head``; raises MalformedError or UnsupportedError."""
    start = int.from_bytes(head[60:64], "little")
    if head[start : start + 4] != b"PE\0\0":
        raise MalformedError("PE: no signature where the MS-DOS header points")
    if len(head) < header_bytes(head) or len(head) < start + 4 + _COFF.size:
        raise MalformedError("PE: cut short in the headers")
    _, count, _, _, _, optional_bytes, _ = _COFF.unpack_from(head, start + 4)
    optional = start + 4 + _COFF.size
    sections_at = optional + optional_bytes
    magic = int.from_bytes(head[optional : optional + 2], "little")
    if magic not in _DIRECTORIES_AT:
        raise UnsupportedError(f"PE: optional header of kind {magic:#x}")
    directories = optional + _DIRECTORIES_AT[magic]
    if directories > sections_at:
        raise MalformedError("PE: the optional header is too short")
    entries = int.from_bytes(head[directories - 4 : directories], "little")
    checksum = (optional + _CHECKSUM_AT, optional + _CHECKSUM_AT + 4)
    addresses = tuple(_sections(head, sections_at, count))
    sections = tuple((at, at + length) for _, length, at in addresses)
    place = directories + _RESOURCES * _DIRECTORY_BYTES
    there = entries > _RESOURCES and place + _DIRECTORY_BYTES <= sections_at
    resources = int.from_bytes(head[place : place + 4], "little") if there else 0
    entry = directories + _SECURITY * _DIRECTORY_BYTES
    if entries <= _SECURITY or entry + _DIRECTORY_BYTES > sections_at:
        return Image(checksum, None, None, sections, addresses, resources or None)
    table = _table(head[entry : entry + _DIRECTORY_BYTES], sections_at + count * _SECTION.size, size)
    return Image(checksum, (entry, entry + _DIRECTORY_BYTES), table, sections, addresses, resources or None)


def _sections(head: bytes, start: int, count: int) -> list[tuple[int, int, int]]:
    """VirtualAddress, SizeOfRawData and PointerToRawData of the section headers ("Section Table")."""
    found: list[tuple[int, int, int]] = []
    for number in range(count):
        fields = _SECTION.unpack_from(head, start + number * _SECTION.size)
        address, length, at = fields[2:5]
        if length and at:
            found.append((address, length, at))
    return found


def _table(entry: bytes, headers_end: int, size: int) -> tuple[int, int] | None:
    """Where the certificate table is; unlike every other directory's its address is a file offset."""
    start, length = struct.unpack("<II", entry)
    if start == 0 and length == 0:
        return None
    if start < headers_end or start + length > size:
        raise MalformedError("PE: the certificate table lies outside the file, or in its headers")
    if length == 0:
        return None
    if length > MAX_TABLE_BYTES:
        raise ResourceLimitError(f"PE: a certificate table of {length} bytes")
    return start, start + length


def read_table(table: bytes) -> tuple[CertificateEntry, ...]:
    """The entries of an attribute certificate table ("The Attribute Certificate Table"): each begins at a multiple of eight bytes.

    Raises MalformedError, UnsupportedError or ResourceLimitError.
    """
    found: list[CertificateEntry] = []
    position = 0
    while position < len(table):
        if not any(table[position:]):  # zeros up to the end are padding
            break
        if len(found) >= MAX_CERTIFICATES:
            raise ResourceLimitError(f"PE: more than {MAX_CERTIFICATES} entries in the certificate table")
        if len(table) - position < _ENTRY.size:
            raise MalformedError("PE: the certificate table is cut short")
        length, revision, kind = _ENTRY.unpack_from(table, position)
        if length <= _ENTRY.size or position + length > len(table) or revision not in _REVISIONS:
            raise MalformedError("PE: a broken entry in the certificate table")
        end = position + length
        following = min(end + -end % ALIGNMENT, len(table))
        content_end = position + _ENTRY.size
        message = b""
        if kind == PKCS_SIGNED_DATA:
            message = read_first(table[content_end:end], "PE: signature")[0].raw
            content_end += len(message)
        found.append(CertificateEntry(position, following, kind, message, content_end, table[content_end:following]))
        position = following
    return tuple(found)
