from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import json
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.packages.judged import detached_cms, judged
from tests.packages.pki import make_pki
from tests.trust_store.package_craft import LIMITS, read
from trust_store.decode import cab_files
from trust_store.decode.cab_files import block_checksum, contents, read_directory
from trust_store.decode.firmware_metainfo import parse_metainfo
from trust_store.decode.jcat import JcatItem, parse_jcat
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError, UnsupportedError
from trust_store.formats.readers import fwupd
from trust_store.formats.streaming import BytesSource
from trust_store.model.package_facts import Product
from trust_store.model.verdict import Reason

FIXTURES = Path(__file__).parent / "fixtures" / "fwupd"
STORED, PACKED = ((FIXTURES / name).read_bytes() for name in ("pkcs7.cab", "mszip.cab"))


def jcat(*items: dict[str, object], version: int = 0) -> bytes:
    """A catalogue of these items."""
    return gzip.compress(
        json.dumps({"JcatVersionMajor": version, "JcatVersionMinor": 1, "Items": list(items)}).encode(), mtime=0
    )


def cabinet(
    *files: tuple[str, int, int],
    data: bytes = b"0123456789",
    flags: int = 0,
    compression: int = 0,
    attributes: int = 0x20,
) -> bytes:
    """A cabinet with one folder of one stored block; files are (name, offset, size)."""
    entries = b"".join(
        struct.pack("<IIHHHH", size, at, 0, 0, 0, attributes) + name.encode() + b"\0" for name, at, size in files
    )
    files_at = 36 + 8
    data_at = files_at + len(entries)
    block = struct.pack("<IHH", 0, len(data), len(data)) + data
    head = struct.pack(
        "<4sIIIIIBBHHHHH", b"MSCF", 0, data_at + len(block), 0, files_at, 0, 3, 1, 1, len(files), flags, 0, 0
    )
    return head + struct.pack("<IHH", data_at, 1, compression) + entries + block


def unpacked(data: bytes) -> dict[str, bytes]:
    """All files of a cabinet."""
    source = BytesSource(data)
    return {file.name: b"".join(pieces) for file, pieces in contents(source, read_directory(source))}


def test_stored_and_mszip_hold_the_same() -> None:
    """What gcab stores and what it packs unpack to the same files."""
    stored, packed = unpacked(STORED), unpacked(PACKED)
    assert stored["firmware.bin"] == packed["firmware.bin"] == b"device firmware " * 40


def test_files_of_a_crafted_cabinet() -> None:
    """Files follow one another in the folder; a backslash parts folders."""
    assert unpacked(cabinet(("a\\b", 0, 4), ("c", 4, 6))) == {"a/b": b"0123", "c": b"456789"}


@pytest.mark.parametrize(
    "data",
    [
        cabinet(("a", 0, 4), ("b", 3, 7)), cabinet(("a", 0, 4), ("b", 5, 5)), cabinet(("a", 0, 11)), cabinet(("a", 0, 9)),
        cabinet(("../a", 0, 10)), cabinet(("a", 0, 10))[:-1], cabinet(("a", 0, 10), compression=1), cabinet(("\xe9", 0, 10)),
        cabinet(("a", 0, 10)).replace(b"a\0", b"aa"), b"MSCF" + bytes(10), STORED.replace(b"device firmware", b"Device firmware", 1),
    ],
)  # fmt: skip
def test_cabinets_that_programs_read_differently(data: bytes) -> None:
    """Files that overlap, leave gaps or go past the end, names and blocks that are none, a wrong checksum: malformed."""
    with pytest.raises(MalformedError):
        unpacked(data)


@pytest.mark.parametrize("data", [cabinet(("a", 0, 10), flags=1), cabinet(("a", 0, 10), compression=3)])
def test_cabinets_that_are_not_read(data: bytes) -> None:
    """A cabinet that is one of a set, and LZX, are of a kind that is not read."""
    with pytest.raises(UnsupportedError):
        unpacked(data)


@given(st.binary(max_size=300), st.integers(0, 0xFFFFFFFF))
def test_checksum(data: bytes, seed: int) -> None:
    """The folded checksum is the word by word one of the description."""
    value = seed
    for at in range(0, len(data) // 4 * 4, 4):
        value ^= int.from_bytes(data[at : at + 4], "little")
    assert block_checksum(data, seed) == value ^ int.from_bytes(data[len(data) // 4 * 4 :], "big")


def test_names_are_capped() -> None:
    """A directory with too many files is not read."""
    data = cabinet(("a", 0, 10))
    with pytest.raises(ResourceLimitError):
        read_directory(BytesSource(data[:28] + struct.pack("<H", cab_files.MAX_FILES + 1) + data[30:]))


def test_jcat_items() -> None:
    """Names, aliases, checksums and signatures, as text and in base64."""
    blobs = [
        {"Kind": 1, "Flags": 1, "Data": "AB"},
        {"Kind": 3, "Flags": 0, "Target": 1, "Data": "eHg="},
        {"Kind": 6, "Flags": 1, "Data": ""},
    ]
    item = parse_jcat(jcat({"Id": "a", "AliasIds": ["b"], "Blobs": blobs}))[0]
    assert isinstance(item, JcatItem)
    assert (item.names, list(item.checksums())) == (("a", "b"), [("sha256", "ab")])
    assert [(blob.kind, blob.target, blob.data) for blob in item.signatures] == [(3, 1, b"xx")]


@pytest.mark.parametrize(
    "data",
    [
        b"{}", jcat({"Blobs": []}), jcat({"Id": "a"}, {"Id": "a"}), jcat({"Id": "a", "AliasIds": ["a"]}), jcat({"Id": "a", "Blobs": [1]}),
        jcat({"Id": "a", "Blobs": [{"Kind": "3", "Data": ""}]}), jcat({"Id": "a", "Blobs": [{"Kind": 3, "Flags": 0, "Data": "!"}]}),
        jcat({"Id": "a", "AliasIds": 1}),
    ],
)  # fmt: skip
def test_catalogues_that_are_none(data: bytes) -> None:
    """Items without a name or with one that another has, and blobs that are none: malformed."""
    with pytest.raises(MalformedError):
        parse_jcat(data)


def test_other_versions_and_too_much() -> None:
    """Another major version is not read; counts are capped."""
    with pytest.raises(UnsupportedError):
        parse_jcat(jcat(version=1))
    with pytest.raises(ResourceLimitError):
        parse_jcat(jcat(*({"Id": str(n)} for n in range(1025))))


def test_product_is_what_the_signed_metadata_says() -> None:
    """Component and release stand in the metadata; where that is not signed, they count for nothing."""
    assert read(STORED).product == Product("org.example.fixture.firmware", "1.2.3")
    assert read((FIXTURES / "part.cab").read_bytes()).product is None


def test_each_file_is_a_part_of_its_own() -> None:
    """A signature over one file says nothing of another."""
    facts = read((FIXTURES / "both.cab").read_bytes())
    assert {(fact.part, fact.scheme) for fact in facts.signatures} == {
        (part, scheme) for part in ("firmware.bin", "firmware.metainfo.xml") for scheme in ("cms", "openpgp")
    }


def test_bombs() -> None:
    """A cabinet whose files are said to be far larger than itself is not unpacked."""
    huge = cabinet(("x.metainfo.xml", 0, 0x7FFFFFFF))
    facts = read(huge)
    assert facts.format == "fwupd"
    assert facts.problem is not None
    assert facts.problem.reason is Reason.RESOURCE_LIMIT


@settings(max_examples=200)
@given(st.sampled_from([STORED, PACKED]), st.integers(0, 2000), st.binary(min_size=1, max_size=4))
def test_broken_archives_raise_nothing_else(whole: bytes, position: int, data: bytes) -> None:
    """Whatever stands in an archive, only the three errors come out."""
    source = BytesSource(whole[:position] + data + whole[position + len(data) :])
    fwupd.recognises(source, LIMITS)
    with contextlib.suppress(*READ_ERRORS):
        fwupd.read(source, (), LIMITS)


PKI = make_pki(kind="p256")
OLD, NEW = b"firmware 1 ", b"firmware 2 "


def metainfo(*checksums: tuple[str, str, bytes]) -> bytes:
    """Metadata with one release; checksums are (target, file, content)."""
    said = "".join(
        f'<checksum type="sha256" target="{target}" filename="{name}">{hashlib.sha256(content).hexdigest()}</checksum>'
        for target, name, content in checksums
    )
    release = f'<release version="2">{said}<checksum target="content" filename="x"/></release>'
    return f"<component><id>org.fixture</id><releases>{release}</releases></component>".encode()


def signed(files: dict[str, bytes], **others: bytes) -> bytes:
    """An archive in which each of ``files`` is signed; ``others`` are not (an underscore stands for a point)."""
    items: list[dict[str, object]] = []
    for name, content in files.items():
        value = base64.b64encode(detached_cms(content, PKI)).decode()
        items.append({"Id": name, "Blobs": [{"Kind": 3, "Flags": 0, "Data": value}]})
    held = {**files, "fixture.jcat": jcat(*items), **{name.replace("_", "."): data for name, data in others.items()}}
    at, entries = 0, []
    for name, content in held.items():
        entries.append((name, at, len(content)))
        at += len(content)
    return cabinet(*entries, data=b"".join(held.values()))


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ((), Reason.TRUSTED),
        ((("content", "firmware.bin", NEW),), Reason.TRUSTED),
        ((("container", "fixture.cab", OLD), ("content", "firmware.bin", NEW)), Reason.TRUSTED),
        ((("content", "firmware.bin", OLD),), Reason.INVALID_SIGNATURE),
        ((("content", "firmware.bin", NEW), ("content", "firmware.bin", OLD)), Reason.INVALID_SIGNATURE),
        ((("content", "absent.bin", NEW),), Reason.INVALID_SIGNATURE),
    ],
)
def test_payload_of_another_archive(said: tuple[tuple[str, str, bytes], ...], reason: Reason, tmp_path: Path) -> None:
    """A payload that is signed, and not the one that the signed metadata has the checksum of, is from another archive."""
    made = signed({"firmware.bin": NEW, "fixture.metainfo.xml": metainfo(*said)})
    assert judged(tmp_path, made, (PKI.root.pem,)).reason is reason


def test_signature_file_that_is_none(tmp_path: Path) -> None:
    """A file that is only called like a signature is content that nobody signed."""
    made = signed({"firmware.bin": NEW, "fixture.metainfo.xml": metainfo()}, firmware_bin_asc=b"anything at all")
    assert judged(tmp_path, made, (PKI.root.pem,)).reason is Reason.UNCOVERED_CONTENT


@pytest.mark.parametrize("value", ["ab", "g" * 64])
def test_checksum_that_is_none(value: str) -> None:
    """A checksum of no known length, or not in hex, is malformed."""
    with pytest.raises(MalformedError):
        parse_metainfo(
            metainfo(("content", "f", b"")).replace(hashlib.sha256(b"").hexdigest().encode(), value.encode())
        )


@given(st.binary(max_size=200))
def test_any_bytes_as_metadata(data: bytes) -> None:
    """Any bytes whatever are metadata or one of the three errors."""
    with contextlib.suppress(*READ_ERRORS):
        parse_metainfo(b"<component>" + data + b"</component>")


def test_files_with_long_names_are_parts_of_their_own(tmp_path: Path) -> None:
    """Names are nobody's word: a signed file may be called so that its name begins, and is as long, as one that a stranger signed."""
    stranger = make_pki(kind="p256")
    files = {"n" * 210 + "b.bin": OLD, "n" * 210 + "c.bin": NEW, "n" * 210 + ".metainfo.xml": metainfo()}
    items, at, entries = [], 0, []
    for name, content in files.items():
        signer = PKI if content == OLD else stranger
        blob = {"Kind": 3, "Flags": 0, "Data": base64.b64encode(detached_cms(content, signer)).decode()}
        items.append({"Id": name, "Blobs": [blob]})
    held = {**files, "fixture.jcat": jcat(*items)}
    for name, content in held.items():
        entries.append((name, at, len(content)))
        at += len(content)
    verdict = judged(tmp_path, cabinet(*entries, data=b"".join(held.values())), (PKI.root.pem,))
    assert verdict.reason is Reason.UNKNOWN_ROOT
