"""A Mach-O file, thin or fat, with a code signature embedded in each of its images."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from trust_store.decode import code_directory, macho
from trust_store.decode.asn1 import read_first
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError
from trust_store.formats.pinned import PinnedSource
from trust_store.formats.protocol import CHUNK_BYTES, Reading
from trust_store.formats.ranges import digest_ranges
from trust_store.formats.side_signatures import problem_of, read_side
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
from trust_store.quick_dataclass import dataclass
from trust_store.signatures import macho as scheme
from trust_store.signatures.protocol import MAX_SIGNATURE_FILE_BYTES, WEAK_DIGESTS

if TYPE_CHECKING:
    from trust_store.decode.code_directory import Blob, CodeDirectory
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial

NAME = "mach-o"
VERSION = 1
CONTAINER = "none"
DOC = """Mach-O executables, libraries and kernel extensions, thin or fat, with an embedded code signature in each image.

The CMS message of an image is over its primary code directory; alternate directories must be named by digest in its signed attributes.
Every directory's page digests must be those of the image up to where the signature begins, and every other blob of the signature
(requirements, entitlements, launch constraints) must be digested by one. Info.plist and resources of a bundle lie elsewhere and are not
looked at. All images must be signed and each signature must hold: an image without one is uncovered content. Where none has a signer (no
signature, or an ad hoc one) the file is `unsigned`. `weak_algorithm` where an image has no directory with better digests than SHA-1.

Inert and uncovered: the index of the signature, the CMS message, a notarisation ticket, and the alignment fields of a fat header. What
follows the signature, blobs of unknown kinds, and bytes between images that are not zero are uncovered content. The product is the
identifier. Fixtures built from the specification: no signer is in Debian, PyPI or npm."""

MAX_SIGNATURE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Image:
    """What was found in one image: ranges in the file that nobody signed, its signatures, what is wrong, the identifier."""

    uncovered: tuple[Uncovered, ...]
    facts: tuple[SignatureFact, ...] = ()
    problem: Problem | None = None
    identity: str | None = None


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Whether it begins as an image or as a fat file does, which no Java class is."""
    return macho.is_macho(source.read_at(0, macho.FAT_HEADER_BYTES))


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:  # noqa: ARG001
    """Read the file; raises MalformedError, UnsupportedError or ResourceLimitError."""
    files = read_side(side)
    pinned = PinnedSource(source, files.digests)
    head = pinned.read_at(0, macho.FAT_HEADER_BYTES)
    between: tuple[Uncovered, ...] = ()
    if head[:4] in macho.FAT_MAGICS:
        slices, between = _slices(pinned)
    else:
        slices = (_whole(pinned),)
    images = [_image(pinned, one) for one in slices]
    facts = tuple(fact for image in images for fact in image.facts)
    beside = files.complete(pinned.states)
    if not facts:
        nothing = () if side else (Uncovered(start=0, end=source.size),)
        return Reading(pinned.sha256, beside, Coverage(source.size if side else 0, nothing))
    uncovered = (*between, *(one for image in images for one in image.uncovered))
    covered = source.size - sum((one.end or 0) - (one.start or 0) for one in uncovered)
    problem = next((image.problem for image in images if image.problem), None)
    names = {image.identity for image in images if image.identity}
    product = Product(min(names)) if len(names) == 1 else None
    return Reading(pinned.sha256, facts + beside, Coverage(covered, uncovered), problem, product=product)


def _whole(source: PinnedSource) -> macho.Slice:
    return macho.Slice(macho.parse_header(source.read_at(0, macho.MAX_HEADER_BYTES)).processor, 0, source.size, 0)


def _slices(source: PinnedSource) -> tuple[tuple[macho.Slice, ...], tuple[Uncovered, ...]]:
    """The images of a fat file, and what lies between and after them."""
    header = source.read_at(0, macho.fat_header_bytes(source.read_at(0, macho.FAT_HEADER_BYTES)))
    slices = macho.parse_fat(header, source.size)
    uncovered = [Uncovered(start=one.alignment_at, end=one.alignment_at + 4, inert=True) for one in slices]
    position = len(header)
    for one in slices:
        if not _is_zero(source, position, one.start):
            uncovered.append(Uncovered(start=position, end=one.start))
        position = one.end
    if position < source.size:
        uncovered.append(Uncovered(start=position, end=source.size))
    return slices, tuple(uncovered)


def _is_zero(source: PinnedSource, start: int, end: int) -> bool:
    while start < end:
        data = source.read_at(start, min(CHUNK_BYTES, end - start))
        if data.strip(b"\0"):
            return False
        start += len(data)
    return True


def _image(source: PinnedSource, place: macho.Slice) -> _Image:
    """One image; what is wrong with its signature is a fact with its problem. Raises for headers that cannot be read."""
    header = macho.parse_header(source.read_at(place.start, min(macho.MAX_HEADER_BYTES, place.end - place.start)))
    if header.processor != place.processor:
        raise MalformedError("Mach-O: an image for another processor than the header says")
    commands_end = place.start + header.size + header.command_bytes
    if commands_end > place.end:
        raise MalformedError("Mach-O: the load commands end after the image; cut short")
    where = macho.signature_place(header, source.read_at(place.start + header.size, header.command_bytes))
    if where is None:
        return _Image((Uncovered(start=place.start, end=place.end),))
    start, end = place.start + where[0], place.start + where[0] + where[1]
    if start < commands_end or end > place.end:
        raise MalformedError("Mach-O: a code signature outside the image; cut short")
    after = () if end == place.end else (Uncovered(start=end, end=place.end),)
    try:
        if where[1] > MAX_SIGNATURE_BYTES:
            raise ResourceLimitError(f"Mach-O: a code signature of {where[1]} bytes")
        return _signed(source, place.start, start, source.read_at(start, where[1]), after)
    except READ_ERRORS as error:
        fact = SignatureFact(
            scheme.NAME, SignatureOrigin.EMBEDDED, None, problem_of(error), role=SignatureRole.REQUIRED
        )
        return _Image(after, (fact,))


def _signed(source: PinnedSource, base: int, start: int, data: bytes, after: tuple[Uncovered, ...]) -> _Image:
    """An image with signature data at ``start``."""
    length, blobs = code_directory.parse_super_blob(data)
    kinds = (code_directory.DIRECTORY_SLOT, *code_directory.ALTERNATES)
    directories = [
        code_directory.parse_directory(one.data) for one in sorted(blobs, key=lambda b: b.slot) if one.slot in kinds
    ]
    if not directories or not any(one.slot == code_directory.DIRECTORY_SLOT for one in blobs):
        raise MalformedError("code signature: no code directory")
    uncovered = (*_in_signature(start, length, data, blobs, directories), *after)
    message = next((one.data for one in blobs if one.slot == code_directory.SIGNATURE_SLOT), b"")[8:]
    limit = min(one.limit for one in directories)
    if base + limit < start:
        uncovered = (Uncovered(start=base + limit, end=start), *uncovered)
    if not message:  # ad hoc: the directories digest the image, and nobody vouches for them
        return _Image((Uncovered(start=base, end=start + len(data)), *after))
    if len(message) > MAX_SIGNATURE_FILE_BYTES:
        raise ResourceLimitError(f"code signature: a CMS message of {len(message)} bytes")
    matches = all(_pages_match(source, base, start, one) for one in directories) and _blobs_match(blobs, directories)
    named = tuple(
        (one.algorithm, hashlib.new(one.algorithm, one.raw, usedforsecurity=False).digest()) for one in directories[1:]
    )
    facts = scheme.facts(_message(message), directories[0].raw, named, matches=matches)
    weak = all(one.algorithm in WEAK_DIGESTS for one in directories)
    problem = Problem(Reason.WEAK_ALGORITHM, "Mach-O: an image with SHA-1 digests alone") if weak else None
    return _Image(uncovered, facts, problem, directories[0].identity)


def _message(data: bytes) -> bytes:
    """The CMS message; raises MalformedError for anything after it."""
    _, end = read_first(data, "code signature")
    if data[end:].strip(b"\0"):
        raise MalformedError("code signature: something follows the CMS message")
    return data[:end]


def _in_signature(
    start: int, length: int, data: bytes, blobs: tuple[Blob, ...], directories: list[CodeDirectory]
) -> tuple[Uncovered, ...]:
    """What of the signature's own data is not covered: its index, messages and tickets are inert, other bytes are not unless zero."""
    digested = {number for one in directories for number in one.special}
    kept = (code_directory.DIRECTORY_SLOT, *code_directory.ALTERNATES)
    position = 12 + 8 * len(blobs)
    found = [Uncovered(start=start, end=start + position, inert=True)]
    for one in blobs:
        if data[position : one.start].strip(b"\0"):
            found.append(Uncovered(start=start + position, end=start + one.start))
        position = one.start + len(one.data)
        if one.slot not in kept and one.slot not in digested:
            inert = one.slot in (code_directory.SIGNATURE_SLOT, code_directory.TICKET_SLOT)
            found.append(Uncovered(start=start + one.start, end=start + position, inert=inert))
    for here, end in ((position, length), (length, len(data))):
        if data[here:end].strip(b"\0"):
            found.append(Uncovered(start=start + here, end=start + end))
    return tuple(found)


def _pages_match(source: PinnedSource, base: int, start: int, directory: CodeDirectory) -> bool:
    """Whether the image's pages are what the directory says; it must not reach into the signature."""
    end = base + directory.limit
    if end > start:
        raise MalformedError("code directory: it covers its own signature")
    step = directory.page_bytes or max(directory.limit, 1)
    for number, expected in enumerate(directory.pages):
        at = base + number * step
        pieces = [(at, min(at + step, end))]
        found = digest_ranges(source, pieces, (directory.algorithm,))[directory.algorithm]
        if not hmac.compare_digest(found, expected):
            return False
    return True


def _blobs_match(blobs: tuple[Blob, ...], directories: list[CodeDirectory]) -> bool:
    """Whether what the directories say of blobs is so, and every blob with a slot of its own is digested by one of them."""
    held = {one.slot: one.data for one in blobs if 0 < one.slot < code_directory.ALTERNATES.start}
    digested: set[int] = set()
    for directory in directories:
        for number, expected in directory.special.items():
            elsewhere = number in (code_directory.INFO_SLOT, code_directory.RESOURCES_SLOT) and number not in held
            if elsewhere or not any(expected):
                continue
            found = hashlib.new(directory.algorithm, held.get(number, b""), usedforsecurity=False).digest()
            if number not in held or not hmac.compare_digest(found, expected):
                return False
            digested.add(number)
    return set(held) <= digested
