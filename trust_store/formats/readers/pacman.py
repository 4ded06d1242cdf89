"""Packages of pacman (Arch Linux, MSYS2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode.compressed import compression_of, unpacked_head
from trust_store.decode.package_info import MAX_BYTES, first_member, parse_package_info
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.formats.protocol import Reading
from trust_store.formats.side_signatures import read_side
from trust_store.formats.streaming import PackageStream
from trust_store.formats.tar_reading import TarReading
from trust_store.model.package_facts import Coverage, Product, Uncovered

if TYPE_CHECKING:
    from trust_store.decode.tar_archive import MemberSink, TarMember
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial

NAME = "pacman"
VERSION = 1
CONTAINER = "tar"
DOC = """Packages of pacman (`.pkg.tar`, as it is or in gzip or xz): a tar archive that begins with .BUILDINFO, .MTREE or .PKGINFO.

A detached OpenPGP signature beside it (`.sig`) covers every byte; without one it is unsigned. The archive is walked strictly; product and
version are ``pkgname`` and ``pkgver`` of .PKGINFO. A package compressed with zstd, which is not unpacked here, is read as `detached`: its
signature is verified alike, its content not looked at. Fixtures made by makepkg and GnuPG."""

HEAD_BYTES = 8192
_INFO = ".PKGINFO"
_FIRST = frozenset({".BUILDINFO", ".MTREE", ".PKGINFO", ".INSTALL", ".CHANGELOG"})


class _Info:
    """The content of .PKGINFO."""

    def __init__(self) -> None:
        self.data = b""

    def update(self, data: bytes, /) -> None:
        self.data += data
        if len(self.data) > MAX_BYTES:
            raise ResourceLimitError("pacman: a large .PKGINFO")


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Whether the first member is one that only such packages begin with."""
    head = source.read_at(0, HEAD_BYTES)
    if compression_of(head) is not None:
        head = unpacked_head(head, HEAD_BYTES)
    return first_member(head) in _FIRST


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:
    """Read the package once; raises MalformedError, UnsupportedError or ResourceLimitError."""
    files = read_side(side)
    stream = PackageStream(source, files.digests)
    info = _Info()
    tar = TarReading(source, limits)

    def sink_of(member: TarMember) -> MemberSink | None:
        return info if member.name == _INFO and member.is_file else None

    tar.walk(stream, sink_of)
    fields = parse_package_info(info.data)
    if not fields.get("pkgname") or not fields.get("pkgver"):
        raise MalformedError("pacman: no .PKGINFO with a name and a version")
    facts = files.complete(stream.states)
    if not side:
        return Reading(stream.sha256, facts, Coverage(uncovered=(Uncovered(start=0, end=source.size),)))
    product = Product(fields["pkgname"][0], fields["pkgver"][0])
    return Reading(stream.sha256, facts, Coverage(source.size), product=product)
