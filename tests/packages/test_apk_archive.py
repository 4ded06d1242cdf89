"""How the archive of an APK is read: as Android reads it, and under v1 without anything that a signature does not cover."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest

from tests.packages import apk_signing as signing
from tests.packages.android_xml import android_manifest
from tests.packages.apk_craft import signed_apk, split_apk
from tests.packages.pki import Issued, issue
from tests.packages.test_apk import (
    EC,
    FOLDER,
    PACKAGE_FOR_ALL,
    PLAIN,
    holds,
    only,
    read,
    v1_signed,
)
from trust_store.model.verdict import Reason


@pytest.fixture(scope="module")
def one() -> Issued:
    """A signer."""
    return issue("One", kind="p256")


def test_nothing_stands_before_the_first_entry(one: Issued) -> None:
    """An archive that starts with something else is malformed though its signature covers it (CVE-2017-13156)."""
    parts = split_apk(PLAIN)
    dex = b"dex\n035\0".ljust(64, b"\0")
    directory, position = bytearray(parts.directory), 0
    while position < len(directory):
        (offset,) = struct.unpack_from("<I", directory, position + 42)
        struct.pack_into("<I", directory, position + 42, offset + len(dex))
        position += 46 + sum(struct.unpack_from("<HHH", directory, position + 28))
    moved = signed_apk(dex + parts.entries, b"", bytes(directory), parts.entries_count)
    problem = read(signing.v2_signed(moved, one, EC)).problem
    assert problem is not None
    assert problem.reason is Reason.MALFORMED


def test_names_that_differ_in_case_alone(one: Issued) -> None:
    """Shrinkers of resources write such names, Android tells them apart, and so does this; equal names are malformed."""
    assert {"res/layout/a.xml", "res/layout/A.xml"} <= set(zipfile.ZipFile(io.BytesIO(PLAIN)).namelist())
    assert holds(only(read(signing.v2_signed(PLAIN, one, EC))))
    twice = PLAIN.replace(b"res/layout/A.xml", b"res/layout/a.xml")
    problem = read(signing.v2_signed(twice, one, EC)).problem
    assert problem is not None
    assert problem.reason is Reason.MALFORMED


@pytest.mark.parametrize("name", [b"res/layout/\r.xml", b"res/../../a.xml", b"/es/layout/a.xml", b"res/layout/\0.xml"])
def test_names_that_no_archive_should_have(one: Issued, name: bytes) -> None:
    """Control characters, absolute names and ones that lead upwards are malformed."""
    changed = PLAIN.replace(b"res/layout/a.xml", name.ljust(16, b"x")[:16])
    problem = read(signing.v2_signed(changed, one, EC)).problem
    assert problem is not None
    assert problem.reason is Reason.MALFORMED


def test_methods_other_than_stored_are_deflated() -> None:
    """Android inflates whatever is not stored, and reads no method in local headers: v1 is judged by the same content."""
    data = (FOLDER / "v1.apk").read_bytes()
    assert all(map(holds, read(data).signatures))
    position = data.index(b"PK\x01\x02")
    changed = bytearray(data)
    while changed[position : position + 4] == b"PK\x01\x02":
        if struct.unpack_from("<H", changed, position + 10)[0] == 8:
            struct.pack_into("<H", changed, position + 10, 21)
        position += 46 + sum(struct.unpack_from("<HHH", changed, position + 28))
    facts = read(bytes(changed))
    assert facts.problem is None
    assert all(map(holds, facts.signatures))
    local = bytearray(data)
    struct.pack_into("<H", local, data.rindex(b"PK\x03\x04") + 8, 0)
    assert all(map(holds, read(bytes(local)).signatures))


@pytest.mark.parametrize(("gap", "inert"), [(bytes(64), True), (b"GARBAGE!" * 8, False)])
def test_what_lies_between_entries_and_directory(gap: bytes, inert: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Zeros are padding; anything else is uncovered where v1 alone is there."""
    parts = split_apk((FOLDER / "v1.apk").read_bytes())
    facts = read(signed_apk(parts.entries + gap, b"", parts.directory, parts.entries_count))
    assert all(map(holds, facts.signatures))
    assert all(uncovered.inert for uncovered in facts.coverage.uncovered) is inert


@pytest.mark.parametrize(
    ("offset", "value", "inert"),
    [(6, 8, False), (6, 1, False), (14, 1, False), (18, 5, False), (22, 5, False), (8, 0, True), (10, 7, True)],
)
def test_local_headers_that_contradict(offset: int, value: int, inert: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Sizes, checksum, encryption and where the sizes stand must agree under v1; Android reads neither method nor time there."""
    parts = split_apk((FOLDER / "v1.apk").read_bytes())
    entries = bytearray(parts.entries)
    struct.pack_into("<H", entries, entries.index(b"classes.dex") - 30 + offset, value)
    facts = read(signed_apk(bytes(entries), b"", parts.directory, parts.entries_count))
    assert all(map(holds, facts.signatures))
    assert all(uncovered.inert for uncovered in facts.coverage.uncovered) is inert


@pytest.mark.parametrize(("content", "inert"), [(b"", True), (b"something", False)])
def test_folders_that_hold_something(content: bytes, inert: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """A folder needs no signature of v1 as long as there is nothing in it."""
    data = (FOLDER / "v1.apk").read_bytes()
    buffer = io.BytesIO(data)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("assets/", content)
    facts = read(buffer.getvalue())
    assert all(map(holds, facts.signatures))
    assert all(uncovered.inert for uncovered in facts.coverage.uncovered) is inert


def test_v1_alone_with_a_manifest_that_cannot_be_read(one: Issued) -> None:
    """Whether v1 alone suffices is for the manifest to say: one that cannot be read says nothing, and does not pass."""
    readable = zipfile.ZipFile(io.BytesIO(PACKAGE_FOR_ALL)).read("AndroidManifest.xml")
    assert read(v1_signed({"AndroidManifest.xml": readable}, (one,))).problem is None
    problem = read(v1_signed({"AndroidManifest.xml": readable[:100]}, (one,))).problem
    assert problem is not None
    assert problem.reason is Reason.MALFORMED


@pytest.mark.parametrize(
    "name", ["META-INF/CERT.R\u017fA", "META-\u0131NF/CERT.SF", "META-INF/x/CERT.SF", "META-INF/SIG-x"]
)
def test_names_that_resemble_those_of_signatures(name: str) -> None:
    """Only what is letter for letter, in either case, a signature file with its block is exempt from being signed."""
    buffer = io.BytesIO((FOLDER / "v1.apk").read_bytes())
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(name, b"x")
    facts = read(buffer.getvalue())
    assert [gap.member for gap in facts.coverage.uncovered if not gap.inert] == [name]


class Unseekable(io.RawIOBase):
    """A stream that cannot go back, so that a writer states sizes after the content."""

    def __init__(self) -> None:
        self.data = b""

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Take some."""
        self.data += bytes(data)
        return len(data)


def test_data_descriptors(one: Issued) -> None:
    """Sizes after the content must be those of the central directory, whether or not their mark is there."""
    stream = Unseekable()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("AndroidManifest.xml", android_manifest(min_sdk=28))
        archive.writestr("classes.dex", b"dex" * 99)
    data = stream.data
    assert data.count(b"PK\x07\x08") == 2
    assert holds(only(read(signing.v2_signed(data, one, EC))))
    parts = split_apk(data)
    at = data.rindex(b"PK\x07\x08")
    short = signed_apk(parts.entries[:at] + parts.entries[at + 4 :], b"", parts.directory, parts.entries_count)
    assert holds(only(read(signing.v2_signed(short, one, EC))))
    for changed in (
        data[: at + 6] + bytes([data[at + 6] ^ 1]) + data[at + 7 :],
        short[: at + 2] + b"!!" + short[at + 4 :],
    ):
        problem = read(signing.v2_signed(changed, one, EC)).problem
        assert problem is not None
        assert problem.reason is Reason.MALFORMED
    cut = signed_apk(parts.entries[: at + 4], b"", parts.directory, parts.entries_count)
    assert read(signing.v2_signed(cut, one, EC)).problem is not None


def test_entries_that_overlap_or_have_another_name(one: Issued) -> None:
    """Two members at one place, content that reaches into what follows, and another name in the local header are malformed."""
    parts = split_apk(PLAIN)
    second = parts.first_record
    overlapping = bytearray(parts.directory)
    struct.pack_into("<I", overlapping, second + 42, 0)
    longer = bytearray(parts.directory)
    struct.pack_into("<I", longer, 20, 1 << 20)
    cases = [
        signed_apk(parts.entries, b"", bytes(overlapping), parts.entries_count),
        signed_apk(parts.entries, b"", bytes(longer), parts.entries_count),
        PLAIN.replace(b"classes.dex", b"classes.dey", 1),
    ]
    for data in cases:
        problem = read(signing.v2_signed(data, one, EC)).problem
        assert problem is not None
        assert problem.reason is Reason.MALFORMED


def test_long_padding_and_entries_that_only_reserve_room() -> None:
    """Zeros of any length are padding, and so is an entry without a name as packagers put it where room is to be kept."""
    parts = split_apk((FOLDER / "v1.apk").read_bytes())
    nameless = b"PK\x03\x04" + bytes(24) + struct.pack("<H", 40) + bytes(40)
    for gap, inert in (
        (bytes(200_000), True),
        (bytes(199_999) + b"x", False),
        (nameless, True),
        (nameless[:-1] + b"x", False),
    ):
        facts = read(signed_apk(parts.entries + gap, b"", parts.directory, parts.entries_count))
        assert all(uncovered.inert for uncovered in facts.coverage.uncovered) is inert
