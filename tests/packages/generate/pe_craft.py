"""PE images built by hand from the "PE Format" specification: the smallest that signing tools take, and parts of signed ones exchanged."""

from __future__ import annotations

import struct
from dataclasses import dataclass

PE32, PE32_PLUS = 0x10B, 0x20B
SECTION_BYTES = 0x200
CODE = b"\xc3" + b"A fixture, version 1.0.".ljust(SECTION_BYTES - 1, b"\0")
_PE_AT = 0x40


def image(
    *,
    magic: int = PE32_PLUS,
    subsystem: int = 3,
    overlay: bytes = b"",
    directories: int = 16,
    sections: int = 1,
    resources: bytes = b"",
) -> bytes:
    """An unsigned image with one section of code or ``resources`` (the same for each of several), and ``overlay`` after it."""
    content = resources.ljust(-(-len(resources) // SECTION_BYTES) * SECTION_BYTES, b"\0") or CODE
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
    if resources:
        struct.pack_into("<II", optional, directory_at + 16, 0x1000, len(resources))
    coff = struct.pack("<HHIIIHH", 0x8664, sections, 0, 0, 0, optional_bytes, 0x22)
    section = struct.pack("<8sIIIIIIHHI", b".text", len(content), 0x1000, len(content), 0x200, 0, 0, 0, 0, 0x60000020)
    dos = b"MZ".ljust(60, b"\0") + struct.pack("<I", _PE_AT)
    head = dos + b"PE\0\0" + coff + bytes(optional) + section * sections
    return head.ljust(0x200, b"\0") + content + overlay


def version_resource(strings: dict[str, str], number: tuple[int, int, int, int], *, kind: int = 16) -> bytes:
    """A resource tree, to be loaded at 0x1000, with one version resource in one language."""
    high, low = number[0] << 16 | number[1], number[2] << 16 | number[3]
    fixed = struct.pack("<13I", 0xFEEF04BD, 0x10000, high, low, high, low, *[0] * 7)
    values = b"".join(_node(key, text.encode("utf-16-le") + b"\0\0", text=True) for key, text in strings.items())
    table = _node("StringFileInfo", b"", _node("040904b0", b"", values))
    data = _node("VS_VERSION_INFO", fixed, table + _node("VarFileInfo", b"", b""))
    tree = b"".join(
        struct.pack("<IIHHHHII", 0, 0, 0, 0, 0, 1, number, at)
        for number, at in ((kind, 0x80000018), (1, 0x80000030), (1033, 0x48))
    )
    return tree + struct.pack("<IIII", 0x1000 + 0x58, len(data), 0, 0) + data


def _node(key: str, value: bytes, children: bytes = b"", *, text: bool = False) -> bytes:
    """One block of a version resource, padded to four bytes."""
    name = key.encode("utf-16-le") + b"\0\0"
    head = name + bytes(-(6 + len(name)) % 4)
    body = head + value + (bytes(-len(value) % 4) + children if children else b"")
    data = struct.pack("<HHH", 6 + len(body), len(value) // 2 if text else len(value), text) + body
    return data + bytes(-len(data) % 4)


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
