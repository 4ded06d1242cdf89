"""Packages inside a container that has no signature of its own: which members may be one, and how each is read by itself.

What a member looks like shows in its first bytes. A stored member is read where it lies, a compressed one in memory, up to a cap. The
verdicts on members are told beside the container's own, which stays ``unsigned``.
"""

from __future__ import annotations

import hashlib
import io
import zlib
from functools import partial
from typing import TYPE_CHECKING

from trust_store.decode.containers import container_of
from trust_store.decode.zip_directory import DEFLATED, LOCAL
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.formats.protocol import CHUNK_BYTES, MemberPackage, SideMaterial
from trust_store.formats.streaming import BytesSource
from trust_store.model.package_facts import SideFile, SignatureOrigin
from trust_store.package_files import SIDE_SUFFIXES
from trust_store.signatures.protocol import MAX_SIGNATURE_FILE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trust_store.decode.zip_archive import Member
    from trust_store.formats.protocol import PackageSource

MAX_PACKAGES = 64
MAX_LOOKED_AT = 4096
MAX_UNPACKED_BYTES = 32 * 1024**2
MAX_SIDE_BYTES = 16 * 1024**2
"""Of the signatures beside members, together: all are in memory at once."""
HEAD_BYTES = 512
_CONTAINERS = frozenset({"zip", "cab", "pe", "ar", "xar", "cpio", "ole", "tar"})
_MAGICS = (
    b"\xed\xab\xee\xdb",
    b"\xd0\x0d\xfe\xed",
    b"MAR1",
    b"CrAU",
    b"hsqs",
    b"\xcf\xfa\xed\xfe",
    b"\xce\xfa\xed\xfe",
    b"ADB.",
    b"ADBd",
    b"ADBc",
)
"""Of formats without a container: RPM, flattened device tree, Mozilla archive, Android payload, squashfs, Mach-O, Alpine packages."""


class SliceSource:
    """A stretch of a package as a source of its own."""

    def __init__(self, source: PackageSource, start: int, size: int) -> None:
        self._source, self._start, self._size = source, start, size

    @property
    def size(self) -> int:
        """Bytes."""
        return self._size

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes from ``offset``, fewer only at the end of the stretch, none before its start."""
        wanted = max(0, min(length, self._size - offset)) if offset >= 0 else 0
        return self._source.read_at(self._start + offset, wanted) if wanted else b""


def packages_among(
    sizes: dict[str, int], head_of: Callable[[str], bytes], open_member: Callable[[str], PackageSource]
) -> tuple[MemberPackage, ...]:
    """Which of the members (name -> size in bytes) may be packages, each with the signatures that lie beside it under its name.

    ``head_of`` gives a member's first bytes, ``open_member`` its content; both may raise MalformedError or ResourceLimitError: a member
    whose head cannot be read is none. At most MAX_PACKAGES are found, among the first MAX_LOOKED_AT members.
    """
    found: list[MemberPackage] = []
    room = MAX_SIDE_BYTES
    for name in list(sizes)[:MAX_LOOKED_AT]:
        beside = [name + suffix for suffix in SIDE_SUFFIXES if name + suffix in sizes]
        if not sizes[name] or not (beside or _looks_like_one(head_of, name)):
            continue
        side = tuple(_side(other, sizes[other], room // len(beside), open_member) for other in beside)
        room -= sum(len(item.data) for item in side)
        found.append(MemberPackage(name, partial(open_member, name), side))
        if len(found) == MAX_PACKAGES:
            break
    return tuple(found)


def zip_packages(source: PackageSource, members: Iterable[Member]) -> tuple[MemberPackage, ...]:
    """Those inside a zip archive that was walked from start to end: what its directory says is true."""
    files = {member.name: member for member in members if not member.is_folder}

    def head_of(name: str) -> bytes:
        return b"".join(_unpacked(source, files[name], HEAD_BYTES))[:HEAD_BYTES]

    def open_member(name: str) -> PackageSource:
        member = files[name]
        if member.method != DEFLATED:
            return SliceSource(source, _content_start(source, member), member.size)
        if member.size > MAX_UNPACKED_BYTES:
            raise ResourceLimitError(f"a compressed member of {member.size} bytes; unpack it and check it by itself")
        content = io.BytesIO()  # which hands out its one buffer, where pieces joined would be in memory twice
        for piece in _unpacked(source, member, member.size):
            content.write(piece)
        return BytesSource(content.getvalue())

    return packages_among({name: member.size for name, member in files.items()}, head_of, open_member)


def _looks_like_one(head_of: Callable[[str], bytes], name: str) -> bool:
    try:
        head = head_of(name)
        return head.startswith(_MAGICS) or container_of(BytesSource(head)) in _CONTAINERS
    except (MalformedError, ResourceLimitError):
        return False


def _side(name: str, size: int, room: int, open_member: Callable[[str], PackageSource]) -> SideMaterial:
    """A signature beside a member; one that is too large or cannot be unpacked is told as one that cannot be read."""
    data = b""
    if size <= min(MAX_SIGNATURE_FILE_BYTES, room):
        try:
            data = open_member(name).read_at(0, size)
        except (MalformedError, ResourceLimitError):
            data = b""
    return SideMaterial(SideFile(name, hashlib.sha256(data).hexdigest()), SignatureOrigin.FOUND, data)


def _content_start(source: PackageSource, member: Member) -> int:
    header = LOCAL.unpack(source.read_at(member.header_offset, LOCAL.size))
    return member.header_offset + LOCAL.size + int(header[-2]) + int(header[-1])


def _unpacked(source: PackageSource, member: Member, length: int) -> Iterable[bytes]:
    """The first ``length`` bytes of a member's content; raises MalformedError."""
    start = _content_start(source, member)
    end = start + member.compressed_size
    if member.method != DEFLATED:
        yield source.read_at(start, min(length, member.size))
        return
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        while start < end and length > 0 and not inflater.eof:
            packed = source.read_at(start, min(CHUNK_BYTES, end - start))
            start += len(packed)
            piece = inflater.decompress(packed, min(CHUNK_BYTES, length))
            while piece:
                length -= len(piece)
                yield piece
                more = min(CHUNK_BYTES, length)
                piece = inflater.decompress(inflater.unconsumed_tail, more) if more > 0 else b""
    except zlib.error as error:
        raise MalformedError(f"zip: member {member.name[:80]!a} does not unpack: {error}") from error
