from __future__ import annotations

import base64
import hashlib
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.packages.generate import pe_craft
from tests.packages.generate.pe_craft import SignedImage, entry
from tests.packages.table import FIXTURES, Case, cases, facts_and_verdict
from trust_store.decode.asn1 import read_first
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError, UnsupportedError
from trust_store.formats.looked_at import MAX_READS, LookedAt
from trust_store.formats.protocol import ReadLimits, SideMaterial
from trust_store.formats.readers import pe as reader
from trust_store.formats.skipping import SkippingState
from trust_store.formats.streaming import BytesSource, SourceChangedError
from trust_store.model.package_facts import Product, SideFile, SignatureFact, SignatureOrigin, Uncovered
from trust_store.model.verdict import Reason
from trust_store.signatures.authenticode import MAX_SIGNATURES, SCHEMES, EmbeddedSignature, read_embedded
from trust_store.signatures.protocol import CandidateKey

VALID = (FIXTURES / "pe/valid.exe").read_bytes()
IMAGE = SignedImage(VALID)
LIMITS = ReadLimits()


def facts(data: bytes) -> tuple[SignatureFact, ...]:
    """The signatures of an image."""
    return reader.read(BytesSource(data), (), LIMITS).signatures


def uncovered(data: bytes) -> list[Uncovered]:
    """What no signature covers and something might read."""
    return [one for one in reader.read(BytesSource(data), (), LIMITS).coverage.uncovered if not one.inert]


def case_named(name: str) -> Case:
    """A case of the table."""
    return next(case for case in cases("pe") if case.values["name"] == name)


def test_coverage_map_is_exact() -> None:
    """Checksum, directory entry and table are all that is left out; with the covered bytes they are the whole file."""
    coverage = reader.read(BytesSource(VALID), (), LIMITS).coverage
    ranges = [(one.start, one.end) for one in coverage.uncovered]
    assert ranges == [(0x98, 0x9C), (0xE8, 0xF0), (IMAGE.table_at, len(VALID))]
    assert coverage.covered_bytes + sum((end or 0) - (start or 0) for start, end in ranges) == len(VALID)


def test_appended_bytes_are_named() -> None:
    """What stands after the table is named by its place."""
    assert uncovered(VALID + b"appended") == [Uncovered(start=len(VALID), end=len(VALID) + 8)]


def test_bytes_after_the_message_are_named() -> None:
    """CVE-2013-3900: what stands between a signature and the end of its entry is named by its place."""
    data = IMAGE.with_table(entry(IMAGE.message + b"12345678"))
    start = IMAGE.table_at + 8 + len(_exact(IMAGE.message))
    assert uncovered(data) == [Uncovered(start=start, end=len(data))]


def test_section_in_the_table_is_uncovered() -> None:
    """A section whose raw data reach into the table would be loaded without being covered."""
    changed = bytearray(VALID)
    optional_bytes = int.from_bytes(VALID[0x40 + 20 : 0x40 + 22], "little")
    struct.pack_into("<I", changed, 0x40 + 24 + optional_bytes + 16, 0x1000)
    assert uncovered(bytes(changed)) == [Uncovered(start=IMAGE.table_at, end=len(VALID))]


def test_an_image_without_a_place_for_a_table_is_unsigned() -> None:
    """An optional header with few directories has no certificate table."""
    reading = reader.read(BytesSource(pe_craft.image(directories=4)), (), LIMITS)
    assert (reading.signatures, [one.start for one in reading.coverage.uncovered]) == ((), [0x98])


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (VALID[:0x80], MalformedError),
        (VALID[:0x50], MalformedError),
        (VALID[:60] + struct.pack("<I", 0x40000000) + VALID[64:], ResourceLimitError),
        (VALID[:0x58] + b"\x07\x01" + VALID[0x5A:], UnsupportedError),
        (VALID[:0x54] + b"\x10\0" + VALID[0x56:], MalformedError),
        (VALID[:0xE8] + struct.pack("<II", 0x100, 8) + VALID[0xF0:], MalformedError),
        (VALID[:0xE8] + struct.pack("<II", 0x400, 0xFFFFFFFF) + VALID[0xF0:], MalformedError),
        (IMAGE.with_table(entry(IMAGE.message) * 17), ResourceLimitError),
        (IMAGE.with_table(struct.pack("<IHH", 4, 0x200, 2)), MalformedError),
        (IMAGE.with_table(entry(IMAGE.message, revision=0x300)), MalformedError),
        (IMAGE.with_table(entry(IMAGE.message) + b"\1\2\3\4"), MalformedError),
    ],
)
def test_broken_structures(data: bytes, error: type[Exception]) -> None:
    """Headers and tables that contradict the file are refused, each with its kind of error."""
    with pytest.raises(error):
        reader.read(BytesSource(data), (), LIMITS)


def test_last_entry_may_lack_its_padding() -> None:
    """A table that ends with its last entry, unpadded, is read: the file ends there."""
    data = IMAGE.with_table(entry(_exact(IMAGE.message), pad=False))
    assert facts(data)[0].content_matches


def _exact(padded: bytes) -> bytes:
    return read_first(padded, "message")[0].raw


def test_signature_of_another_kind_of_file_does_not_count() -> None:
    """A message that says its digest is of a cabinet is no signature over an image."""
    signatures = read_embedded([_exact(IMAGE.message)])
    assert signatures.algorithms == ("sha256",)
    digest = {"sha256": hashlib.sha256(b"").digest()}
    assert [fact.content_matches for fact in signatures.complete(digest, lambda _: True)] == [False]
    stated = signatures.found[0].indirect.digest  # type: ignore[union-attr]
    assert [f.content_matches for f in signatures.complete({"sha256": stated}, lambda _: True)] == [True]
    assert [f.content_matches for f in signatures.complete({"sha256": stated}, lambda _: False)] == [False]


@pytest.mark.parametrize(
    ("kind", "matches"),
    [
        (b"\x0f", True),  # SpcPeImageData
        (b"\x15", True),  # what Debian's fwupd images have: the purpose of an individual's key
        (b"\x19", False),  # a cabinet
        (b"\x1e", False),  # a subject interface package: a script, an installer's file
    ],
)
def test_what_kind_of_file_was_signed(kind: bytes, *, matches: bool) -> None:
    """An image that was signed as one of the other kinds of files is not signed; kinds that mean nothing do not matter."""
    arc = bytes.fromhex("060a2b0601040182370201")
    message = _exact(IMAGE.message).replace(arc + b"\x0f", arc + kind, 1)
    (one,) = read_embedded([message]).found
    assert isinstance(one, EmbeddedSignature)
    assert reader._is_image(one.indirect) == matches


def test_file_digest_weaker_than_the_signers_is_told() -> None:
    """The weaker of the two digests is the signature's; the arithmetic is still with the signer's."""
    (fact,) = facts(VALID)
    weaker = replace(fact, digest_algorithm="sha1", packet=b"sha256")
    keys = [CandidateKey("x509", certificate) for certificate in fact.certificates]
    assert any((check := SCHEMES["authenticode"].holds(weaker, one)) and check.holds for one in keys)
    assert not any(
        (check := SCHEMES["authenticode"].holds(replace(weaker, packet=b""), one)) and check.holds for one in keys
    )


def test_signature_in_a_file_of_its_own() -> None:
    """A message that was taken out is a signature over the image, in DER or armoured; in broken armour it is one that cannot be read."""
    message = _exact(IMAGE.message)
    armour = b"-----BEGIN PKCS7-----\n" + base64.encodebytes(message) + b"-----END PKCS7-----\n"
    for data, expected in ((message, True), (armour, True), (message[:-1], None), (armour[:-30], None)):
        side = SideMaterial(SideFile("x.p7b", "0" * 64), SignatureOrigin.GIVEN, data)
        (fact,) = reader.read(BytesSource(pe_craft.image()), (side,), LIMITS).signatures
        assert (fact.file, fact.origin) == (side.file, SignatureOrigin.GIVEN)
        assert (fact.content_matches if fact.problem is None else None) == expected


def test_too_many_signatures() -> None:
    """More signatures than are read are a limit reached, told once."""
    found = read_embedded([_exact(IMAGE.message)] * (MAX_SIGNATURES + 5)).complete(
        {"sha256": bytes(32)}, lambda _: True
    )
    assert [fact.problem.reason for fact in found if fact.problem] == [Reason.RESOURCE_LIMIT]


def test_nested_signatures_follow_the_one_they_stand_in() -> None:
    """A nested signature is a signature of its own, with its own digest of the image."""
    found = facts((FIXTURES / "pe/nested.exe").read_bytes())
    assert [(fact.digest_algorithm, fact.content_matches) for fact in found] == [("sha1", True), ("sha256", True)]


def test_timestamp_is_the_signing_time() -> None:
    """The proven time is that of the token over the signature."""
    verdict = facts_and_verdict(case_named("timestamped"))[1]
    assert str(verdict.signatures[0].timestamped_at) == "2026-01-01 00:00:00+00:00"


VERSION = pe_craft.version_resource({"ProductName": "Fixture", "OriginalFilename": "fixture.exe"}, (1, 2, 3, 4))


def product(resources: bytes) -> Product | None:
    """What a signed image with these resources says it is; the signature does not matter."""
    data = SignedImage(pe_craft.image(resources=resources)).with_table(entry(IMAGE.message))
    return reader.read(BytesSource(data), (), LIMITS).product


def test_version_resource() -> None:
    """Product and file name are the product, the number in the fixed part its version; an image without them is no known product."""
    assert product(VERSION) == Product("Fixture/fixture.exe", "1.2.3.4")
    assert product(pe_craft.version_resource({"InternalName": "x"}, (1, 0, 0, 0))) == Product("x", "1.0.0.0")
    assert product(pe_craft.version_resource({}, (1, 0, 0, 0))) is None
    assert product(pe_craft.version_resource({"ProductName": "x"}, (1, 0, 0, 0), kind=3)) is None
    assert product(b"") is None
    assert reader.read(BytesSource(pe_craft.image(resources=VERSION)), (), LIMITS).product is None


@given(st.integers(0, len(VERSION) - 1), st.binary(min_size=1, max_size=8))
def test_hostile_version_resources(place: int, data: bytes) -> None:
    """Whatever stands in the resources, the image is read."""
    found = product(VERSION[:place] + data + VERSION[place + len(data) :])
    assert found is None or found.name


def test_a_reader_that_looks_too_often() -> None:
    """What is looked at before the pass is bounded."""
    source = LookedAt(BytesSource(bytes(MAX_READS + 1)))
    for place in range(MAX_READS):
        source.read_at(place, 1)
    with pytest.raises(SourceChangedError):
        source.read_at(MAX_READS, 1)


class ChangingSource:
    """A file that is another one when it is read a second time."""

    def __init__(self, first: bytes, then: bytes) -> None:
        self._first, self._then, self._reads = first, then, 0

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self._first)

    def read_at(self, offset: int, length: int) -> bytes:
        """The first file for as long as headers and table are looked at."""
        self._reads += 1
        return (self._first if self._reads <= 4 else self._then)[offset : offset + length]


@pytest.mark.parametrize("place", [0x10, len(VALID) - 20])
def test_file_that_changes(place: int) -> None:
    """Headers and table that are others in the pass than they were before it are unreadable."""
    changed = bytearray(VALID)
    changed[place] ^= 1
    with pytest.raises(SourceChangedError):
        reader.read(ChangingSource(VALID, bytes(changed)), (), LIMITS)


@given(
    st.binary(max_size=200),
    st.lists(st.integers(0, 220), max_size=6),
    st.lists(st.integers(1, 60), min_size=1, max_size=8),
)
def test_skipping_is_cutting(data: bytes, marks: list[int], pieces: list[int]) -> None:
    """However the file is cut into pieces, the digest is over what is left without the skipped ranges."""
    edges = sorted(set(marks))
    skipped = list(zip(edges[::2], edges[1::2], strict=False))
    state = SkippingState("sha256", skipped)
    at = number = 0
    while at < len(data):
        size = pieces[number % len(pieces)]
        state.update(data[at : at + size])
        at, number = at + size, number + 1
    kept = bytes(octet for place, octet in enumerate(data) if not any(a <= place < b for a, b in skipped))
    assert state.digest() == hashlib.sha256(kept).digest()


@given(st.integers(0, len(VALID) - 1), st.binary(max_size=8), st.integers(0, 16))
def test_hostile_images(place: int, inserted: bytes, removed: int) -> None:
    """Whatever the bytes, the answer is a reading or one of the errors of readers."""
    data = VALID[:place] + inserted + VALID[place + removed :]
    try:
        reading = reader.read(BytesSource(data), (), LIMITS)
    except READ_ERRORS:
        return
    assert reading.sha256 == hashlib.sha256(data).hexdigest()


@given(st.integers(0, len(IMAGE.message) - 1), st.binary(max_size=8), st.integers(0, 16))
def test_hostile_messages(place: int, inserted: bytes, removed: int) -> None:
    """Whatever the bytes of a message, they are signatures or facts with a problem."""
    message = IMAGE.message
    for one in read_embedded([message[:place] + inserted + message[place + removed :]]).found:
        assert not isinstance(one, SignatureFact) or one.problem is not None


def test_a_section_that_is_cut_short_is_not_padding() -> None:
    """An image whose last zeros are missing is another one than was signed beside it; one with a short overlay is padded as it was."""
    taken_out = (FIXTURES / "pe/taken_out.p7b").read_bytes()
    file = SideFile("taken_out.p7b", hashlib.sha256(taken_out).hexdigest())
    side = (SideMaterial(file, SignatureOrigin.GIVEN, taken_out),)
    whole = (FIXTURES / "pe/unsigned.exe").read_bytes()
    for data, matches in ((whole, True), (whole[:-1], False), (whole[:-7], False)):
        (fact,) = reader.read(BytesSource(data), side, LIMITS).signatures
        assert fact.content_matches is matches
