"""Mach-O files, thin and fat (Apple ``mach-o/loader.h``, ``mach-o/fat.h``): where each image lies and where its code signature does.

Bytes -> values. Only what bounds the signature is read: load commands are counted and measured, not understood.
"""

from __future__ import annotations

import struct

from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.quick_dataclass import dataclass

FAT_MAGICS = {b"\xca\xfe\xba\xbe": False, b"\xca\xfe\xba\xbf": True}
"""Whether offsets and sizes are of 64 bits. The first is Java's as well: there the fourth to eighth byte say version 45 or more."""
THIN_MAGICS = {
    b"\xce\xfa\xed\xfe": ("<", 28), b"\xcf\xfa\xed\xfe": ("<", 32), b"\xfe\xed\xfa\xce": (">", 28), b"\xfe\xed\xfa\xcf": (">", 32),
}  # fmt: skip
"""Byte order and length of the header."""
MAX_IMAGES = 20
MAX_COMMANDS = 10_000
MAX_COMMAND_BYTES = 8 * 1024**2
MAX_HEADER_BYTES = 32
FAT_HEADER_BYTES = 8
_CODE_SIGNATURE = 0x1D
_MAX_ALIGNMENT = 15


@dataclass(frozen=True, slots=True)
class Slice:
    """One image in a fat file: its processor, and where it lies; offsets in the file. ``alignment_at`` is where its alignment stands."""

    processor: tuple[int, int]
    start: int
    end: int
    alignment_at: int


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """The beginning of an image: byte order, processor, and the length of the load commands after ``size`` bytes of header."""

    order: str
    processor: tuple[int, int]
    size: int
    commands: int
    command_bytes: int


def is_macho(head: bytes) -> bool:
    """Whether the first eight bytes are those of a Mach-O file of either kind."""
    if head[:4] in FAT_MAGICS:
        return 0 < int.from_bytes(head[4:8], "big") <= MAX_IMAGES
    return head[:4] in THIN_MAGICS


def fat_header_bytes(head: bytes) -> int:
    """Length of the header of a fat file of which these are the first eight bytes."""
    return FAT_HEADER_BYTES + int.from_bytes(head[4:8], "big") * (32 if FAT_MAGICS[head[:4]] else 20)


def parse_fat(header: bytes, file_bytes: int) -> tuple[Slice, ...]:
    """The images of a fat file, in the order in which they lie; raises MalformedError where they overlap or two are for one processor."""
    if len(header) < FAT_HEADER_BYTES or header[:4] not in FAT_MAGICS or len(header) != fat_header_bytes(header):
        raise MalformedError("Mach-O: the header is cut short")
    long = FAT_MAGICS[header[:4]]
    record = struct.Struct(">IIQQII" if long else ">IIIII")
    found: list[Slice] = []
    for at in range(FAT_HEADER_BYTES, len(header), record.size):
        kind, subtype, offset, size, alignment, *reserved = record.unpack_from(header, at)
        if alignment > _MAX_ALIGNMENT or offset % (1 << alignment) or any(reserved):
            raise MalformedError("Mach-O: an image that does not lie where it must")
        found.append(Slice((kind, subtype), offset, offset + size, at + (24 if long else 16)))
    found.sort(key=lambda one: one.start)
    position = len(header)
    for one in found:
        if one.start < position or one.end > file_bytes or one.start == one.end:
            raise MalformedError("Mach-O: images that overlap or end after the file; cut short")
        position = one.end
    if len({one.processor for one in found}) < len(found):
        raise MalformedError("Mach-O: two images for one processor")
    return tuple(found)


def parse_header(head: bytes) -> ImageHeader:
    """The header of one image; raises MalformedError or ResourceLimitError."""
    if head[:4] not in THIN_MAGICS:
        raise MalformedError("Mach-O: no image")
    order, size = THIN_MAGICS[head[:4]]
    if len(head) < size:
        raise MalformedError("Mach-O: the header is cut short")
    kind, subtype, _, count, length = struct.unpack_from(f"{order}IIIII", head, 4)
    if count > MAX_COMMANDS or length > MAX_COMMAND_BYTES:
        raise ResourceLimitError(f"Mach-O: {count} load commands in {length} bytes")
    return ImageHeader(order, (kind, subtype), size, count, length)


def signature_place(header: ImageHeader, commands: bytes) -> tuple[int, int] | None:
    """Offset in the image and length of the code signature, None where there is none; raises MalformedError."""
    found: list[tuple[int, int]] = []
    position = 0
    for _ in range(header.commands):
        if position + 8 > len(commands):
            raise MalformedError("Mach-O: the load commands are cut short")
        command, length = struct.unpack_from(f"{header.order}II", commands, position)
        if length < 8 or length % 4 or position + length > len(commands):
            raise MalformedError("Mach-O: a broken load command")
        if command == _CODE_SIGNATURE:
            if length != 16:  # cmd, cmdsize, dataoff, datasize
                raise MalformedError("Mach-O: a broken code signature command")
            found.append(struct.unpack_from(f"{header.order}II", commands, position + 8))
        position += length
    if position != header.command_bytes or len(commands) != header.command_bytes:
        raise MalformedError("Mach-O: the load commands do not end where they say")
    if len(found) > 1:
        raise MalformedError("Mach-O: two code signatures")
    return found[0] if found else None
