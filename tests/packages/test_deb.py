from __future__ import annotations

import gzip
import io
import lzma
import tarfile
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.packages.generate.deb_craft import archive, entry, split
from tests.packages.table import FIXTURES
from trust_store.decode.ar import MAGIC, read_members
from trust_store.decode.deb822 import MAX_LINES, parse_paragraph
from trust_store.decode.deb_package import listed_members, product_of, read_control
from trust_store.decode.zstd_frame import frame_end
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError, UnsupportedError
from trust_store.formats.protocol import Reading, ReadLimits
from trust_store.formats.readers import deb
from trust_store.formats.streaming import BytesSource, SourceChangedError
from trust_store.model.package_facts import Product, Uncovered

VALID = (FIXTURES / "deb" / "valid.deb").read_bytes()
PLAIN = split(VALID)
NONE = split((FIXTURES / "deb" / "none.deb").read_bytes())
ZSTD = split((FIXTURES / "deb" / "zstd.deb").read_bytes())


def read(data: bytes, limits: ReadLimits | None = None) -> Reading:
    """The package in ``data``."""
    return deb.read(BytesSource(data), (), limits or ReadLimits())


def fixture(name: str) -> Reading:
    """The package of a fixture."""
    return read((FIXTURES / "deb" / f"{name}.deb").read_bytes())


def control(*files: tuple[str, bytes]) -> bytes:
    """A control archive, not compressed."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def test_the_control_file_states_the_product() -> None:
    """Package and version come from the signed control file, whatever the member is compressed with but zstd."""
    for name in ("valid", "gzip", "none"):
        assert fixture(name).product == Product("fixture", "1:2.3-4")
    assert fixture("zstd").product is None


def test_an_unsigned_package_is_no_product() -> None:
    """Metadata that nobody signed says nothing of what a package is."""
    assert fixture("unsigned").product is None


def test_only_the_contents_of_three_members_are_covered() -> None:
    """The map has every header and signature as uncovered and inert, and nothing else."""
    coverage = fixture("valid").coverage
    start = len(MAGIC) + 60
    assert coverage.covered_bytes == len(PLAIN.signed)
    assert coverage.uncovered[0] == Uncovered(start=0, end=start, inert=True)
    assert coverage.covered_bytes + sum((u.end or 0) - (u.start or 0) for u in coverage.uncovered) == len(VALID)


def test_members_that_nobody_signed_are_named() -> None:
    """A further member is uncovered content by its name."""
    assert Uncovered(member="_extra") in fixture("more_members").coverage.uncovered


def test_the_second_reader_is_given_what_each_signature_is_over() -> None:
    """A detached signature is over the three contents, a list over its own text."""
    reading = fixture("list_beside_signature")
    assert reading.signed == {0: PLAIN.signed}
    assert reading.signatures[1].signed.startswith(b"Version: 4\r\n")


def test_a_list_binds_the_package_by_sha1() -> None:
    """Whatever digest the signature over the list is by, the package hangs on SHA-1 and MD5."""
    (fact,) = fixture("list_by_sha1").signatures
    assert (fact.content_matches, fact.digest_algorithm) == (True, "sha1")


def test_a_last_member_without_padding_is_read() -> None:
    """Not every writer pads the member at the end of the file."""
    odd = replace(PLAIN, data=PLAIN.data[: len(PLAIN.data) - 1 + len(PLAIN.data) % 2]).package()
    assert len(odd) % 2 == 0
    assert read_members(BytesSource(odd[:-1]), max_members=9)[-1].name == PLAIN.data_name


def test_a_name_with_a_slash_at_its_end_is_the_name() -> None:
    """System V and GNU ar end names with a slash, which dpkg takes off."""
    (member,) = read_members(BytesSource(archive(entry("debian-binary/", b"2.0\n"))), max_members=9)
    assert member.name == "debian-binary"


@pytest.mark.parametrize(
    "data",
    [
        b"", b"!<arch>\r", archive(b"x"), archive(entry("a", b"12", size=3)), archive(entry("a", b"1", padding=b"\0")),
        archive(entry("#1/20", b"")), archive(entry("//", b"")), archive(entry("a b", b"")), archive(entry("", b"")),
        archive(entry("a", b"").replace(b"100644", b"100648")), archive(entry("a", b"").replace(b"`\n", b"`\r")),
        archive(entry("a", b""), entry("A", b"")), archive(entry("a", b"").replace(b"0         `", b"-1        `")),
        archive(entry("a", b"").replace(b"0         `", b"          `")), archive(entry("../a", b"")),
    ],
)  # fmt: skip
def test_an_archive_that_programs_read_differently_is_malformed(data: bytes) -> None:
    """Long names, other padding, sizes and names that are not plain, colliding names and bytes outside members are refused."""
    with pytest.raises(MalformedError):
        read_members(BytesSource(data), max_members=9)


def test_members_are_capped() -> None:
    """An archive of very many members is a resource limit."""
    with pytest.raises(ResourceLimitError):
        read_members(BytesSource(archive(*(entry(f"a{n}", b"") for n in range(10)))), max_members=9)


@pytest.mark.parametrize(
    "version", [b"", b"2.0", b"2.0\n\n", b"3.0\n", b"2.0\nx", b" 2.0\n", b"2.0000\n", b"2.0\n" * 300]
)
def test_another_version_line_is_malformed(version: bytes) -> None:
    """debian-binary is one line with a version 2 and nothing else, since nothing signs where it ends."""
    with pytest.raises(MalformedError, match="debian-binary"):
        read(replace(PLAIN, version=version).package())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("control.tar.gz", gzip.compress(control(("control", b"A: b\n"))) + b"x"),
        ("control.tar.gz", gzip.compress(control(("control", b"A: b\n"))) * 2),
        ("control.tar.xz", lzma.compress(control(("control", b"A: b\n"))) + b"\0" * 4),
        ("control.tar.xz", gzip.compress(control(("control", b"A: b\n")))),
        ("control.tar", control(("control", b"A: b\n")) + b"x" * 512),
        ("control.tar.zst", ZSTD.control + b"x"),
        ("control.tar.gz", b""),
        ("control.tar", control(("control", b"A: b\nA: c\n"))),
        ("control.tar", control(("control", b"A: b\n"), ("./control", b"A: c\n"))),
        ("control.tar", control(("../control", b"A: b\n"))),
    ],
)
def test_a_control_member_that_is_not_one_archive_is_malformed(name: str, content: bytes) -> None:
    """Exactly one stream, compressed as the name says, with one control file: else the border to the data could be elsewhere."""
    with pytest.raises(MalformedError):
        read_control(name, content)


def test_a_control_archive_that_unpacks_to_very_much_is_a_resource_limit() -> None:
    """A bomb is given up before it has been unpacked."""
    with pytest.raises(ResourceLimitError):
        read_control("control.tar.gz", gzip.compress(bytes(80 * 1024 * 1024)))


def test_a_large_control_member_is_a_resource_limit() -> None:
    """The control member is kept in memory, up to the cap on manifests."""
    with pytest.raises(ResourceLimitError):
        read(VALID, ReadLimits(max_manifest_bytes=10))


def test_a_large_signature_is_a_resource_limit() -> None:
    """So is a signature."""
    with pytest.raises(ResourceLimitError):
        read(PLAIN.package(entry("_gpgorigin", bytes(8 * 1024 * 1024 + 1))))


def test_a_control_file_without_names_is_no_product() -> None:
    """Where Package or Version is missing, nothing is stated."""
    assert product_of({"package": "a"}) is None
    assert product_of({"package": "a", "version": "1"}) == ("a", "1")


@pytest.mark.parametrize(
    "line",
    [
        b" x",
        b" 00 00 1 a",
        b" " + b"0" * 32 + b" " + b"0" * 40 + b" 1 a\n" + b" " + b"0" * 32 + b" " + b"1" * 40 + b" 1 a",
    ],
)
def test_a_list_of_anything_else_is_malformed(line: bytes) -> None:
    """Lines of a dpkg-sig list are MD5, SHA-1, size and name, and no member stands twice."""
    with pytest.raises(MalformedError):
        listed_members(b"Files:\n" + line + b"\n")


def test_a_zstd_frame_ends_where_its_blocks_do() -> None:
    """The end of the frame is found without unpacking it, with more behind it too."""
    assert frame_end(ZSTD.control) == len(ZSTD.control)
    assert frame_end(ZSTD.control + b"more") == len(ZSTD.control)
    for cut in range(len(ZSTD.control)):
        with pytest.raises(MalformedError):
            frame_end(ZSTD.control[:cut])


class Changing(BytesSource):
    """A file in which a byte is another one after some reads."""

    def __init__(self, data: bytes, position: int, reads: int) -> None:
        super().__init__(data)
        self._changed, self._left = bytes([*data[:position], data[position] ^ 1, *data[position + 1 :]]), reads

    def read_at(self, offset: int, length: int) -> bytes:
        self._left -= 1
        if self._left < 0:
            return BytesSource(self._changed).read_at(offset, length)
        return super().read_at(offset, length)


@pytest.mark.parametrize("position", [9, 8 + 60 + 4 + 50, len(VALID) - 5])
def test_a_file_that_changes_while_it_is_read_is_unreadable(position: int) -> None:
    """Headers and signatures that were looked at before the pass must be the same in it."""
    count = 0

    class Counting(BytesSource):
        def read_at(self, offset: int, length: int) -> bytes:
            nonlocal count
            count += 1
            return super().read_at(offset, length)

    deb.read(Counting(VALID), (), ReadLimits())
    with pytest.raises(SourceChangedError):
        deb.read(Changing(VALID, position, count - 1), (), ReadLimits())


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_with_a_reading_error(data: bytes) -> None:
    """Whatever an archive holds, only the three errors of a reader come of it."""
    for one in (
        MAGIC + data,
        archive(entry("debian-binary", b"2.0\n")) + data,
        PLAIN.package(entry("_gpgorigin", data)),
    ):
        try:
            read(one)
        except READ_ERRORS:
            continue
        assert one.startswith(MAGIC)


@given(st.sampled_from(["control.tar", "control.tar.gz", "control.tar.xz", "control.tar.zst"]), st.binary(max_size=300))
def test_any_control_member_is_read_or_refused(name: str, data: bytes) -> None:
    """Only the three errors of a reader come of a control member, with or without the magic it should have."""
    for one in (data, b"\x1f\x8b\x08\0" + data, b"\xfd7zXZ\0" + data, ZSTD.control[:8] + data):
        try:
            read_control(name, one)
        except (MalformedError, UnsupportedError, ResourceLimitError):
            continue
        assert name.endswith(".zst") or one


@given(st.integers(0, len(VALID) - 1), st.integers(0, 255))
def test_a_changed_package_is_read_or_refused(position: int, value: int) -> None:
    """A byte of a genuine package changed gives a reading or one of the three errors."""
    try:
        read(bytes([*VALID[:position], value, *VALID[position + 1 :]]))
    except READ_ERRORS:
        return


def test_the_end_of_the_control_archive_is_no_data_member() -> None:
    """Zeros moved from the end of an uncompressed control archive to the data member leave what is signed as it is: malformed."""
    padded = replace(NONE, control=NONE.control + bytes(10_240), data_name="data.tar")
    moved = replace(padded, control=NONE.control, data=bytes(10_240) + NONE.data)
    assert moved.signed == padded.signed
    assert read(padded.package()).problem is None
    with pytest.raises(MalformedError, match="not compressed as its name says"):
        read(moved.package())


def test_a_large_control_file_is_a_resource_limit() -> None:
    """A short member can unpack to millions of lines, which take much memory: the control file may have one MiB."""
    with pytest.raises(ResourceLimitError, match="control file"):
        read_control("control.tar", control(("control", b"Package: a\n" + b" \n" * 600_000)))
    with pytest.raises(ResourceLimitError, match="lines"):
        parse_paragraph(b"Package: a\n" + b" \n" * (MAX_LINES + 1))
