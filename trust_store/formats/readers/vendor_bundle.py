"""A zip archive that carries its own signed manifest: ``SHA256SUMS`` and a signature over exactly those bytes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trust_store.decode.manifest import parse_manifest
from trust_store.decode.member_names import folders_above
from trust_store.decode.zip_archive import may_hold, read_directory, walk
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.formats.protocol import Reading
from trust_store.formats.side_signatures import UNKNOWN_SCHEME, SignatureFiles, joined, read_file, read_side
from trust_store.formats.streaming import PackageStream, digests_of
from trust_store.formats.zip_coverage import member_coverage
from trust_store.model.package_facts import Problem, SideFile, SignatureOrigin
from trust_store.model.verdict import Reason
from trust_store.signatures.protocol import MAX_SIGNATURE_FILE_BYTES

if TYPE_CHECKING:
    from trust_store.decode.zip_archive import Directory, Member, MemberSink
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial

NAME = "vendor-bundle"
VERSION = 4
CONTAINER = "zip"
DOC = """A zip with SHA256SUMS, and SHA256SUMS.p7s, .asc or .sig beside it, at its root or in one folder at its root.

Every file must be listed with its digest; a file that is not listed is uncovered content. Names are relative to the
manifest's folder. What the archive says beyond names and contents (times, permissions, comments) no signature covers: the
strict walk only makes sure that it cannot change which files there are and what is in them."""

MANIFEST = "SHA256SUMS"
SIGNATURE_SUFFIXES = (".asc", ".p7s", ".sig")


@dataclass(slots=True)
class _Content:
    """What the walk leaves of one file: its digest, and its bytes where they are wanted."""

    keep: bool
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    pieces: list[bytes] = field(default_factory=list)

    def update(self, data: bytes, /) -> None:
        self.digest.update(data)
        if self.keep:
            self.pieces.append(data)

    @property
    def data(self) -> bytes:
        return b"".join(self.pieces)


@dataclass(frozen=True, slots=True)
class _Layout:
    folder: str
    manifest: str
    signatures: tuple[str, ...]


def recognises(source: PackageSource, limits: ReadLimits) -> bool:
    """Whether there is a manifest with a signature beside it; raises MalformedError where there are two."""
    if not may_hold(source, MANIFEST.encode("ascii"), limits):
        return False
    return _layout(read_directory(source, limits)) is not None


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:
    """Read the package once; raises MalformedError, UnsupportedError or ResourceLimitError."""
    directory = read_directory(source, limits)
    layout = _layout(directory)
    if layout is None:
        raise MalformedError("vendor bundle: no signed manifest")
    _check_sizes(directory, layout, limits)
    files = read_side(side)
    stream = PackageStream(source, files.digests)
    contents: dict[str, _Content] = {}

    def sink_of(member: Member) -> MemberSink | None:
        if member.is_folder:
            return None
        return contents.setdefault(member.name, _Content(keep=member.name in (layout.manifest, *layout.signatures)))

    walk(stream, directory, sink_of)
    manifest = contents[layout.manifest].data
    listed = {layout.folder + name: digest for name, digest in _entries(manifest, limits).items()}
    embedded = _embedded(contents, layout)
    facts = embedded.complete(digests_of(manifest, embedded.digests)) + joined(files).complete(stream.states)
    inert = _inert(layout, listed, _no_signatures(embedded))
    coverage = member_coverage(source, directory, signed={*listed, layout.manifest}, inert=inert)
    return Reading(stream.sha256, facts, coverage, _mismatch(contents, listed), signed=manifest)


def _entries(manifest: bytes, limits: ReadLimits) -> dict[str, str]:
    return parse_manifest(manifest, max_entries=limits.max_members)


def _layout(directory: Directory) -> _Layout | None:
    """Where the signed manifest is: at the root if there, else in the one folder that has it."""
    names = {member.name for member in directory.members}
    found: list[_Layout] = []
    for name in names:
        folder, _, last = name.rpartition("/")
        if last != MANIFEST or "/" in folder:
            continue
        signatures = tuple(name + suffix for suffix in SIGNATURE_SUFFIXES if name + suffix in names)
        if signatures:
            found.append(_Layout(folder and folder + "/", name, signatures))
    at_root = [layout for layout in found if not layout.folder]
    if not at_root and len(found) > 1:
        raise MalformedError("vendor bundle: two signed manifests, in two folders")
    return next(iter(at_root or found), None)


def _check_sizes(directory: Directory, layout: _Layout, limits: ReadLimits) -> None:
    for member in directory.members:
        if member.name == layout.manifest and member.size > limits.max_manifest_bytes:
            raise ResourceLimitError(f"vendor bundle: a manifest of {member.size} bytes")
        if member.name in layout.signatures and member.size > MAX_SIGNATURE_FILE_BYTES:
            raise ResourceLimitError(f"vendor bundle: a signature file of {member.size} bytes")


def _embedded(contents: dict[str, _Content], layout: _Layout) -> SignatureFiles:
    return joined(
        *(
            read_file(
                contents[name].data,
                origin=SignatureOrigin.EMBEDDED,
                file=SideFile(name, contents[name].digest.hexdigest()),
            )
            for name in layout.signatures
        )
    )


def _mismatch(contents: dict[str, _Content], listed: dict[str, str]) -> Problem | None:
    """What the manifest promises and the archive does not hold."""
    for name, digest in listed.items():
        if name not in contents:
            return Problem(Reason.INVALID_SIGNATURE, f"{name[:80]!a} is in the signed manifest and not in the archive")
        if contents[name].digest.hexdigest() != digest:
            return Problem(Reason.INVALID_SIGNATURE, f"{name[:80]!a} is not what the signed manifest says it is")
    return None


def _no_signatures(embedded: SignatureFiles) -> set[str]:
    """Members that only bear a signature's name; where every one is of an unknown kind, that is what there is to say."""
    unknown = {fact.file.name for fact in embedded.unreadable if fact.file and fact.scheme == UNKNOWN_SCHEME}
    others = embedded.pending or any(fact.scheme != UNKNOWN_SCHEME for fact in embedded.unreadable)
    return unknown if others else set()


def _inert(layout: _Layout, listed: dict[str, str], strange: set[str]) -> set[str]:
    """Members that need no signature: those that are one, and folders on the way to a listed file, which say nothing new."""
    return set(folders_above((*listed, layout.manifest))) | (set(layout.signatures) - strange)
