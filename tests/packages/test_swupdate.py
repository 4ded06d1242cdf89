from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.packages.generate.swupdate import archive, description, json_description, member
from tests.trust_store.package_craft import LIMITS, read
from trust_store.decode import cpio_archive, libconfig
from trust_store.decode.byte_reader import ByteReader
from trust_store.decode.software_description import parse_description
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError, UnsupportedError
from trust_store.formats.readers import swupdate
from trust_store.formats.streaming import BytesSource
from trust_store.model.package_facts import Product
from trust_store.model.verdict import Reason

FIXTURES = Path(__file__).parent / "fixtures" / "swupdate"
SHA = hashlib.sha256(b"").hexdigest()


def walk(data: bytes) -> cpio_archive.CpioArchive:
    """A whole archive, in small pieces."""
    return cpio_archive.walk(ByteReader(data[at : at + 7] for at in range(0, len(data), 7)))


def test_syntax_of_the_manual() -> None:
    """Groups, lists, arrays, both marks of assignment, comments, numbers, booleans, escapes and strings side by side."""
    text = rb"""
        # a comment
        a = "one" " two\x41\n\d"; // another
        b : { c = true, d = -0x1FL; /* and * another */ }
        e = [ 1, 2.5e3, 3 ]
        f = ( { g = "x"; }, "y", False );
    """
    expected = {
        "a": "one twoA\n\\d", "b": {"c": True, "d": "-0x1FL"}, "e": ["1", "2.5e3", "3"], "f": [{"g": "x"}, "y", False],
    }  # fmt: skip
    assert libconfig.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        'a = "x"; a = "y";', "a", "a =", "a = {", "a = ( 1 2 )", 'a = "open', "= 1", "a = }",
        "a = 1; }", "a = /* open", "a = word;",
    ],
)  # fmt: skip
def test_text_that_is_not_libconfig(text: str) -> None:
    """What the grammar does not know is malformed, and so is a setting that stands twice."""
    with pytest.raises(MalformedError):
        libconfig.parse(text.encode())


def test_inclusions_are_not_read() -> None:
    """A text that includes another one says nothing by itself."""
    with pytest.raises(UnsupportedError):
        libconfig.parse(b'@include "other"\n')


@pytest.mark.parametrize(
    "text", ["a = " + "(" * 30 + ")" * 30 + ";", "a = " + "{ a = " * 30, "a = [" + "1," * 200_001 + "];"]
)
def test_depth_and_length_are_capped(text: str) -> None:
    """Deep and long texts end in a limit, not in the interpreter's."""
    with pytest.raises(ResourceLimitError):
        libconfig.parse(text.encode())


def test_both_syntaxes_say_the_same() -> None:
    """libconfig and JSON descriptions of the same files are equal."""
    assert parse_description(description()) == parse_description(json_description())


def test_files_are_found_wherever_they_stand() -> None:
    """Files of a board's own set count as those at the top do; without a digest anywhere there is none."""
    text = f"""software = {{ board: {{ stable: {{ images: ( {{ filename = "a"; sha256 = "{SHA}"; }} ); }}; }};
        scripts: ( {{ filename = "b"; }} );
        files: ( {{ filename = "a"; sha256 = "{SHA.upper()}"; }}, {{ filename = "b"; sha256 = "{SHA}"; }} ); }}"""
    assert parse_description(text.encode()).files == {"a": SHA, "b": None}


@pytest.mark.parametrize(
    "entry",
    [
        'filename = "../a";',
        'filename = "/a";',
        'filename = "a"; sha256 = "@a";',
        f'filename = "a"; sha256 = "{SHA[:-1]}";',
    ],
)
def test_entries_that_name_no_plain_file_or_digest(entry: str) -> None:
    """Names that lead elsewhere, and digests that were never filled in, are malformed."""
    with pytest.raises(MalformedError):
        parse_description(f"software = {{ images: ( {{ {entry} }} ); }}".encode())


def test_two_digests_of_one_file() -> None:
    """One file cannot be of two digests: which one counts would depend on the board."""
    text = f'software = {{ a: ( {{ filename = "a"; sha256 = "{SHA}"; }}, {{ filename = "a"; sha256 = "{"0" * 64}"; }} ); }}'
    with pytest.raises(MalformedError):
        parse_description(text.encode())


def test_product_is_what_the_signed_description_says() -> None:
    """Name and version come from sw-description."""
    assert read((FIXTURES / "cms.swu").read_bytes()).product == Product("Fixture Device", "2026.05.1")


@pytest.mark.parametrize("name", ["unsigned", "unlisted", "unhashed", "tampered"])
def test_no_product_without_a_signature_over_all_of_it(name: str) -> None:
    """What an image without a signature says it is counts for nothing, and so does one that is not what was signed."""
    assert read((FIXTURES / f"{name}.swu").read_bytes()).product is None


def test_cpio_members() -> None:
    """Names, sizes and places of an archive's files, whatever the pieces in which it comes."""
    found = walk(archive(("a", b"12345"), ("dir/b", b"")))
    assert [(one.name, one.size) for one in found.members] == [("a", 5), ("dir/b", 0)]
    assert found.members[0].data_offset == 112


@pytest.mark.parametrize(
    "data",
    [
        archive(("a", b"1"), ("A", b"2")), archive(("../a", b"")), archive(("a", b""), ("a/b", b"")), archive(("a", b""))[:-400],
        archive(("a", b"")) + b"x", b"070707" + archive(("a", b""))[6:], archive(("a", b"1")).replace(b"1\0\0\0", b"1x\0\0"),
        member("TRAILER!!!", b"1"), archive(("a", b"1")).replace(b"070701", b"070702", 1),
    ],
)  # fmt: skip
def test_archives_that_programs_read_differently(data: bytes) -> None:
    """Colliding, leading and broken names, padding that is not of zeros, missing ends, other forms: malformed."""
    with pytest.raises(MalformedError):
        walk(data)


def test_checksums_of_the_crc_form() -> None:
    """In the "crc" form the sum of a file's bytes must be the one in its header."""
    good = member("a", bytes(range(256)) * 5, "070702") + member("TRAILER!!!", b"", "070702")
    assert walk(good).members[0].size == 1280
    with pytest.raises(MalformedError):
        walk(good.replace(b"\x07\x08", b"\x07\x09", 1))


@given(st.binary(max_size=3000))
def test_sum_of_bytes(data: bytes) -> None:
    """The quick sum is the sum."""
    assert cpio_archive.byte_sum(data) == sum(data)


def test_description_is_capped() -> None:
    """A description beyond the limit is not taken into memory."""
    head = member("sw-description", b"").replace(b"%08X" % 0, b"%08X" % 0x7FFFFFFF)
    facts = read(head + bytes(4000))
    assert facts.problem is not None
    assert facts.problem.reason in (Reason.RESOURCE_LIMIT, Reason.MALFORMED)


@given(st.integers(0, 4095), st.binary(min_size=1, max_size=4))
def test_broken_images_raise_nothing_else(position: int, data: bytes) -> None:
    """Whatever stands in an image, only the three errors come out."""
    image = (FIXTURES / "cms.swu").read_bytes()
    image = image[:position] + data + image[position + len(data) :]
    with contextlib.suppress(*READ_ERRORS):
        swupdate.read(BytesSource(image), (), LIMITS)


@given(st.text(alphabet='a=:;{}()[]"\\,1 \n/*#@', max_size=80))
def test_any_text_raises_nothing_else(text: str) -> None:
    """Whatever the text, only the three errors come out."""
    with contextlib.suppress(*READ_ERRORS):
        libconfig.parse(text.encode())


def test_encrypted_description() -> None:
    """A description in cipher text is of a kind that is not read; one with a byte of no text in it is malformed."""
    cipher = hashlib.sha512(b"cipher text").digest()
    with pytest.raises(UnsupportedError, match="encrypted"):
        parse_description(cipher)
    with pytest.raises(MalformedError):
        parse_description(b'software = { version = "\xff"; };  ')
    with pytest.raises(MalformedError):
        parse_description(cipher + b"x")
