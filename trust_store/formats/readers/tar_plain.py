"""A tar archive, perhaps compressed as a whole, without a signature of its own; signatures beside it cover the whole file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.formats.members import packages_among
from trust_store.formats.protocol import Reading
from trust_store.formats.side_signatures import read_side
from trust_store.formats.streaming import PackageStream
from trust_store.formats.tar_members import TarMembers
from trust_store.formats.tar_reading import TarReading
from trust_store.model.package_facts import Coverage, Uncovered

if TYPE_CHECKING:
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial

NAME = "tar"
VERSION = 1
CONTAINER = "tar"
DOC = """Any tar archive (ustar, pax, GNU long names), as it is or in gzip or xz; walked strictly whether or not it is signed.

Without a signature beside it, it is unsigned, whatever its members carry. Members that are packages, or have a signature beside them in
the archive, get verdicts of their own: at most 64, those of a compressed archive up to 32 MiB together. Duplicate, absolute and `..`
names, bytes after the end, several gzip members, and headers that programs read in different ways (a size in a pax header that is not
the header's, content of a folder or link, a prefix in a GNU header) are `malformed`; sparse files are `unsupported_format`; an archive
that unpacks to more than 300 times its size is a `resource_limit`. Fixtures are made by `tar`."""


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Every archive that is no more particular form."""
    return True


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:
    """Read the package once; raises MalformedError, UnsupportedError or ResourceLimitError."""
    files = read_side(side)
    stream = PackageStream(source, files.digests)
    tar = TarReading(source, limits)
    inside = TarMembers(source, compressed=tar.compression is not None)
    tar.walk(stream, None if side else inside.sink_of)
    facts = files.complete(stream.states)
    if side:
        return Reading(stream.sha256, facts, Coverage(covered_bytes=source.size))
    coverage = Coverage(uncovered=(Uncovered(start=0, end=source.size),))
    packages = packages_among(inside.sizes, inside.head_of, inside.open)
    return Reading(stream.sha256, facts, coverage, members=packages)
