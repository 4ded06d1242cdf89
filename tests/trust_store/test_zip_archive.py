from __future__ import annotations

import io
import os
import stat
import struct
import subprocess
import zipfile
import zlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trust_store.package_craft import LIMITS, archive, read
from trust_store.decode import zip_archive, zip_directory
from trust_store.decode.member_names import NameSet, check_name
from trust_store.decode.zip_archive import read_directory, walk
from trust_store.errors import MalformedError, ResourceLimitError, TrustStoreError, UnsupportedError
from trust_store.formats.streaming import BytesSource, PackageStream
from trust_store.model.verdict import Reason

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Sink:
    """Collects a member's content."""

    data: bytearray = field(default_factory=bytearray)

    def update(self, data: bytes, /) -> None:
        """Take a piece."""
        self.data += data


def unpack(data: bytes, limits: object = LIMITS) -> dict[str, bytes]:
    """Every member's content after the strict walk."""
    source = BytesSource(data)
    directory = read_directory(source, limits)  # type: ignore[arg-type]
    sinks: dict[str, Sink] = {}
    walk(PackageStream(source, ()), directory, lambda member: sinks.setdefault(member.name, Sink()))
    return {name: bytes(sink.data) for name, sink in sinks.items()}


@dataclass(frozen=True)
class Entry:
    """One member of a hand-made archive, with everything that can be lied about."""

    name: bytes = b"a"
    data: bytes = b"content"
    flags: int = 0
    method: int = 0
    made: int = 0x031E
    attributes: int = 0o100644 << 16
    size: int | None = None
    packed: bytes | None = None
    central_name: bytes | None = None
    central_flags: int | None = None
    central_crc: int | None = None
    local_extra: bytes = b""
    central_extra: bytes = b""
    local_values: tuple[int, int, int] | None = None
    after: bytes = b""
    disk: int = 0
    offset: int | None = None


def build(
    *entries: Entry, prefix: bytes = b"", gap: bytes = b"", end: bytes | None = None, comment: bytes = b""
) -> bytes:
    """An archive by hand: local headers, data, central directory, end record."""
    body, central = prefix, b""
    for entry in entries:
        packed = entry.data if entry.packed is None else entry.packed
        size = len(entry.data) if entry.size is None else entry.size
        crc = zlib.crc32(entry.data)
        offset = len(body) if entry.offset is None else entry.offset
        values = entry.local_values or (crc, len(packed), size)
        body += struct.pack(
            "<4sHHHHHIIIHH",
            b"PK\3\4",
            20,
            entry.flags,
            entry.method,
            0,
            0,
            *values,
            len(entry.name),
            len(entry.local_extra),
        )
        body += entry.name + entry.local_extra + packed + entry.after
        name = entry.name if entry.central_name is None else entry.central_name
        central += struct.pack(
            "<4sHHHHHHIIIHHHHHII", b"PK\1\2", entry.made, 20,
            entry.flags if entry.central_flags is None else entry.central_flags, entry.method, 0, 0,
            crc if entry.central_crc is None else entry.central_crc, len(packed), size, len(name),
            len(entry.central_extra), 0, entry.disk, 0, entry.attributes, offset,
        )  # fmt: skip
        central += name + entry.central_extra
    body += gap
    count = len(entries)
    record = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, count, count, len(central), len(body), len(comment))
    return body + central + (end or record) + comment


def test_hand_made_archive_is_good() -> None:
    """The archive that the hostile ones below differ from is good."""
    assert unpack(build(Entry(), Entry(b"b/", b"", attributes=0o40755 << 16))) == {"a": b"content", "b/": b""}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_python_archives(method: int) -> None:
    """What zipfile writes reads back the same, names in UTF-8 included."""
    members = {"a": b"x" * 100_000, "folder/ä.txt": b"", "folder/b": bytes(range(256)) * 9000, "empty/": b""}
    assert unpack(archive(members, method=method, comment=b"hello")) == members


class Unseekable(io.RawIOBase):
    """A pipe-like target, for which zipfile writes data descriptors."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: object, /) -> int:
        """Append."""
        self.data += bytes(data)  # type: ignore[call-overload]
        return len(bytes(data))  # type: ignore[call-overload]


@pytest.mark.parametrize("force_zip64", [False, True])
def test_data_descriptors_and_zip64(*, force_zip64: bool) -> None:
    """Streamed members with data descriptors, and members with zip64 sizes, read back the same."""
    target = Unseekable()
    for stream in (target, io.BytesIO()):
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as writer:
            for name in ("a", "b"):
                with writer.open(name, "w", force_zip64=force_zip64) as member:
                    member.write(b"content " * 1000)
        data = bytes(target.data) if stream is target else stream.getvalue()  # type: ignore[union-attr]
        assert unpack(data) == {"a": b"content " * 1000, "b": b"content " * 1000}


def zip64_end(data: bytes, *, entries: int = 1, shift: int = 0, disks: int = 1, length: int = 44) -> bytes:
    """``data`` with zip64 end records in front of its end record, which then refers to them."""
    end = data[-22:]
    size, start = struct.unpack_from("<II", end, 12)
    place = len(data) - 22
    record = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", length, 45, 45, 0, 0, entries, entries, size, start)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, place + shift, disks)
    short = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return data[:-22] + record + locator + short


def test_zip64_end_record() -> None:
    """A zip64 end record is read where its locator points, right before it, and must agree with the short record."""
    good = zip64_end(build(Entry()))
    assert unpack(good) == {"a": b"content"}
    contradicting = good[:-14] + b"\2\0\2\0" + good[-10:]
    for bad in (
        zip64_end(build(Entry()), shift=1),
        zip64_end(build(Entry()), length=45),
        zip64_end(build(Entry()), entries=2),
        contradicting,
        build(Entry(), end=good[-22:]),
        zip64_end(build(Entry()), disks=2),
    ):
        with pytest.raises(MalformedError):
            unpack(bad)


ZIP64 = struct.pack("<HHQ", 1, 8, 7)
HOSTILE: list[tuple[str, bytes]] = [
    ("duplicate", build(Entry(), Entry())),
    ("case collision", build(Entry(), Entry(b"A"))),
    ("normalisation collision", build(Entry("é".encode(), flags=0x800), Entry("e\u0301".encode(), flags=0x800))),
    ("folder twice", build(Entry(b"b/", b"", attributes=0), Entry(b"B/", b"", attributes=0))),
    ("file and folder", build(Entry(b"b"), Entry(b"b/c"))),
    ("file and stated folder", build(Entry(b"b"), Entry(b"b/", b"", attributes=0))),
    ("prefix", build(Entry(), prefix=b"MZ", end=None)),
    ("gap before the directory", build(Entry(), gap=b"x")),
    ("gap between members", build(Entry(after=b"x"), Entry(b"b"))),
    ("long gap between members", build(Entry(after=b"x" * 100), Entry(b"b"))),
    ("descriptor without flag", build(Entry(after=struct.pack("<III", zlib.crc32(b"content"), 7, 7)))),
    ("false descriptor", build(Entry(flags=8, after=struct.pack("<III", 1, 7, 7)))),
    ("missing descriptor", build(Entry(flags=8))),
    ("appended", build(Entry()) + b"x"),
    ("cut short", build(Entry())[:-1]),
    ("name differs", build(Entry(central_name=b"b"))),
    ("flags differ", build(Entry(central_flags=2))),
    ("checksum differs", build(Entry(central_crc=1))),
    ("local sizes differ", build(Entry(local_values=(zlib.crc32(b"content"), 6, 7)))),
    ("both checksums wrong", build(Entry(central_crc=1, local_values=(1, 7, 7)))),
    ("overlap", build(Entry(), Entry(b"b", offset=0))),
    ("overlap by size", build(Entry(packed=b"content", data=b"content"), Entry(b"b", offset=3))),
    ("first not at zero", build(Entry(offset=1))),
    ("order reversed", build(replace(Entry(), offset=38), replace(Entry(b"b"), offset=0))),
    ("symbolic link", build(Entry(attributes=(stat.S_IFLNK | 0o777) << 16))),
    ("device", build(Entry(attributes=(stat.S_IFBLK | 0o600) << 16))),
    ("folder by attributes", build(Entry(attributes=0x10))),
    ("folder by mode", build(Entry(attributes=0o40755 << 16))),
    ("file by mode", build(Entry(b"a/", b"", attributes=0o100644 << 16))),
    ("folder with content", build(Entry(b"a/", attributes=0))),
    ("stored with two sizes", build(Entry(size=8))),
    ("unknown flags", build(Entry(flags=0x0080))),
    ("inflates to less", build(Entry(method=8, packed=zlib.compress(b"content", wbits=-15), size=8))),
    ("inflates to more", build(Entry(method=8, packed=zlib.compress(b"content" * 9, wbits=-15), size=8))),
    ("no deflate", build(Entry(method=8, packed=b"\xff" * 9))),
    ("deflate cut short", build(Entry(method=8, packed=zlib.compress(b"content", wbits=-15)[:-2]))),
    ("deflate followed by more", build(Entry(method=8, packed=zlib.compress(b"content", wbits=-15) + b"x"))),
    ("extra field broken", build(Entry(central_extra=b"\7\0\x09\0x"))),
    ("extra field short", build(Entry(central_extra=b"\7\0\x09"))),
    ("two zip64 fields", build(Entry(central_extra=ZIP64 + ZIP64))),
    ("zip64 field without need", build(Entry(central_extra=ZIP64))),
    ("zip64 field missing", build(Entry(size=0xFFFFFFFF, local_values=(0, 7, 7)))),
    ("second name", build(Entry(central_extra=struct.pack("<HHBI", 0x7075, 6, 1, 0) + b"b"))),
    ("comment with a mark", build(Entry(), comment=b"PK\5\6")),
    ("member of a split archive", build(Entry(disk=1))),
    ("split archive", build(Entry(), end=struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 1, 1, 1, 47, 38, 0))),
    ("encrypted in the directory only", build(Entry(central_flags=1))),
    ("encrypted and elsewhere", build(Entry(flags=1, offset=1 << 20))),
    ("unpacks to the impossible", build(Entry(method=8, packed=b"xx", size=1 << 30))),
    ("two end records", build(Entry(), comment=build(Entry())[-22:])),
    ("directory longer", build(Entry(), end=struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 0, 0, 47, 38, 0))),
    ("directory shorter", build(Entry(), end=struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 2, 2, 47, 38, 0))),
    ("directory elsewhere", build(Entry(), end=struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, 40, 38, 0))),
    ("bytes before nothing", b"x" * 9 + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 0, 0, 0, 9, 0)),
    ("latin name", build(Entry(b"\xe4"))),
    ("collision in code page 437", build(Entry("ä".encode()), Entry("├ñ".encode(), flags=0x800))),
    ("not utf-8", build(Entry(b"\xff", flags=0x800))),
    *(
        (f"name {name!r}", build(Entry(name)))
        for name in (
            b"", b"/a", b"../a", b"a/../b", b"a/./b", b"a//b", b"a\\b", b"a\0", b"a\n", b"C:a", b".", b"..", b"a/..", b"\x7f",
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize("data", [data for _, data in HOSTILE], ids=[name for name, _ in HOSTILE])
def test_hostile_archives_are_malformed(data: bytes) -> None:
    """What two programs could read in two ways is refused."""
    with pytest.raises(MalformedError):
        unpack(data)


@pytest.mark.parametrize(
    "data",
    [
        build(Entry(flags=1)),
        build(Entry(flags=0x2000)),
        build(Entry(method=12)),
        build(Entry(central_extra=struct.pack("<HH", 0x9901, 0))),
        build(Entry(data=b"x" * 64), gap=b"APK Sig Block 42"),
    ],
)
def test_what_is_not_supported(data: bytes) -> None:
    """Encryption, other methods, split archives and APK Signing Blocks are unsupported rather than malformed."""
    with pytest.raises(UnsupportedError):
        unpack(data)


def test_native_archives(tmp_path: Path) -> None:
    """What Info-ZIP writes, to a file, as zip64, stored or in a locale without UTF-8, reads back the same."""
    folder = tmp_path / "files"
    (folder / "d").mkdir(parents=True)
    for name, data in (("a", b"hi"), ("d/b", b"x" * 100_000), ("ä", b""), ("e", bytes(10))):
        (folder / name).write_bytes(data)
    for number, options in enumerate(((), ("-fz",), ("-0",), ("-X", "-UN=UTF8"), ("-z",))):
        target = tmp_path / f"{number}.zip"
        for locale in ("C", "C.UTF-8"):
            target.unlink(missing_ok=True)
            subprocess.run(
                ["zip", "-q", "-r", *options, str(target), "."], cwd=folder, check=True, input=b"a comment\n.\n",
                env={"PATH": os.environ["PATH"], "LC_ALL": locale},
            )  # fmt: skip
            if not {"-z", "-fz"} & set(options):  # what zip -fz writes to a pipe lacks the record it refers to
                piped = subprocess.run(
                    ["zip", "-q", "-r", *options, "-", "."], cwd=folder, check=True, capture_output=True
                )
                assert read(piped.stdout).problem is None
            found = unpack(target.read_bytes())
            assert found == {"a": b"hi", "d/": b"", "d/b": b"x" * 100_000, "ä": b"", "e": bytes(10)}
            assert read(target.read_bytes()).format == "zip"


def test_zero_padding_in_extra_fields() -> None:
    """zipalign's padding is accepted, after other fields as well, and a field may end with zeros itself."""
    field = struct.pack("<HH", 0x5455, 5) + bytes(5)
    for extra in (b"\0\0\0", field, field + bytes(2), field * 2 + bytes(7)):
        assert unpack(build(Entry(local_extra=extra))) == {"a": b"content"}


def test_many_extra_fields_are_read_once() -> None:
    """The rest of the extra fields is not looked through anew for each of them."""
    fields = struct.pack("<HH", 0x5455, 0) * 16_383
    with patch.object(zip_directory, "any", create=True) as looked:
        assert zip_directory.parse_extra(fields, b"a") is None
    assert not looked.called


def test_caps() -> None:
    """Members, names, ratio and unpacked bytes are capped before anything is unpacked."""
    limits = replace(LIMITS, max_members=1, max_name_bytes=3, max_total_unpacked_bytes=8, max_member_ratio=2)
    for data in (
        build(Entry(), Entry(b"b")),
        build(Entry(b"abcd")),
        build(Entry(data=b"123456789")),
        build(Entry(method=8, packed=b"xx", size=5)),
        build(Entry(b"/".join([b"a"] * 200), b"")),
    ):
        with pytest.raises(ResourceLimitError):
            unpack(data, replace(limits, max_name_bytes=4096) if b"a/a/a" in data else limits)


def test_archive_without_members() -> None:
    """An end record alone is an archive, of nothing."""
    assert unpack(build()) == {}
    facts = read(build())
    assert (facts.format, facts.problem, facts.signatures) == ("zip", None, ())


def test_file_that_changes_meanwhile() -> None:
    """A directory that is no longer what was read first is malformed."""
    data = build(Entry())
    directory = read_directory(BytesSource(data), LIMITS)
    with pytest.raises(MalformedError):
        walk(PackageStream(BytesSource(data[:-1] + b"\1"), ()), directory)
    with pytest.raises(MalformedError):
        walk(PackageStream(BytesSource(data[:-1]), ()), directory)


def test_each_truncation_and_flip() -> None:
    """Cut short or changed anywhere, an archive is read, or refused with one of this program's errors."""
    data = build(Entry(), Entry(b"b", method=8, packed=zlib.compress(b"content", wbits=-15), flags=8, after=struct.pack(
        "<4sIII", b"PK\7\10", zlib.crc32(b"content"), len(zlib.compress(b"content", wbits=-15)), 7)))  # fmt: skip
    assert unpack(data) == {"a": b"content", "b": b"content"}
    for length in range(len(data)):
        facts = read(data[:length])
        assert facts.problem is not None
        expected = Reason.MALFORMED if length >= 4 else Reason.UNSUPPORTED_FORMAT
        assert facts.problem.reason is expected
    for position in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[position] ^= 1 << bit
            try:
                assert set(unpack(bytes(changed)).values()) <= {b"content"}
            except TrustStoreError:
                continue


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=40))
def test_noise(noise: bytes, comment: bytes) -> None:
    """Any bytes around the recognisable marks end in one of this program's errors, or are an archive."""
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, len(noise), 0, len(comment))
    for data in (noise, b"PK\3\4" + noise, noise + end + comment, b"PK\3\4" + noise + end + comment):
        zip_archive.recognises(BytesSource(data))
        try:
            unpack(data)
        except TrustStoreError:
            continue


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=12), max_size=8, unique=True))
def test_names_are_refused_or_plain(names: list[str]) -> None:
    """A set of accepted names never holds two that are equal without regard to case."""
    seen = NameSet()
    accepted: list[str] = []
    for name in names:
        try:
            check_name(name)
            seen.add(name)
        except MalformedError:
            continue
        accepted.append(name)
    files = [name.lower() for name in accepted if not name.endswith("/")]
    assert len(files) == len(set(files))
    assert not any(name.startswith("/") or ".." in name.split("/") for name in accepted)


@pytest.mark.parametrize(("version", "good"), [(10, True), (45, True), (63, True), (64, False), (128, False)])
def test_a_version_that_does_not_exist_is_malformed(version: int, *, good: bool) -> None:
    """Extractors refuse what needs a version beyond 6.3: an archive that only we would read is not called good."""
    data = bytearray(archive({"a": b"1"}))
    data[data.rindex(b"PK\x01\x02") + 6] = version
    if good:
        assert unpack(bytes(data)) == {"a": b"1"}
    else:
        with pytest.raises(MalformedError, match="version"):
            unpack(bytes(data))
