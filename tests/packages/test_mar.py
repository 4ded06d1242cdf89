from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trust_store.package_craft import LIMITS, read
from trust_store.decode import mar_archive
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError
from trust_store.formats.readers import mar
from trust_store.formats.streaming import BytesSource
from trust_store.model.package_facts import Product, SignatureRole
from trust_store.model.verdict import Reason

FIXTURES = Path(__file__).parent / "fixtures" / "mar"
GOOD = (FIXTURES / "good.mar").read_bytes()


def crafted(
    files: list[tuple[str, int, int]],
    *,
    content: bytes = b"content",
    blocks: bytes = struct.pack(">I", 0),
    signatures: int = 0,
) -> bytes:
    """An archive whose index says what it is told; offsets count from the start of the content."""
    start = 8 + 12 + len(blocks)
    entries = b"".join(struct.pack(">III", start + at, size, 0o644) + name.encode() + b"\0" for name, at, size in files)
    index = start + len(content)
    total = index + 4 + len(entries)
    head = b"MAR1" + struct.pack(">IQI", index, total, signatures)
    return head + blocks + content + struct.pack(">I", len(entries)) + entries


def parse(data: bytes) -> mar_archive.MARArchive:
    """The walk."""
    return mar_archive.parse(BytesSource(data))


def block(kind: int, content: bytes, count: int = 1) -> bytes:
    """``count`` additional blocks alike."""
    return struct.pack(">I", count) + (struct.pack(">II", 8 + len(content), kind) + content) * count


def test_index_and_blocks() -> None:
    """Files lie where the index says; channel and version stand in the product information block."""
    found = parse(crafted([("a", 0, 3), ("d/b", 3, 4)], blocks=block(1, b"channel\0001.0\0")))
    assert {name: size for name, (_, size) in found.files.items()} == {"a": 3, "d/b": 4}
    assert found.product == ("channel", "1.0")
    assert parse(crafted([("a", 0, 7)], blocks=block(2, b"other"))).product is None


@pytest.mark.parametrize(
    "data",
    [
        crafted([("a", 0, 4), ("b", 3, 4)]), crafted([("a", 0, 8)]), crafted([("a", 0, 1), ("A", 1, 1)]), crafted([("../a", 0, 1)]),
        crafted([("a", 0, 1)]) + b"x", crafted([("a", 0, 1)])[:-1], b"MAR1" + struct.pack(">I", 4) + bytes(20), b"MAR1\0\0",
        crafted([("a", 0, 1)], blocks=struct.pack(">III", 1, 4, 1)), crafted([("a", 0, 1)]).replace(b"a\0", b"ab"),
        crafted([("a", 0, 7)], content=b"MAR1" * 2)[:8] + struct.pack(">Q", 9) + crafted([("a", 0, 7)], content=b"MAR1" * 2)[16:],
        crafted([("a", -5, 7)]),
    ],
)  # fmt: skip
def test_archives_that_programs_read_differently(data: bytes) -> None:
    """Files that overlap, lie outside or have colliding names, sizes that are not the file's: malformed."""
    with pytest.raises(MalformedError):
        parse(data)


@pytest.mark.parametrize("content", [b"channel", b"a\0b", b"\xff\0b\0"])
def test_product_information_that_is_none(content: bytes) -> None:
    """A product information block is a channel and a version, in ASCII."""
    with pytest.raises(MalformedError):
        _ = parse(crafted([("a", 0, 1)], blocks=block(1, content))).product


def test_two_products() -> None:
    """An archive is of one product."""
    with pytest.raises(MalformedError):
        _ = parse(crafted([("a", 0, 1)], blocks=block(1, b"a\0b\0", 2))).product


@pytest.mark.parametrize(
    "data",
    [
        crafted([("a", 0, 1)], signatures=9), crafted([("a", 0, 1)], blocks=block(2, b"", 65)),
        b"MAR1" + struct.pack(">I", 8) + struct.pack(">I", 1 << 30) + bytes(40),
    ],
)  # fmt: skip
def test_counts_are_capped(data: bytes) -> None:
    """Signatures, blocks and the index are capped."""
    with pytest.raises(ResourceLimitError):
        parse(data)


def test_members_are_capped() -> None:
    """So is the number of files."""
    with pytest.raises(ResourceLimitError):
        mar_archive.parse(BytesSource(crafted([("a", 0, 1), ("b", 1, 1)])), max_members=1)


def test_product_counts_where_it_is_signed() -> None:
    """Channel and version of a signed archive are its product."""
    assert read(GOOD).product == Product("fixture-release", "140.0")
    assert read(crafted([("a", 0, 7)], blocks=block(1, b"channel\0001.0\0"))).product is None


def test_all_of_several_signatures_must_hold() -> None:
    """Mozilla's updater wants a signature for each key that it knows."""
    assert {fact.role for fact in read((FIXTURES / "two.mar").read_bytes()).signatures} == {SignatureRole.REQUIRED}


def test_unknown_algorithms() -> None:
    """A signature by an algorithm that is not known is told as one that is not read."""
    facts = read(GOOD[:20] + struct.pack(">I", 3) + GOOD[24:])
    assert [fact.problem and fact.problem.reason for fact in facts.signatures] == [Reason.UNSUPPORTED_FORMAT]


@settings(max_examples=200)
@given(st.integers(0, len(GOOD) - 4), st.binary(min_size=1, max_size=4))
def test_broken_archives_raise_nothing_else(position: int, data: bytes) -> None:
    """Whatever stands in an archive, only the three errors come out."""
    source = BytesSource(GOOD[:position] + data + GOOD[position + len(data) :])
    with contextlib.suppress(*READ_ERRORS):
        mar.read(source, (), LIMITS)
