"""A signed JAR: a zip archive with a manifest, signature files and signature blocks in META-INF."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode.member_bytes import MemberBytes
from trust_store.decode.zip_archive import may_hold, read_directory, walk
from trust_store.errors import READ_ERRORS
from trust_store.formats.jar_contents import JarContents, has_signature, is_related, related_members
from trust_store.formats.member_digests import MemberDigests
from trust_store.formats.pinned import PinnedSource
from trust_store.formats.protocol import Reading
from trust_store.formats.sequence import SourceSequence
from trust_store.formats.side_signatures import problem_of, read_side
from trust_store.formats.zip_coverage import member_coverage
from trust_store.model.package_facts import Coverage, Problem, SignatureFact, SignatureOrigin, Uncovered
from trust_store.model.verdict import Reason
from trust_store.signatures.jar import JAR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trust_store.decode.zip_directory import Directory
    from trust_store.formats.jar_contents import JarJudgement
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial

NAME = "jar"
VERSION = 1
CONTAINER = "zip"
DOC = """A signed JAR (and WAR, EAR, Android app bundle): META-INF/MANIFEST.MF, NAME.SF, and NAME.RSA, NAME.DSA or NAME.EC (JAR File
Specification).

A block is detached CMS over its .SF file, which states digests of the manifest, or of its main section and of each member's section, which
state digests of the members. Every digest that is stated and known must be right; the weakest that is needed decides whether the
signature is weak (MD5 and SHA-1: `weak_algorithm`). Every signature vouches for every member, else the member is uncovered; one good
signature suffices, and one that is broken fails the archive. RFC 3161 timestamps on the blocks count as for CMS. A member that the
manifest states digests for and that is absent, or is another, is `invalid_signature` (jarsigner overlooks the absent one).

Not covered: the files of the signatures themselves, folders, and what the archive says beyond names and contents. A signature file
without its block, or the reverse, is uncovered content, and so is the manifest where a signature covers only some of its sections.
`resource_limit`: manifests that unpack to more than 8 times the archive, with more than twice as many sections as it has members, with
more than four digests of a member, or over members that unpack to more than 64 times the archive (small ones are read all the same).
Fixtures made by jarsigner."""


def recognises(source: PackageSource, limits: ReadLimits) -> bool:
    """Whether there are a signature block and a manifest."""
    if not may_hold(source, b"META-INF/", limits) and not may_hold(source, b"meta-inf/", limits):
        return False
    return has_signature(member.name for member in read_directory(source, limits).members)


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:
    """Read the archive; raises MalformedError, UnsupportedError or ResourceLimitError."""
    directory = read_directory(source, limits)
    files = read_side(side)
    pinned = PinnedSource(source, files.digests)
    contents = _related(pinned, directory, limits)
    beside = files.complete(pinned.states)
    try:
        jar = JarContents(contents, directory.members, limits)
        digests = _digests(pinned, directory, jar)
        judged = jar.judge(digests, [member.name for member in directory.members], scheme=JAR)
    except READ_ERRORS as error:
        broken = SignatureFact(JAR, SignatureOrigin.EMBEDDED, None, problem=problem_of(error))
        return Reading(pinned.sha256, (broken, *beside), Coverage())
    mismatch = Problem(Reason.INVALID_SIGNATURE, judged.mismatch) if judged.mismatch is not None else None
    if not judged.names and mismatch is None and not any(fact.problem for fact in judged.facts):
        # blocks over a manifest that vouches for nothing: Java calls such an archive unsigned
        uncovered = () if side else (Uncovered(start=0, end=source.size),)
        return Reading(pinned.sha256, beside, Coverage(source.size if side else 0, uncovered))
    return Reading(pinned.sha256, judged.facts + beside, _coverage(pinned, directory, jar, judged), mismatch)


def _related(source: PinnedSource, directory: Directory, limits: ReadLimits) -> dict[str, bytes]:
    """The manifest, signature files and blocks; raises MalformedError or ResourceLimitError."""
    sinks = {member.name: MemberBytes() for member in related_members(directory.members, limits)}
    walk(SourceSequence(source), directory, lambda member: sinks.get(member.name))
    return {name: sink.data for name, sink in sinks.items()}


def _digests(source: PinnedSource, directory: Directory, jar: JarContents) -> Mapping[str, Mapping[str, bytes]]:
    sinks = {member.name: MemberDigests(wanted) for member in directory.members if (wanted := jar.wanted(member.name))}
    walk(SourceSequence(source), directory, lambda member: sinks.get(member.name))
    return {name: sink.digests for name, sink in sinks.items()}


def _coverage(source: PinnedSource, directory: Directory, jar: JarContents, judged: JarJudgement) -> Coverage:
    signed = set(judged.names)
    if judged.manifest_covered:
        signed.add(jar.manifest_name)
    folders = {member.name for member in directory.members if member.is_folder} - signed
    related = {member.name for member in directory.members if is_related(member.name)} - jar.unpaired
    return member_coverage(source, directory, signed=signed, inert=(related - {jar.manifest_name}) | folders)
