"""Windows Installer files: an OLE compound file whose streams are signed, the signature in a stream of its own.

What is digested is not documented by Microsoft; it is as osslsigncode and relic found it: the bytes of the streams, storages in turn, in
the order of their names as UTF-16LE octets, each storage's class at its end. With ``MsiDigitalSignatureEx`` a digest of names, sizes and
dates comes first.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from trust_store.decode import msi_tables, ole
from trust_store.decode.authenticode import ID_SIP_INFO, MSI_SUBJECT
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError
from trust_store.formats.catalogs import complete_side, split_side
from trust_store.formats.pinned import PinnedSource
from trust_store.formats.protocol import Reading
from trust_store.formats.ranges import digest_ranges, range_chunks
from trust_store.formats.side_signatures import read_side
from trust_store.model.package_facts import Coverage, Problem, Product, Uncovered
from trust_store.model.verdict import Reason
from trust_store.signatures.authenticode import read_embedded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trust_store.decode.authenticode import IndirectData
    from trust_store.decode.ole import CompoundFile, Node
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial

NAME = "msi"
VERSION = 1
CONTAINER = "ole"
DOC = """Windows Installer packages, patches, transforms and merge modules (.msi, .msp, .mst, .msm): the stream `\\5DigitalSignature` at
the root, over every other stream and the storages' classes; with `\\5MsiDigitalSignatureEx` over names, sizes and dates as well.

Not covered and inert: the header, allocation tables and directory, which the strict walk checks ([MS-CFB]), sectors and ends of sectors
that belong to nothing, the two streams themselves. Where there is no MsiDigitalSignatureEx nobody vouches for the streams' names but for
their order, nor for where one ends and the next begins, as Windows Installer has it. Two things are then asked for all the same: in a
package a stream with the name of a table must be of one that the database lists (else `malformed`), and a first stream as long as a
digest is `downgrade`, as it may be MsiDigitalSignatureEx under another name. Bytes after the last sector in use are uncovered content
unless they are zeros. Product and version come from the Property table. Fixtures made by msibuild and osslsigncode."""

SIGNATURE, EXTENDED = "\x05DigitalSignature", "\x05MsiDigitalSignatureEx"
_TRANSFORM, _PACKAGE, _PATCH = (bytes.fromhex(f"{kind}100c0000000000c000000000000046") for kind in ("82", "84", "86"))
_CLASSES = frozenset((_TRANSFORM, _PACKAGE, _PATCH))
MAX_SIGNATURE_BYTES = 8 * 1024 * 1024
MAX_EXTENDED_BYTES = 64
MAX_TABLE_BYTES = 4 * 1024 * 1024
MAX_UNCOVERED = 100_000


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Whether it is of one of the installer's classes, carries such a signature, or is cut short before it says what it is."""
    kind = ole.root_class(source)
    if kind in _CLASSES or not kind:
        return True
    try:
        return ole.read_compound(source).root.child(SIGNATURE) is not None
    except READ_ERRORS:
        return False


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:  # noqa: ARG001
    """Read the file twice, once as it lies; raises MalformedError, UnsupportedError or ResourceLimitError."""
    detached, side = split_side(side)
    files = read_side(side)
    pinned = PinnedSource(source, files.digests)
    compound = ole.read_compound(pinned)
    root = compound.root
    message = _stream(pinned, root, SIGNATURE, MAX_SIGNATURE_BYTES)
    extended = _stream(pinned, root, EXTENDED, MAX_EXTENDED_BYTES)
    embedded = read_embedded([] if message is None else [message])
    pieces = tuple(_pieces(root, at_root=True))
    digests: dict[str, bytes] = {}
    right: dict[str, bool] = {}
    for algorithm in dict.fromkeys((*embedded.algorithms, *detached.algorithms)):
        prehash = _prehash(root, algorithm) if extended is not None else b""
        right[algorithm] = extended is None or hmac.compare_digest(prehash, extended)
        digests |= digest_ranges(pinned, (prehash, *pieces), [algorithm])

    def accepts(indirect: IndirectData) -> bool:
        return indirect.kind == ID_SIP_INFO and indirect.subject == MSI_SUBJECT and right[indirect.algorithm]

    facts = embedded.complete(digests, accepts) + detached.complete(digests, accepts)
    facts += complete_side(files, pinned.states)
    product = _product(pinned, root)
    problem = (_stripped(root, digests) or _renamed(pinned, root)) if extended is None and digests else None
    return Reading(pinned.sha256, facts, _coverage(pinned, compound, pieces), problem, product=product)


def _stripped(root: Node, digests: dict[str, bytes]) -> Problem | None:
    """Whether the digest of the metadata may stand there under another name, where it is content and vouches for no metadata."""
    first = next(iter(_digested(root, at_root=True)), None)
    if first is None or first.kind != ole.STREAM or first.size not in {len(digest) for digest in digests.values()}:
        return None
    return Problem(Reason.DOWNGRADE, "MSI: the first stream may be MsiDigitalSignatureEx under another name")


def _renamed(source: PinnedSource, root: Node) -> Problem | None:
    """A stream that has the name of a table which the signed content does not list: a table under another name is an empty one."""
    if root.class_id != _PACKAGE:
        return None
    tables, pool, data = (_table(source, root, name) for name in (msi_tables.TABLES, msi_tables.POOL, msi_tables.DATA))
    try:
        known = msi_tables.tables_with_streams(tables, pool, data)
    except READ_ERRORS:  # so that the installer cannot read it either
        return None
    for node in root.children:
        name = node.name.decode("utf-16-le", "surrogatepass")
        if name.startswith(msi_tables.MARK) and msi_tables.table_of(name) not in known:
            return Problem(Reason.MALFORMED, "MSI: the stream of a table that the database does not have")
    return None


def _table(source: PinnedSource, root: Node, name: str) -> bytes:
    """The stream of a table; empty where there is none, or one that is too large."""
    try:
        return _stream(source, root, msi_tables.stream_name(name), MAX_TABLE_BYTES) or b""
    except READ_ERRORS:
        return b""


def _product(source: PinnedSource, root: Node) -> Product | None:
    """Name and version by the Property table; a database that cannot be read says nothing."""
    try:
        names = (msi_tables.PROPERTY, msi_tables.POOL, msi_tables.DATA)
        table, pool, data = (_table(source, root, name) for name in names)
        said = msi_tables.read_properties(table, pool, data, frozenset(("ProductName", "ProductVersion")))
    except READ_ERRORS:
        return None
    name = said.get("ProductName")
    return Product(name[:200], said.get("ProductVersion") or None) if name else None


def _stream(source: PinnedSource, root: Node, name: str, limit: int) -> bytes | None:
    """The content of a stream at the root; None where there is none."""
    node = root.child(name)
    if node is None:
        return None
    if node.kind != ole.STREAM:
        raise MalformedError(f"MSI: {name[1:]} is no stream")
    if node.size > limit:
        raise ResourceLimitError(f"MSI: {name[1:]} of {node.size} bytes")
    return b"".join(chunk for piece in node.ranges for chunk in range_chunks(source, *piece))


def _digested(storage: Node, *, at_root: bool) -> list[Node]:
    """The children in the order in which they are digested: by the octets of their names, NUL included."""
    own = {name.encode("utf-16-le") for name in (SIGNATURE, EXTENDED)} if at_root else set()
    return sorted((node for node in storage.children if node.name not in own), key=lambda node: node.name + b"\0\0")


def _pieces(storage: Node, *, at_root: bool = False) -> Iterator[tuple[int, int] | bytes]:
    for node in _digested(storage, at_root=at_root):
        if node.kind == ole.STREAM:
            yield from node.ranges
        else:
            yield from _pieces(node)
    yield storage.class_id


def _prehash(root: Node, algorithm: str) -> bytes:
    """What MsiDigitalSignatureEx holds: a digest of the directory entries' fields."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    for piece in _metadata(root, at_root=True):
        digest.update(piece)
    return digest.digest()


def _metadata(storage: Node, *, at_root: bool = False) -> Iterator[bytes]:
    """Name but for the root, class, state; of a stream its size in place of the class; dates but for the root."""
    entry = storage.entry
    yield (b"" if at_root else storage.name) + entry[80:96] + entry[96:100] + (b"" if at_root else entry[100:116])
    for node in _digested(storage, at_root=at_root):
        if node.kind == ole.STREAM:
            yield node.name + node.entry[120:124] + node.entry[96:116]
        else:
            yield from _metadata(node)


def _coverage(source: PinnedSource, compound: CompoundFile, pieces: tuple[tuple[int, int] | bytes, ...]) -> Coverage:
    """What lies between the streams' bytes is inert; what comes after the last sector in use is so if it is zeros."""
    covered = sorted(piece for piece in pieces if not isinstance(piece, bytes))
    found: list[Uncovered] = []
    position = total = 0
    for start, end in [*covered, (compound.used_end, compound.used_end)]:
        if start > position:
            found.append(Uncovered(start=position, end=start, inert=True))
        total += end - start
        position = max(position, end)
    if len(found) > MAX_UNCOVERED:
        raise ResourceLimitError(f"MSI: streams in more than {MAX_UNCOVERED} pieces")
    if compound.used_end < source.size:
        zeros = not any(any(chunk) for chunk in range_chunks(source, compound.used_end, source.size))
        found.append(Uncovered(start=compound.used_end, end=source.size, inert=zeros))
    return Coverage(total, tuple(found))
