from __future__ import annotations

import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.packages.generate.rpm_craft import Parts, Tag, header, lead, number, octets, split, tags_of, text, texts
from tests.packages.table import FIXTURES
from trust_store.decode.rpm_header import (
    HEADER_IMMUTABLE,
    HEADER_SIGNATURES,
    MAX_DATA_BYTES,
    header_bytes,
    parse_header,
)
from trust_store.decode.rpm_package import header_digests, payload_digests, product_of, signatures_of
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError
from trust_store.formats.protocol import Reading, ReadLimits
from trust_store.formats.readers import rpm
from trust_store.formats.streaming import BytesSource
from trust_store.model.package_facts import Product, SignatureRole, Uncovered

VALID = (FIXTURES / "rpm" / "valid.rpm").read_bytes()
PARTS = split(VALID)
MAIN = tags_of(PARTS.main)


def read(data: bytes) -> Reading:
    """The package in ``data``."""
    return rpm.read(BytesSource(data), (), ReadLimits())


def fixture(name: str) -> Reading:
    """The package of a fixture."""
    return read((FIXTURES / "rpm" / f"{name}.rpm").read_bytes())


def parsed(*tags: Tag) -> bytes:
    """A main header with nothing else in it."""
    return header(list(tags), HEADER_IMMUTABLE)


def test_the_signed_header_states_the_product() -> None:
    """Name and version come from the signed main header, with the epoch where there is one."""
    assert fixture("valid").product == Product("fixture", "1.2-3")
    main = parsed(text(1000, "a"), text(1001, "1"), text(1002, "2"), number(1003, 4))
    assert product_of(parse_header(main, HEADER_IMMUTABLE)) == ("a", "4:1-2")


def test_an_unsigned_package_is_no_product() -> None:
    """Metadata that nobody signed says nothing of what a package is."""
    assert fixture("unsigned").product is None


def test_nothing_before_the_main_header_is_covered() -> None:
    """Lead and signature header are the uncovered, inert beginning; all the rest is covered."""
    coverage = fixture("valid").coverage
    start = len(PARTS.lead) + len(PARTS.signatures) + -len(PARTS.signatures) % 8
    assert coverage.uncovered == (Uncovered(start=0, end=start, inert=True),)
    assert coverage.covered_bytes == len(VALID) - start


def test_the_second_reader_is_given_what_each_signature_is_over() -> None:
    """Signatures over the header are over the blob with its magic, the others over header and payload."""
    reading = fixture("header_and_payload")
    parts = split((FIXTURES / "rpm" / "header_and_payload.rpm").read_bytes())
    assert reading.signed == {0: parts.main, 1: parts.signed}


def test_a_header_signature_that_does_not_bind_the_payload_only_reports() -> None:
    """Where the header has no payload digest, the signature over header and payload is the one that decides."""
    assert [fact.role for fact in fixture("payload_bound_by_signature").signatures] == [
        SignatureRole.REPORTED,
        SignatureRole.ALTERNATIVE,
    ]


@pytest.mark.parametrize("kept", [*range(0, 96, 7), 100, 200, len(PARTS.lead) + len(PARTS.signatures) + 20])
def test_a_package_cut_in_its_headers_is_malformed(kept: int) -> None:
    """A package that ends before its payload begins does not parse."""
    with pytest.raises(MalformedError):
        read(VALID[:kept])


@pytest.mark.parametrize(("offset", "value"), [(4, 2), (4, 5), (79, 1)])
def test_a_lead_of_another_format_is_malformed(offset: int, value: int) -> None:
    """The lead's version is 3 or 4 and its signature a header, as rpm has it."""
    changed = bytearray(VALID)
    changed[offset] = value
    with pytest.raises(MalformedError, match="lead"):
        read(bytes(changed))


def test_a_header_larger_than_the_file_is_not_waited_for() -> None:
    """What a header says of its size is compared with the file before anything is read or kept."""
    large = Parts(lead(), PARTS.signatures[:8] + struct.pack(">II", 1, MAX_DATA_BYTES), b"", b"").data
    with pytest.raises(MalformedError, match="larger than the file"):
        read(large)


def test_a_header_above_the_cap_is_a_resource_limit() -> None:
    """More than 64 MiB of header are not read, however large the file."""
    with pytest.raises(ResourceLimitError):
        header_bytes(PARTS.main[:8] + struct.pack(">II", 1, MAX_DATA_BYTES + 1))


def test_a_second_region_is_malformed() -> None:
    """Only the first entry may be a region (CVE-2021-20271)."""
    with pytest.raises(MalformedError, match="no place in the index"):
        parse_header(header([octets(HEADER_IMMUTABLE, bytes(16)), text(1000, "a")], HEADER_IMMUTABLE), HEADER_IMMUTABLE)


def test_the_region_of_another_header_is_malformed() -> None:
    """A signature header in the place of the main header is none."""
    with pytest.raises(MalformedError, match="another region"):
        parse_header(header([text(1000, "a")], HEADER_SIGNATURES), HEADER_IMMUTABLE)


@pytest.mark.parametrize(
    ("position", "value"),
    [(8, 99), (8, 0xFFFFFFFF), (12, 2), (12, 0), (4, 10), (4, 0)],
    ids=["offset behind the next", "negative offset", "two strings in one", "no string", "unknown type", "no type"],
)
def test_an_entry_that_does_not_fit_its_data_is_malformed(position: int, value: int) -> None:
    """Type, offset and count of every entry must agree with the data that is there."""
    blob = bytearray(parsed(text(1000, "abc"), text(1001, "1")))
    struct.pack_into(">I", blob, 16 + 16 + position, value)
    with pytest.raises(MalformedError):
        parse_header(bytes(blob), HEADER_IMMUTABLE)


def test_a_tag_that_occurs_twice_is_not_chosen_from() -> None:
    """A name that the header states twice is malformed where it is read."""
    main = parse_header(parsed(text(1000, "a"), text(1000, "b"), text(1001, "1"), text(1002, "1")), HEADER_IMMUTABLE)
    with pytest.raises(MalformedError, match="occurs twice"):
        product_of(main)


def test_a_payload_digest_by_a_weak_algorithm_binds_nothing() -> None:
    """MD5 and SHA-1 of a payload are no reason to call it covered."""
    main = parse_header(
        parsed(texts(5092, "da39a3ee5e6b4b0d3255bfef95601890afd80709"), number(5093, 2)), HEADER_IMMUTABLE
    )
    assert payload_digests(main) == {}


def test_a_payload_that_lies_unpacked_is_bound_by_its_other_digest() -> None:
    """The header states digests of the payload as it was written and unpacked; the one in the file must be either (format_v6.md)."""
    written, plain = (hashlib.sha256(value).hexdigest() for value in (b"written", b"plain"))
    for payload, good in ((b"written", True), (b"plain", True), (b"other", False)):
        main = header([*MAIN[:8], texts(5092, written), number(5093, 8), texts(5097, plain)], HEADER_IMMUTABLE)
        reading = read(Parts(lead(), b"", main, payload).signed_by(octets(268, b"x")).data)
        assert (reading.problem is None) == good


def test_two_different_digests_of_the_payload_are_malformed() -> None:
    """Programs that look at different tags must not see different payloads."""
    one, other = hashlib.sha512(b"1").hexdigest(), hashlib.sha512(b"2").hexdigest()
    main = parse_header(parsed(texts(5092, one), number(5093, 10), text(5121, other)), HEADER_IMMUTABLE)
    with pytest.raises(MalformedError, match="two different"):
        payload_digests(main)


def test_a_tag_of_another_type_is_malformed() -> None:
    """A digest that is binary, or a signature that is text, is not reinterpreted."""
    main = parse_header(parsed(octets(5092, bytes(32))), HEADER_IMMUTABLE)
    with pytest.raises(MalformedError, match="type"):
        payload_digests(main)
    signatures = parse_header(header([text(268, "a")], HEADER_SIGNATURES), HEADER_SIGNATURES)
    with pytest.raises(MalformedError, match="type"):
        signatures_of(signatures, parse_header(PARTS.main, HEADER_IMMUTABLE))


def test_every_string_of_a_long_list_is_walked_and_none_read() -> None:
    """A list of file names as long as a large package's is checked without taking it apart, and refused where it is asked for."""
    main = parse_header(parsed(texts(1117, *("f" * 20_000))), HEADER_IMMUTABLE)
    with pytest.raises(ResourceLimitError):
        main.strings(1117)


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_with_a_reading_error(data: bytes) -> None:
    """Whatever stands behind a lead, only the three errors of a reader come of it."""
    try:
        read(lead() + data)
    except READ_ERRORS:
        return
    assert data


@given(st.integers(0, len(VALID) - 1), st.integers(0, 255), st.integers(0, 255))
def test_a_changed_package_is_read_or_refused(position: int, first: int, second: int) -> None:
    """Two bytes of a genuine package changed give a reading or one of the three errors."""
    changed = bytearray(VALID)
    changed[position] = first
    changed[(position * 7) % 600] = second
    try:
        read(bytes(changed))
    except READ_ERRORS:
        return


@given(st.lists(st.tuples(st.integers(0, 6000), st.integers(0, 11), st.binary(max_size=8)), min_size=1, max_size=6))
def test_headers_of_any_entries_parse_or_are_malformed(entries: list[tuple[int, int, bytes]]) -> None:
    """Every value of every entry that parses can be asked for and gives its type or one of the three errors."""
    blob = header([Tag(tag, kind, max(1, len(data)), data) for tag, kind, data in entries], HEADER_IMMUTABLE)
    try:
        main = parse_header(blob, HEADER_IMMUTABLE)
        header_digests(main)
        payload_digests(main)
        product_of(main)
        signatures_of(main, main)
    except READ_ERRORS:
        return
    assert set(main.entries) == {tag for tag, _, _ in entries}


def test_the_fixtures_are_those_of_the_generator() -> None:
    """The genuine package is put together again from its parts, byte for byte."""
    assert split(VALID).data == VALID
    assert header(MAIN, HEADER_IMMUTABLE) == PARTS.main
