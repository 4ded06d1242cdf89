"""PE images built by hand from the "PE Format" specification: the smallest that signing tools take, and parts of signed ones exchanged."""

from __future__ import annotations

import struct
from dataclasses import dataclass

PE32, PE32_PLUS = 0x10B, 0x20B
SECTION_BYTES = 0x200
CODE = b"\xc3" + b"A fixture, version 1.0.".ljust(SECTION_BYTES - 1, b"\0")
_PE_AT = 0x40


def image(
    *, magic: int = PE32_PLUS, subsystem: int = 3, overlay: bytes = b"", directories: int = 16, sections: int = 1
) -> bytes:
    """An unsigned image with one section of code (the same for each of several), and ``overlay`` after it."""
    directory_at = 112 if magic == PE32_PLUS else 96
    optional_bytes = directory_at + 8 * directories
    optional = bytearray(optional_bytes)
    struct.pack_into("<HBBIIIII", optional, 0, magic, 14, 0, SECTION_BYTES, 0, 0, 0x1000, 0x1000)
    if magic == PE32_PLUS:
        struct.pack_into("<Q", optional, 24, 0x140000000)
    else:
        struct.pack_into("<II", optional, 24, 0, 0x400000)
    struct.pack_into(
        "<IIHHHHHHIIIIHH", optional, 32, 0x1000, 0x200, 6, 0, 0, 0, 6, 0, 0, 0x2000, 0x200, 0, subsystem, 0
    )
    struct.pack_into("<I", optional, directory_at - 4, directories)
    coff = struct.pack("<HHIIIHH", 0x8664, sections, 0, 0, 0, optional_bytes, 0x22)
    section = struct.pack("<8sIIIIIIHHI", b".text", 0x17, 0x1000, SECTION_BYTES, 0x200, 0, 0, 0, 0, 0x60000020)
    dos = b"MZ".ljust(60, b"\0") + struct.pack("<I", _PE_AT)
    head = dos + b"PE\0\0" + coff + bytes(optional) + section * sections
    return head.ljust(0x200, b"\0") + CODE + overlay


@dataclass(frozen=True)
class SignedImage:
    """A signed image taken apart: what comes before the certificate table, and its entries without their headers."""

    data: bytes

    @property
    def _entry_at(self) -> int:
        optional = _PE_AT + 24
        magic = int.from_bytes(self.data[optional : optional + 2], "little")
        return optional + (112 if magic == PE32_PLUS else 96) + 32

    @property
    def table_at(self) -> int:
        """Where the table begins."""
        return int.from_bytes(self.data[self._entry_at : self._entry_at + 4], "little")

    @property
    def message(self) -> bytes:
        """The PKCS #7 message of the first entry, with the padding after it."""
        length = int.from_bytes(self.data[self.table_at : self.table_at + 4], "little")
        return self.data[self.table_at + 8 : self.table_at + length]

    def with_table(self, table: bytes, *, inserted: bytes = b"") -> bytes:
        """The same image with another table, and something inserted before it."""
        body = bytearray(self.data[: self.table_at] if self.table_at else self.data)
        body += inserted + bytes(-len(body + inserted) % 8)
        struct.pack_into("<II", body, self._entry_at, len(body), len(table))
        return bytes(body) + table


def entry(content: bytes, *, kind: int = 2, revision: int = 0x200, pad: bool = True) -> bytes:
    """One WIN_CERTIFICATE, padded to eight bytes."""
    data = struct.pack("<IHH", 8 + len(content), revision, kind) + content
    return data + bytes(-len(data) % 8) if pad else data
