"""Mender artifacts, format 2 and 3 (mender-artifact ``Documentation/artifact-format-v3.md``).

A tar archive: ``version``, ``manifest``, ``manifest.sig``, ``header.tar.gz``, ``data/0000.tar.gz`` and so on. The manifest has the
digests of ``version`` and of the header as they lie, and those of the files inside the payload archives.
"""

from __future__ import annotations

import binascii
import hashlib
from typing import TYPE_CHECKING

from trust_store.decode import mender_artifact as artifact
from trust_store.decode.byte_reader import ByteReader
from trust_store.decode.compressed import UnpackBudget, Unpacking
from trust_store.decode.manifest import parse_manifest
from trust_store.decode.tar_archive import walk_with
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.formats.protocol import Reading
from trust_store.formats.side_signatures import read_side
from trust_store.formats.streaming import PackageStream
from trust_store.model.package_facts import (
    Coverage,
    Problem,
    Product,
    SideFile,
    SignatureFact,
    SignatureOrigin,
    Uncovered,
)
from trust_store.model.verdict import Reason
from trust_store.signatures.firmware_values import ECDSA_FIXED, open_algorithm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trust_store.decode.tar_archive import TarMember
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial

NAME = "mender"
VERSION = 1
CONTAINER = "tar"
DOC = """A Mender artifact of format 2 or 3; fixtures made by `mender-artifact`.

`manifest.sig` is a value over `manifest`, in base64: RSA PKCS #1 v1.5 with SHA-256, ECDSA P-256 (r and s one after the other), or
Ed25519. It carries no certificate, so that its key must be at hand. The manifest has the digests of `version`, the header and every file
inside the payload archives: one that is listed and absent, or of another digest, is `invalid_signature`; a file that is not listed is
uncovered content, and so is all that `manifest-augment` lists, which nobody signs (a deliberate part of the format). Tar headers, and
the way in which payloads are compressed, are not covered. The device types of the signed header are the product. Payloads in zstd are
`unsupported_format`."""

SCHEME = "mender"
_ED25519_OR_P256_BYTES = 64
_RSA_BYTES = range(128, 2049, 8)
MAX_MANIFEST_BYTES = 1024 * 1024
MAX_SIGNATURE_BYTES = 8192
_KEPT = {artifact.VERSION: 4096, artifact.MANIFEST: MAX_MANIFEST_BYTES, artifact.SIGNATURE: MAX_SIGNATURE_BYTES}
MAX_HEADER_BYTES = 1024 * 1024


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Whether the first member is ``version`` and says that it is Mender's."""
    head = source.read_at(0, 1024)
    return head.startswith(b"version\0") and b'"mender"' in head[512:]


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:
    """Read the artifact once; raises MalformedError, UnsupportedError or ResourceLimitError."""
    files = read_side(side)
    stream = PackageStream(source, files.digests)
    walked = _Artifact(limits)
    members = walk_with(ByteReader(stream.chunks(source.size)), walked.take, max_members=limits.max_members)
    names = [member.name for member in members]
    if names[:2] != [artifact.VERSION, artifact.MANIFEST]:
        raise MalformedError("Mender: version and manifest are not the first files")
    if artifact.SIGNATURE in names and names[2] != artifact.SIGNATURE:
        raise MalformedError("Mender: the signature does not follow the manifest")
    artifact.require_version(walked.kept[artifact.VERSION])
    content = walked.kept[artifact.MANIFEST]
    listed = parse_manifest(content, max_entries=limits.max_members)
    embedded = _signatures(content, walked.kept.get(artifact.SIGNATURE))
    return Reading(
        stream.sha256,
        embedded + files.complete(stream.states),
        _coverage(walked, members, listed, source.size)
        if embedded or not side
        else Coverage(covered_bytes=source.size),
        _mismatch(walked.digests, listed) if embedded else None,
        product=walked.product(listed),
    )


class _Artifact:
    """What the walk leaves: small files, digests by the name that the manifest would have, and where covered bytes lie."""

    def __init__(self, limits: ReadLimits) -> None:
        self._limits = limits
        self.kept: dict[str, bytes] = {}
        self.digests: dict[str, str] = {}
        self.sizes: dict[str, int] = {}
        self.places: dict[str, tuple[int, int]] = {}
        self._header: tuple[str, bytes, str | None] | None = None

    def take(self, member: TarMember, content: Iterator[bytes]) -> None:
        """Take one member of the artifact."""
        if not member.is_file:
            if member.is_folder:
                return
            raise MalformedError(f"Mender: {member.name[:80]!a} is no file")
        payload = artifact.payload_of(member.name)
        if payload is not None:
            self._payload(member, content, *payload)
            return
        most = _KEPT.get(member.name, 0)
        if most and member.size > most:
            raise ResourceLimitError(f"Mender: {member.name} of {member.size} bytes")
        is_header, compression = artifact.header_compression(member.name)
        keep = bool(most) or (is_header and member.size <= MAX_HEADER_BYTES)
        data = self._digest(member.name, member.size, content, keep=keep)
        self.places[member.name] = member.data_offset, member.size
        if is_header and keep:
            self._header = member.name, data, compression
        elif most:
            self.kept[member.name] = data

    def product(self, listed: dict[str, str]) -> Product | None:
        """The device types, where the header is the one that the manifest lists."""
        if self._header is None or listed.get(self._header[0]) != self.digests[self._header[0]]:
            return None
        try:
            types = artifact.device_types(self._header[1], self._header[2])
        except UnsupportedError:
            return None
        return Product(", ".join(types)[:200]) if types else None

    def _payload(self, member: TarMember, content: Iterator[bytes], folder: str, compression: str | None) -> None:
        budget = UnpackBudget(self._limits.max_total_unpacked_bytes, self._limits.max_member_ratio)

        def take(inner: TarMember, data: Iterator[bytes]) -> None:
            if not inner.is_file:
                raise MalformedError(f"Mender: {inner.name[:80]!a} in a payload is no file")
            name = f"{folder}/{inner.name}"
            self._digest(name, inner.size, data, keep=False)
            if compression is None:
                self.places[name] = member.data_offset + inner.data_offset, inner.size

        unpacked = ByteReader(iter(Unpacking(content, compression, budget)))
        walk_with(unpacked, take, max_members=self._limits.max_members)

    def _digest(self, name: str, size: int, content: Iterator[bytes], *, keep: bool) -> bytes:
        if name in self.digests:
            raise MalformedError(f"Mender: two files {name[:80]!a}")
        state = hashlib.sha256()
        pieces: list[bytes] = []
        for piece in content:
            state.update(piece)
            if keep:
                pieces.append(piece)
        self.digests[name], self.sizes[name] = state.hexdigest(), size
        return b"".join(pieces)


def _signatures(content: bytes, value: bytes | None) -> tuple[SignatureFact, ...]:
    if value is None:
        return ()
    problem = None
    try:
        octets = binascii.a2b_base64(b"".join(value.split()), strict_mode=True)  # Go passes over line ends
    except ValueError:
        octets = b""
    short = len(octets) == _ED25519_OR_P256_BYTES
    if not short and len(octets) not in _RSA_BYTES and not octets.startswith(b"\x30"):
        problem = Problem(Reason.MALFORMED, "Mender: manifest.sig is no signature value in base64")
    algorithm = open_algorithm(ECDSA_FIXED, "ed25519") if short else open_algorithm("rsa-pkcs1", "ecdsa")
    return (
        SignatureFact(
            scheme=SCHEME,
            origin=SignatureOrigin.EMBEDDED,
            file=SideFile(artifact.SIGNATURE, hashlib.sha256(value).hexdigest()),
            problem=problem,
            digest_algorithm="sha256",
            signature_algorithm=algorithm,
            signature=octets,
            signed=content if short else b"",  # Ed25519 is over the manifest itself
            digest=hashlib.sha256(content).digest(),
            content_matches=True,
        ),
    )


def _mismatch(digests: dict[str, str], listed: dict[str, str]) -> Problem | None:
    """What the manifest promises and the artifact does not hold."""
    for name, digest in listed.items():
        if name not in digests:
            return Problem(Reason.INVALID_SIGNATURE, f"{name[:80]!a} is in the signed manifest and not in the artifact")
        if digests[name] != digest:
            return Problem(Reason.INVALID_SIGNATURE, f"{name[:80]!a} is not what the signed manifest says it is")
    return None


def _coverage(walked: _Artifact, members: tuple[TarMember, ...], listed: dict[str, str], size: int) -> Coverage:
    covered = {artifact.MANIFEST, *listed}
    uncovered = [
        Uncovered(member=name) for name in walked.digests if name not in covered and name != artifact.SIGNATURE
    ]
    uncovered += [Uncovered(member=member.name) for member in members if member.is_folder]
    position = 0
    for start, length in sorted(place for name, place in walked.places.items() if name in covered):
        uncovered.append(Uncovered(start=position, end=start, inert=True))
        position = start + length
    uncovered.append(Uncovered(start=position, end=size, inert=True))
    return Coverage(sum(walked.sizes[name] for name in covered & walked.sizes.keys()), tuple(uncovered))
