from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.packages.generate.alpine_v3 import FILES, Metadata, block, contents, deflated, metadata, package
from tests.packages.table import FIXTURES, cases, facts_and_verdict
from trust_store.decode.alpine_adb import AdbValues, files_of, product_of, read_block, unpacked
from trust_store.decode.byte_reader import ByteReader
from trust_store.decode.compressed import UnpackBudget
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError, UnsupportedError
from trust_store.formats.protocol import Reading, ReadLimits
from trust_store.formats.readers import alpine_apk_v3
from trust_store.formats.streaming import BytesSource
from trust_store.model.package_facts import Product, Uncovered

VALID = (FIXTURES / "alpine-apk-v3" / "valid.apk").read_bytes()
METADATA = metadata(FILES)


def read(data: bytes) -> Reading:
    """The package in ``data``."""
    return alpine_apk_v3.read(BytesSource(data), (), ReadLimits())


def body(data: bytes, *, most: int = 1 << 20) -> bytes:
    """What the file unpacks to."""
    return b"".join(unpacked(iter((data,)), UnpackBudget(most, 1100)))


def test_the_metadata_state_the_product() -> None:
    """Name and version, and only where they are signed."""
    assert read(VALID).product == Product("fixture", "1.2-r3")
    assert read(package(METADATA, *contents(FILES))).product is None


def test_metadata_and_contents_are_covered_and_nothing_else() -> None:
    """Block headers, signatures and padding are inert; of a deflated package no byte is covered as it lies."""
    coverage = read(VALID).coverage
    assert coverage.covered_bytes == len(METADATA) + sum(map(len, FILES.values()))
    assert all(uncovered.inert for uncovered in coverage.uncovered)
    packed = deflated(VALID)
    assert read(packed).coverage.uncovered == (Uncovered(start=0, end=len(packed), inert=True),)


def test_a_key_that_is_named_and_does_not_fit_is_the_signer_all_the_same() -> None:
    """Version 3 names its key, so that a changed package is broken and not by somebody unknown."""
    (case,) = [one for one in cases("alpine-apk-v3") if one.values["name"] == "tampered_metadata"]
    facts, _ = facts_and_verdict(case)
    assert facts is not None
    assert [check.holds for check in facts.signatures[0].key_checks] == [False]


def test_files_are_numbered_as_the_blocks_number_them() -> None:
    """Links and empty files have no content; all others have a digest and a size."""
    found = files_of(AdbValues(METADATA))
    assert list(found) == [(1, 1), (1, 2), (2, 1)]
    assert [file.size for file in found.values()] == [len(data) for data in FILES.values()]
    assert product_of(AdbValues(METADATA)) == ("fixture", "1.2-r3")


@pytest.mark.parametrize(
    "root", [0x10000001, 0xE0FFFFFF, 0xE0000008, 0x80000008, 0xF0000000, 0xE0000000 + len(METADATA)], ids=hex
)
def test_metadata_whose_root_is_none_are_malformed(root: int) -> None:
    """A root that is no object, lies outside or is of no possible size."""
    with pytest.raises(MalformedError):
        product_of(AdbValues(METADATA[:4] + struct.pack("<I", root) + METADATA[8:]))


def test_values_of_other_kinds_are_malformed() -> None:
    """A number is no text, a text no number, and nothing is read outside the block."""
    values = AdbValues(METADATA)
    for ask, value in ((values.blob, 0x10000001), (values.integer, 0x80000008), (values.slots, 0x10000001)):
        with pytest.raises(MalformedError):
            ask(value)
    for ask, value in ((values.blob, 0x8FFFFFFF), (values.integer, 0x2FFFFFFF), (values.slots, 0xEFFFFFFF)):
        with pytest.raises(MalformedError):
            ask(value)
    assert (values.blob(0), values.integer(0), values.slots(0)) == (b"", 0, ())


def test_numbers_of_every_width_are_read() -> None:
    """28 bits in place, 32 and 64 bits elsewhere."""
    values = AdbValues(bytes(8) + struct.pack("<IQ", 1 << 31, 1 << 40))
    assert (values.integer(0x10000007), values.integer(0x20000008), values.integer(0x3000000C)) == (7, 1 << 31, 1 << 40)


@pytest.mark.parametrize("content", [b"", bytes(7), b"\1" + bytes(20), b"\0\1" + bytes(20)])
def test_metadata_of_another_version_are_malformed(content: bytes) -> None:
    """Version 0 of the metadata is the only one there is."""
    with pytest.raises(MalformedError):
        AdbValues(content)


@pytest.mark.parametrize(
    "data", [b"\0\0\0\0", b"\3\0\0\0", b"\3\0\0\xc0" + bytes(12), b"\0\0\0\xc0\1\0\0\0" + bytes(8), b"\xff"]
)
def test_a_block_of_no_known_kind_or_size_is_malformed(data: bytes) -> None:
    """Lengths include their header, and of the four types three have a meaning."""
    with pytest.raises(MalformedError):
        read_block(ByteReader(iter((data,))))


def test_signatures_are_capped_and_have_a_size() -> None:
    """An empty one, one above 2048 bytes and the sixty-fifth are refused."""
    for content in (b"", bytes(18), bytes(2049)):
        with pytest.raises(MalformedError):
            read(package(METADATA, block(1, content), *contents(FILES)))
    with pytest.raises(ResourceLimitError):
        read(package(METADATA, *[block(1, bytes(20))] * 65, *contents(FILES)))


def test_large_metadata_are_a_resource_limit() -> None:
    """What a block says of its size is compared with the cap before it is read."""
    with pytest.raises(ResourceLimitError):
        read(b"ADB.pckg" + struct.pack("<IIQ", 3 << 30, 0, 1 << 40))


def test_a_package_that_unpacks_to_very_much_is_a_resource_limit() -> None:
    """A bomb is given up before it has been unpacked."""
    with pytest.raises(ResourceLimitError):
        body(deflated(bytes(8 << 20)))


@pytest.mark.parametrize("data", [b"", b"ADBx", deflated(VALID) + b"x", deflated(VALID)[:-1], b"ADBd\xff\xff"])
def test_a_body_that_is_not_one_stream_is_malformed(data: bytes) -> None:
    """Nothing is missing of the stream and nothing follows it."""
    with pytest.raises(MalformedError):
        body(data)


def test_zstd_is_not_unpacked() -> None:
    """It is told as not supported."""
    with pytest.raises(UnsupportedError):
        body(b"ADBc\2\3" + bytes(8))


def test_a_body_in_pieces_is_the_same() -> None:
    """Wherever the file is cut for reading."""
    packed = deflated(VALID)
    pieces = iter((packed[:7], *(packed[n : n + 11] for n in range(7, len(packed), 11))))
    assert b"".join(unpacked(pieces, UnpackBudget(1 << 20, 1100))) == VALID
    assert zlib.decompress(packed[4:], wbits=-15) == VALID


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_with_a_reading_error(data: bytes) -> None:
    """Only the three errors of a reader come of blocks and values with anything in them."""
    made = Metadata()
    made.data += data
    for one in (
        b"ADB." + data,
        b"ADBd" + data,
        b"ADB.pckg" + data,
        package(made.close(0xE0000008)),
        package(METADATA, data),
    ):
        try:
            read(one)
        except READ_ERRORS:
            continue
        assert one.startswith(b"ADB")


@given(st.integers(0, len(VALID) - 1), st.integers(0, 255))
def test_a_changed_package_is_read_or_refused(position: int, value: int) -> None:
    """A byte changed gives a reading or one of the three errors."""
    try:
        read(bytes([*VALID[:position], value, *VALID[position + 1 :]]))
    except READ_ERRORS:
        return


def shared(paths: int, files: int, size: int) -> bytes:
    """Metadata that list one folder ``paths`` times, which lists one file ``files`` times."""
    data = bytearray(8)

    def put(kind: int, *values: int) -> int:
        start = len(data)
        data.extend(struct.pack(f"<{len(values) + 1}I", len(values) + 1, *values))
        return kind << 28 | start

    digest = 8 << 28 | len(data)
    data.extend(b"\x20" + bytes(35))
    file = put(14, 0, 0, 1 << 28 | size if size else 0, 0, digest)
    root = put(14, 0, put(13, *[put(14, 0, 0, put(13, *[file] * files))] * paths))
    data[4:8] = struct.pack("<I", root)
    return bytes(data)


@pytest.mark.parametrize("size", [0, 1])
def test_what_is_listed_again_and_again_is_counted_each_time(size: int) -> None:
    """A few hundred kilobytes of metadata that point to the same files would else be walked for hours, or fill the memory."""
    assert len(files_of(AdbValues(shared(3, 4, 1)))) == 12
    with pytest.raises(ResourceLimitError, match="folders and files"):
        files_of(AdbValues(shared(10_000, 10_000, size)))


def test_an_object_has_only_so_many_values() -> None:
    """Objects may overlap, so that each of many could be as long as the metadata."""
    data = bytearray(struct.pack("<2I", 0, 14 << 28 | 8) + struct.pack("<I", 1000) * 1001)
    with pytest.raises(ResourceLimitError, match="an object with more than"):
        files_of(AdbValues(bytes(data)))
