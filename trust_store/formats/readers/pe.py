"""PE images with Authenticode signatures (Microsoft, "Windows Authenticode Portable Executable Signature Format"; UEFI 2.10 section 32.5).

Every byte is digested but the checksum, the directory entry of the certificate table, and the table itself, which ends the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode import pe
from trust_store.decode.authenticode import ID_CABINET, ID_SIP_INFO
from trust_store.decode.pe_version import read_version
from trust_store.errors import READ_ERRORS
from trust_store.formats.catalogs import catalog_algorithms, complete_side, split_side
from trust_store.formats.looked_at import LookedAt
from trust_store.formats.protocol import Reading
from trust_store.formats.side_signatures import read_side
from trust_store.formats.skipping import SkippingState
from trust_store.formats.streaming import PackageStream
from trust_store.model.package_facts import Coverage, Product, Uncovered
from trust_store.signatures.authenticode import read_embedded
from trust_store.signatures.protocol import DigestRequest

if TYPE_CHECKING:
    from trust_store.decode.authenticode import IndirectData
    from trust_store.decode.pe import CertificateEntry, Image
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial

NAME = "pe"
VERSION = 1
CONTAINER = "pe"
DOC = """Windows and UEFI images (.exe, .dll, .sys, .efi ...): signatures in the attribute certificate table, and a catalog or a
signature in a file of its own beside the image.

Every entry of the table and every signature nested in one is a signature over the whole image: one good one suffices, a broken one fails
the image. Not covered and inert: the checksum, the directory entry of the table, the table with its signatures and zeros after them. Any
other bytes in the table after a signature (CVE-2013-3900), an entry of another kind, bytes after the table, and sections that reach into it
are uncovered content. What is appended before the table is covered. Product,
file name and version come from the version resource. Page hashes are not looked at. At most 16 MiB of table and 16
signatures. Fixtures made by osslsigncode and sbsign from images built by hand; entries of other kinds built from the specification."""


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Every file of the container."""
    return source.size > 0


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:  # noqa: ARG001
    """Read the image once; raises MalformedError, UnsupportedError or ResourceLimitError."""
    looked_at = LookedAt(source)
    image = pe.read_image(_headers(looked_at), source.size)
    table_start, table_end = image.table or (source.size, source.size)
    entries = pe.read_table(looked_at.read_at(table_start, table_end - table_start))
    embedded = read_embedded(entry.message for entry in entries if entry.kind == pe.PKCS_SIGNED_DATA)
    detached, side = split_side(side)
    files = read_side(side)
    wanted = dict.fromkeys([*embedded.algorithms, *detached.algorithms, *catalog_algorithms(files)])
    stream = PackageStream(source, files.digests)
    own = {algorithm: DigestRequest(f"{NAME}/{algorithm}") for algorithm in wanted}
    for algorithm, request in own.items():
        stream.states[request] = SkippingState(algorithm, _left_out(image, table_start, source.size))
    product = _product(looked_at, image) if embedded.found or detached.found or side else None
    stream.states[DigestRequest(f"{NAME}/looked at")] = looked_at
    looked_at.pass_over(stream)
    digests = {algorithm: stream.states[request].digest() for algorithm, request in own.items()}
    facts = embedded.complete(digests, _is_image)
    # An image is padded where it gets a table, so that catalogs list it padded; what is missing of a section is no padding.
    if image.table is None and all(end <= source.size for _, end in image.sections):
        for request in own.values():
            stream.states[request].update(bytes(-source.size % pe.ALIGNMENT))
    padded = {algorithm: stream.states[request].digest() for algorithm, request in own.items()}
    facts += detached.complete(padded, _is_image) + complete_side(files, stream.states, digests, padded)
    return Reading(stream.sha256, facts, _coverage(image, entries, source.size), product=product)


def _headers(source: PackageSource) -> bytes:
    """As many bytes as the headers have: known once the first of them are read."""
    head = source.read_at(0, 64)
    for _ in range(2):
        head = source.read_at(0, pe.header_bytes(head))
    return head


def _is_image(indirect: IndirectData) -> bool:
    """Not signed as something else; UEFI signing tools have written other kinds than SpcPeImageData, which mean nothing."""
    return indirect.kind not in (ID_CABINET, ID_SIP_INFO)


def _left_out(image: Image, table_start: int, size: int) -> tuple[tuple[int, int], ...]:
    """What the digest of an image is not over."""
    return (image.checksum, *([image.directory] if image.directory else []), (table_start, size))


def _product(source: PackageSource, image: Image) -> Product | None:
    """What the version resource says: one product may have many files. A resource that cannot be read says nothing."""
    try:
        version = read_version(source, image)
    except READ_ERRORS:
        return None
    name = "/".join(filter(None, (version.product, version.file))) if version else ""
    return Product(name, version.number) if version and name else None


def _coverage(image: Image, entries: tuple[CertificateEntry, ...], size: int) -> Coverage:
    """All but the fields that are left out and the table; of the latter what is neither a signature nor zeros is not inert."""
    found = [_inert(*image.checksum), *([_inert(*image.directory)] if image.directory else [])]
    if image.table is None:
        return Coverage(size - sum((one.end or 0) - (one.start or 0) for one in found), tuple(found))
    start, end = image.table
    position = start
    for entry in entries:
        if entry.kind != pe.PKCS_SIGNED_DATA or any(entry.rest):
            strange = start + entry.rest_start
            found += [_inert(position, strange), Uncovered(start=strange, end=start + entry.end)]
            position = start + entry.end
    found.append(_inert(position, end))
    found.append(Uncovered(start=end, end=size))
    found += [Uncovered(start=max(a, start), end=min(b, end)) for a, b in image.sections if a < end and b > start]
    uncovered = tuple(one for one in found if (one.start or 0) < (one.end or 0))
    return Coverage(start - 12, uncovered)


def _inert(start: int, end: int) -> Uncovered:
    return Uncovered(start=start, end=end, inert=True)
