"""APKs taken apart and put together again around their signing block, for fixtures and hostile tests."""

from __future__ import annotations

import struct
from dataclasses import dataclass

MAGIC = b"APK Sig Block 42"


@dataclass(frozen=True)
class Parts:
    """Entries, signing block (empty where there is none), central directory, comment."""

    entries: bytes
    block: bytes
    directory: bytes
    entries_count: int
    comment: bytes = b""

    @property
    def pairs(self) -> dict[int, bytes]:
        """The block's pairs."""
        found: dict[int, bytes] = {}
        position = 8
        while position < len(self.block) - 24:
            length, identifier = struct.unpack_from("<QI", self.block, position)
            found[identifier] = self.block[position + 12 : position + 8 + length]
            position += 8 + length
        return found

    @property
    def first_record(self) -> int:
        """Length of the first record of the directory."""
        return 46 + sum(map(int, struct.unpack_from("<HHH", self.directory, 28)))


def split_apk(data: bytes) -> Parts:
    """Take an APK without zip64 apart."""
    end = data.rindex(b"PK\x05\x06")
    count, size, start = struct.unpack_from("<HII", data, end + 10)
    first = start
    if data[start - 16 : start] == MAGIC:
        first = start - struct.unpack_from("<Q", data, start - 24)[0] - 8
    return Parts(data[:first], data[first:start], data[start : start + size], count, data[end + 22 :])


def signed_apk(entries: bytes, block: bytes, directory: bytes, count: int, comment: bytes = b"") -> bytes:
    """Put one together."""
    start = len(entries) + len(block)
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, count, count, len(directory), start, len(comment))
    return entries + block + directory + end + comment


def block_of(pairs: list[tuple[int, bytes]]) -> bytes:
    """A signing block."""
    body = b"".join(struct.pack("<QI", 4 + len(value), identifier) + value for identifier, value in pairs)
    size = struct.pack("<Q", len(body) + 24)
    return size + body + size + MAGIC


def with_block(data: bytes, block: bytes | None) -> bytes:
    """The APK with another block, or with none."""
    parts = split_apk(data)
    return signed_apk(parts.entries, block or b"", parts.directory, parts.entries_count, parts.comment)


def replace_pairs(
    data: bytes, changes: dict[int, tuple[int, bytes | None]], added: dict[int, bytes] | None = None
) -> bytes:
    """The APK with pairs under other identifiers, with other values (None: the same), and with ``added`` ones."""
    pairs: list[tuple[int, bytes]] = []
    for identifier, value in split_apk(data).pairs.items():
        other, content = changes.get(identifier, (identifier, None))
        pairs.append((other, value if content is None else content))
    return with_block(data, block_of([*pairs, *(added or {}).items()]))
