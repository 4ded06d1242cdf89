"""Apple code signatures (XNU ``osfmk/kern/cs_blobs.h``): the super blob, code directories and what they digest. Bytes -> values."""

from __future__ import annotations

import re
import struct

from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

EMBEDDED, DIRECTORY, WRAPPER = 0xFADE0CC0, 0xFADE0C02, 0xFADE0B01
DIRECTORY_SLOT, ALTERNATES, SIGNATURE_SLOT, TICKET_SLOT = 0, range(0x1000, 0x1006), 0x10000, 0x10002
INFO_SLOT, RESOURCES_SLOT = 1, 3
"""What these slots digest lies in files beside the image."""
MAX_BLOBS = 64
MAX_SLOTS = 256 * 1024
MAX_SPECIAL_SLOTS = 64
_DIGESTS = {1: ("sha1", 20), 2: ("sha256", 32), 4: ("sha384", 48), 5: ("sha512", 64)}
_HEADER = struct.Struct(">IIIIIIIIIBBBBI")
_IDENTITY = re.compile(rb"[\x21-\x7e]{1,255}")
_SCATTER_VERSION, _LIMIT64_VERSION = 0x20100, 0x20300
_BLOB_HEADER = 8


@dataclass(frozen=True, slots=True)
class Blob:
    """One blob of the super blob: its slot, and where it lies in the signature's data, header included."""

    slot: int
    start: int
    data: bytes


@dataclass(frozen=True, slots=True)
class CodeDirectory:
    """What a directory digests: ``pages`` of ``page_bytes`` (0: all at once) of the first ``limit`` bytes, and special slots by number.

    ``raw`` is the directory itself, which the signature covers.
    """

    raw: bytes
    identity: str
    algorithm: str
    limit: int
    page_bytes: int
    pages: tuple[bytes, ...]
    special: dict[int, bytes]


def parse_super_blob(data: bytes) -> tuple[int, tuple[Blob, ...]]:
    """Length of the super blob that ``data`` begins with, and its blobs in the order in which they lie; raises MalformedError."""
    if len(data) < 12:  # magic, length, count
        raise MalformedError("code signature: cut short")
    magic, length, count = struct.unpack_from(">III", data)
    if magic != EMBEDDED or not 12 <= length <= len(data):
        raise MalformedError("code signature: no super blob")
    if count > MAX_BLOBS:
        raise ResourceLimitError(f"code signature: {count} blobs")
    position = 12 + 8 * count
    if position > length:
        raise MalformedError("code signature: the index is cut short")
    places = sorted(
        (start, slot) for slot, start in (struct.unpack_from(">II", data, 12 + 8 * n) for n in range(count))
    )
    found: list[Blob] = []
    for start, slot in places:
        if start < position or start + _BLOB_HEADER > length:
            raise MalformedError("code signature: blobs that overlap or end after their container")
        size = int.from_bytes(data[start + 4 : start + 8], "big")
        if size < _BLOB_HEADER or start + size > length:
            raise MalformedError("code signature: a blob that ends after its container")
        found.append(Blob(slot, start, data[start : start + size]))
        position = start + size
    if len({one.slot for one in found}) < len(found):
        raise MalformedError("code signature: two blobs of one slot")
    return length, tuple(found)


def parse_directory(blob: bytes) -> CodeDirectory:
    """A code directory; raises MalformedError, UnsupportedError or ResourceLimitError."""
    if len(blob) < _HEADER.size:
        raise MalformedError("code directory: cut short")
    (magic, length, version, _, hashes, identity, specials, slots, limit, size, kind, _, page, _) = _HEADER.unpack_from(
        blob
    )
    if magic != DIRECTORY or length != len(blob):
        raise MalformedError("code directory: not one")
    if kind not in _DIGESTS or _DIGESTS[kind][1] != size:
        raise UnsupportedError(f"code directory: digests of kind {kind} and {size} bytes")
    if slots > MAX_SLOTS or specials > MAX_SPECIAL_SLOTS:
        raise ResourceLimitError(f"code directory: {slots} pages")
    if version >= _SCATTER_VERSION and _number(blob, 44, 4):
        raise UnsupportedError("code directory: a scatter list")
    if version >= _LIMIT64_VERSION:
        limit = _number(blob, 56, 8) or limit
    if hashes < specials * size or hashes + slots * size > len(blob) or page > 20:
        raise MalformedError("code directory: digests outside it, or pages that are too large")
    page_bytes = 1 << page if page else 0
    if slots != (-(-limit // page_bytes) if page_bytes else 1):
        raise MalformedError(f"code directory: {slots} pages for {limit} bytes")
    return CodeDirectory(
        raw=blob,
        identity=_identity(blob, identity),
        algorithm=_DIGESTS[kind][0],
        limit=limit,
        page_bytes=page_bytes,
        pages=tuple(blob[at : at + size] for at in range(hashes, hashes + slots * size, size)),
        special={n: blob[hashes - n * size : hashes - n * size + size] for n in range(1, specials + 1)},
    )


def _number(blob: bytes, at: int, length: int) -> int:
    if at + length > len(blob):
        raise MalformedError("code directory: cut short")
    return int.from_bytes(blob[at : at + length], "big")


def _identity(blob: bytes, at: int) -> str:
    name, end, _ = blob[at:].partition(b"\0")
    if not end or not _IDENTITY.fullmatch(name):
        raise MalformedError("code directory: no identifier")
    return name.decode("ascii")
