"""A tar archive, perhaps compressed as a whole, that carries its own signed manifest: ``SHA256SUMS`` and a signature over those bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.errors import MalformedError
from trust_store.formats.protocol import Reading
from trust_store.formats.side_signatures import joined, read_side
from trust_store.formats.signed_manifest import BeforeLayout, layout_among, read_manifest
from trust_store.formats.streaming import PackageStream
from trust_store.formats.tar_reading import TarReading

if TYPE_CHECKING:
    from trust_store.decode.tar_archive import MemberSink, TarMember
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial
    from trust_store.formats.signed_manifest import MemberContent

NAME = "vendor-bundle-tar"
VERSION = 1
CONTAINER = "tar"
DOC = """A tar archive, as it is or in gzip or xz, with SHA256SUMS and SHA256SUMS.p7s, .asc, .sig, .sign or .minisig beside it.

They stand at its root or in one folder at its root, and names are relative to that folder. Every file must be listed with its digest; one
that is not, every link and every special file is uncovered content. Headers (times, owners, permissions) are not covered, nor is the way
in which an archive is compressed: the strict walk only makes sure that they cannot change which files there are and what is in them. A
compressed archive is unpacked twice, once to find the manifest. Sparse files, several gzip members and bytes after the end are refused.
Fixtures are made by `tar`."""


def recognises(source: PackageSource, limits: ReadLimits) -> bool:
    """Whether there is a manifest with a signature beside it; raises MalformedError where there are two, and what the walk raises."""
    return layout_among(member.name for member in TarReading(source, limits).list_members()) is not None


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:
    """Read the package once; raises MalformedError, UnsupportedError or ResourceLimitError."""
    tar = TarReading(source, limits)
    files = read_side(side)
    stream = PackageStream(source, files.digests)
    contents: dict[str, MemberContent] = {}
    before = BeforeLayout(limits)

    def sink_of(member: TarMember) -> MemberSink | None:
        if not member.is_file:
            return None
        return contents.setdefault(member.name, before.content_of(member.name, member.size))

    tar.walk(stream, sink_of)
    layout = layout_among(member.name for member in tar.members)
    if layout is None:
        raise MalformedError("vendor bundle: no signed manifest")
    for member in tar.members:
        layout.require_small(member.name, member.size, limits)
    before.require_kept(layout)
    manifest = read_manifest(contents, layout, limits)
    facts = manifest.facts + joined(files).complete(stream.states)
    coverage = tar.coverage(manifest.signed, manifest.inert)
    return Reading(stream.sha256, facts, coverage, manifest.problem, signed=manifest.content)
