"""An app package for Windows (MSIX, appx) or a bundle of them: a zip archive with a block map and ``AppxSignature.p7x``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode import appx_digests, authenticode
from trust_store.decode.appx_block_map import BlockDigests, identity_of, parse_block_map, part_name
from trust_store.decode.member_bytes import MemberBytes
from trust_store.decode.member_names import require_distinct
from trust_store.decode.zip_archive import may_hold, read_directory, walk
from trust_store.decode.zip_records import end_records_without, records_of
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError, UnsupportedError
from trust_store.formats.pinned import PinnedSource
from trust_store.formats.protocol import Reading
from trust_store.formats.ranges import digest_ranges
from trust_store.formats.sequence import SourceSequence
from trust_store.formats.side_signatures import problem_of, read_side
from trust_store.formats.unsigned_zip import unsigned_zip
from trust_store.model.package_facts import (
    Coverage,
    Problem,
    Product,
    SignatureFact,
    SignatureOrigin,
    Uncovered,
)
from trust_store.model.verdict import Reason
from trust_store.signatures.authenticode import NAME as AUTHENTICODE
from trust_store.signatures.authenticode import EmbeddedSignature
from trust_store.signatures.protocol import MAX_SIGNATURE_FILE_BYTES

if TYPE_CHECKING:
    from trust_store.decode.appx_block_map import BlockMap
    from trust_store.decode.authenticode import IndirectData
    from trust_store.decode.zip_directory import Directory, Member
    from trust_store.decode.zip_records import Record
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial

NAME = "msix"
VERSION = 1
CONTAINER = "zip"
DOC = """Windows app packages (.msix, .appx) and bundles of them: a zip with AppxBlockMap.xml, [Content_Types].xml and a manifest.

AppxSignature.p7x is `PKCX` and an Authenticode message whose content states up to five digests: of all entries before the signature (AXPC),
of the central directory and end records as they would be without it (AXCD), of [Content_Types].xml (AXCT), AppxBlockMap.xml (AXBM) and
AppxMetadata/CodeIntegrity.cat where there is one (AXCI). All must match, and the message must be one for a package or for a bundle,
whichever it is. The signature must be the last entry. Its own entry and directory record are inert and not covered; there is nothing else.

The block map must list every other file with its size, the size of its local header where that is stated, and the digest of every 64 KiB:
anything else is `invalid_signature`. Packages in a bundle are not in its block map; AXPC covers them. The manifest's publisher is not
compared with the certificate: who may sign is the anchor's rule. Name and version are those of the manifest's Identity.
Fixtures made by osslsigncode from packages built by hand."""

SIGNATURE = "AppxSignature.p7x"
BLOCK_MAP, CONTENT_TYPES = "AppxBlockMap.xml", "[Content_Types].xml"
CODE_INTEGRITY = "AppxMetadata/CodeIntegrity.cat"
MANIFEST, BUNDLE_MANIFEST = "AppxManifest.xml", "AppxMetadata/AppxBundleManifest.xml"
_UNMAPPED = frozenset({SIGNATURE, BLOCK_MAP, CONTENT_TYPES, CODE_INTEGRITY})
_PACKAGES = (".appx", ".msix")
_TAGS = {
    CONTENT_TYPES: appx_digests.CONTENT_TYPES,
    BLOCK_MAP: appx_digests.BLOCK_MAP,
    CODE_INTEGRITY: appx_digests.CODE_INTEGRITY,
}


def recognises(source: PackageSource, limits: ReadLimits) -> bool:
    """Whether there is a block map beside a manifest of either kind."""
    if not may_hold(source, BLOCK_MAP.encode("ascii"), limits):
        return False
    names = {member.name for member in read_directory(source, limits).members}
    return {BLOCK_MAP, CONTENT_TYPES} <= names and bool(names & {MANIFEST, BUNDLE_MANIFEST})


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:
    """Read the package; raises MalformedError, UnsupportedError or ResourceLimitError."""
    directory = read_directory(source, limits)
    files = read_side(side)
    pinned = PinnedSource(source, files.digests)
    contents = _contents(pinned, directory, limits)
    beside = files.complete(pinned.states)
    if SIGNATURE not in contents:
        return unsigned_zip(pinned, directory, beside)
    record = records_of(directory)[-1]
    if record.member.name != SIGNATURE:
        raise MalformedError("MSIX: something follows the signature")
    facts = _facts(pinned, directory, record, contents)
    inert = (
        Uncovered(start=record.start, end=record.end, inert=True),
        Uncovered(start=record.central_start, end=record.central_start + len(record.central), inert=True),
    )
    covered = source.size - (record.end - record.start) - len(record.central)
    problem = _mismatch(pinned, directory, contents[BLOCK_MAP])
    return Reading(pinned.sha256, facts + beside, Coverage(covered, inert), problem, product=_product(contents))


def _contents(source: PinnedSource, directory: Directory, limits: ReadLimits) -> dict[str, bytes]:
    """The files that are read; walks the archive. Raises MalformedError or ResourceLimitError."""
    caps = dict.fromkeys((BLOCK_MAP, CONTENT_TYPES, MANIFEST, BUNDLE_MANIFEST), limits.max_manifest_bytes)
    caps |= {SIGNATURE: MAX_SIGNATURE_FILE_BYTES, CODE_INTEGRITY: limits.max_manifest_bytes}
    sinks: dict[str, MemberBytes] = {}

    def sink_of(member: Member) -> MemberBytes | None:
        if member.name not in caps:
            return None
        if member.size > caps[member.name]:
            raise ResourceLimitError(f"MSIX: {member.name} of {member.size} bytes")
        return sinks.setdefault(member.name, MemberBytes())

    walk(SourceSequence(source), directory, sink_of)
    return {name: sink.data for name, sink in sinks.items()}


def _facts(
    source: PinnedSource, directory: Directory, record: Record, contents: dict[str, bytes]
) -> tuple[SignatureFact, ...]:
    """Every signer of the message; one that cannot be read is a fact with its problem."""
    try:
        data = contents[SIGNATURE]
        if not data.startswith(appx_digests.MESSAGE_MAGIC):
            raise MalformedError("MSIX: the signature does not begin with PKCX")
        message = authenticode.parse_message(data[len(appx_digests.MESSAGE_MAGIC) :])
        if message.content_type != authenticode.ID_INDIRECT_DATA:
            raise UnsupportedError("MSIX: a catalog in place of a signature")
        indirect = authenticode.parse_indirect(message.content, several=True)
        stated = appx_digests.parse_digests(indirect.digest, indirect.algorithm)
        found = _digests(source, directory, record, contents, indirect.algorithm)
    except READ_ERRORS as error:
        return (SignatureFact(AUTHENTICODE, SignatureOrigin.EMBEDDED, None, problem_of(error)),)
    complete = set(stated) == set(found)
    expected = appx_digests.joined({tag: found.get(tag, b"") for tag in stated})
    matches = complete and _is_for(indirect, is_bundle=BUNDLE_MANIFEST in contents)
    return tuple(
        EmbeddedSignature(message, indirect, signer).complete({indirect.algorithm: expected}, kind_matches=matches)
        for signer in message.signers
    )


def _is_for(indirect: IndirectData, *, is_bundle: bool) -> bool:
    subject = appx_digests.BUNDLE_SUBJECT if is_bundle else appx_digests.PACKAGE_SUBJECT
    return indirect.kind == authenticode.ID_SIP_INFO and indirect.subject == subject


def _digests(
    source: PinnedSource, directory: Directory, record: Record, contents: dict[str, bytes], algorithm: str
) -> dict[bytes, bytes]:
    """The package's own digests by their tags."""

    def of(*pieces: tuple[int, int] | bytes) -> bytes:
        return digest_ranges(source, pieces, (algorithm,))[algorithm]

    others = [one.central for one in records_of(directory) if one.member.name != SIGNATURE]
    found = {
        appx_digests.ENTRIES: of((0, record.start)),
        appx_digests.DIRECTORY: of(*others, end_records_without(directory, record)),
    }
    return found | {tag: of(contents[name]) for name, tag in _TAGS.items() if name in contents}


def _mismatch(source: PinnedSource, directory: Directory, block_map: bytes) -> Problem | None:
    """What the block map says and the archive does not hold, or the reverse; raises like ``parse_block_map``."""
    mapped = parse_block_map(block_map)
    is_bundle = any(member.name == BUNDLE_MANIFEST for member in directory.members)
    names = {
        member.name: part_name(member.name)
        for member in directory.members
        if member.name not in _UNMAPPED and not (is_bundle and member.name.lower().endswith(_PACKAGES))
    }
    require_distinct(names.values())
    if set(names.values()) != set(mapped.files):
        name = min(set(names.values()) ^ set(mapped.files))
        return Problem(Reason.INVALID_SIGNATURE, f"MSIX: {name[:80]!a} is not both in the block map and in the package")
    return _first_difference(source, directory, mapped, names)


def _first_difference(
    source: PinnedSource, directory: Directory, mapped: BlockMap, names: dict[str, str]
) -> Problem | None:
    sinks = {name: BlockDigests(mapped.algorithm) for name in names}
    walk(SourceSequence(source), directory, lambda member: sinks.get(member.name))
    for record in records_of(directory):
        name = record.member.name
        if name not in names:
            continue
        said, found = mapped.files[names[name]], sinks[name]
        header = record.content_start(source) - record.start
        if (said.size, said.blocks) != (found.size, found.blocks) or said.header_size not in (None, header):
            return Problem(Reason.INVALID_SIGNATURE, f"MSIX: {name[:80]!a} is not what the block map says it is")
    return None


def _product(contents: dict[str, bytes]) -> Product | None:
    """What the manifest says."""
    manifest = contents.get(BUNDLE_MANIFEST, contents.get(MANIFEST, b""))
    try:
        return Product(*identity_of(manifest))
    except READ_ERRORS:
        return None
