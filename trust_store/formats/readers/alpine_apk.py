"""Alpine packages and indexes of version 2."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from trust_store.decode.alpine_apk import (
    ALGORITHMS,
    INDEX,
    INFO,
    SIGNATURE_PREFIX,
    read_control,
    read_signatures,
    unpack_stream,
)
from trust_store.decode.compressed import GZIP_MAGIC, unpacked_head
from trust_store.decode.package_info import first_member
from trust_store.errors import READ_ERRORS
from trust_store.formats.protocol import Reading
from trust_store.formats.side_signatures import read_side
from trust_store.formats.signed_parts import PartDigests
from trust_store.formats.streaming import PackageStream, SourceChangedError
from trust_store.model.package_facts import Coverage, Problem, Product, SignatureFact, SignatureOrigin, Uncovered
from trust_store.model.verdict import Reason
from trust_store.quick_dataclass import dataclass
from trust_store.signatures.protocol import DigestRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trust_store.decode.alpine_apk import ApkControl, ApkSignature
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial

NAME = "alpine-apk"
VERSION = 1
CONTAINER = "tar"
DOC = """Alpine packages (`.apk`) and indexes (`APKINDEX.tar.gz`) of version 2 (apk-v2(5)): gzip streams of signatures, control, data.

A signature (`.SIGN.RSA.<key>` with SHA-1, `.SIGN.RSA256.`, `.SIGN.RSA512.`) is over the bytes of the control stream, whose `datahash`
binds the data: where that is another, `invalid_signature`. Without `datahash`, and of an index, it is over everything after the signatures.
One good signature suffices. The stream with the signatures is inert; anything else in it is `malformed`. Values name no key but by a file
name, which decides nothing: give the public key as anchor. SHA-1, which abuild-sign uses by itself, is `weak_algorithm`. DSA is
`unsupported_format`. Control streams of more than 16 MiB, or that unpack to more than 64 MiB, are a `resource_limit`.

Fixtures put together as abuild-sign does, with tar, gzip and openssl."""

SCHEME = NAME
_HEAD_BYTES = 4096
_SHA256 = DigestRequest("sha256")


@dataclass(frozen=True, slots=True)
class _Streams:
    """Where the streams are, and what is in the first two; ``start`` is 0 where nothing is signed."""

    signatures: tuple[ApkSignature, ...]
    control: ApkControl
    start: int
    end: int
    before: bytes
    signed: bytes


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Whether the first member is a signature, or what an unsigned package or index begins with."""
    head = source.read_at(0, _HEAD_BYTES)
    if not head.startswith(GZIP_MAGIC):
        return False
    name = first_member(unpacked_head(head, _HEAD_BYTES)) or ""
    return name.startswith(SIGNATURE_PREFIX) or name == INDEX or (name == INFO and _is_cut(source))


def _is_cut(source: PackageSource) -> bool:
    """Whether a stream that begins with .PKGINFO is followed by another one: pacman's packages are of one stream."""
    try:
        _, end = unpack_stream(source.read_at, 0, max_packed=1024 * 1024)
    except READ_ERRORS:
        return False
    return source.read_at(end, len(GZIP_MAGIC)) == GZIP_MAGIC


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:
    """Read the package once; raises MalformedError, UnsupportedError or ResourceLimitError."""
    files = read_side(side)
    streams = _streams(source, limits)
    stream = PackageStream(source, files.digests)
    _require_same(stream.take(streams.start), streams.before)
    _require_same(stream.take(streams.end - streams.start), streams.signed)
    wanted = {DigestRequest(ALGORITHMS[one.kind]) for one in streams.signatures if one.kind in ALGORITHMS}
    bound = streams.control.data_sha256
    rest = PartDigests({_SHA256} if bound else wanted, source.size - streams.end)
    if not bound:
        rest.update(streams.signed)
    for chunk in stream.chunks(source.size - streams.end):
        rest.update(chunk)
    states = rest.close()
    if bound:
        digests = {
            request: hashlib.new(request.algorithm, streams.signed, usedforsecurity=False).digest()
            for request in wanted
        }
    else:
        digests = {request: states[request].digest() for request in wanted}
    problem = None
    if bound and states[_SHA256].digest().hex() != bound:
        problem = Problem(Reason.INVALID_SIGNATURE, "the data is not what the control stream says it is")
    embedded = tuple(_fact(one, digests) for one in streams.signatures)
    product = streams.control.product if embedded or side else None
    return Reading(
        stream.sha256,
        embedded + files.complete(stream.states),
        _coverage(source.size, streams, beside=bool(side)),
        problem,
        product=Product(*product) if product else None,
    )


def _streams(source: PackageSource, limits: ReadLimits) -> _Streams:
    """Look at the first two streams."""
    caps = {"max_packed": limits.max_manifest_bytes, "max_unpacked": limits.max_total_unpacked_bytes}
    first, end = unpack_stream(source.read_at, 0, **caps)
    signatures = read_signatures(first)
    start = 0
    control = first
    if signatures:
        start = end
        control, end = unpack_stream(source.read_at, start, **caps)
    found = read_control(control)
    return _Streams(signatures, found, start, end, source.read_at(0, start), source.read_at(start, end - start))


def _fact(signature: ApkSignature, digests: Mapping[DigestRequest, bytes]) -> SignatureFact:
    algorithm = ALGORITHMS.get(signature.kind)
    if algorithm is None:
        problem = Problem(Reason.UNSUPPORTED_FORMAT, f"Alpine package: a signature of kind {signature.kind}")
        return SignatureFact(SCHEME, SignatureOrigin.EMBEDDED, None, problem=problem)
    return SignatureFact(
        scheme=SCHEME,
        origin=SignatureOrigin.EMBEDDED,
        file=None,
        digest_algorithm=algorithm,
        signature_algorithm="rsa-pkcs1",
        signature=signature.value,
        digest=digests[DigestRequest(algorithm)],
        content_matches=True,
    )


def _coverage(size: int, streams: _Streams, *, beside: bool) -> Coverage:
    if not streams.signatures:
        return Coverage(size) if beside else Coverage(uncovered=(Uncovered(start=0, end=size),))
    return Coverage(size - streams.start, (Uncovered(start=0, end=streams.start, inert=True),))


def _require_same(now: bytes, before: bytes) -> None:
    if now != before:
        raise SourceChangedError("the file changed while it was being read")
