"""SWUpdate images (``.swu``; SWUpdate "Software images", "Update images from verified source").

A cpio archive: ``sw-description`` comes first, its signature ``sw-description.sig`` second, then the files with the digests it lists.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from trust_store.decode import cms
from trust_store.decode.byte_reader import ByteReader
from trust_store.decode.cpio_archive import CRC, HEADER_BYTES, NEWC, CpioArchive, CpioMember, walk
from trust_store.decode.member_bytes import MemberBytes
from trust_store.decode.software_description import SoftwareDescription, parse_description
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.formats.protocol import Reading
from trust_store.formats.side_signatures import read_file, read_side
from trust_store.formats.streaming import PackageStream, digests_of
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
from trust_store.signatures.firmware_values import PSS_MAX, open_algorithm
from trust_store.signatures.protocol import MAX_SIGNATURE_FILE_BYTES
from trust_store.signatures.schemes import OPENPGP, scheme_named

if TYPE_CHECKING:
    from trust_store.decode.cpio_archive import MemberSink
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial

NAME = "swupdate"
VERSION = 1
CONTAINER = "cpio"
DOC = """A SWUpdate image (`.swu`): a cpio archive in "newc" or "crc" form; fixtures made by `cpio` and `openssl`, read by `swupdate` too.

`sw-description` (libconfig or JSON) is signed: RSA PKCS #1 v1.5 or PSS over its SHA-256 (salt as long as the key allows or as the
digest), CMS, or OpenPGP; a raw RSA value carries no certificate, so that its key must be at hand. Every other file must be listed in it
with a `sha256`, whatever board it is for: one that is listed and absent, or of another digest, is `invalid_signature`, one that is not
listed or has no digest is uncovered content. cpio's headers, padding and the zeros after the end are not covered: owners and times,
which SWUpdate does not look at. One good signature suffices; certificates of CMS signatures may be for mail alone (emailProtection), which
SWUpdate asks for unless told otherwise, or for code signing. An encrypted sw-description cannot be read."""

DESCRIPTION, SIGNATURE = "sw-description", "sw-description.sig"
_RSA_BYTES = range(128, 2049, 8)
SCHEME = "swupdate"


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Whether the first file is called sw-description."""
    head = source.read_at(0, HEADER_BYTES + len(DESCRIPTION) + 1)
    return head[:6] in (NEWC, CRC) and head[HEADER_BYTES:] == DESCRIPTION.encode("ascii") + b"\0"


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:
    """Read the image once; raises MalformedError, UnsupportedError or ResourceLimitError."""
    files = read_side(side)
    stream = PackageStream(source, files.digests)
    kept: dict[str, MemberBytes] = {}
    digests: dict[str, hashlib._Hash] = {}

    def sink_of(member: CpioMember) -> MemberSink | None:
        if not member.is_file:
            raise MalformedError(f"SWUpdate: {member.name[:80]!a} is no file")
        if member.name in (DESCRIPTION, SIGNATURE):
            _require_small(member, limits)
            return kept.setdefault(member.name, MemberBytes())
        return digests.setdefault(member.name, hashlib.sha256())

    archive = walk(ByteReader(stream.chunks(source.size)), sink_of, max_members=limits.max_members)
    names = [member.name for member in archive.members]
    if names[:1] != [DESCRIPTION] or (SIGNATURE in names and names[1] != SIGNATURE):
        raise MalformedError("SWUpdate: sw-description is not the first file, or its signature not the second")
    content = kept[DESCRIPTION].data
    description = parse_description(content)
    embedded = _signatures(content, kept[SIGNATURE].data) if SIGNATURE in kept else ()
    found = {name: digest.hexdigest() for name, digest in digests.items()}
    return Reading(
        stream.sha256,
        embedded + files.complete(stream.states),
        _coverage(archive, description) if embedded or not side else Coverage(covered_bytes=source.size),
        _mismatch(found, description) if embedded else None,
        signed=content,
        product=Product(description.name, description.version) if description.name else None,
    )


def _require_small(member: CpioMember, limits: ReadLimits) -> None:
    most = limits.max_manifest_bytes if member.name == DESCRIPTION else MAX_SIGNATURE_FILE_BYTES
    if member.size > most:
        raise ResourceLimitError(f"SWUpdate: {member.name} of {member.size} bytes")


def _signatures(content: bytes, value: bytes) -> tuple[SignatureFact, ...]:
    """CMS and OpenPGP by what they are, everything else as an RSA value."""
    file = SideFile(SIGNATURE, hashlib.sha256(value).hexdigest())
    openpgp = scheme_named(OPENPGP)
    if cms.recognises(value) or (openpgp is not None and len(value) not in _RSA_BYTES and openpgp.recognises(value)):
        files = read_file(value, origin=SignatureOrigin.EMBEDDED, file=file)
        return files.complete(digests_of(content, files.digests))
    problem = None
    if len(value) not in _RSA_BYTES:
        problem = Problem(Reason.MALFORMED, f"SWUpdate: a signature of {len(value)} bytes that is of no known kind")
    return (
        SignatureFact(
            scheme=SCHEME,
            origin=SignatureOrigin.EMBEDDED,
            file=file,
            problem=problem,
            digest_algorithm="sha256",
            signature_algorithm=open_algorithm("rsa-pkcs1", PSS_MAX, "rsa-pss/32"),
            signature=value,
            digest=hashlib.sha256(content).digest(),
            content_matches=True,
        ),
    )


def _mismatch(found: dict[str, str], description: SoftwareDescription) -> Problem | None:
    """What the description promises and the archive does not hold."""
    for name, digest in description.files.items():
        if digest is not None and name not in found:
            return Problem(
                Reason.INVALID_SIGNATURE, f"{name[:80]!a} is in the signed description and not in the archive"
            )
        if digest is not None and found[name] != digest:
            return Problem(Reason.INVALID_SIGNATURE, f"{name[:80]!a} is not what the signed description says it is")
    return None


def _coverage(archive: CpioArchive, description: SoftwareDescription) -> Coverage:
    covered = 0
    uncovered: list[Uncovered] = []
    for member in archive.members:
        uncovered.append(Uncovered(start=member.header_offset, end=member.data_offset, inert=True))
        if member.name == DESCRIPTION or description.files.get(member.name) is not None:
            covered += member.size
        elif member.name == SIGNATURE:
            end = member.data_offset + member.size
            uncovered.append(Uncovered(start=member.data_offset, end=end, inert=True))
        else:
            uncovered.append(Uncovered(member=member.name))
    uncovered.append(Uncovered(start=archive.trailer_offset, end=archive.end, inert=True))
    return Coverage(covered, tuple(uncovered))
