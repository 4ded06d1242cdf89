"""A NuGet package: a zip archive with ``.signature.p7s`` over all of it but that one entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode import nuget_signature, nuspec
from trust_store.decode.member_bytes import MemberBytes
from trust_store.decode.zip_archive import read_directory, walk
from trust_store.decode.zip_directory import STORED
from trust_store.decode.zip_records import end_record, is_zip64, records_of
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError, UnsupportedError
from trust_store.formats.pinned import PinnedSource
from trust_store.formats.protocol import Reading
from trust_store.formats.ranges import digest_ranges
from trust_store.formats.sequence import SourceSequence
from trust_store.formats.side_signatures import problem_of, read_side
from trust_store.formats.unsigned_zip import unsigned_zip
from trust_store.model.package_facts import Coverage, Product, SignatureFact, SignatureOrigin, Uncovered
from trust_store.signatures import nuget
from trust_store.signatures.protocol import MAX_SIGNATURE_FILE_BYTES

if TYPE_CHECKING:
    from trust_store.decode.nuget_signature import NuGetSignature
    from trust_store.decode.zip_directory import Directory, Member
    from trust_store.decode.zip_records import Record
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial

NAME = "nuget"
VERSION = 1
CONTAINER = "zip"
DOC = """A NuGet package (.nupkg): a zip with a .nuspec at its root and one stored `.signature.p7s`, or unsigned with [Content_Types].xml.

The signature is over the digest of the archive as it would be without that entry (NuGet, "Package Signatures Technical Details"): every
other entry, their central directory records with offsets moved, and the end record with its counts, size and offset reduced. Only the
signature's own entry and directory record are uncovered: they hold nothing else. zip64 is `unsupported_format`, as NuGet refuses it.

Exactly one primary signature, of the author or of a repository; an author's may carry one repository countersignature. Either suffices
(NuGet's default, RepositoryCountersignatureVerificationBehavior IfExistsAndIsNecessary: the countersignature stands in where the author's
certificate is not trusted or has expired), and one that is broken fails the package. A countersignature is over the author's signature
value alone: it counts only where that value holds under the certificate in the message, with a public exponent of at most 32 bits.
The signed attributes must name the certificate by digest (signing-certificate-v2). RSA only; SHA-1 is `weak_algorithm`.
Product and version are those of the one .nuspec at the root. Fixtures built from the specification: no NuGet client is in Debian, PyPI or
npm; twelve genuine packages of nuget.org were tried by hand."""

SIGNATURE = ".signature.p7s"
_TYPES = "[Content_Types].xml"
MAX_COUNTERSIGNERS = 16


def recognises(source: PackageSource, limits: ReadLimits) -> bool:
    """Whether there is a nuspec at the root, with a signature of NuGet's or the content types that every package has."""
    names = {member.name for member in read_directory(source, limits).members}
    return any(_is_nuspec(name) for name in names) and bool(names & {SIGNATURE, _TYPES})


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:
    """Read the package; raises MalformedError, UnsupportedError or ResourceLimitError."""
    directory = read_directory(source, limits)
    files = read_side(side)
    pinned = PinnedSource(source, files.digests)
    wanted = {member.name: MemberBytes() for member in _wanted(directory)}
    walk(SourceSequence(pinned), directory, lambda member: wanted.get(member.name))
    beside = files.complete(pinned.states)
    if SIGNATURE not in wanted:
        return unsigned_zip(pinned, directory, beside)
    record = _signature_record(directory)
    embedded = _embedded(pinned, directory, record, wanted[SIGNATURE].data)
    inert = (
        Uncovered(start=record.start, end=record.end, inert=True),
        Uncovered(start=record.central_start, end=record.central_start + len(record.central), inert=True),
    )
    covered = source.size - sum(piece.end - piece.start for piece in inert if piece.end and piece.start is not None)
    product = _product([member.data for name, member in wanted.items() if name != SIGNATURE])
    return Reading(pinned.sha256, embedded + beside, Coverage(covered, inert), product=product)


def _is_nuspec(name: str) -> bool:
    return "/" not in name and name.lower().endswith(".nuspec")


def _wanted(directory: Directory) -> list[Member]:
    """The members whose content is read: the signature, and the nuspec where there is one alone, of a size that one has."""
    signatures = [member for member in directory.members if member.name == SIGNATURE]
    for member in signatures:
        if member.size > MAX_SIGNATURE_FILE_BYTES:
            raise ResourceLimitError(f"NuGet: a signature of {member.size} bytes")
    nuspecs = [member for member in directory.members if _is_nuspec(member.name)]
    small = len(nuspecs) == 1 and nuspecs[0].size <= nuspec.MAX_BYTES
    return signatures + (nuspecs if small else [])


def _signature_record(directory: Directory) -> Record:
    """The one entry of the signature, as NuGet accepts it; raises MalformedError or UnsupportedError."""
    if is_zip64(directory):
        raise UnsupportedError("NuGet: a signed package in zip64, which NuGet does not know")
    records = records_of(directory)
    record = next(record for record in records if record.member.name == SIGNATURE)
    if record.member.flags or record.member.method != STORED or record.external_attributes:
        raise MalformedError("NuGet: the signature is not a plain stored entry")
    return record


def _embedded(source: PinnedSource, directory: Directory, record: Record, data: bytes) -> tuple[SignatureFact, ...]:
    """The primary signature and a repository's countersignature; what cannot be read is a fact with its problem."""
    try:
        signature = nuget_signature.parse_signature(data)
        algorithm = signature.package_algorithm
        digest = digest_ranges(source, _unsigned_package(directory, record), (algorithm,))[algorithm]
    except READ_ERRORS as error:
        return (_unreadable(nuget.AUTHOR, error),)
    primary = nuget.primary_fact(signature, digest)
    return (primary, *_countersignature(signature, primary))


def _countersignature(signature: NuGetSignature, primary: SignatureFact) -> tuple[SignatureFact, ...]:
    try:
        if len(signature.countersigners) > MAX_COUNTERSIGNERS:
            raise ResourceLimitError(f"NuGet: {len(signature.countersigners)} countersignatures")
        signers = [nuget_signature.parse_countersigner(element) for element in signature.countersigners]
        repositories = [signer for signer in signers if signer is not None]
        if len(repositories) > 1 or (repositories and signature.primary.kind == nuget_signature.REPOSITORY):
            raise MalformedError("NuGet: more than one repository vouches for the package")
    except READ_ERRORS as error:
        return (_unreadable(nuget.COUNTERSIGNATURE, error),)
    return tuple(nuget.countersignature_fact(signature, primary, signer) for signer in repositories)


def _unreadable(scheme: str, error: MalformedError | UnsupportedError | ResourceLimitError) -> SignatureFact:
    return SignatureFact(scheme=scheme, origin=SignatureOrigin.EMBEDDED, file=None, problem=problem_of(error))


def _unsigned_package(directory: Directory, signature: Record) -> list[tuple[int, int] | bytes]:
    """The archive as it would be without the signature's entry, in pieces."""
    pieces: list[tuple[int, int] | bytes] = [(0, signature.start), (signature.end, directory.start)]
    length = signature.end - signature.start
    for record in records_of(directory):
        if record.member.name != SIGNATURE:
            pieces.append(record.moved(-length if record.start > signature.start else 0))
    end = end_record(directory)
    disks, here, all_entries, size, offset = (
        end[:8],
        int.from_bytes(end[8:10], "little") - 1,
        int.from_bytes(end[10:12], "little") - 1,
        int.from_bytes(end[12:16], "little") - len(signature.central),
        int.from_bytes(end[16:20], "little") - length,
    )
    changed = here.to_bytes(2, "little") + all_entries.to_bytes(2, "little") + size.to_bytes(4, "little")
    pieces.append(disks + changed + offset.to_bytes(4, "little") + end[20:])
    return pieces


def _product(nuspecs: list[bytes]) -> Product | None:
    """What the one nuspec says; None where there is none, or one that cannot be read."""
    if len(nuspecs) != 1:
        return None
    try:
        identifier, version = nuspec.parse_nuspec(nuspecs[0])
    except READ_ERRORS:
        return None
    return Product(identifier, version)
