"""Firmware archives of fwupd (fwupd "Firmware Packages"; libjcat): a cabinet with metadata, payloads, and a Jcat file that signs them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from trust_store.decode import jcat
from trust_store.decode.cab_files import CabDirectory, contents, read_directory
from trust_store.decode.firmware_metainfo import parse_metainfo
from trust_store.decode.member_names import require_distinct
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError
from trust_store.formats.part_names import part_named
from trust_store.formats.pinned import PinnedSource
from trust_store.formats.protocol import Reading
from trust_store.formats.side_signatures import UNKNOWN_SCHEME, SignatureFiles, read_file, read_side
from trust_store.formats.streaming import digests_of, new_state
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
from trust_store.quick_dataclass import dataclass
from trust_store.signatures.protocol import MAX_SIGNATURE_FILE_BYTES
from trust_store.signatures.schemes import OPENPGP

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from trust_store.decode.jcat import JcatBlob, JcatItem
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial
    from trust_store.signatures.protocol import DigestRequest, DigestState

NAME = "fwupd"
VERSION = 1
CONTAINER = "cab"
DOC = """A firmware archive for fwupd: a cabinet with a `.metainfo.xml`; fixtures made by `gcab` and `jcat-tool`.

The `.jcat` file holds PKCS #7 and OpenPGP signatures over each of the other files, or over the text of its checksum (jcat's target);
older archives have them in files of their own, called after the file with `.asc`, `.p7b` or `.p7c`. Every other file must have a
signature, and each file needs a good one of its own; one that is spoken of and absent, or not of a checksum there, is
`invalid_signature`, one without a signature is uncovered content. Stored and MSZIP cabinets are read. How the cabinet packs its files,
and their dates and attributes, is not covered; bytes after the cabinet are uncovered content. Component and release of the signed
metadata are the product; a file that is not of a checksum there for it (target `content`) is `invalid_signature`, since each file of an
archive may be signed and come from another one. Without such a checksum nothing binds files to metadata. Ed25519 and ML-DSA signatures
of jcat, and its transparency records, are not judged."""

JCAT, METAINFO = ".jcat", ".metainfo.xml"
DETACHED = frozenset({".asc", ".p7b", ".p7c"})
MAX_KEPT_BYTES = 24 * 1024**2
"""Of the files together, for what is read out of them and for the second reader of OpenPGP signatures; larger ones it does not see."""
MAX_RATIO, FREE_BYTES = 200, 16 * 1024**2
"""The files are at most so many times as large as the cabinet, and so many bytes more: firmware is padded."""
MAX_SIGNATURES = 64


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Whether one of the cabinet's files is called like metadata of a firmware archive."""
    try:
        return any(file.name.endswith(METAINFO) for file in read_directory(source).files)
    except READ_ERRORS:
        return False


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:
    """Read the cabinet, then its files; raises MalformedError, UnsupportedError or ResourceLimitError."""
    files = read_side(side)
    pinned = PinnedSource(source, files.digests)
    directory = read_directory(pinned)
    require_distinct(file.name for file in directory.files)
    found = _Contents(pinned, directory, limits)
    catalogs = [name for name in found.digests if name.endswith(JCAT)]
    if len(catalogs) > 1:
        raise MalformedError("fwupd: two jcat files")
    items = jcat.parse_jcat(found.small(catalogs[0])) if catalogs else ()
    blobs = _blobs(found, catalogs[0] if catalogs else "", items) + _beside(found)
    if len(blobs) > MAX_SIGNATURES:
        raise ResourceLimitError(f"fwupd: {len(blobs)} signatures")
    signed = {blob.name for blob in blobs}
    inert = {*catalogs, *(blob.bare for blob in blobs if blob.files.pending)}
    facts, shown = _signed(found, blobs)
    beside = files.complete(pinned.states)
    return Reading(
        pinned.sha256,
        facts + beside,
        _coverage(pinned, directory, signed, inert) if facts or not side else Coverage(covered_bytes=source.size),
        (_mismatch(found, items) or _other_payload(found, signed)) if facts else None,
        signed=shown,
        product=_product(found, signed),
    )


class _Contents:
    """The files after one pass: checksums of each, and the content of those that there is room for."""

    def __init__(self, source: PinnedSource, directory: CabDirectory, limits: ReadLimits) -> None:
        self._source, self._directory = source, directory
        self._most = min(source.size * MAX_RATIO + FREE_BYTES, limits.max_total_unpacked_bytes)
        self.sizes = {file.name: file.size for file in directory.files}
        if sum(self.sizes.values()) > self._most:
            raise ResourceLimitError(f"fwupd: {source.size} bytes unpack to more than {self._most}")
        self.kept: dict[str, bytes] = {}
        self.digests: dict[str, dict[str, str]] = {}
        room = MAX_KEPT_BYTES
        for file, pieces in contents(source, directory):
            states = {name: hashlib.new(name, usedforsecurity=False) for name in jcat.CHECKSUMS.values()}
            keep = file.size <= room
            room -= file.size if keep else 0
            kept: list[bytes] = []
            for piece in pieces:
                for state in states.values():
                    state.update(piece)
                if keep:
                    kept.append(piece)
            self.digests[file.name] = {name: state.hexdigest() for name, state in states.items()}
            if keep:
                self.kept[file.name] = b"".join(kept)

    def small(self, name: str) -> bytes:
        """A file's content; raises ResourceLimitError where it is too large to be kept."""
        if name not in self.kept or self.sizes[name] > MAX_SIGNATURE_FILE_BYTES:
            raise ResourceLimitError(f"fwupd: {name[:80]!a} is of {self.sizes[name]} bytes")
        return self.kept[name]

    def states(self, wanted: Mapping[str, Iterable[DigestRequest]]) -> dict[str, dict[DigestRequest, DigestState]]:
        """The digests that signatures want, by file, in one more pass."""
        found = {name: {request: new_state(request) for request in requests} for name, requests in wanted.items()}
        for file, pieces in contents(self._source, self._directory) if found else ():
            for piece in pieces if file.name in found else ():
                for state in found[file.name].values():
                    state.update(piece)
        return found


@dataclass(frozen=True, slots=True)
class _Signed:
    """One blob's signatures: the file they are of, the checksum that they are over where it is not the file, their own file if any."""

    name: str
    files: SignatureFiles
    text: bytes | None
    bare: str = ""


def _blobs(found: _Contents, catalog: str, items: tuple[JcatItem, ...]) -> list[_Signed]:
    blobs: list[_Signed] = []
    for item in items:
        name = next((one for one in item.names if one in found.digests and one != catalog), None)
        if name is not None:
            blobs += [_read_blob(catalog, name, item, blob) for blob in item.signatures]
    return blobs


def _beside(found: _Contents) -> list[_Signed]:
    """Signatures in files of their own, as archives had them before there was jcat."""
    blobs: list[_Signed] = []
    for name in found.digests:
        base = _signed_by_name(name, found.digests)
        if base is not None:
            file = SideFile(name, found.digests[name]["sha256"])
            value = read_file(found.small(name), origin=SignatureOrigin.EMBEDDED, file=file)
            blobs.append(_Signed(base, value, None, bare=name))
    return blobs


def _signed_by_name(name: str, names: Container[str]) -> str | None:
    """The file that ``name`` is called to be a signature of."""
    base, dot, suffix = name.rpartition(".")
    return base if dot + suffix in DETACHED and base in names else None


def _read_blob(catalog: str, name: str, item: JcatItem, blob: JcatBlob) -> _Signed:
    file = SideFile(f"{catalog}: {name}"[:200], hashlib.sha256(blob.data).hexdigest())
    text = _text_of_target(item, blob) if blob.target else None
    problem = None
    if blob.kind not in (jcat.GPG, jcat.PKCS7):
        problem = Problem(Reason.UNSUPPORTED_FORMAT, "jcat: a signature of a kind that is not read")
    elif blob.target and text is None:
        problem = Problem(Reason.MALFORMED, "jcat: a signature over a checksum that is not there")
    if problem is None:
        return _Signed(name, read_file(blob.data, origin=SignatureOrigin.EMBEDDED, file=file), text)
    fact = SignatureFact(scheme=UNKNOWN_SCHEME, origin=SignatureOrigin.EMBEDDED, file=file, problem=problem)
    return _Signed(name, SignatureFiles((), (fact,)), text)


def _signed(found: _Contents, blobs: list[_Signed]) -> tuple[tuple[SignatureFact, ...], dict[int, bytes]]:
    """The signatures, and what OpenPGP ones among them are over, by their place."""
    wanted: dict[str, set[DigestRequest]] = {}
    for blob in blobs:
        if blob.text is None:
            wanted.setdefault(blob.name, set()).update(blob.files.digests)
    states = found.states(wanted)
    facts: list[SignatureFact] = []
    shown: dict[int, bytes] = {}
    for blob in blobs:
        over = states[blob.name] if blob.text is None else digests_of(blob.text, blob.files.digests)
        for fact in blob.files.complete(over):
            content = found.kept.get(blob.name) if blob.text is None else blob.text
            if fact.scheme == OPENPGP and content is not None:
                shown[len(facts)] = content
            facts.append(replace(fact, part=part_named(blob.name)))
    return tuple(facts), shown


def _text_of_target(item: JcatItem, blob: JcatBlob) -> bytes | None:
    """The checksum that is signed, as it stands; whether it is the file's is looked at with all the others. SHA-1 is none to sign."""
    if jcat.CHECKSUMS.get(blob.target) in (None, "sha1"):
        return None
    return next((one.data for one in item.blobs if one.kind == blob.target), None)


def _mismatch(found: _Contents, items: tuple[JcatItem, ...]) -> Problem | None:
    """What the catalogue promises and the cabinet does not hold."""
    for item in items:
        name = next((one for one in item.names if one in found.digests), None)
        if name is None:
            return Problem(
                Reason.INVALID_SIGNATURE, f"{item.names[0][:80]!a} is in the jcat file and not in the cabinet"
            )
        for algorithm, digest in item.checksums():
            if found.digests[name][algorithm] != digest:
                return Problem(Reason.INVALID_SIGNATURE, f"{name[:80]!a} is not of the checksum in the jcat file")
    return None


def _other_payload(found: _Contents, signed: set[str]) -> Problem | None:
    """A file that is not the one that the signed metadata is about: each may be signed, and come from another archive.

    Raises MalformedError or ResourceLimitError for metadata that cannot be read.
    """
    for name in sorted(signed):
        for one in parse_metainfo(found.small(name)).checksums if name.endswith(METAINFO) else ():
            if found.digests.get(one.name, {}).get(one.algorithm) != one.digest:
                return Problem(Reason.INVALID_SIGNATURE, f"{one.name[:80]!a} is not what the signed metadata is about")
    return None


def _coverage(source: PinnedSource, directory: CabDirectory, signed: set[str], inert: set[str]) -> Coverage:
    names = [file.name for file in directory.files]
    uncovered = [Uncovered(member=name) for name in names if name not in signed | inert]
    uncovered.append(Uncovered(start=0, end=directory.end, inert=True))
    if directory.end < source.size:
        uncovered.append(Uncovered(start=directory.end, end=source.size))
    return Coverage(sum(file.size for file in directory.files if file.name in signed), tuple(uncovered))


def _product(found: _Contents, signed: set[str]) -> Product | None:
    """Component and newest release of the metadata, where it is signed; none where it cannot be read."""
    names = [name for name in found.digests if name.endswith(METAINFO)]
    if len(names) != 1 or names[0] not in signed:
        return None
    try:
        said = parse_metainfo(found.small(names[0]))
    except READ_ERRORS:
        return None
    return (
        Product(said.component[:200], said.versions[0] if len(said.versions) == 1 else None) if said.component else None
    )
