"""Alpine packages and indexes of version 3."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from trust_store.decode.alpine_adb import (
    CUSTOM,
    DEFLATED,
    INDEX,
    MAGIC,
    MAX_METADATA_BYTES,
    MAX_SIGNATURE_BYTES,
    METADATA,
    PACKAGE,
    SIGNATURE,
    SIGNATURE_HEADER,
    AdbValues,
    files_of,
    product_of,
    read_block,
    skip_padding,
    unpacked,
)
from trust_store.decode.byte_reader import ByteReader
from trust_store.decode.compressed import UnpackBudget
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.formats.protocol import Reading
from trust_store.formats.side_signatures import read_side
from trust_store.formats.streaming import PackageStream
from trust_store.model.package_facts import (
    Coverage,
    Problem,
    Product,
    SignatureFact,
    SignatureOrigin,
    SignerHint,
    Uncovered,
)
from trust_store.model.verdict import Reason
from trust_store.signatures.alpine_apk import EITHER
from trust_store.signatures.alpine_apk import NAME as SCHEME

if TYPE_CHECKING:
    from trust_store.decode.alpine_adb import AdbBlock, AdbFile
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial

NAME = "alpine-apk-v3"
VERSION = 1
CONTAINER = "none"
DOC = """Alpine packages and indexes of version 3 (apk-v3(5)): `ADB.`, as it is or deflated (`ADBd`, `ADBc`), with schema `pckg` or `indx`.

A signature is over schema, its own header and the SHA-512 of the metadata block; the metadata bind every file's content by SHA-256 or
SHA-512, all of which must be there, once, in order: else `invalid_signature`. One good signature suffices. It names its key by the
first 16 bytes of the SHA-512 of the key. A package whose only word is an index that lists it is `unsigned`. Files with other digests and
zstd are `unsupported_format`; metadata of more than 64 MiB are a `resource_limit`. Of a deflated package no byte is covered as it lies.

Fixtures built from the specification and apk-tools' source: apk-tools 3 is not to be had here."""

_SHA512 = 4
_DIGESTS = {32: "sha256", 64: "sha512"}
_DATA_HEADER = 8
_MAX_SIGNATURES = 64


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Whether the file begins with one of the magics."""
    return source.read_at(0, 4) in (MAGIC, DEFLATED, CUSTOM)


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:
    """Read the package once; raises MalformedError, UnsupportedError or ResourceLimitError."""
    files = read_side(side)
    stream = PackageStream(source, files.digests)
    budget = UnpackBudget(limits.max_total_unpacked_bytes, limits.max_member_ratio)
    walk = _Walk(ByteReader(unpacked(stream.chunks(source.size), budget)))
    walk.run()
    stream.read_to_end()
    embedded = tuple(walk.signatures)
    product = walk.product if embedded or side else None
    return Reading(
        stream.sha256,
        embedded + files.complete(stream.states),
        _coverage(source, walk, signed=bool(embedded), beside=bool(side)),
        walk.problem,
        product=Product(*product) if product else None,
    )


class _Walk:
    """The blocks in their order."""

    def __init__(self, reader: ByteReader) -> None:
        self._reader = reader
        self._start = 0
        self._schema = b""
        self._metadata_digest = b""
        self._files: dict[tuple[int, int], AdbFile] = {}
        self._seen: list[tuple[int, int]] = []
        self.signatures: list[SignatureFact] = []
        self.covered: list[tuple[int, int]] = []
        self.product: tuple[str, str] | None = None
        self.problem: Problem | None = None

    def run(self) -> None:
        """Read to the end; raises MalformedError, UnsupportedError or ResourceLimitError."""
        if self._reader.take(len(MAGIC)) != MAGIC:
            raise MalformedError("Alpine package: no blocks")
        self._schema = self._reader.take(4)
        if self._schema not in (PACKAGE, INDEX):
            raise MalformedError("Alpine package: neither a package nor an index")
        self._start = self._reader.position
        block = read_block(self._reader)
        if block.type != METADATA:
            raise MalformedError("Alpine package: the first block is not of metadata")
        self._metadata(block)
        last = SIGNATURE
        while not self._reader.at_end():
            block = read_block(self._reader)
            if block.type < last:
                raise MalformedError("Alpine package: blocks out of order")
            last = block.type
            (self._signature if block.type == SIGNATURE else self._data)(block)
            skip_padding(self._reader, self._start)
        if self._seen != list(self._files) and self.problem is None:
            self._mismatch("a file that the metadata list is not there, or not in its place")

    def _metadata(self, block: AdbBlock) -> None:
        if block.length > MAX_METADATA_BYTES:
            raise ResourceLimitError(f"Alpine package: metadata of {block.length} bytes")
        at = self._reader.position
        content = self._reader.take(block.length)
        self.covered.append((at, self._reader.position))
        skip_padding(self._reader, self._start)
        self._metadata_digest = hashlib.sha512(content).digest()
        values = AdbValues(content)
        if self._schema == PACKAGE:
            self.product = product_of(values)
            self._files = files_of(values)

    def _signature(self, block: AdbBlock) -> None:
        if not SIGNATURE_HEADER.size < block.length <= MAX_SIGNATURE_BYTES:
            raise MalformedError("Alpine package: a signature of no possible size")
        if len(self.signatures) >= _MAX_SIGNATURES:
            raise ResourceLimitError(f"Alpine package: more than {_MAX_SIGNATURES} signatures")
        content = self._reader.take(block.length)
        header, value = content[: SIGNATURE_HEADER.size], content[SIGNATURE_HEADER.size :]
        version, algorithm, key = SIGNATURE_HEADER.unpack(header)
        if (version, algorithm) != (0, _SHA512):
            problem = Problem(Reason.UNSUPPORTED_FORMAT, "Alpine package: a signature of another version or digest")
            self.signatures.append(SignatureFact(SCHEME, SignatureOrigin.EMBEDDED, None, problem=problem))
            return
        self.signatures.append(
            SignatureFact(
                scheme=SCHEME,
                origin=SignatureOrigin.EMBEDDED,
                file=None,
                hint=SignerHint(key_id=key.hex()),
                digest_algorithm="sha512",
                signature_algorithm=EITHER,
                signature=value,
                signed=self._schema + header + self._metadata_digest,
                content_matches=True,
            )
        )

    def _data(self, block: AdbBlock) -> None:
        if block.length < _DATA_HEADER:
            raise MalformedError("Alpine package: a block of content that is cut short")
        numbers = self._reader.take(_DATA_HEADER)
        place = int.from_bytes(numbers[:4], "little"), int.from_bytes(numbers[4:], "little")
        listed = self._files.get(place)
        if listed is None or place in self._seen[-1:]:
            raise MalformedError("Alpine package: content of a file that the metadata do not list, or twice")
        self._seen.append(place)
        digest = hashlib.new(_DIGESTS[len(listed.digest)])
        at = self._reader.position
        for chunk in self._reader.chunks(block.length - _DATA_HEADER):
            digest.update(chunk)
        self.covered.append((at, self._reader.position))
        if (digest.digest(), block.length - _DATA_HEADER) != (listed.digest, listed.size):
            self._mismatch("a file is not what the metadata say it is")

    def _mismatch(self, detail: str) -> None:
        self.problem = self.problem or Problem(Reason.INVALID_SIGNATURE, f"Alpine package: {detail}")


def _coverage(source: PackageSource, walk: _Walk, *, signed: bool, beside: bool) -> Coverage:
    size = source.size
    if not signed:
        return Coverage(size) if beside else Coverage(uncovered=(Uncovered(start=0, end=size),))
    covered = sum(end - start for start, end in walk.covered)
    if source.read_at(0, len(MAGIC)) != MAGIC:
        return Coverage(covered, (Uncovered(start=0, end=size, inert=True),))
    uncovered: list[Uncovered] = []
    position = 0
    for start, end in (*walk.covered, (size, size)):
        if position < start:
            uncovered.append(Uncovered(start=position, end=start, inert=True))
        position = end
    return Coverage(covered, tuple(uncovered))
