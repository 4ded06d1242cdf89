"""Content digests of APK signatures, computed while the package is read once: ``DigestState``s that know where in the file they are.

Three sections are covered: the entries, the central directory, and the end record with the signing block's start in place of the
directory's (source.android.com/docs/security/features/apksigning/v2, "Integrity-protected contents"). The signing block is left out.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from trust_store.decode.dm_verity import BLOCK_BYTES, HashTree

if TYPE_CHECKING:
    from trust_store.decode.apk_archive import APKArchive

CHUNK_BYTES = 1024 * 1024
_OFFSET_AT, _OFFSET_END = 16, 20
_EMPTY = b""


class _Sections:
    """Hands the pieces of the three sections on to ``_take``, and the end of each to ``_close``."""

    def __init__(self, archive: APKArchive, size: int) -> None:
        self._skip = (archive.entries_end, archive.directory_start)
        self._ends = (archive.entries_end, archive.end_offset)
        self._patch = archive.end_offset + _OFFSET_AT, archive.entries_end.to_bytes(4, "little")
        self._size = size
        self._position = 0

    def update(self, data: bytes, /) -> None:
        """Take the next piece of the file."""
        position, end = self._position, self._position + len(data)
        self._position = end
        patch_at, patch = self._patch
        if end > patch_at:  # the end record is small, and this is so once or twice
            changed = bytearray(data)
            for at, octet in enumerate(patch, patch_at):
                if position <= at < end:
                    changed[at - position] = octet
            data = bytes(changed)
        view = memoryview(data)
        skip_start, skip_end = self._skip
        for start, stop in (
            (position, min(end, skip_start)),
            (max(position, skip_end), min(end, self._ends[1])),
            (max(position, self._ends[1]), end),
        ):
            if start < stop:
                self._take(view[start - position : stop - position], start)

    def _take(self, piece: memoryview, start: int) -> None:
        raise NotImplementedError

    def _section_end(self, position: int) -> int:
        return next((end for end in self._ends if position < end), self._size)


class ChunkedDigest(_Sections):
    """SHA-256 or SHA-512 over the digests of chunks of at most 1 MiB; a chunk belongs to one section."""

    def __init__(self, archive: APKArchive, size: int, algorithm: str) -> None:
        super().__init__(archive, size)
        self._algorithm = algorithm
        self._chunks: list[bytes] = []
        self._open = hashlib.new(algorithm)
        self._left = 0

    def _take(self, piece: memoryview, start: int) -> None:
        while len(piece):
            if not self._left:
                self._left = min(CHUNK_BYTES, self._section_end(start) - start)
                self._open = hashlib.new(self._algorithm, b"\xa5" + self._left.to_bytes(4, "little"))
            taken = piece[: self._left]
            self._open.update(taken)
            self._left -= len(taken)
            start += len(taken)
            piece = piece[len(taken) :]
            if not self._left:
                self._chunks.append(self._open.digest())

    def copy(self) -> ChunkedDigest:
        """The same: it is asked at the end only."""
        return self

    def digest(self) -> bytes:
        """Of the whole package."""
        head = b"\x5a" + len(self._chunks).to_bytes(4, "little")
        return hashlib.new(self._algorithm, head + b"".join(self._chunks)).digest()


class VerityDigest(_Sections):
    """The root of a hash tree over the three sections, and their size (the algorithms with fs-verity's tree)."""

    SALT = bytes(8)

    def __init__(self, archive: APKArchive, size: int) -> None:
        super().__init__(archive, size)
        self.covered = size - (archive.directory_start - archive.entries_end)
        self._tree = HashTree(self.SALT, -(-self.covered // BLOCK_BYTES))

    def _take(self, piece: memoryview, start: int) -> None:  # noqa: ARG002 - one tree over all of them
        self._tree.update(bytes(piece))

    def copy(self) -> VerityDigest:
        """The same: it is asked at the end only."""
        return self

    def digest(self) -> bytes:
        """Root, and bytes covered (u64)."""
        self._tree.update(bytes(-self.covered % BLOCK_BYTES))
        return self._tree.root() + self.covered.to_bytes(8, "little")
