"""Linux kernel modules with a PKCS #7 signature appended."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING

from trust_store.errors import MalformedError, TrustStoreError, UnsupportedError
from trust_store.formats.protocol import Reading
from trust_store.formats.side_signatures import SignatureFiles, joined, problem_of, read_side
from trust_store.formats.streaming import PackageStream, new_state
from trust_store.model.package_facts import Coverage, Problem, SignatureFact, SignatureOrigin, Uncovered
from trust_store.model.verdict import Reason
from trust_store.signatures import cms
from trust_store.signatures.protocol import MAX_SIGNATURE_FILE_BYTES

if TYPE_CHECKING:
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial

NAME = "linux-module"
VERSION = 1
CONTAINER = "none"
DOC = """ELF files with a signature appended as the kernel's ``scripts/sign-file`` does (Documentation/admin-guide/module-signing.rst).

::

    module | CMS, detached, DER | struct module_signature (12 bytes) | ~Module signature appended~ and a line feed

The signature covers everything before it; signature, structure and mark are inert. The kernel refuses signed attributes in it, and
certificates are looked up by issuer and serial number. Signatures of kernels before 4.3 (id types other than PKCS #7) are
`unsupported_format`, and so is a file with the mark that is no ELF file. A module that was signed twice is read as the kernel does: the
last signature, over all before it. Fixtures: signed by openssl as sign-file signs, the trailer built from the kernel's source."""

MARK = b"~Module signature appended~\n"
_TRAILER = struct.Struct(">BBBBB3sI")
_PKCS7 = 2
_ELF = b"\x7fELF"


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Whether the file ends with the mark."""
    return source.size >= len(MARK) and source.read_at(source.size - len(MARK), len(MARK)) == MARK


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:  # noqa: ARG001
    """Read the file once; raises MalformedError, UnsupportedError or ResourceLimitError."""
    end = source.size - len(MARK) - _TRAILER.size
    length = _signature_bytes(source.read_at(max(end, 0), _TRAILER.size))
    start = end - length
    if start < 0:
        raise MalformedError("linux module: a signature that is larger than the file")
    if source.read_at(0, len(_ELF)) != _ELF:
        raise UnsupportedError("linux module: a signature after something that is no ELF file")
    if length > MAX_SIGNATURE_FILE_BYTES:
        raise MalformedError(f"linux module: a signature of {length} bytes")
    embedded, files = _embedded(source.read_at(start, length)), read_side(side)
    stream = PackageStream(source, {*files.digests, *embedded.digests}, boundary=start)
    stream.read_to_end()
    facts = tuple(map(_without_attributes, embedded.complete(stream.snapshot)))
    coverage = Coverage(start, (Uncovered(start=start, end=source.size, inert=True),))
    return Reading(stream.sha256, facts + joined(files).complete(stream.states), coverage)


def _signature_bytes(trailer: bytes) -> int:
    """Length of the signature before ``trailer``; raises MalformedError or UnsupportedError (``mod_check_sig`` of the kernel)."""
    if len(trailer) < _TRAILER.size:
        raise MalformedError("linux module: nothing before the mark")
    algorithm, digest, kind, signer, key, padding, length = _TRAILER.unpack(trailer)
    if kind != _PKCS7:
        raise UnsupportedError(f"linux module: a signature of id type {kind}; only PKCS #7 is read")
    if (algorithm, digest, signer, key) != (0, 0, 0, 0) or padding != bytes(3):
        raise MalformedError("linux module: a PKCS #7 signature with fields of older ones")
    return int(length)


def _embedded(data: bytes) -> SignatureFiles:
    """The signatures in the message; one that cannot be read is a fact with its problem."""
    try:
        pending = cms.SCHEME.parse(data, origin=SignatureOrigin.EMBEDDED, file=None)
        for request in {request for item in pending for request in item.digests}:
            new_state(request)
    except TrustStoreError as error:
        fact = SignatureFact(cms.NAME, SignatureOrigin.EMBEDDED, None, problem=problem_of(error))
        return SignatureFiles((), (fact,))
    return SignatureFiles(tuple(pending), ())


def _without_attributes(fact: SignatureFact) -> SignatureFact:
    """``pkcs7_verify`` of the kernel refuses signed attributes in a module's signature."""
    if not fact.signed or fact.problem is not None:
        return fact
    return replace(fact, problem=Problem(Reason.MALFORMED, "linux module: a signature with signed attributes"))
