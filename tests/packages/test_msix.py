"""What the table of app packages cannot say: hostile block maps and statements, the end records as they are digested."""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.packages.generate.msix import BUNDLE, FILES, MANIFEST, as_makeappx, block_map, package
from tests.packages.table import FIXTURES
from tests.trust_store.package_craft import LIMITS
from trust_store.decode import appx_digests
from trust_store.decode.appx_block_map import BLOCK_BYTES, BlockDigests, identity_of, parse_block_map, part_name
from trust_store.decode.zip_directory import read_directory
from trust_store.decode.zip_records import end_records_without, records_of
from trust_store.errors import READ_ERRORS, MalformedError, UnsupportedError
from trust_store.formats.detect import read_package
from trust_store.formats.streaming import BytesSource
from trust_store.model.package_facts import Product

if TYPE_CHECKING:
    from trust_store.model.package_facts import PackageFacts

VALID = (FIXTURES / "msix" / "valid.msix").read_bytes()
HEAD = '<BlockMap HashMethod="http://www.w3.org/2001/04/xmlenc#sha256">'


def facts(data: bytes) -> PackageFacts:
    """What is read of a package."""
    return read_package(BytesSource(data), (), (), LIMITS)


@pytest.mark.parametrize("name", ["valid", "zip64", "bundle"])
def test_name_and_version_come_from_the_manifest(name: str) -> None:
    """Of a package and of a bundle, both of which the signature covers."""
    assert facts((FIXTURES / "msix" / f"{name}.msix").read_bytes()).product == Product("Example.Tool", "1.2.3.0")


@pytest.mark.parametrize("name", ["valid", "zip64"])
def test_only_the_signatures_own_entry_is_uncovered(name: str) -> None:
    """Its entry and its directory record, and not a byte more."""
    data = (FIXTURES / "msix" / f"{name}.msix").read_bytes()
    coverage = facts(data).coverage
    record = records_of(read_directory(BytesSource(data), LIMITS))[-1]
    assert coverage.covered_bytes == len(data) - (record.end - record.start) - len(record.central)
    assert [one.inert for one in coverage.uncovered] == [True, True]


def without_last(data: bytes) -> tuple[bytes, bytes]:
    """The end records as digested without the last member, and those of an archive that never had it."""
    directory = read_directory(BytesSource(data), LIMITS)
    return end_records_without(directory, records_of(directory)[-1]), data


def test_the_end_record_is_digested_as_it_was_before_signing() -> None:
    """Without the last member, counts, size and offset are those of the archive that never had it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", b"1")
        before = buffer.tell()
        archive.writestr("b", b"2")
    alone = io.BytesIO()
    with zipfile.ZipFile(alone, "w") as archive:
        archive.writestr("a", b"1")
    assert before
    assert without_last(buffer.getvalue())[0] == alone.getvalue()[-22:]


def test_long_end_records_are_digested_as_they_were_before_signing() -> None:
    """The same for zip64: the long record and its locator change, the short one goes on referring to them."""
    whole, fewer = as_makeappx(package({"a": b"1", "b": b"2"})), as_makeappx(package({"a": b"1", "b": b"2"}))
    directory = read_directory(BytesSource(whole), LIMITS)
    last = records_of(directory)[-1]
    found = end_records_without(directory, last)
    count, again, size, start = struct.unpack_from("<QQQQ", found, 24)
    assert (count, again) == (len(directory.members) - 1,) * 2
    assert (size, start) == (len(directory.tail) - 98 - len(last.central), last.start)
    assert found[56:76] == b"PK\x06\x07" + struct.pack("<IQI", 0, start + size, 1)
    assert found[76:] == fewer[-22:]


@pytest.mark.parametrize("at", [4, 6])
def test_disk_numbers_of_the_short_record_are_digested_as_zeros(at: int) -> None:
    """Microsoft's packer writes all ones there, and digests zeros."""
    data = bytearray(as_makeappx(package()))
    data[len(data) - 22 + at : len(data) - 20 + at] = b"\xff\xff"
    assert without_last(bytes(data))[0][80:84] == bytes(4)


@pytest.mark.parametrize(
    "data",
    [
        b"<Map/>",
        (HEAD + '<File Name="a" Size="1"/></BlockMap>').encode(),
        (HEAD + '<File Name="a" Size="0"/><File Name="a" Size="0"/></BlockMap>').encode(),
        (HEAD + '<File Name="a\\b" Size="0"/><File Name="a/b" Size="0"/></BlockMap>').encode(),
        (HEAD + '<File Size="0"/></BlockMap>').encode(),
        (HEAD + '<File Name="a" Size="-1"/></BlockMap>').encode(),
        (HEAD + '<File Name="a" Size="1"><Block Hash="AAAA"/></File></BlockMap>').encode(),
        (HEAD + '<File Name="a" Size="1"><Block Hash="!"/></File></BlockMap>').encode(),
        (HEAD + '<File Name="a" Size="0" LfhSize="x"/></BlockMap>').encode(),
    ],
)
def test_a_block_map_that_can_be_read_in_two_ways_is_malformed(data: bytes) -> None:
    """Every file once, with as many digests as its size needs."""
    with pytest.raises(MalformedError):
        parse_block_map(data)


def test_a_block_map_by_another_digest_is_unsupported() -> None:
    """SHA-256, SHA-384 and SHA-512 are all there are."""
    with pytest.raises(UnsupportedError):
        parse_block_map(b'<BlockMap HashMethod="http://www.w3.org/2000/09/xmldsig#sha1"/>')


def test_a_name_that_does_not_decode_is_malformed() -> None:
    """Names are percent-encoded UTF-8."""
    with pytest.raises(MalformedError):
        part_name("a%ff")


def test_two_members_that_decode_to_one_name_are_malformed() -> None:
    """The archive's two names are one file to the installer."""
    signed = zipfile.ZipFile(io.BytesIO(VALID)).read("AppxSignature.p7x")
    files = FILES | {"Assets/a logo.png": b"other"}
    problem = facts(package(files | {"AppxSignature.p7x": signed}, FILES)).problem
    assert problem is not None
    assert problem.reason.value == "malformed"


@given(st.lists(st.integers(min_value=0, max_value=3 * BLOCK_BYTES), max_size=4))
def test_blocks_are_of_64_kib_however_the_content_arrives(sizes: list[int]) -> None:
    """The digests depend on the content alone, not on the pieces in which it comes."""
    digests = BlockDigests("sha256")
    for size in sizes:
        digests.update(b"x" * size)
    whole = b"x" * sum(sizes)
    assert digests.blocks == tuple(
        hashlib.sha256(whole[at : at + BLOCK_BYTES]).digest() for at in range(0, len(whole), BLOCK_BYTES)
    )


STATED = {tag: bytes(32) for tag in (b"AXPC", b"AXCD", b"AXCT", b"AXBM")}


@pytest.mark.parametrize(
    "stated",
    [
        b"",
        b"APPX",
        appx_digests.joined(STATED)[:-1],
        b"APPY" + appx_digests.joined(STATED)[4:],
        appx_digests.joined({tag: STATED[tag] for tag in (b"AXPC", b"AXCD", b"AXCT")}),
        appx_digests.joined(STATED | {b"AXXX": bytes(32)}),
        appx_digests.joined(STATED) + b"AXPC" + bytes(32),
    ],
)
def test_a_statement_that_is_not_of_a_packages_digests_is_malformed(stated: bytes) -> None:
    """The four that every package has, perhaps the fifth, each once."""
    with pytest.raises(MalformedError):
        appx_digests.parse_digests(stated, "sha256")


def test_a_statement_is_read_as_it_stands() -> None:
    """The order of the digests is the signer's."""
    assert list(appx_digests.parse_digests(appx_digests.joined(STATED), "sha256")) == list(STATED)


@pytest.mark.parametrize(
    "manifest",
    [
        b"<Package/>",
        b'<Other><Identity Name="a" Version="1.0"/></Other>',
        MANIFEST.replace(b"1.2.3.0", b"x"),
        b"<!DOCTYPE a><a/>",
    ],
)
def test_a_manifest_without_an_identity_names_no_product(manifest: bytes) -> None:
    """One identity with a name and a version of numbers."""
    with pytest.raises(MalformedError):
        identity_of(manifest)


@given(st.binary(max_size=200))
def test_no_bytes_make_the_readers_raise_anything_else(data: bytes) -> None:
    """Whatever stands in block map, statement or manifest gives a value or one of the three errors."""
    for reader in (
        lambda: parse_block_map(data),
        lambda: identity_of(data),
        lambda: appx_digests.parse_digests(data, "sha512"),
    ):
        try:
            reader()
        except READ_ERRORS:
            continue


@given(st.integers(min_value=0, max_value=len(VALID) - 1), st.binary(max_size=4))
def test_a_changed_package_is_read_or_refused(position: int, put: bytes) -> None:
    """A package with bytes put into it gives facts, never an exception."""
    assert facts(VALID[:position] + put + VALID[position + len(put) :]).size == max(len(VALID), position + len(put))


def test_the_block_map_of_the_fixtures_is_read() -> None:
    """What the generator writes is what is read: names decoded, two blocks of the large file."""
    mapped = parse_block_map(block_map(FILES))
    assert {name: len(file.blocks) for name, file in mapped.files.items()} == {
        "App.exe": 2,
        "Assets/a logo.png": 1,
        "AppxManifest.xml": 1,
    }


def test_packages_in_an_unsigned_bundle_are_told_by_themselves() -> None:
    """A bundle that nobody signed stays unsigned, and says of the packages inside who signed those."""
    bundle = package({"inner.appx": VALID, "AppxMetadata/AppxBundleManifest.xml": BUNDLE}, {})
    found = facts(bundle)
    assert (found.signatures, [member.name for member in found.members]) == ((), ["inner.appx"])
    assert found.members[0].facts.signatures[0].content_matches
