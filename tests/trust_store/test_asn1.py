from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trust_store.package_craft import tlv
from trust_store.decode import asn1
from trust_store.decode.asn1 import MAX_CHILDREN, MAX_DEPTH, Element, der, der_set, length_octets, read_one
from trust_store.errors import MalformedError, ResourceLimitError, TrustStoreError


def nested(depth: int, *, indefinite: bool) -> bytes:
    """Sequences in sequences."""
    if indefinite:
        return b"\x30\x80" * depth + b"\0\0" * depth
    data = b""
    for _ in range(depth):
        data = tlv(0x30, data)
    return data


def test_deep_nesting_is_a_resource_limit() -> None:
    """Nesting ends at the cap, never at the interpreter's stack."""
    with pytest.raises(ResourceLimitError):
        read_one(nested(100_000, indefinite=True), "bomb")
    with pytest.raises(ResourceLimitError):
        der(read_one(nested(MAX_DEPTH + 2, indefinite=False), "bomb"))


def test_indefinite_lengths_are_read_once() -> None:
    """What indefinite lengths hold is looked at once, however deep they are nested, and its DER is the same as ever."""
    inner = b"\4\1a" * 50
    data = b"\x30\x80" * 30 + inner + b"\0\0" * 30
    expected = inner
    for _ in range(30):
        expected = tlv(0x30, expected)
    element = read_one(data, "value")
    with patch.object(asn1, "_header", wraps=asn1._header) as header:
        assert der(element) == expected
    assert header.call_count == 80


def test_the_end_of_contents_lies_inside_the_value_around_it() -> None:
    """End-of-contents octets of which one stands outside the value that holds them end nothing."""
    with pytest.raises(MalformedError):
        der(read_one(b"\x30\x08\x30\3\x30\x80\0" + b"\0\x05\0", "value"))


def test_counts_are_capped() -> None:
    """A value holds no more values than the cap, whichever way its length is written."""
    many = b"\5\0" * (MAX_CHILDREN + 1)
    with pytest.raises(ResourceLimitError):
        read_one(tlv(0x30, many), "bomb").children()
    with pytest.raises(ResourceLimitError):
        read_one(b"\x30\x80" + many + b"\0\0", "bomb")


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x30", b"\x30\1", b"\x30\x81", b"\x30\x85\0\0\0\0\0", b"\x1f\1\0", b"\0\0", b"\4\x80\0\0", b"\x30\0x",
        b"\x30\x80\5\0", b"\x30\xff",
    ],
)  # fmt: skip
def test_broken_encodings(data: bytes) -> None:
    """Lengths past the end, primitive values of indefinite length, high tags and trailing bytes are malformed."""
    with pytest.raises(MalformedError):
        read_one(data, "value")


@pytest.mark.parametrize("content", [b"", b"\x80\1", b"\x2a\x80\1", b"\x2a\x81", b"\x2a" * 65])
def test_broken_object_identifiers(content: bytes) -> None:
    """Empty, padded, unfinished or endless identifiers are malformed."""
    with pytest.raises(MalformedError):
        Element(6, content, b"").oid("identifier")


def test_values() -> None:
    """Identifiers and integers read as X.690 writes them."""
    assert Element(6, bytes.fromhex("2a864886f70d010702"), b"").oid("x") == "1.2.840.113549.1.7.2"
    assert Element(6, bytes.fromhex("883703"), b"").oid("x") == "2.999.3"
    assert Element(2, b"\xff", b"").integer("x") == -1
    for content in (b"", bytes(65)):
        with pytest.raises(MalformedError):
            Element(2, content, b"").integer("x")
    with pytest.raises(MalformedError):
        Element(4, b"", b"").children()


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 1 << 24))
def test_lengths_are_minimal(length: int) -> None:
    """Lengths are written in the fewest octets."""
    octets = length_octets(length)
    if length < 0x80:
        assert octets == bytes([length])
    else:
        assert octets[0] & 0x7F == len(octets) - 1
        assert octets[1] != 0
        assert int.from_bytes(octets[1:], "big") == length


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=4).map(lambda content: tlv(4, content)), max_size=6))
def test_der_is_stable(values: list[bytes]) -> None:
    """DER of DER is itself, and a set is in ascending order."""
    encoded = der_set(values)
    element = read_one(encoded, "set")
    assert der(element) == encoded
    assert [child.raw for child in element.children()] == sorted(values)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80))
def test_noise(noise: bytes) -> None:
    """Any bytes are a value or one of this program's errors."""
    try:
        der(read_one(noise, "noise"))
    except TrustStoreError:
        return
