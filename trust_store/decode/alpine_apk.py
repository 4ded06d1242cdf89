"""Alpine packages and indexes of version 2 (apk-v2(5)): gzip streams one after another, whose contents are parts of one tar archive.

::

    signatures: .SIGN.RSA.<key>, .SIGN.RSA256.<key> ... | control: .PKGINFO, scripts | data

A signature is over the bytes of the control stream as they lie; ``datahash`` in .PKGINFO is the SHA-256 of all bytes after it. Where
there is none (old packages, and indexes, whose control stream is APKINDEX) the signature is over everything after the signatures.
"""

from __future__ import annotations

import io
import re
import zlib
from typing import TYPE_CHECKING

from trust_store.decode import tar_archive
from trust_store.decode.byte_reader import ByteReader
from trust_store.decode.package_info import MAX_BYTES, parse_package_info
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

    from trust_store.decode.tar_archive import MemberSink, TarMember

SIGNATURE_PREFIX, INFO, INDEX = ".SIGN.", ".PKGINFO", "APKINDEX"
MAX_UNPACKED_BYTES = 64 * 1024 * 1024
MAX_RATIO = 200
MAX_SIGNATURES = 64
MAX_SIGNATURE_BYTES = 16 * 1024
_SLACK_BYTES = 1024 * 1024
_PIECE_BYTES = 256 * 1024
_END_OF_ARCHIVE = bytes(2 * tar_archive.BLOCK_BYTES)
_SIGNATURE = re.compile(r"\.SIGN\.(RSA|RSA256|RSA512|DSA)\.([!-.0-~]{1,200})")
ALGORITHMS = {"RSA": "sha1", "RSA256": "sha256", "RSA512": "sha512"}
"""Name in a signature's member -> hashlib name."""
_HEX_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ApkSignature:
    """One signature: ``kind`` RSA, RSA256, RSA512 or DSA; ``key`` the name of a key file, a hint that decides nothing."""

    kind: str
    key: str
    value: bytes


@dataclass(frozen=True, slots=True)
class ApkControl:
    """What the control stream says: name and version (None in an index), and the digest of the data in hex (None where it has none)."""

    product: tuple[str, str] | None
    data_sha256: str | None


def unpack_stream(
    read: Callable[[int, int], bytes], start: int, *, max_packed: int, max_unpacked: int = MAX_UNPACKED_BYTES
) -> tuple[bytes, int]:
    """(content, end) of the one gzip stream at ``start``; ``read`` gives (offset, length) bytes of the file.

    Raises MalformedError for what is no gzip stream or cut short, ResourceLimitError above ``max_packed`` or ``max_unpacked`` bytes.
    """
    inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
    content = io.BytesIO()  # which hands out its one buffer
    position = start
    while not inflater.eof:
        packed = read(position, _PIECE_BYTES)
        if not packed:
            raise MalformedError("Alpine package: a gzip stream that is cut short")
        position += len(packed)
        if position - start > max_packed + _PIECE_BYTES:
            raise ResourceLimitError(f"Alpine package: a stream of more than {max_packed} bytes")
        while packed and not inflater.eof:
            try:
                content.write(inflater.decompress(packed, _PIECE_BYTES))
            except zlib.error as error:
                raise MalformedError(f"Alpine package: does not unpack: {error}") from error
            packed = inflater.unconsumed_tail
            if content.tell() > min(max_unpacked, MAX_UNPACKED_BYTES, (position - start) * MAX_RATIO + _SLACK_BYTES):
                raise ResourceLimitError(
                    f"Alpine package: {position - start} bytes that unpack to more than {content.tell() - 1}"
                )
    return content.getvalue(), position - len(inflater.unused_data)


class _Content:
    def __init__(self) -> None:
        self.data = b""

    def update(self, data: bytes, /) -> None:
        if len(self.data) + len(data) > MAX_BYTES:
            raise ResourceLimitError(f"Alpine package: a file of more than {MAX_BYTES} bytes that is to be read")
        self.data += data


def _members(segment: bytes, wanted: Callable[[str], bool]) -> tuple[list[str], dict[str, bytes]]:
    """The names in a part of a tar archive, which may lack the end of one, and the contents of those ``wanted``."""
    found: dict[str, _Content] = {}

    def sink_of(member: TarMember) -> MemberSink | None:
        if member.kind != tar_archive.FILE or not wanted(member.name):
            return None
        return found.setdefault(member.name, _Content())

    members = tar_archive.walk(ByteReader(iter((segment, _END_OF_ARCHIVE))), sink_of)
    return [member.name for member in members], {name: content.data for name, content in found.items()}


def read_signatures(segment: bytes) -> tuple[ApkSignature, ...]:
    """The signatures in the first stream, () where that is the control stream; raises MalformedError for a stream that is half of each."""
    names, contents = _members(segment, lambda name: name.startswith(SIGNATURE_PREFIX))
    if not contents:
        return ()
    if len(names) != len(contents):
        raise MalformedError("Alpine package: something else beside the signatures")
    if len(contents) > MAX_SIGNATURES:
        raise ResourceLimitError(f"Alpine package: more than {MAX_SIGNATURES} signatures")
    found: list[ApkSignature] = []
    for name, value in contents.items():
        match = _SIGNATURE.fullmatch(name)
        if match is None or not 0 < len(value) <= MAX_SIGNATURE_BYTES:
            raise MalformedError(f"Alpine package: {name[:80]!a} is no signature")
        found.append(ApkSignature(match[1], match[2], value))
    return tuple(found)


def read_control(segment: bytes) -> ApkControl:
    """What the control stream says; raises MalformedError where it is that of no package and no index."""
    names, contents = _members(segment, lambda name: name == INFO)
    if any(name.startswith(SIGNATURE_PREFIX) for name in names):
        raise MalformedError("Alpine package: a signature after the signatures")
    if INFO not in contents:
        if INDEX not in names:
            raise MalformedError("Alpine package: neither .PKGINFO nor APKINDEX")
        return ApkControl(None, None)
    fields = parse_package_info(contents[INFO])
    name, version, digest = (next(iter(fields.get(key, ())), None) for key in ("pkgname", "pkgver", "datahash"))
    if not name or not version or (digest is not None and not _HEX_SHA256.fullmatch(digest)):
        raise MalformedError("Alpine package: .PKGINFO without a name, a version, or a digest that is one")
    return ApkControl((name, version), digest)
