"""Android OTA packages with a whole-file signature (AOSP ``bootable/recovery/otautil/verifier.cpp``, ``SignApk.java``).

Layout of the end of the archive, from the end record's comment length on::

    u16le comment length | message, NUL | PKCS #7 | u16le signature start, from the end | ff ff | u16le comment length

The signature is over every byte before the comment length.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from trust_store.decode.zip_archive import read_directory, walk
from trust_store.errors import MalformedError
from trust_store.formats.ota_contents import OTAContents
from trust_store.formats.protocol import Reading
from trust_store.formats.side_signatures import joined, read_side
from trust_store.formats.streaming import PackageStream
from trust_store.model.package_facts import Coverage, SignatureOrigin, Uncovered
from trust_store.quick_dataclass import dataclass
from trust_store.signatures import android_ota

if TYPE_CHECKING:
    from trust_store.decode.zip_archive import Directory
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial

NAME = "android-ota"
VERSION = 4
CONTAINER = "zip"
DOC = """An OTA zip as SignApk -w writes it: a PKCS #7 block in the archive comment, over everything before the comment.

What recovery ignores is ignored: signed attributes and the certificate inside, which is a hint. A JAR signature, and the signatures
of payload.bin in A/B packages, are reported: they never pass the package."""

FOOTER_BYTES = 6
_FOOTER = struct.Struct("<HHH")
_MARK = 0xFFFF
_COMMENT_LENGTH_BYTES = 2


@dataclass(frozen=True, slots=True)
class Footer:
    """Distances from the end of the file, in bytes."""

    signature_start: int
    comment_size: int


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Whether the file ends with the footer's mark and a comment as long as it says."""
    if source.size < FOOTER_BYTES:
        return False
    _, mark, comment_size = _FOOTER.unpack(source.read_at(source.size - FOOTER_BYTES, FOOTER_BYTES))
    end = source.size - comment_size - _COMMENT_LENGTH_BYTES
    if mark != _MARK or comment_size < FOOTER_BYTES or end < 0:  # a zip64 archive without comment ends in the mark too
        return False
    length = source.read_at(end, _COMMENT_LENGTH_BYTES)
    return length == int(comment_size).to_bytes(2, "little")


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:
    """Read the package once; raises MalformedError, UnsupportedError or ResourceLimitError."""
    directory = read_directory(source, limits)
    footer = read_footer(directory)
    files = read_side(side)
    signature = directory.comment[footer.comment_size - footer.signature_start : -FOOTER_BYTES]
    embedded = android_ota.SCHEME.parse(signature, origin=SignatureOrigin.EMBEDDED, file=None)
    wanted = {request for pending in embedded for request in pending.digests}
    signed_bytes = source.size - footer.comment_size - _COMMENT_LENGTH_BYTES
    stream = PackageStream(source, {*files.digests, *wanted}, boundary=signed_bytes)
    contents = OTAContents(source, directory, limits)
    walk(stream, directory, contents.sink_of)
    facts = tuple(pending.complete(stream.snapshot) for pending in embedded) + contents.facts()
    uncovered = _uncovered(directory, footer, source.size)
    return Reading(stream.sha256, facts + joined(files).complete(stream.states), Coverage(signed_bytes, uncovered))


def read_footer(directory: Directory) -> Footer:
    """The footer at the end of the archive comment; raises MalformedError where recovery would refuse it."""
    comment = directory.comment
    if len(comment) < FOOTER_BYTES:
        raise MalformedError("Android OTA: no footer")
    start, mark, size = _FOOTER.unpack(comment[-FOOTER_BYTES:])
    if mark != _MARK or size != len(comment):
        raise MalformedError("Android OTA: the footer contradicts the archive's comment length")
    if not FOOTER_BYTES < start <= size:
        raise MalformedError("Android OTA: the footer points outside the comment")
    return Footer(start, size)


def _uncovered(directory: Directory, footer: Footer, size: int) -> tuple[Uncovered, ...]:
    """The comment: its length, which the strict walk binds, SignApk's message, and the signature with the footer."""
    comment = size - footer.comment_size
    signature = size - footer.signature_start
    ranges = [Uncovered(start=comment - _COMMENT_LENGTH_BYTES, end=comment, inert=True)]
    if signature > comment:
        message = directory.comment[: signature - comment]
        # text is read by nobody; anything else has no business between the signed bytes and the signature
        inert = all(0x20 <= octet < 0x7F or octet == 0 for octet in message)
        ranges.append(Uncovered(start=comment, end=signature, inert=inert))
    return (*ranges, Uncovered(start=signature, end=size, inert=True))
