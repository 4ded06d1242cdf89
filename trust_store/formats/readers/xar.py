"""A xar archive: Apple's flat installer package."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from trust_store.decode import apple_product, xar_archive, xar_trailer
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError
from trust_store.formats.pinned import PinnedSource
from trust_store.formats.protocol import Reading
from trust_store.formats.ranges import digest_ranges
from trust_store.formats.side_signatures import problem_of, read_side
from trust_store.model.package_facts import Coverage, Problem, Product, SignatureFact, SignatureOrigin, Uncovered
from trust_store.model.verdict import Reason
from trust_store.quick_dataclass import dataclass
from trust_store.signatures import xar
from trust_store.signatures.protocol import MAX_SIGNATURE_FILE_BYTES, WEAK_DIGESTS

if TYPE_CHECKING:
    from trust_store.decode.xar_archive import Contents, Data, Extent, Header, SignatureElement
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial

NAME = "xar"
VERSION = 1
CONTAINER = "xar"
DOC = """A xar archive, as Apple's flat installer packages (.pkg) are: a header, a compressed table of contents in XML, and a heap.

`signature` (RSA with its certificates) and `x-signature` (CMS, which may be timestamped) are over the digest of the compressed table. That
digest is computed anew; the heap must hold the same one. Every file's archived-checksum is compared with what lies in the heap. Either
signature suffices, and one that is broken fails the package.

All of the heap must be accounted for: stretches that nothing claims, and files without a checksum, are uncovered content; stretches that
overlap are `malformed`, unless two files share one. Inert and uncovered are the signatures' own places (what is left of the CMS one must be
zeros) and a notarisation ticket at the end in the stapler's framing. A table or a file with an MD5 or SHA-1 digest is `weak_algorithm`:
whoever made a part of the package may have two of it. Apple's own purposes (installer package signing) and marker extensions are
understood in certificates. Identifier and version are those of PackageInfo or Distribution.
Limits: a table of 8 MiB, 16 MiB unpacked, 65,535 files.
Fixtures built from the specification: no tool is in Debian, PyPI or npm."""

_DIGESTED, _UNDIGESTED, _SIGNATURE = "digested", "undigested", "signature"


@dataclass(frozen=True, slots=True)
class _Archive:
    """The package read so far; offsets of extents are into its heap."""

    source: PinnedSource
    header: Header
    contents: Contents
    table_digest: bytes

    def read(self, extent: Extent) -> bytes:
        """The bytes of a stretch of the heap, which the caller has capped."""
        return self.source.read_at(self.header.heap + extent.offset, extent.length)


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Every archive of the container."""
    return source.read_at(0, len(xar_archive.MAGIC)) == xar_archive.MAGIC


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:  # noqa: ARG001
    """Read the package; raises MalformedError, UnsupportedError or ResourceLimitError."""
    header = xar_archive.parse_header(source.read_at(0, xar_archive.MAX_HEADER_BYTES))
    files = read_side(side)
    pinned = PinnedSource(source, files.digests)
    packed = pinned.read_at(header.size, header.compressed)
    contents = xar_archive.parse_table(xar_archive.unpack_table(packed, header), header)
    beside = files.complete(pinned.states)
    _require_inside(contents, source.size - header.heap)
    if not contents.signatures:
        uncovered = () if side else (Uncovered(start=0, end=source.size),)
        return Reading(pinned.sha256, beside, Coverage(source.size if side else 0, uncovered))
    if header.digest is None or contents.checksum is None:
        raise MalformedError("xar: a signature in an archive without a digest to sign")
    digest = digest_ranges(pinned, [(header.size, header.heap)], (header.digest,))[header.digest]
    archive = _Archive(pinned, header, contents, digest)
    facts = tuple(fact for element in contents.signatures for fact in _facts(archive, element))
    coverage = _coverage(archive)  # first: stretches that do not overlap cost no more to digest than the file
    problem = _problem(archive, contents.checksum)
    return Reading(pinned.sha256, facts + beside, coverage, problem, product=_product(archive))


def _require_inside(contents: Contents, heap_bytes: int) -> None:
    """Raise MalformedError for a stretch that ends after the file does."""
    for extent in _extents(contents):
        if extent.offset + extent.length > heap_bytes:
            raise MalformedError("xar: the table refers to something after the end of the file; cut short")


def _extents(contents: Contents) -> list[Extent]:
    own = [contents.checksum] if contents.checksum else []
    return [*own, *(one.extent for one in contents.signatures), *(one.extent for one in contents.data)]


def _facts(archive: _Archive, element: SignatureElement) -> tuple[SignatureFact, ...]:
    """The signatures of one element; what cannot be read is a fact with its problem."""
    scheme = xar.RSA if element.kind == xar_archive.RSA else xar.CMS
    try:
        if element.extent.length > MAX_SIGNATURE_FILE_BYTES:
            raise ResourceLimitError(f"xar: a signature of {element.extent.length} bytes")
        space = archive.read(element.extent)
        if scheme == xar.CMS:
            return xar.cms_facts(space, element.certificates, archive.table_digest)
        algorithm = archive.header.digest or ""
        return (xar.rsa_fact(space, element.certificates, algorithm, archive.table_digest),)
    except READ_ERRORS as error:
        return (SignatureFact(scheme, SignatureOrigin.EMBEDDED, None, problem_of(error)),)


def _problem(archive: _Archive, checksum: Extent) -> Problem | None:
    """What the table says and the heap does not hold; else what is digested too weakly to vouch for anything."""
    if not hmac.compare_digest(archive.read(checksum), archive.table_digest):
        return Problem(Reason.INVALID_SIGNATURE, "xar: the heap holds another digest of the table of contents")
    algorithms = {archive.header.digest}
    checked: set[tuple[int, int, str, bytes]] = set()
    for data in archive.contents.data:
        if data.algorithm is None:
            continue
        algorithms.add(data.algorithm)
        wanted = (data.extent.offset, data.extent.length, data.algorithm, data.digest)
        if wanted in checked:
            continue
        start = archive.header.heap + data.extent.offset
        pieces = [(start, start + data.extent.length)]
        if digest_ranges(archive.source, pieces, (data.algorithm,))[data.algorithm] != data.digest:
            return Problem(Reason.INVALID_SIGNATURE, f"xar: {data.path[:80]!a} is not what the signed table says it is")
        checked.add(wanted)
    weak = sorted(name for name in algorithms if name in WEAK_DIGESTS)
    return Problem(Reason.WEAK_ALGORITHM, f"xar: digests of kind {', '.join(weak)}") if weak else None


def _coverage(archive: _Archive) -> Coverage:
    """Which bytes are accounted for; raises MalformedError where two stretches overlap."""
    uncovered: list[Uncovered] = []
    position = archive.header.heap
    for start, end, claim in _claims(archive):
        if start < position:
            raise MalformedError("xar: two stretches of the heap overlap")
        if start > position:
            uncovered.append(Uncovered(start=position, end=start))
        if claim != _DIGESTED:
            uncovered.append(Uncovered(start=start, end=end, inert=claim == _SIGNATURE))
        position = end
    if position < archive.source.size:
        uncovered.append(_after(archive.source, position))
    covered = archive.source.size - sum((one.end or 0) - (one.start or 0) for one in uncovered)
    return Coverage(covered, tuple(uncovered))


def _claims(archive: _Archive) -> list[tuple[int, int, str]]:
    """Every stretch of the file that something lies in, in order, files that share one once; those of no length are left out."""
    contents = archive.contents
    shared: dict[Extent, bool] = {}
    for data in contents.data:
        shared[data.extent] = shared.get(data.extent, False) or data.algorithm is not None
    claims = [(extent, _DIGESTED if digested else _UNDIGESTED) for extent, digested in shared.items()]
    claims += [(one.extent, _SIGNATURE) for one in contents.signatures]
    claims += [(contents.checksum, _DIGESTED)] if contents.checksum is not None else []
    base = archive.header.heap
    places = [(base + one.offset, base + one.offset + one.length, claim) for one, claim in claims if one.length]
    return sorted(places)


def _after(source: PinnedSource, position: int) -> Uncovered:
    """What follows the heap: inert where it is a notarisation ticket and nothing else."""
    length = source.size - position
    small = length <= xar_trailer.MAX_TICKET_BYTES + 2 * xar_trailer.RECORD_BYTES
    inert = small and xar_trailer.is_trailer(source.read_at(position, length))
    return Uncovered(start=position, end=source.size, inert=inert)


def _product(archive: _Archive) -> Product | None:
    """What the package's own description says, where the table covers it."""
    found = [data for data in archive.contents.data if data.path in apple_product.FILES and data.algorithm is not None]
    if len(found) != 1 or found[0].extent.length > apple_product.MAX_BYTES:
        return None
    return _described(archive, found[0])


def _described(archive: _Archive, data: Data) -> Product | None:
    try:
        said = apple_product.product_of(archive.read(data.extent), data.encoding)
    except READ_ERRORS:
        return None
    return Product(*said) if said is not None else None
