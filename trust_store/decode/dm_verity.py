"""The hash tree of dm-verity (Linux ``Documentation/admin-guide/device-mapper/verity.rst``, "Hash Tree"), built in one pass.

SHA-256, blocks of 4096 bytes, format 1 (the salt comes before the block), no superblock: what RAUC appends to a payload. Level 0 holds
the digests of the data blocks, each further level those of the level below, the last is one block whose digest is the root. The highest
level lies first. Only one unfinished block of each level is in memory.
"""

from __future__ import annotations

import hashlib

from trust_store.errors import MalformedError

BLOCK_BYTES = 4096
DIGEST_BYTES = 32
_PER_BLOCK = BLOCK_BYTES // DIGEST_BYTES


def level_sizes(data_blocks: int) -> tuple[int, ...]:
    """Blocks of each level, lowest first; a tree over a single block still has one level."""
    sizes: list[int] = []
    blocks = data_blocks
    while blocks > 1 or not sizes:
        blocks = -(-blocks // _PER_BLOCK)
        sizes.append(blocks)
    return tuple(sizes)


class HashTree:
    """Takes the data, then tells the root and what the stored levels must be of."""

    def __init__(self, salt: bytes, data_blocks: int) -> None:
        self._salted = hashlib.sha256(salt)
        self._sizes = level_sizes(data_blocks)
        self._pending: list[list[bytes]] = [[] for _ in self._sizes]
        self._levels = [hashlib.sha256() for _ in self._sizes]
        self._left = b""
        self._root = b""

    @property
    def size(self) -> int:
        """Bytes of all levels together."""
        return sum(self._sizes) * BLOCK_BYTES

    def update(self, data: bytes) -> None:
        """Take the next piece of the data."""
        data = self._left + data if self._left else data
        whole = len(data) // BLOCK_BYTES * BLOCK_BYTES
        view = memoryview(data)
        for at in range(0, whole, BLOCK_BYTES):
            self._add(0, self._digest(view[at : at + BLOCK_BYTES]))
        self._left = data[whole:]

    def root(self) -> bytes:
        """The root's digest, once all data has been taken; raises MalformedError where it was not whole blocks."""
        if self._left:
            raise MalformedError("dm-verity: the data is not of whole blocks")
        for level in range(len(self._sizes)):
            if self._pending[level]:
                self._flush(level)
        return self._root

    def levels(self) -> tuple[tuple[int, bytes], ...]:
        """After ``root``: bytes and SHA-256 of each stored level, in the order in which they lie."""
        pairs = zip(self._sizes, self._levels, strict=True)
        return tuple((blocks * BLOCK_BYTES, state.digest()) for blocks, state in reversed(tuple(pairs)))

    def _digest(self, block: memoryview | bytes) -> bytes:
        state = self._salted.copy()
        state.update(block)
        return state.digest()

    def _add(self, level: int, digest: bytes) -> None:
        if level == len(self._sizes):
            self._root = digest
            return
        self._pending[level].append(digest)
        if len(self._pending[level]) == _PER_BLOCK:
            self._flush(level)

    def _flush(self, level: int) -> None:
        block = b"".join(self._pending[level]).ljust(BLOCK_BYTES, b"\0")
        self._pending[level].clear()
        self._levels[level].update(block)
        self._add(level + 1, self._digest(block))
