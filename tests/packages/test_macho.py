"""What the table of Mach-O files cannot say: hostile headers, super blobs and directories, and Java classes."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.packages.generate.macho import ARM64, REQUIREMENTS, Image, blob, fat
from tests.packages.pki import make_pki
from tests.trust_store.package_craft import LIMITS
from trust_store.decode import macho
from trust_store.decode.code_directory import parse_directory, parse_super_blob
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError, UnsupportedError
from trust_store.formats.detect import read_package
from trust_store.formats.readers import mach_o
from trust_store.formats.streaming import BytesSource
from trust_store.model.package_facts import Product, SignatureRole

if TYPE_CHECKING:
    from trust_store.model.package_facts import PackageFacts

PKI = make_pki("Developer", kind="p256")
GOOD = Image(PKI.leaf, (PKI.intermediate,))
WRITTEN = GOOD.write()
SIGNED = WRITTEN[: GOOD.place]
SUPER = GOOD.signature(SIGNED)
DIRECTORY = GOOD.directory(SIGNED, "sha256")


def facts(data: bytes) -> PackageFacts:
    """What is read of a file."""
    return read_package(BytesSource(data), (), (), LIMITS)


def test_the_identifier_is_the_product() -> None:
    """The code directory states it, and the signature covers that."""
    assert facts(WRITTEN).product == Product("com.example.tool")


def test_every_image_of_a_fat_file_must_hold() -> None:
    """Which image runs is the machine's choice: each signature is required."""
    intel = replace(GOOD, processor=(0x01000007, 3)).write()
    assert [fact.role for fact in facts(fat(intel, WRITTEN)).signatures] == [SignatureRole.REQUIRED] * 2


def test_a_java_class_is_no_fat_file() -> None:
    """Both begin with 0xCAFEBABE; a class file then states a version, which is more than there are processors."""
    assert not mach_o.recognises(BytesSource(b"\xca\xfe\xba\xbe" + struct.pack(">HH", 0, 65) + bytes(40)), LIMITS)


@pytest.mark.parametrize(
    "head",
    [b"\xca\xfe\xba\xbe\0\0\0\0", b"\xca\xfe\xba\xbe\0\0\0\x15", b"\x7fELF\2\1\1\0", b"", b"\xcf\xfa\xed"],
)
def test_other_files_are_not_claimed(head: bytes) -> None:
    """No images, too many of them, other formats, and files that are too short."""
    assert not macho.is_macho(head)


def record(offset: int, size: int, *, kind: int = 1, alignment: int = 0) -> bytes:
    """One image of a fat header."""
    return struct.pack(">IIIII", kind, 0, offset, size, alignment)


@pytest.mark.parametrize(
    "records",
    [
        (record(0, 10),),
        (record(28, 0),),
        (record(28, 100),),
        (record(28, 10, alignment=16),),
        (record(28, 10, alignment=4),),
        (record(48, 10), record(57, 10, kind=2)),
        (record(48, 10), record(58, 10)),
    ],
)
def test_a_fat_header_that_cannot_be_true_is_malformed(records: tuple[bytes, ...]) -> None:
    """Images inside the header, empty, past the end, not aligned, overlapping, or two for one processor."""
    header = struct.pack(">II", 0xCAFEBABE, len(records)) + b"".join(records)
    with pytest.raises(MalformedError):
        macho.parse_fat(header, 70)


def test_images_of_long_fat_files_are_found() -> None:
    """Offsets of 64 bits."""
    header = struct.pack(">IIIIQQII", 0xCAFEBABF, 1, *ARM64, 4096, 10, 12, 0)
    assert macho.parse_fat(header, 5000) == (macho.Slice(ARM64, 4096, 4106, 32),)


HEADER = macho.ImageHeader("<", ARM64, 32, 1, 16)


@pytest.mark.parametrize(
    ("header", "commands"),
    [
        (HEADER, struct.pack("<IIII", 0x1D, 8, 0, 0)),
        (HEADER, struct.pack("<II", 0x1D, 8)),
        (HEADER, struct.pack("<II", 0x1D, 32)),
        (HEADER, struct.pack("<IIII", 0x1D, 6, 0, 0)),
        (replace(HEADER, commands=2, command_bytes=32), struct.pack("<IIII", 0x1D, 16, 1, 1) * 2),
        (HEADER, struct.pack("<IIII", 0x1D, 16, 1, 1) * 2),
        (replace(HEADER, command_bytes=8), struct.pack("<II", 0x1, 4)),
    ],
)
def test_load_commands_that_cannot_be_true_are_malformed(header: macho.ImageHeader, commands: bytes) -> None:
    """Commands that are cut short or too short, two signatures, and more or fewer bytes than the header says."""
    with pytest.raises(MalformedError):
        macho.signature_place(header, commands)


def test_load_commands_are_capped() -> None:
    """A header that announces many costs nothing."""
    with pytest.raises(ResourceLimitError):
        macho.parse_header(struct.pack("<IIIIIIII", 0xFEEDFACF, *ARM64, 2, 1 << 30, 16, 0, 0))


def super_blob(*entries: tuple[int, int], content: bytes = REQUIREMENTS) -> bytes:
    """A super blob with any index."""
    index = b"".join(struct.pack(">II", *entry) for entry in entries)
    return struct.pack(">III", 0xFADE0CC0, 12 + len(index) + len(content), len(entries)) + index + content


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(12),
        SUPER[:-1],
        super_blob((2, 12)),
        super_blob((2, 28), (2, 28)),
        super_blob((2, 28), (3, 30)),
        super_blob((2, 25)),
        super_blob((2, 20), content=b"\xfa\xde\x0c\x01" + struct.pack(">I", 4) + bytes(8)),
        super_blob((2, 20), content=b"\xfa\xde\x0c\x01" + struct.pack(">I", 99) + bytes(8)),
    ],
)
def test_a_super_blob_that_can_be_read_in_two_ways_is_malformed(data: bytes) -> None:
    """Blobs in the index, of one slot, overlapping, and outside their container."""
    with pytest.raises(MalformedError):
        parse_super_blob(data)


def test_blobs_are_capped() -> None:
    """Their number comes before anything is read of them."""
    with pytest.raises(ResourceLimitError):
        parse_super_blob(struct.pack(">III", 0xFADE0CC0, 12, 1 << 20))


def changed(at: int, value: bytes) -> bytes:
    """The directory with something else at an offset."""
    return DIRECTORY[:at] + value + DIRECTORY[at + len(value) :]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", MalformedError),
        (changed(0, b"\0"), MalformedError),
        (DIRECTORY + b"\0", MalformedError),
        (changed(37, b"\x09"), UnsupportedError),
        (changed(36, b"\x14"), UnsupportedError),
        (changed(36, b"\x00\x11"), UnsupportedError),
        (changed(28, b"\xff\xff\xff\xff"), ResourceLimitError),
        (changed(24, b"\0\0\0\x7f"), ResourceLimitError),
        (changed(16, b"\0\0\0\0"), MalformedError),
        (changed(16, b"\x7f\xff\xff\xff"), MalformedError),
        (changed(32, b"\x7f\xff\xff\xff"), MalformedError),
        (changed(39, b"\x0b"), MalformedError),
        (changed(39, b"\xff"), MalformedError),
        (changed(44, b"\0\0\0\1"), UnsupportedError),
        (changed(20, b"\x7f\xff\xff\xff"), MalformedError),
        (changed(48, b"\x1b"), MalformedError),
    ],
)
def test_a_directory_that_cannot_be_true_is_refused(data: bytes, error: type[Exception]) -> None:
    """Lengths, kinds of digests, places of digests, numbers of pages, scatter lists and identifiers."""
    with pytest.raises(error):
        parse_directory(data)


def test_a_directory_may_digest_all_at_once() -> None:
    """Pages of no size are one page, as disk images have it."""
    digest = hashlib.sha256(SIGNED).digest()
    hashes = struct.unpack_from(">I", DIRECTORY, 16)[0]
    whole = DIRECTORY[:hashes] + digest
    data = (
        whole[:4]
        + struct.pack(">I", len(whole))
        + whole[8:28]
        + struct.pack(">I", 1)
        + whole[32:39]
        + b"\0"
        + whole[40:]
    )
    assert (parse_directory(data).pages, parse_directory(data).page_bytes) == ((digest,), 0)


def test_something_after_the_message_is_refused() -> None:
    """The wrapper holds one CMS message and at most zeros."""
    data = replace(GOOD, blobs={}).signature(SIGNED)
    start = data.index(b"\xfa\xde\x0b\x01")
    longer = data[:start] + blob(0xFADE0B01, data[start + 8 :] + b"evil")
    longer = longer[:4] + struct.pack(">I", len(longer)) + longer[8:]
    (fact,) = facts(SIGNED + longer.ljust(len(WRITTEN) - len(SIGNED), b"\0")).signatures
    assert fact.problem is not None
    assert fact.problem.reason.value == "malformed"


@given(st.binary(max_size=200))
def test_no_bytes_make_the_readers_raise_anything_else(data: bytes) -> None:
    """Whatever stands in headers, super blobs and directories gives a value or one of the three errors."""
    for reader in (
        lambda: macho.parse_fat(b"\xca\xfe\xba\xbe" + data, 1000),
        lambda: macho.parse_header(b"\xcf\xfa\xed\xfe" + data),
        lambda: macho.signature_place(replace(HEADER, commands=5, command_bytes=len(data)), data),
        lambda: parse_super_blob(b"\xfa\xde\x0c\xc0" + data),
        lambda: parse_directory(b"\xfa\xde\x0c\x02" + data),
    ):
        try:
            reader()
        except READ_ERRORS:
            continue


@given(st.integers(min_value=8, max_value=len(WRITTEN) - 1), st.binary(max_size=4))
def test_a_changed_file_is_read_or_refused(position: int, put: bytes) -> None:
    """A file with bytes put into it gives facts, never an exception."""
    assert facts(WRITTEN[:position] + put + WRITTEN[position + len(put) :]).format == "mach-o"
