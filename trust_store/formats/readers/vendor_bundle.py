"""A zip archive that carries its own signed manifest: ``SHA256SUMS`` and a signature over exactly those bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode.zip_archive import may_hold, read_directory, walk
from trust_store.errors import MalformedError
from trust_store.formats.protocol import Reading
from trust_store.formats.side_signatures import joined, read_side
from trust_store.formats.signed_manifest import MANIFEST, layout_among, read_manifest
from trust_store.formats.streaming import PackageStream
from trust_store.formats.zip_coverage import member_coverage

if TYPE_CHECKING:
    from trust_store.decode.zip_archive import Member, MemberSink
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial
    from trust_store.formats.signed_manifest import MemberContent

NAME = "vendor-bundle"
VERSION = 5
CONTAINER = "zip"
DOC = """A zip with SHA256SUMS, and SHA256SUMS.p7s, .asc, .sig, .sign or .minisig beside it, at its root or in one folder at its root.

Every file must be listed with its digest; a file that is not listed is uncovered content. Names are relative to the
manifest's folder. What the archive says beyond names and contents (times, permissions, comments) no signature covers: the
strict walk only makes sure that it cannot change which files there are and what is in them."""


def recognises(source: PackageSource, limits: ReadLimits) -> bool:
    """Whether there is a manifest with a signature beside it; raises MalformedError where there are two."""
    if not may_hold(source, MANIFEST.encode("ascii"), limits):
        return False
    return layout_among(member.name for member in read_directory(source, limits).members) is not None


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:
    """Read the package once; raises MalformedError, UnsupportedError or ResourceLimitError."""
    directory = read_directory(source, limits)
    layout = layout_among(member.name for member in directory.members)
    if layout is None:
        raise MalformedError("vendor bundle: no signed manifest")
    files = read_side(side)
    stream = PackageStream(source, files.digests)
    contents: dict[str, MemberContent] = {}

    def sink_of(member: Member) -> MemberSink | None:
        if member.is_folder:
            return None
        return contents.setdefault(member.name, layout.content_of(member.name, member.size, limits))

    walk(stream, directory, sink_of)
    manifest = read_manifest(contents, layout, limits)
    coverage = member_coverage(source, directory, signed=manifest.signed, inert=manifest.inert)
    facts = manifest.facts + joined(files).complete(stream.states)
    return Reading(stream.sha256, facts, coverage, manifest.problem, signed=manifest.content)
