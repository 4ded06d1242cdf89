"""RPM packages put together by hand (rpm's ``docs/manual/format_*.md``), right or wrong in exactly one place."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from trust_store.decode.rpm_header import INTRO_BYTES, MAGIC, header_bytes

STRING, BINARY, STRINGS, INT32 = 6, 7, 8, 4
_ALIGN = {3: 2, INT32: 4, 5: 8}


@dataclass(frozen=True)
class Tag:
    """One entry of a header with its data."""

    tag: int
    type: int
    count: int
    data: bytes


def text(tag: int, value: str) -> Tag:
    """One string."""
    return Tag(tag, STRING, 1, value.encode() + b"\0")


def texts(tag: int, *values: str) -> Tag:
    """An array of strings."""
    return Tag(tag, STRINGS, len(values), b"".join(value.encode() + b"\0" for value in values))


def octets(tag: int, value: bytes) -> Tag:
    """Binary data."""
    return Tag(tag, BINARY, len(value), value)


def number(tag: int, value: int) -> Tag:
    """One number of 32 bits."""
    return Tag(tag, INT32, 1, value.to_bytes(4, "big"))


def header(tags: list[Tag], region: int | None, outside: list[Tag] | None = None) -> bytes:
    """A header with its magic; ``outside`` are entries that its region does not have."""
    index: list[bytes] = []
    data = b""
    for tag in tags:
        data += b"\0" * (-len(data) % _ALIGN.get(tag.type, 1))
        index.append(struct.pack(">IIiI", tag.tag, tag.type, len(data), tag.count))
        data += tag.data
    if region is not None:
        index.insert(0, struct.pack(">IIiI", region, BINARY, len(data), 16))
        data += struct.pack(">IIiI", region, BINARY, -16 * len(index), 16)
    for tag in outside or []:
        index.append(struct.pack(">IIiI", tag.tag, tag.type, len(data), tag.count))
        data += tag.data
    return MAGIC + struct.pack(">II", len(index), len(data)) + b"".join(index) + data


def lead(major: int = 3) -> bytes:
    """The 96 bytes at the start."""
    return struct.pack(">4sBBHH66sHH16s", b"\xed\xab\xee\xdb", major, 0, 0, 255, b"a-1-1", 1, 5, b"")


@dataclass(frozen=True)
class Parts:
    """The parts of a package; ``signatures`` and ``main`` with their magic."""

    lead: bytes
    signatures: bytes
    main: bytes
    payload: bytes

    @property
    def signed(self) -> bytes:
        """What signatures of version 3 packages are over."""
        return self.main + self.payload

    @property
    def data(self) -> bytes:
        """The package."""
        return self.lead + self.signatures + b"\0" * (-len(self.signatures) % 8) + self.main + self.payload

    def signed_by(self, *tags: Tag, outside: list[Tag] | None = None, region: int | None = 62) -> Parts:
        """The same with a signature header of ``tags``."""
        return replace(self, signatures=header(list(tags), region, outside))


def split(package: bytes) -> Parts:
    """The parts of a package made by rpmbuild."""
    signatures = package[96 : 96 + header_bytes(package[96 : 96 + INTRO_BYTES])]
    start = 96 + len(signatures) + -len(signatures) % 8
    main = package[start : start + header_bytes(package[start : start + INTRO_BYTES])]
    return Parts(package[:96], signatures, main, package[start + len(main) :])


def tags_of(blob: bytes) -> list[Tag]:
    """The entries of a header but for its region."""
    count, length = struct.unpack_from(">II", blob, 8)
    start = INTRO_BYTES + 16 * count
    index = [struct.unpack_from(">IIiI", blob, INTRO_BYTES + 16 * n) for n in range(count)]
    end = start + length - (16 if index[0][0] < 100 else 0)
    index = [entry for entry in index if entry[0] >= 100]
    ends = [start + entry[2] for entry in index[1:]] + [end]
    return [Tag(t, k, c, blob[start + o : e]) for (t, k, o, c), e in zip(index, ends, strict=True)]
