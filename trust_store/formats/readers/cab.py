"""Cabinets with an Authenticode signature behind them, and cabinets that a catalog lists.

What is digested is not documented by Microsoft; it is as osslsigncode and relic found it: the cabinet without the first reserved field, its
number in a set, and the part of the reserved area that tells of the signature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode.asn1 import read_first
from trust_store.decode.authenticode import ID_PE_IMAGE, ID_SIP_INFO
from trust_store.decode.cab_files import contents, read_directory
from trust_store.decode.cabinet_header import HEADER_BYTES, read_header
from trust_store.decode.member_names import require_distinct
from trust_store.errors import READ_ERRORS, ResourceLimitError
from trust_store.formats.catalogs import catalog_algorithms, complete_side, split_side
from trust_store.formats.members import HEAD_BYTES, MAX_UNPACKED_BYTES, packages_among
from trust_store.formats.protocol import Reading
from trust_store.formats.side_signatures import read_side
from trust_store.formats.skipping import SkippingState
from trust_store.formats.streaming import BytesSource, PackageStream, SourceChangedError
from trust_store.model.package_facts import Coverage, Uncovered
from trust_store.signatures.authenticode import read_embedded
from trust_store.signatures.protocol import DigestRequest

if TYPE_CHECKING:
    from trust_store.decode.authenticode import IndirectData
    from trust_store.decode.cabinet_header import CabinetHeader
    from trust_store.formats.protocol import MemberPackage, PackageSource, ReadLimits, SideMaterial

NAME = "cab"
VERSION = 1
CONTAINER = "cab"
DOC = """Microsoft cabinets ([MS-CAB]): the signature behind the cabinet, and a catalog or a signature in a file of its own beside it.
Of a cabinet without any, packages inside get verdicts of their own where it is stored or MSZIP and holds at most 256 MiB.

Not covered and inert: bytes 4 to 8 (reserved), 34 to 56 (the cabinet's number in its set; how much is reserved, which must be nothing but
the 20 bytes for the signature; where the signature is, which must be the end of the cabinet), the signature and zeros after it. Any
other bytes after the cabinet are uncovered content. Fixtures made by gcab and osslsigncode."""

MAX_WALKED_BYTES = 256 * 1024**2
_RESERVED, _NUMBER_TO_SIGNATURE = (4, 8), (34, 56)


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Every file of the container that is of no other form."""
    return source.size > 0


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:
    """Read the cabinet once; raises MalformedError, UnsupportedError or ResourceLimitError."""
    head = source.read_at(0, HEADER_BYTES)
    header = read_header(head, source.size)
    start, end = header.signature or (header.size, header.size)
    signature = source.read_at(start, end - start)
    message = read_first(signature, "cabinet: signature")[0].raw if signature else b""
    embedded = read_embedded([message] if message else [])
    detached, side = split_side(side)
    files = read_side(side)
    stream = PackageStream(source, files.digests)
    wanted = (*embedded.algorithms, *detached.algorithms, *catalog_algorithms(files))
    own = {name: DigestRequest(f"{NAME}/{name}") for name in wanted}
    for algorithm, request in own.items():
        stream.states[request] = SkippingState(algorithm, _left_out(header, start, source.size))
    _pass(stream, head, signature, start)
    digests = {algorithm: stream.states[request].digest() for algorithm, request in own.items()}
    facts = embedded.complete(digests, _is_cabinet) + detached.complete(digests, _is_cabinet)
    facts += complete_side(files, stream.states, digests)
    coverage = _coverage(header, start + len(message), signature, source.size)
    return Reading(stream.sha256, facts, coverage, members=() if facts else _packages(source, limits))


def _packages(source: PackageSource, limits: ReadLimits) -> tuple[MemberPackage, ...]:
    """Packages inside, as far as the cabinet can be unpacked: not one of a set, stored or MSZIP, 32 MiB of files altogether kept."""
    kept: dict[str, bytes] = {}
    sizes: dict[str, int] = {}
    room = MAX_UNPACKED_BYTES
    try:
        directory = read_directory(source)
        if sum(file.size for file in directory.files) > min(MAX_WALKED_BYTES, limits.max_total_unpacked_bytes):
            return ()
        require_distinct([file.name for file in directory.files])
        for file, pieces in contents(source, directory):
            whole = file.size <= room
            room -= file.size if whole else 0
            sizes[file.name] = file.size
            kept[file.name] = b"".join(pieces) if whole else next(pieces, b"")
    except READ_ERRORS:
        return ()

    def open_member(name: str) -> PackageSource:
        if len(kept[name]) < sizes[name]:
            raise ResourceLimitError(f"a member of {sizes[name]} bytes; unpack it and check it by itself")
        return BytesSource(kept[name])

    return packages_among(sizes, lambda name: kept[name][:HEAD_BYTES], open_member)


def _is_cabinet(indirect: IndirectData) -> bool:
    """Not signed as something else."""
    return indirect.kind not in (ID_PE_IMAGE, ID_SIP_INFO)


def _left_out(header: CabinetHeader, start: int, size: int) -> tuple[tuple[int, int], ...]:
    """What the digest is not over; catalogs list a cabinet without a signature by all but the first reserved field."""
    if header.signature is None:
        return (_RESERVED,)
    return (_RESERVED, _NUMBER_TO_SIGNATURE, (start, size))


def _pass(stream: PackageStream, head: bytes, signature: bytes, start: int) -> None:
    """From start to end; what was looked at before must stand there again."""
    changed = stream.take(len(head)) != head
    if signature:
        for _ in stream.chunks(start - len(head)):
            pass
        changed = changed or stream.take(len(signature)) != signature
    if changed:
        raise SourceChangedError("the file changed while it was being read")
    stream.read_to_end()


def _coverage(header: CabinetHeader, message_end: int, signature: bytes, size: int) -> Coverage:
    """All but the fields that are left out and the signature; what follows that is inert where it is zeros."""
    if header.signature is None:
        return Coverage(size - 4, (Uncovered(start=4, end=8, inert=True),))
    start, end = header.signature
    found = [Uncovered(start=a, end=b, inert=True) for a, b in (_RESERVED, _NUMBER_TO_SIGNATURE, (start, message_end))]
    if message_end < end:
        zeros = not any(signature[message_end - start :])
        found.append(Uncovered(start=message_end, end=end, inert=zeros))
    if end < size:
        found.append(Uncovered(start=end, end=size))
    return Coverage(start - 26, tuple(found))
