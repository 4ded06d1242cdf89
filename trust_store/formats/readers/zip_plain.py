"""A zip archive without a signature of its own; signatures beside it cover the whole file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode.zip_archive import read_directory, walk
from trust_store.formats.members import zip_packages
from trust_store.formats.protocol import Reading
from trust_store.formats.side_signatures import read_side
from trust_store.formats.streaming import PackageStream
from trust_store.model.package_facts import Coverage, Uncovered

if TYPE_CHECKING:
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial

NAME = "zip"
VERSION = 3
CONTAINER = "zip"
DOC = """Any zip archive (APPNOTE.TXT), stored or deflated members, zip64; walked strictly whether or not it is signed.

Without a signature beside it, it is unsigned, whatever its members carry. Members that are packages, or have a signature beside them in
the archive, get verdicts of their own, two containers deep: at most 64 at all depths together, compressed ones up to 32 MiB each and
256 MiB together, which unpack to at most four times as much, with at most eight signatures each; else they are a `resource_limit`."""


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Every archive that is no more particular form."""
    return True


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:
    """Read the package once; raises MalformedError, UnsupportedError or ResourceLimitError."""
    directory = read_directory(source, limits)
    files = read_side(side)
    stream = PackageStream(source, files.digests)
    walk(stream, directory)
    facts = files.complete(stream.states)
    if side:
        return Reading(stream.sha256, facts, Coverage(covered_bytes=source.size))
    coverage = Coverage(uncovered=(Uncovered(start=0, end=source.size),))
    return Reading(stream.sha256, facts, coverage, members=zip_packages(source, directory.members))
