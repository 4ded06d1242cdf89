"""RAUC update bundles (RAUC "Reference", "Bundle Formats"): a squashfs image, a CMS signature, and the signature's size.

Layout: payload | hash tree (verity format only) | CMS SignedData | u64be size of the CMS. In the plain format the CMS is detached, over
everything before it; in the verity format the signed manifest is inside it and names the root of the payload's dm-verity hash tree.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from trust_store.decode import cms as cms_message
from trust_store.decode.dm_verity import BLOCK_BYTES, HashTree
from trust_store.decode.rauc_manifest import MAX_MANIFEST_BYTES, RAUCManifest, parse_manifest
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.formats.protocol import Reading
from trust_store.formats.side_signatures import SignatureFiles, joined, read_side
from trust_store.formats.streaming import PackageStream, digests_of
from trust_store.model.package_facts import Coverage, Problem, Product, SignatureOrigin, SignatureRole, Uncovered
from trust_store.model.verdict import Reason
from trust_store.signatures.cms import pending_over_data
from trust_store.signatures.protocol import MAX_SIGNATURE_FILE_BYTES

if TYPE_CHECKING:
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial

NAME = "rauc"
VERSION = 1
CONTAINER = "none"
DOC = """A RAUC bundle (`.raucb`): a squashfs image with a CMS signature and its size at the end; fixtures made by `rauc`.

Plain format: the detached signature covers every byte before it. Verity format: the signature is over the manifest inside it, and the
payload must be of the dm-verity root that the manifest names (SHA-256, 4096-byte blocks), the stored hash tree that very tree. Only the
signature and its size are not covered. The compatible and version of a verity manifest are the product. A bundle in crypt format is
`unsupported_format`: what it installs cannot be seen. A bundle with bytes appended has no signature at its end: `malformed`. Every signer
of the message must be good, as RAUC has it. It looks at the certificate purpose that its configuration asks for, which is not known here:
certificates for code signing serve, and those for mail alone (emailProtection), as in its default purpose smimesign."""

MAGIC = b"hsqs"
_TRAILER_BYTES = 8
_LOOKED_AT_BYTES = 64 * 1024
_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Whether a CMS message lies where the trailer says; or the file is a squashfs with one near its end, cut short or lengthened."""
    size = _signature_size(source)
    if size is not None and cms_message.recognises(source.read_at(source.size - _TRAILER_BYTES - size, 64)):
        return True
    end = max(0, source.size - _LOOKED_AT_BYTES)
    return source.read_at(0, 4) == MAGIC and _SIGNED_DATA in source.read_at(end, _LOOKED_AT_BYTES)


def _signature_size(source: PackageSource) -> int | None:
    """What the trailer says, where it can be: a signature at all, and not one that begins before the file."""
    size = int.from_bytes(source.read_at(source.size - _TRAILER_BYTES, _TRAILER_BYTES), "big")
    return size if 0 < size <= source.size - _TRAILER_BYTES else None


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:  # noqa: ARG001
    """Read the bundle once; raises MalformedError, UnsupportedError or ResourceLimitError."""
    size = _signature_size(source)
    if size is None:
        raise MalformedError("RAUC: no signature where the end of the bundle says")
    if size > MAX_SIGNATURE_FILE_BYTES:
        raise ResourceLimitError(f"RAUC: a signature of {size} bytes")
    start = source.size - _TRAILER_BYTES - size
    tail = source.read_at(start, size + _TRAILER_BYTES)
    message = cms_message.parse_signed_data(tail[:size])
    manifest = None
    if message.encapsulated:
        manifest = parse_manifest(cms_message.content_octets(message, max_bytes=MAX_MANIFEST_BYTES))
    if source.read_at(0, 4) != MAGIC:
        raise UnsupportedError("RAUC: the payload is no squashfs image: it may be encrypted (crypt format)")
    return _read(source, read_side(side), message, tail, manifest)


def _read(
    source: PackageSource,
    files: SignatureFiles,
    message: cms_message.SignedData,
    tail: bytes,
    manifest: RAUCManifest | None,
) -> Reading:
    start = source.size - len(tail)
    embedded = pending_over_data(message, origin=SignatureOrigin.EMBEDDED)
    wanted = {request for pending in embedded for request in pending.digests}
    stream = PackageStream(source, {*files.digests, *(() if manifest else wanted)}, boundary=start)
    problem = _verity_problem(stream, manifest, start) if manifest else None
    if not manifest:
        for _ in stream.chunks(start):
            pass
    if stream.take(len(tail)) != tail:
        raise MalformedError("RAUC: the signature changed while the bundle was being read")
    states = digests_of(cms_message.content_octets(message, max_bytes=MAX_MANIFEST_BYTES), wanted) if manifest else None
    completed = (pending.complete(states if states is not None else stream.snapshot) for pending in embedded)
    # OpenSSL's CMS_verify, which RAUC asks, wants every signer of a message good
    facts = tuple(replace(fact, role=SignatureRole.REQUIRED) for fact in completed)
    coverage = Coverage(start, (Uncovered(start=start, end=source.size, inert=True),))
    product = Product(manifest.compatible, manifest.version) if manifest and manifest.compatible else None
    return Reading(stream.sha256, facts + joined(files).complete(stream.states), coverage, problem, product=product)


def _verity_problem(stream: PackageStream, manifest: RAUCManifest, total: int) -> Problem | None:
    """Read payload and hash tree, and say whether they are those that the manifest names."""
    payload = total - manifest.verity_size
    if payload <= 0 or payload % BLOCK_BYTES or manifest.verity_size % BLOCK_BYTES:
        raise MalformedError("RAUC: the manifest's sizes are not those of the bundle")
    tree = HashTree(manifest.verity_salt, payload // BLOCK_BYTES)
    for piece in stream.chunks(payload):
        tree.update(piece)
    intact = tree.root() == manifest.verity_hash and tree.size == manifest.verity_size
    if tree.size != manifest.verity_size:
        for _ in stream.chunks(manifest.verity_size):
            pass
    for size, digest in tree.levels() if tree.size == manifest.verity_size else ():
        intact = _digest(stream, size) == digest and intact
    if intact:
        return None
    return Problem(Reason.INVALID_SIGNATURE, "the payload or its hash tree is not what the signed manifest says it is")


def _digest(stream: PackageStream, size: int) -> bytes:
    import hashlib

    state = hashlib.sha256()
    for piece in stream.chunks(size):
        state.update(piece)
    return state.digest()
