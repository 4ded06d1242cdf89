"""A tar archive, compressed or not, read once from its start to its end, and the map of what no signature over its files covers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode.byte_reader import ByteReader
from trust_store.decode.compressed import UnpackBudget, Unpacking, compression_of
from trust_store.decode.tar_archive import TarMember, walk
from trust_store.errors import MalformedError
from trust_store.formats.protocol import CHUNK_BYTES
from trust_store.model.package_facts import Coverage, Uncovered

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from trust_store.decode.tar_archive import MemberSink
    from trust_store.formats.protocol import PackageSource, ReadLimits
    from trust_store.formats.streaming import PackageStream


MAX_RATIO = 300
"""An archive that is compressed as a whole is unpacked twice; no more than so many bytes of each byte."""


class TarReading:
    """The members, after ``walk``."""

    def __init__(self, source: PackageSource, limits: ReadLimits) -> None:
        self._source, self._limits = source, limits
        self.compression = compression_of(source.read_at(0, 8))
        self.members: tuple[TarMember, ...] = ()

    def walk(self, stream: PackageStream, sink_of: Callable[[TarMember], MemberSink | None] | None = None) -> None:
        """Read the whole archive through ``stream``; raises MalformedError, UnsupportedError or ResourceLimitError."""
        self._walk(stream.chunks(self._source.size), sink_of)
        stream.read_to_end()

    def list_members(self) -> tuple[TarMember, ...]:
        """The members by their headers: the content of an archive that is not compressed is passed by."""
        if self.compression is None:
            return walk(_HeaderReader(self._source), max_members=self._limits.max_members)
        self._walk(_pieces(self._source), None)
        return self.members

    def coverage(self, signed: Collection[str], inert: Collection[str]) -> Coverage:
        """Members in ``signed`` are covered, those in ``inert`` need not be; headers, padding and the end are the archive's own.

        Of a compressed archive no byte is covered as it lies, since the same content can be compressed in many ways.
        """
        covered = sum(member.size for member in self.members if member.name in signed)
        others = [member for member in self.members if member.name not in signed]
        uncovered = [Uncovered(member=member.name) for member in others if member.name not in inert]
        ranges = self._between(signed) if self.compression is None else ((0, self._source.size),)
        return Coverage(covered, (*uncovered, *(Uncovered(start=s, end=e, inert=True) for s, e in ranges)))

    def _walk(self, pieces: Iterator[bytes], sink_of: Callable[[TarMember], MemberSink | None] | None) -> None:
        ratio = min(self._limits.max_member_ratio, MAX_RATIO)
        budget = UnpackBudget(self._limits.max_total_unpacked_bytes, ratio)
        unpacked = ByteReader(iter(Unpacking(pieces, self.compression, budget)))
        self.members = walk(unpacked, sink_of, max_members=self._limits.max_members)

    def _between(self, signed: Collection[str]) -> tuple[tuple[int, int], ...]:
        """All but the content of signed members."""
        found: list[tuple[int, int]] = []
        position = 0
        for member in self.members:
            if member.name in signed and member.size:
                found.append((position, member.data_offset))
                position = member.data_offset + member.size
        return (*found, (position, self._source.size))


class _HeaderReader(ByteReader):
    """Takes headers where they lie and steps over content."""

    def __init__(self, source: PackageSource) -> None:
        super().__init__(iter(()))
        self._source = source

    def take(self, length: int) -> bytes:
        """Exactly ``length`` bytes; raises MalformedError if there are fewer left."""
        data = self._source.read_at(self.position, length)
        if len(data) < length:
            raise MalformedError("the archive ends before what it describes does")
        self.position += length
        return data

    def chunks(self, length: int) -> Iterator[bytes]:
        """Nothing: the bytes are passed by."""
        self.position += length
        if self.position > self._source.size:
            raise MalformedError("the archive ends before what it describes does")
        return iter(())

    def rest(self) -> Iterator[bytes]:
        """Nothing, likewise."""
        return iter(())


def _pieces(source: PackageSource) -> Iterator[bytes]:
    for start in range(0, source.size, CHUNK_BYTES):
        yield source.read_at(start, CHUNK_BYTES)
