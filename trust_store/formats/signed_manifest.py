"""An archive that carries its own signed manifest: ``SHA256SUMS``, and a signature over exactly those bytes, at one place in it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from trust_store.decode.manifest import parse_manifest
from trust_store.decode.member_names import folders_above
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.formats.side_signatures import UNKNOWN_SCHEME, SignatureFiles, joined, read_file
from trust_store.formats.streaming import digests_of
from trust_store.model.package_facts import Problem, SideFile, SignatureOrigin
from trust_store.model.verdict import Reason
from trust_store.quick_dataclass import dataclass
from trust_store.signatures.protocol import MAX_SIGNATURE_FILE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from trust_store.formats.protocol import ReadLimits
    from trust_store.model.package_facts import SignatureFact

MANIFEST = "SHA256SUMS"
SIGNATURE_SUFFIXES = (".asc", ".minisig", ".p7s", ".sig", ".sign")


class MemberContent:
    """What the walk leaves of one file: its digest, and its bytes where they are wanted."""

    def __init__(self, *, keep: bool) -> None:
        self.digest = hashlib.sha256()
        self._keep = keep
        self._pieces: list[bytes] = []

    def update(self, data: bytes, /) -> None:
        """Take the next piece."""
        self.digest.update(data)
        if self._keep:
            self._pieces.append(data)

    @property
    def data(self) -> bytes:
        """All of it; empty where it was not to be kept."""
        return b"".join(self._pieces)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the signed manifest is: its folder (with a slash, or empty), its name and those of its signatures."""

    folder: str
    manifest: str
    signatures: tuple[str, ...]

    def content_of(self, name: str, size: int, limits: ReadLimits) -> MemberContent:
        """What takes the content of file ``name`` of ``size`` bytes; raises ResourceLimitError for one too large to keep."""
        self.require_small(name, size, limits)
        return MemberContent(keep=name == self.manifest or name in self.signatures)

    def require_small(self, name: str, size: int, limits: ReadLimits) -> None:
        """Raise ResourceLimitError for a manifest or signature too large to keep."""
        if name == self.manifest and size > limits.max_manifest_bytes:
            raise ResourceLimitError(f"vendor bundle: a manifest of {size} bytes")
        if name in self.signatures and size > MAX_SIGNATURE_FILE_BYTES:
            raise ResourceLimitError(f"vendor bundle: a signature file of {size} bytes")


def layout_among(names: Iterable[str]) -> Layout | None:
    """The one signed manifest among an archive's names: at the root if there, else in the one folder that has it.

    None where there is none; raises MalformedError where there are two, in two folders.
    """
    present = set(names)
    found: list[Layout] = []
    for name in present:
        folder, _, last = name.rpartition("/")
        if last != MANIFEST or "/" in folder:
            continue
        signatures = tuple(name + suffix for suffix in SIGNATURE_SUFFIXES if name + suffix in present)
        if signatures:
            found.append(Layout(folder and folder + "/", name, signatures))
    at_root = [layout for layout in found if not layout.folder]
    if not at_root and len(found) > 1:
        raise MalformedError("vendor bundle: two signed manifests, in two folders")
    return next(iter(at_root or found), None)


class BeforeLayout:
    """What takes the contents of files before all names are known: kept where one may turn out to be the manifest or a signature.

    There may be such names in many folders; what is kept is as much as one manifest and one signature file may have together.
    """

    def __init__(self, limits: ReadLimits) -> None:
        self._limits = limits
        self._room = limits.max_manifest_bytes + MAX_SIGNATURE_FILE_BYTES
        self._left_out: set[str] = set()

    def content_of(self, name: str, size: int) -> MemberContent:
        """What takes the content of file ``name`` of ``size`` bytes."""
        folder, _, last = name.rpartition("/")
        named = last.startswith(MANIFEST) and last.removeprefix(MANIFEST) in ("", *SIGNATURE_SUFFIXES)
        most = self._limits.max_manifest_bytes if last == MANIFEST else MAX_SIGNATURE_FILE_BYTES
        wanted = named and "/" not in folder and size <= most
        if wanted and size > self._room:
            self._left_out.add(name)
            wanted = False
        self._room -= size if wanted else 0
        return MemberContent(keep=wanted)

    def require_kept(self, layout: Layout) -> None:
        """Raise ResourceLimitError where what turned out to be wanted was too much together with the rest."""
        if self._left_out & {layout.manifest, *layout.signatures}:
            raise ResourceLimitError("vendor bundle: too much that is called like a manifest or a signature of one")


@dataclass(frozen=True, slots=True)
class SignedManifest:
    """What is to be said of the archive: its signatures, and where it is not what the manifest says.

    ``signed`` are the members that the manifest covers, itself among them, ``inert`` those that need no signature: signatures, and
    folders on the way to a listed file.
    """

    content: bytes
    facts: tuple[SignatureFact, ...]
    problem: Problem | None
    signed: frozenset[str]
    inert: frozenset[str]


def read_manifest(contents: Mapping[str, MemberContent], layout: Layout, limits: ReadLimits) -> SignedManifest:
    """Compare the archive's files with the manifest; raises MalformedError or ResourceLimitError."""
    if layout.manifest not in contents or any(name not in contents for name in layout.signatures):
        raise MalformedError("vendor bundle: the manifest or a signature is no file")
    content = contents[layout.manifest].data
    entries = parse_manifest(content, max_entries=limits.max_members)
    listed = {layout.folder + name: digest for name, digest in entries.items()}
    files = joined(*(_signatures(name, contents[name]) for name in layout.signatures))
    inert = folders_above((*listed, layout.manifest)) | (set(layout.signatures) - _no_signatures(files))
    return SignedManifest(
        content,
        files.complete(digests_of(content, files.digests)),
        _mismatch(contents, listed),
        frozenset({*listed, layout.manifest}),
        frozenset(inert),
    )


def _signatures(name: str, content: MemberContent) -> SignatureFiles:
    file = SideFile(name, content.digest.hexdigest())
    return read_file(content.data, origin=SignatureOrigin.EMBEDDED, file=file)


def _mismatch(contents: Mapping[str, MemberContent], listed: Mapping[str, str]) -> Problem | None:
    """What the manifest promises and the archive does not hold."""
    for name, digest in listed.items():
        if name not in contents:
            return Problem(Reason.INVALID_SIGNATURE, f"{name[:80]!a} is in the signed manifest and not in the archive")
        if contents[name].digest.hexdigest() != digest:
            return Problem(Reason.INVALID_SIGNATURE, f"{name[:80]!a} is not what the signed manifest says it is")
    return None


def _no_signatures(files: SignatureFiles) -> set[str]:
    """Members that only bear a signature's name; where every one is of an unknown kind, that is what there is to say."""
    unknown = {fact.file.name for fact in files.unreadable if fact.file and fact.scheme == UNKNOWN_SCHEME}
    others = files.pending or any(fact.scheme != UNKNOWN_SCHEME for fact in files.unreadable)
    return unknown if others else set()
