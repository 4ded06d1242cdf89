"""The files of a tar archive as packages inside it: read where they lie, or out of memory where the archive is compressed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.errors import ResourceLimitError
from trust_store.formats.members import HEAD_BYTES, MAX_UNPACKED_BYTES, SliceSource
from trust_store.formats.streaming import BytesSource

if TYPE_CHECKING:
    from trust_store.decode.tar_archive import TarMember
    from trust_store.formats.protocol import PackageSource


class TarMembers:
    """Takes what ``members.packages_among`` asks for from one walk.

    ``sizes`` has the files in their order, in bytes. Of a compressed archive the first bytes of every file are kept, and whole files
    as long as there is room: MAX_UNPACKED_BYTES for all of them together.
    """

    def __init__(self, source: PackageSource, *, compressed: bool) -> None:
        self._source, self._compressed = source, compressed
        self._room = MAX_UNPACKED_BYTES
        self._kept: dict[str, _Kept] = {}
        self._offsets: dict[str, int] = {}
        self.sizes: dict[str, int] = {}

    def sink_of(self, member: TarMember) -> _Kept | None:
        """Who takes a member's content: nobody where it can be read later."""
        if not member.is_file:
            return None
        self.sizes[member.name] = member.size
        self._offsets[member.name] = member.data_offset
        if not self._compressed:
            return None
        whole = member.size <= self._room
        if whole:
            self._room -= member.size
        kept = self._kept[member.name] = _Kept(member.size if whole else HEAD_BYTES)
        return kept

    def head_of(self, name: str) -> bytes:
        """The first bytes of a file."""
        if self._compressed:
            return self._kept[name].data[:HEAD_BYTES]
        return self._source.read_at(self._offsets[name], min(HEAD_BYTES, self.sizes[name]))

    def open(self, name: str) -> PackageSource:
        """A file as a package; raises ResourceLimitError where a compressed archive's could not be kept."""
        if not self._compressed:
            return SliceSource(self._source, self._offsets[name], self.sizes[name])
        data = self._kept[name].data
        if len(data) < self.sizes[name]:
            raise ResourceLimitError(
                f"a member of {self.sizes[name]} bytes in a compressed archive; unpack it and check it by itself"
            )
        return BytesSource(data)


class _Kept:
    """The first bytes of a file, as many as asked for."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._pieces: list[bytes] = []

    def update(self, data: bytes, /) -> None:
        if self._most > 0:
            self._pieces.append(data[: self._most])
            self._most -= len(data)

    @property
    def data(self) -> bytes:
        return b"".join(self._pieces)
