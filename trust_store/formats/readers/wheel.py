"""A Python wheel (PEP 427): a zip archive whose RECORD lists its files, perhaps signed by RECORD.jws or RECORD.p7s."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from trust_store.decode.member_bytes import MemberBytes
from trust_store.decode.member_names import folders_above
from trust_store.decode.wheel_record import (
    MAX_METADATA_BYTES,
    dist_info_of,
    parse_record,
    product_of,
)
from trust_store.decode.zip_archive import may_hold, read_directory, walk
from trust_store.errors import READ_ERRORS, ResourceLimitError
from trust_store.formats.pinned import PinnedSource
from trust_store.formats.protocol import Reading
from trust_store.formats.sequence import SourceSequence
from trust_store.formats.side_signatures import joined, problem_of, read_side
from trust_store.formats.streaming import digests_of
from trust_store.formats.unsigned_zip import unsigned_zip
from trust_store.formats.zip_coverage import member_coverage
from trust_store.model.package_facts import (
    Coverage,
    Problem,
    Product,
    SideFile,
    SignatureFact,
    SignatureOrigin,
)
from trust_store.model.verdict import Reason
from trust_store.quick_dataclass import dataclass
from trust_store.signatures import cms, wheel_jws
from trust_store.signatures.protocol import MAX_SIGNATURE_FILE_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trust_store.decode.wheel_record import RecordEntry
    from trust_store.decode.zip_directory import Directory, Member
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial

NAME = "wheel"
VERSION = 1
CONTAINER = "zip"
DOC = """A Python wheel (.whl): a zip with one NAME.dist-info folder that holds WHEEL and RECORD.

RECORD.jws (PEP 427: JSON Web Signature, Ed25519) and RECORD.p7s (detached CMS) are over the bytes of RECORD, which lists every other file
with SHA-256, SHA-384 or SHA-512. Either suffices, and one that is broken fails the package. A listed file that is absent, or is not what
RECORD says, is `invalid_signature`; one that is not listed, or is listed without a digest, is uncovered content. RECORD and the two
signatures list themselves without one. What the archive says beyond names and contents no signature covers, as in a vendor bundle.

Without RECORD.jws and RECORD.p7s a wheel is `unsigned`: RECORD alone vouches for nothing, and is not compared. Signatures and attestations
(PEP 740) beside the file cover all of it. Name and version are METADATA's, where RECORD covers it.
Fixtures made by wheel 0.29 (RECORD.jws) and openssl (RECORD.p7s)."""

_SIGNATURES = ("RECORD.jws", "RECORD.p7s")


@dataclass(frozen=True, slots=True)
class _Wheel:
    """What is read of the ``.dist-info`` folder: its name and the contents of the files that matter."""

    folder: str
    contents: dict[str, bytes]

    @property
    def signatures(self) -> tuple[str, ...]:
        return tuple(name for name in (f"{self.folder}/{last}" for last in _SIGNATURES) if name in self.contents)

    @property
    def record(self) -> str:
        return f"{self.folder}/RECORD"


class _Digests:
    """Digests over one member, by the algorithms that RECORD uses for it, and its size."""

    def __init__(self, algorithm: str) -> None:
        self._state = hashlib.new(algorithm)
        self.size = 0

    def update(self, data: bytes, /) -> None:
        """Take the next piece."""
        self._state.update(data)
        self.size += len(data)

    @property
    def digest(self) -> bytes:
        return self._state.digest()


def recognises(source: PackageSource, limits: ReadLimits) -> bool:
    """Whether there is the one folder that every wheel has: pip takes nothing with two of them."""
    if not may_hold(source, b".dist-info/RECORD", limits):
        return False
    return dist_info_of(member.name for member in read_directory(source, limits).members) is not None


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:
    """Read the package; raises MalformedError, UnsupportedError or ResourceLimitError."""
    directory = read_directory(source, limits)
    files = read_side(side)
    pinned = PinnedSource(source, files.digests)
    wheel = _wheel(pinned, directory, limits)
    beside = joined(files).complete(pinned.states)
    if not wheel.signatures:
        return unsigned_zip(pinned, directory, beside)
    record = wheel.contents[wheel.record]
    facts = tuple(fact for name in wheel.signatures for fact in _facts(name, wheel.contents[name], record)) + beside
    try:
        listed = {entry.name: entry for entry in parse_record(record, max_entries=limits.max_members)}
    except READ_ERRORS as error:
        return Reading(pinned.sha256, facts, Coverage(), problem_of(error), signed=record)
    digests = {name: _Digests(entry.algorithm) for name, entry in listed.items()}
    walk(SourceSequence(pinned), directory, lambda member: digests.get(member.name))
    present = {member.name for member in directory.members}
    return Reading(
        pinned.sha256,
        facts,
        _coverage(pinned, directory, wheel, listed),
        _mismatch(present, listed, digests),
        signed=record,
        product=_product(wheel, listed),
    )


def _wheel(source: PinnedSource, directory: Directory, limits: ReadLimits) -> _Wheel:
    """Walk the archive for the files that are read; raises MalformedError or ResourceLimitError."""
    folder = dist_info_of(member.name for member in directory.members)
    assert folder is not None  # noqa: S101 - this reader was chosen for it
    caps = {f"{folder}/RECORD": limits.max_manifest_bytes, f"{folder}/METADATA": MAX_METADATA_BYTES}
    caps |= {f"{folder}/{last}": MAX_SIGNATURE_FILE_BYTES for last in _SIGNATURES}
    sinks: dict[str, MemberBytes] = {}

    def sink_of(member: Member) -> MemberBytes | None:
        if member.name not in caps:
            return None
        if member.size > caps[member.name]:
            raise ResourceLimitError(f"wheel: {member.name[:80]!a} of {member.size} bytes")
        return sinks.setdefault(member.name, MemberBytes())

    walk(SourceSequence(source), directory, sink_of)
    return _Wheel(folder, {name: sink.data for name, sink in sinks.items()})


def _facts(name: str, data: bytes, record: bytes) -> tuple[SignatureFact, ...]:
    """The signatures of one file; what cannot be read is a fact with its problem."""
    file = SideFile(name, hashlib.sha256(data).hexdigest())
    scheme = wheel_jws.NAME if name.endswith(".jws") else cms.NAME
    try:
        if scheme == wheel_jws.NAME:
            return wheel_jws.facts(data, record, file)
        pending = cms.SCHEME.parse(data, origin=SignatureOrigin.EMBEDDED, file=file)
        return tuple(one.complete(digests_of(record, one.digests)) for one in pending)
    except READ_ERRORS as error:
        return (SignatureFact(scheme, SignatureOrigin.EMBEDDED, file, problem_of(error)),)


def _mismatch(present: set[str], listed: Mapping[str, RecordEntry], digests: Mapping[str, _Digests]) -> Problem | None:
    """What RECORD says and the archive does not hold."""
    for name, entry in listed.items():
        if name not in present:
            return Problem(Reason.INVALID_SIGNATURE, f"{name[:80]!a} is in the signed RECORD and not in the wheel")
        found = digests[name]
        if found.digest != entry.digest or entry.size not in (None, found.size):
            return Problem(Reason.INVALID_SIGNATURE, f"{name[:80]!a} is not what the signed RECORD says it is")
    return None


def _coverage(
    source: PackageSource, directory: Directory, wheel: _Wheel, listed: Mapping[str, RecordEntry]
) -> Coverage:
    """A folder on the way to a listed file says nothing new; an empty folder of its own does."""
    inert = {*folders_above((*listed, wheel.record)), *wheel.signatures}
    return member_coverage(source, directory, signed={*listed, wheel.record}, inert=inert)


def _product(wheel: _Wheel, listed: Mapping[str, RecordEntry]) -> Product | None:
    name = f"{wheel.folder}/METADATA"
    said = product_of(wheel.contents[name]) if name in listed and name in wheel.contents else None
    return Product(*said) if said is not None else None
