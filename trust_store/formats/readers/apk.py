"""Android packages (APK): signatures of every scheme, each in the role that Android gives it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from trust_store.decode import android_manifest
from trust_store.decode.android_manifest import AndroidManifest
from trust_store.decode.apk_archive import MANIFEST, may_be_apk, read_apk_archive
from trust_store.decode.apk_signers import VERITY_SHA256
from trust_store.decode.apk_signing_block import KNOWN
from trust_store.decode.zip_directory import DEFLATED
from trust_store.decode.zip_metadata import MAX_LISTED_MEMBERS
from trust_store.errors import READ_ERRORS, MalformedError
from trust_store.formats.apk_beside import MAX_STAMP_BYTES, STAMP_MEMBER, V4Files, stamp_facts
from trust_store.formats.apk_digests import ChunkedDigest, VerityDigest
from trust_store.formats.apk_signatures import (
    NUMBERS,
    disagreement,
    facts,
    parse_block,
    signer_certificate,
)
from trust_store.formats.apk_walk import Walked, member_content, walk_apk
from trust_store.formats.jar_contents import JarContents, has_signature, is_related, related_members
from trust_store.formats.member_digests import MemberDigests
from trust_store.formats.protocol import Reading
from trust_store.formats.side_signatures import problem_of, read_side
from trust_store.formats.streaming import PackageStream, SourceChangedError
from trust_store.model.package_facts import (
    Coverage,
    Problem,
    Product,
    SignatureFact,
    SignatureOrigin,
    SignatureRole,
    Uncovered,
)
from trust_store.model.verdict import Reason
from trust_store.signatures.jar import APK_V1
from trust_store.signatures.protocol import DigestRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trust_store.decode.apk_archive import APKArchive
    from trust_store.decode.zip_directory import Member
    from trust_store.formats.jar_contents import JarJudgement
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial

NAME = "apk"
VERSION = 1
CONTAINER = "zip"
DOC = """Android package: a zip with AndroidManifest.xml, perhaps with an APK Signing Block (APK Signature Scheme v2, v3, v3.1) and a
JAR signature (v1).

The newest scheme that is there decides, and each of its signers must hold: v3.1, v3, v2, else v1. Older ones are reported: one that
is broken fails the package, none passes it. v3 below v3.1 must be by one in the newest one's proof of rotation, v1 and v2 by the one
with whom it begins; without v3, v1 and v2 must be by the same signers. v1 is looked at where nothing newer is there or the package is
for Android before 7 (minSdkVersion below 24). Of several algorithms of a signer the one that Android verifies is told, and the others
must hold too. A proof of rotation is verified, and makes no key trusted. A v4 signature (.idsig) beside the package must be over its
hash tree and bound to the v3 signer or else a v2 signer, and where there is v3.1 to its signer as well (v4.1).

`downgrade`: v2 says that there was a v3 signature (stripping protection) and there is none, v3 says so of v3.1,
X-Android-APK-Signed in a .SF file says so of either; v1 alone where targetSdkVersion is 30 or more, or targetSandboxVersion 2 or
more, which Android does not install. A manifest that cannot be read does not pass under v1 alone: it may say so.

v2 and later cover every byte but the signing block, which nobody but verifiers reads: pairs of unknown identifiers in it are ignored
by Android and listed. v1 covers members; others outside META-INF's signature files, bytes between entries that are no padding, and local
headers that contradict the central directory in sizes or checksum are uncovered content. Names are compared byte for byte, as Android
does. A source stamp is reported; one that does not vouch for this package is told and fails nothing, as with apksigner. zip64 is
`unsupported_format`, manifests have the limits of `jar`. Name and version are package and versionCode of the manifest. Fixtures made by
apksigner."""

_V1_BELOW_SDK, _NEWER_THAN_V1_FROM_SDK = 24, 30
_MAX_V1_SIGNERS = 10


def recognises(source: PackageSource, limits: ReadLimits) -> bool:
    """Whether there is AndroidManifest.xml at the root, or a signing block."""
    return may_be_apk(source, limits)


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:
    """Read the package once; raises MalformedError, UnsupportedError or ResourceLimitError."""
    archive = read_apk_archive(source, limits)
    if archive.member(MANIFEST) is None:
        raise MalformedError("APK: no AndroidManifest.xml")
    package = _Package(source, archive, limits)
    v4 = V4Files(side, source.size)
    files = read_side(v4.others)
    stream = PackageStream(source, files.digests)
    v4.add_to(stream)
    package.read(stream)
    embedded, problem = package.judged()
    beside = v4.facts(package.signatures) + files.complete(stream.states)
    if not embedded:
        uncovered = () if side else (Uncovered(start=0, end=source.size),)
        return Reading(stream.sha256, beside, Coverage(source.size if side else 0, uncovered), problem)
    return Reading(stream.sha256, embedded + beside, package.coverage(), problem, product=package.product())


class _Package:
    """One APK while it is being read: what was read before the pass, the pass, what comes of it."""

    def __init__(self, source: PackageSource, archive: APKArchive, limits: ReadLimits) -> None:
        self._source, self._archive, self._limits = source, archive, limits
        self._names = [member.name for member in archive.members]
        self._early: dict[str, bytes] = {}
        self.signatures = parse_block(archive.block)
        self._unknown: Problem | None = None
        self._manifest = self._read_manifest()
        self._read_stamp()
        self._jar, self._jar_problem = self._read_jar()
        self._judged: JarJudgement | None = None
        self._members: Mapping[str, Mapping[str, bytes]] = {}
        self._content: dict[str, bytes] = {}
        self._walked: Walked | None = None

    def read(self, stream: PackageStream) -> None:
        """The pass over the file."""
        states = {kind: _state(self._archive, self._source.size, kind) for kind in sorted(self.signatures.kinds)}
        stream.states.update({DigestRequest(f"apk {kind}"): state for kind, state in states.items()})
        sinks: dict[str, MemberDigests] = {}

        def sink_of(member: Member) -> MemberDigests | None:
            wanted = self._jar.wanted(member.name) if self._jar is not None else frozenset[str]()
            if member.name in self._early:
                wanted |= {"sha256"}
            return sinks.setdefault(member.name, MemberDigests(wanted)) if wanted else None

        self._walked = walk_apk(stream, self._archive, sink_of)
        damaged = self._walked.damaged
        self._members = {name: sink.digests if name not in damaged else {} for name, sink in sinks.items()}
        for name, content in self._early.items():
            if self._members[name].get("sha256") != hashlib.sha256(content).digest():
                raise SourceChangedError("the file changed while it was being read")
        self._content = {kind: state.digest() for kind, state in states.items()}

    def judged(self) -> tuple[tuple[SignatureFact, ...], Problem | None]:
        """Facts, and what is wrong with the package itself."""
        found, problem = facts(self.signatures, self._content), disagreement(self.signatures)
        deciding = self.signatures.newest is None
        role = SignatureRole.REQUIRED if deciding else SignatureRole.REPORTED
        if self._jar_problem is not None:
            broken = SignatureFact(APK_V1, SignatureOrigin.EMBEDDED, None, problem=self._jar_problem, role=role)
            return (*found, broken), problem
        lower: tuple[SignatureFact, ...] = ()
        if self._jar is not None:
            self._judged = self._jar.judge(self._members, self._names, scheme=APK_V1)
            lower = tuple(replace(fact, role=role) for fact in self._judged.facts)
            problem = problem or self._v1_problem(lower)
        if not found and not lower:
            return (), problem
        stamp, manifest = self._early.get(STAMP_MEMBER), self._jar.manifest.data if self._jar is not None else None
        return (*found, *lower, *stamp_facts(self._archive.block, self.signatures, stamp, manifest)), problem

    def coverage(self) -> Coverage:
        """What the deciding scheme leaves uncovered."""
        if self.signatures.newest is not None:
            ranges = _block_ranges(self._archive)
            free = sum((gap.end or 0) - (gap.start or 0) for gap in ranges)
            return Coverage(self._source.size - free, ranges)
        assert self._walked is not None  # noqa: S101 - the pass came first
        uncovered: list[Uncovered] = []
        signed = self._judged.names if self._judged is not None else frozenset[str]()
        unpaired = self._jar.unpaired if self._jar is not None else frozenset[str]()
        for member in self._archive.members:
            if member.name not in signed:
                inert = (member.is_folder and not member.size) or (
                    is_related(member.name) and member.name not in unpaired
                )
                uncovered.append(Uncovered(member=member.name, inert=inert))
        uncovered += [Uncovered(start=start, end=end) for start, end in self._walked.odd]
        uncovered += _free_ranges(self._archive, self._walked, signed, self._source.size)
        return Coverage(sum(m.compressed_size for m in self._archive.members if m.name in signed), tuple(uncovered))

    def product(self) -> Product | None:
        """Package and version, where the manifest is covered."""
        known = self._manifest
        covered = self.signatures.newest is not None or (self._judged is not None and MANIFEST in self._judged.names)
        if not covered or known.package is None:
            return None
        return Product(known.package, str(known.version_code) if known.version_code is not None else None)

    def _read_manifest(self) -> AndroidManifest:
        """What the manifest says; one that cannot be read says nothing."""
        member = self._archive.member(MANIFEST)
        assert member is not None  # noqa: S101 - the caller looked
        try:
            content = member_content(self._source, member, android_manifest.MAX_BYTES)
            self._early[MANIFEST] = content
            return android_manifest.parse_manifest(content)
        except READ_ERRORS as error:
            self._unknown = problem_of(error)
            return AndroidManifest()

    def _read_stamp(self) -> None:
        """The member that names the certificate of a source stamp."""
        member = self._archive.member(STAMP_MEMBER)
        if member is None or member.size > MAX_STAMP_BYTES:
            return
        try:
            self._early[STAMP_MEMBER] = member_content(self._source, member, MAX_STAMP_BYTES)
        except READ_ERRORS:
            return

    def _read_jar(self) -> tuple[JarContents | None, Problem | None]:
        """The JAR signature where Android would look at it."""
        if self.signatures.newest is not None and self._manifest.min_sdk >= _V1_BELOW_SDK:
            return None, None
        if not has_signature(self._names):
            return None, None
        try:
            related = related_members(self._archive.members, self._limits)
            contents = {member.name: member_content(self._source, member, member.size) for member in related}
            jar = JarContents(contents, self._archive.members, self._limits)
        except READ_ERRORS as error:
            return None, problem_of(error)
        self._early |= contents
        return jar, None

    def _v1_problem(self, lower: tuple[SignatureFact, ...]) -> Problem | None:
        """A newer signature that is gone; v1 alone where that does not suffice; v1 by others than the newer schemes."""
        assert self._judged is not None  # noqa: S101 - the caller judged
        if len(lower) > _MAX_V1_SIGNERS:
            return Problem(Reason.MALFORMED, f"apk-v1 has more than {_MAX_V1_SIGNERS} signers")
        gone = sorted((self._judged.schemes & set(NUMBERS.values())) - self.signatures.numbers)
        if gone:
            return Problem(Reason.DOWNGRADE, f"APK: signed by scheme v{gone[0]} as well, and that signature is gone")
        if self.signatures.newest is None:
            if self._unknown is not None:  # whether v1 alone suffices depends on what it says
                return self._unknown
            if self._manifest.target_sdk >= _NEWER_THAN_V1_FROM_SDK or self._manifest.sandbox > 1:
                return Problem(
                    Reason.DOWNGRADE, "APK: signed by scheme v1 alone, which Android does not install for its target"
                )
            wrong = self._judged.mismatch
            return Problem(Reason.INVALID_SIGNATURE, wrong) if wrong is not None else None
        original = self.signatures.original()
        if original and {signer_certificate(fact) for fact in lower if fact.problem is None} != original:
            return Problem(Reason.INVALID_SIGNATURE, "APK: scheme v1 is signed by others than the newer scheme")
        return None


def _state(archive: APKArchive, size: int, kind: str) -> ChunkedDigest | VerityDigest:
    return VerityDigest(archive, size) if kind == VERITY_SHA256 else ChunkedDigest(archive, size, kind)


def _free_ranges(archive: APKArchive, walked: Walked, signed: frozenset[str], size: int) -> list[Uncovered]:
    """Everything but the content of signed members (of which a deflated one ends with bits that mean nothing)."""
    kept = [member for member in archive.members if member.name in signed]
    if len(kept) > MAX_LISTED_MEMBERS:
        return [Uncovered(start=archive.entries_end, end=size, inert=True)]
    found, position = list[Uncovered](), 0
    for member in kept:
        start, end = walked.contents[member.name]
        found.append(Uncovered(start=position, end=start, inert=True))
        position = end - 1 if member.method == DEFLATED and start < end else end
    return [*found, Uncovered(start=position, end=size, inert=True)]


def _block_ranges(archive: APKArchive) -> tuple[Uncovered, ...]:
    """The signing block, each pair that is neither a signature nor padding for itself: whoever is asked should see it."""
    if archive.block is None:
        return ()
    position, found = archive.block.start, list[Uncovered]()
    for identifier, start, end in archive.block.pairs:
        if identifier not in KNOWN:
            found += [Uncovered(start=position, end=start, inert=True), Uncovered(start=start, end=end, inert=True)]
            position = end
    offset = archive.end_offset + 16  # of the directory, in whose place the block's start is signed
    return (
        *found,
        Uncovered(start=position, end=archive.block.end, inert=True),
        Uncovered(start=offset, end=offset + 4, inert=True),
    )
