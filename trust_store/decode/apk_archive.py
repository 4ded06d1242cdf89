"""The archive that an APK is, read as Android's package manager and apksig read it (libziparchive; apksig ZipUtils, LocalFileRecord).

More lenient than ``zip_directory`` where Android is and genuine packages need it: entries in any order, padding between them, names that
differ in case alone, local headers that say something else, and methods other than stored all taken for deflated. The end record
is the only one, the central directory reaches from where it says to the end record, and no name occurs twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode.apk_signing_block import SigningBlock, find_signing_block
from trust_store.decode.member_names import decode_name
from trust_store.decode.zip_directory import (
    CENTRAL,
    CENTRAL_MAGIC,
    DEFLATED,
    LOCAL_MAGIC,
    STORED,
    Member,
    find_end,
    read_tail,
)
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from trust_store.decode.zip_directory import ArchiveLimits, Bytes

MANIFEST = "AndroidManifest.xml"
ENCRYPTED_FLAG = 0x0001


@dataclass(frozen=True, slots=True)
class APKArchive:
    """Members in the order of their offsets. Entries lie in [0, ``entries_end``), then comes the signing block where there is one.

    ``tail`` is everything from the central directory, at ``directory_start``, to the end of the file; the end record is at ``end_offset``.
    """

    members: tuple[Member, ...]
    entries_end: int
    block: SigningBlock | None
    directory_start: int
    end_offset: int
    tail: bytes

    def member(self, name: str) -> Member | None:
        """The member of that name."""
        return next((member for member in self.members if member.name == name), None)


def may_be_apk(source: Bytes, limits: ArchiveLimits) -> bool:
    """Whether the archive holds AndroidManifest.xml at its root, or an APK Signing Block; raises MalformedError or ResourceLimitError."""
    end = find_end(source)
    if source.read_at(end.directory_offset - 16, 16) == b"APK Sig Block 42" and end.directory_offset >= 16:
        return True
    tail = read_tail(source, end, limits)
    if MANIFEST.encode() not in tail:
        return False
    return any(member.name == MANIFEST for member in _members(tail[: end.directory_size], limits))


def read_apk_archive(source: Bytes, limits: ArchiveLimits) -> APKArchive:
    """Read the end of the archive; raises MalformedError, UnsupportedError or ResourceLimitError."""
    end = find_end(source)
    if end.first != end.offset:
        raise UnsupportedError("APK: a zip64 archive, which Android does not install")
    tail = read_tail(source, end, limits)
    members = _members(tail[: end.directory_size], limits, end.entries)
    block = find_signing_block(source, end.directory_offset)
    entries_end = block.start if block is not None else end.directory_offset
    # an executable in front of the archive would be run by a runtime that goes by the first bytes (CVE-2017-13156)
    if source.read_at(0, 4) != LOCAL_MAGIC:
        raise MalformedError("APK: something before the first entry")
    return APKArchive(members, entries_end, block, end.directory_offset, end.offset, tail)


def _members(directory: bytes, limits: ArchiveLimits, entries: int | None = None) -> tuple[Member, ...]:
    members: list[Member] = []
    names: set[bytes] = set()
    position = total = 0
    while position < len(directory):
        if len(directory) - position < CENTRAL.size:
            raise MalformedError("zip: the central directory is cut short")
        (
            magic,
            _,
            _,
            flags,
            method,
            _,
            _,
            crc,
            packed,
            size,
            name_bytes,
            extra_bytes,
            comment_bytes,
            _,
            _,
            _,
            offset,
        ) = CENTRAL.unpack_from(directory, position)
        start = position + CENTRAL.size
        position = start + name_bytes + extra_bytes + comment_bytes
        if magic != CENTRAL_MAGIC or position > len(directory):
            raise MalformedError("zip: the central directory is broken")
        raw_name = directory[start : start + name_bytes]
        if flags & ENCRYPTED_FLAG:
            raise UnsupportedError("zip: an encrypted member")
        name = decode_name(raw_name, max_bytes=limits.max_name_bytes)
        if raw_name in names:
            raise MalformedError(f"archive member {name[:80]!a} occurs twice")
        names.add(raw_name)
        method = STORED if method == STORED else DEFLATED  # libziparchive: whatever is not stored is inflated
        if method == STORED and size != packed:
            raise MalformedError(f"zip: stored member {name[:80]!a} with two sizes")
        total += size
        members.append(Member(name, raw_name, flags, method, crc, packed, size, offset))
    if entries is not None and len(members) != entries:
        raise MalformedError("zip: the central directory holds more or fewer members than the end record says")
    if total > limits.max_total_unpacked_bytes:
        raise ResourceLimitError(f"zip: unpacks to more than {limits.max_total_unpacked_bytes} bytes")
    return tuple(sorted(members, key=lambda member: member.header_offset))
