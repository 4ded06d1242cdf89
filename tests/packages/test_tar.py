from __future__ import annotations

import contextlib
import gzip
import io
import lzma
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.packages.generate.tar import by_hand
from tests.trust_store.package_craft import LIMITS, read
from trust_store.decode.byte_reader import ByteReader
from trust_store.decode.compressed import UnpackBudget, Unpacking, compression_of, unpacked_head
from trust_store.decode.containers import container_of
from trust_store.decode.manifest import parse_manifest
from trust_store.decode.tar_archive import FILE, SYMBOLIC_LINK, TarMember, number, pax_records, walk
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError, UnsupportedError
from trust_store.formats.signed_manifest import BeforeLayout, Layout
from trust_store.formats.streaming import BytesSource
from trust_store.formats.tar_reading import TarReading
from trust_store.model.verdict import Reason
from trust_store.signatures.protocol import MAX_SIGNATURE_FILE_BYTES

FIXTURES = Path(__file__).parent / "fixtures"
BUNDLE = (FIXTURES / "vendor-bundle-tar" / "valid.tar").read_bytes()
BUDGET = UnpackBudget(1 << 30, 1100)
LONG = "folder/" * 40 + "file.bin"


def members(data: bytes) -> tuple[TarMember, ...]:
    """The walk over small pieces."""
    return walk(ByteReader(data[at : at + 100] for at in range(0, len(data), 100)))


def unpacked(data: bytes, compression: str | None, budget: UnpackBudget = BUDGET) -> bytes:
    """All of a stream's content."""
    pieces = (data[at : at + 50] for at in range(0, len(data), 50))
    return b"".join(Unpacking(pieces, compression, budget))


def written(form: int, name: str = LONG, content: bytes = b"content", **fields: object) -> bytes:
    """One member as ``tarfile`` writes it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        for field, value in fields.items():
            setattr(info, field, value)
        archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def header(data: bytes, at: int, field: slice, value: bytes) -> bytes:
    """An archive with one header field another, and the header's checksum to match."""
    block = bytearray(data[at : at + 512])
    block[field] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return data[:at] + bytes(block) + data[at + 512 :]


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names(form: int) -> None:
    """Names beyond a header's field are taken from pax and GNU headers."""
    assert [(one.name, one.size) for one in members(written(form))] == [(LONG, 7)]


def test_ustar_prefix() -> None:
    """A POSIX name may stand in two parts."""
    name = "a" * 60 + "/" + "b" * 60
    assert members(written(tarfile.USTAR_FORMAT, name))[0].name == name


def test_kinds() -> None:
    """Links are members that have no content of their own; folders end with a slash; the root is none."""
    made = by_hand(
        ("./", tarfile.DIRTYPE, b""),
        ("d", tarfile.DIRTYPE, b""),
        ("d/l", tarfile.SYMTYPE, b"x"),
        ("d/f", tarfile.REGTYPE, b"1"),
    )
    assert [(one.name, one.kind) for one in members(made)][1:] == [("d/l", SYMBOLIC_LINK), ("d/f", FILE)]
    assert members(made)[0].is_folder


@pytest.mark.parametrize(
    "data",
    [
        by_hand(("a", tarfile.REGTYPE, b"1"))[:-1024], by_hand(("a", tarfile.REGTYPE, b"1")) + b"x", BUNDLE[:148] + b"1" + BUNDLE[149:],
        by_hand(("a", tarfile.REGTYPE, b"1"))[:513] + b"x" + by_hand(("a", tarfile.REGTYPE, b"1"))[514:],
        header(BUNDLE, 0, slice(257, 263), b"ustar!"), header(BUNDLE, 0, slice(124, 136), b"00000009000 "),
        by_hand(("a\\b", tarfile.REGTYPE, b"")), by_hand(("a", tarfile.SYMTYPE, b"")), by_hand(("a/../b", tarfile.REGTYPE, b"")),
        by_hand(("d", tarfile.DIRTYPE, b""), ("d", tarfile.REGTYPE, b"")),
    ],
)  # fmt: skip
def test_archives_that_programs_read_differently(data: bytes) -> None:
    """Missing ends, bytes after them, wrong checksums, padding, magic, numbers and names, empty links: malformed."""
    with pytest.raises(MalformedError):
        members(data)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_SPARSE, b"M", b"V", b"A"])
def test_vendor_types_are_not_understood(kind: bytes) -> None:
    """Sparse files, continued volumes and unknown types are of a kind that is not read."""
    with pytest.raises(UnsupportedError):
        members(header(by_hand(("a", tarfile.REGTYPE, b"")), 0, slice(156, 157), kind))


def test_extended_headers_about_everything() -> None:
    """A global header may carry a comment, as git writes it; one about names would rename every member."""
    comment = written(tarfile.PAX_FORMAT, "a")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "abc"}) as archive:
        archive.addfile(tarfile.TarInfo("a"))
    assert [one.name for one in members(out.getvalue())] == ["a"]
    assert [one.name for one in members(comment)] == ["a"]
    with pytest.raises(UnsupportedError):
        members(out.getvalue().replace(b"15 comment=abc\n", b"15 path=abcdef\n"))


@pytest.mark.parametrize(
    "data", [b"x", b"5 a=\n1", b"6 a=1", b"99 a=b\n", b"4 a\n\n", b"0 a=b\n", b"6 a=b\n6 a=c\n", b"5 =b\n", b"06 a=b\n"]
)
def test_broken_pax_records(data: bytes) -> None:
    """A record is as long as it says, has a keyword once, and ends in a line end."""
    with pytest.raises(MalformedError):
        pax_records(data)


def test_numbers() -> None:
    """Octal with its ends, base 256 for large ones; nothing else."""
    assert [number(field) for field in (b"0000017\0", b"     17 ", b"\0\0\0", b"\x80\0\0\0\0\0\0\1\0")] == [
        15,
        15,
        0,
        256,
    ]
    for field in (b"9\0", b"-1\0", b"\xff" * 12, b"\x80" + b"\xff" * 11, b"1x\0"):
        with pytest.raises(MalformedError):
            number(field)


def test_counts_are_capped() -> None:
    """More members than the limit end the walk."""
    data = by_hand(*((str(n), tarfile.REGTYPE, b"") for n in range(5)))
    with pytest.raises(ResourceLimitError):
        walk(ByteReader(iter((data,))), max_members=4)


def test_headers_tell_the_same_as_the_whole() -> None:
    """Stepping over content finds the members that reading everything finds."""
    assert TarReading(BytesSource(BUNDLE), LIMITS).list_members() == members(BUNDLE)


def test_compressed_archives_are_tar() -> None:
    """The container of a compressed archive is the one of what it unpacks to."""
    packed = [BUNDLE, gzip.compress(BUNDLE), lzma.compress(BUNDLE)]
    assert [container_of(BytesSource(data)) for data in packed] == ["tar"] * 3
    assert container_of(BytesSource(gzip.compress(b"no archive"))) == "none"
    assert unpacked_head(b"\x1f\x8b\x08 broken", 10) == b""


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_one_stream_and_nothing_after_it(pack: object) -> None:
    """A stream unpacks to its content; cut short, lengthened or followed by another it is malformed."""
    assert callable(pack)
    packed = pack(BUNDLE)
    kind = compression_of(packed)
    assert unpacked(packed, kind) == BUNDLE
    for data in (packed[:-1], packed[:30], packed + b"x", packed + packed, packed[:-9] + b"\xff" + packed[-8:]):
        with pytest.raises(MalformedError):
            unpacked(data, kind)


def test_gzip_header_fields() -> None:
    """Name, comment, extra field and header checksum are passed by; reserved flags are refused (RFC 1952 2.3.1.2)."""
    plain = gzip.compress(b"x", mtime=0)
    full = (
        plain[:3] + bytes([2 | 4 | 8 | 16]) + plain[4:10] + b"\2\0ab" + b"name\0" + b"comment\0" + b"\0\0" + plain[10:]
    )
    assert unpacked(full, "gzip") == b"x"
    with pytest.raises(MalformedError):
        unpacked(plain[:3] + b"\x20" + plain[4:], "gzip")
    with pytest.raises(ResourceLimitError):
        unpacked(plain[:3] + b"\x08" + plain[4:10] + b"n" * 5000, "gzip")


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_bombs(pack: object) -> None:
    """A stream that unpacks to too much, in all or for its size, ends in a limit."""
    assert callable(pack)
    packed = pack(bytes(8_000_000))
    with pytest.raises(ResourceLimitError):
        unpacked(packed, compression_of(packed), UnpackBudget(4_000_000, 1 << 40))
    with pytest.raises(ResourceLimitError):
        unpacked(packed, compression_of(packed), UnpackBudget(1 << 40, 2))


def test_other_compressions() -> None:
    """What is not unpacked here says so."""
    assert compression_of(b"\x28\xb5\x2f\xfd\0") == "zstd"
    with pytest.raises(UnsupportedError):
        Unpacking(iter(()), "zstd", BUDGET)


@pytest.mark.parametrize("name", ["packages.tar.gz", "packages.tar"])
def test_packages_inside_get_verdicts_of_their_own(name: str) -> None:
    """An unsigned archive's members that are packages are read as if they stood alone, compressed or not."""
    data = (FIXTURES / "tar" / "packages.tar.gz").read_bytes()
    facts = read(data if name.endswith("gz") else gzip.decompress(data))
    assert [(one.name, one.facts.format, len(one.facts.signatures)) for one in facts.members] == [
        ("update.raucb", "rauc", 1)
    ]
    assert facts.signatures == ()


def test_large_members_of_a_compressed_archive_are_not_kept() -> None:
    """What does not fit into memory is told, not read."""
    big = b"hsqs" + bytes(40 * 1024 * 1024) + b"end"
    facts = read(gzip.compress(by_hand(("big.raucb", tarfile.REGTYPE, big)), 1))
    assert [(one.name, one.facts.problem and one.facts.problem.reason) for one in facts.members] == [
        ("big.raucb", Reason.RESOURCE_LIMIT)
    ]


@settings(max_examples=200)
@given(st.integers(0, len(BUNDLE) - 4), st.binary(min_size=1, max_size=4))
def test_broken_archives_raise_nothing_else(position: int, data: bytes) -> None:
    """Whatever stands in an archive, only the three errors come out."""
    changed = BUNDLE[:position] + data + BUNDLE[position + len(data) :]
    with contextlib.suppress(*READ_ERRORS):
        members(changed)


@settings(max_examples=200)
@given(
    st.sampled_from([gzip.compress(BUNDLE, mtime=0), lzma.compress(BUNDLE)]),
    st.integers(0, 300),
    st.binary(min_size=1, max_size=4),
)
def test_broken_streams_raise_nothing_else(packed: bytes, position: int, data: bytes) -> None:
    """Whatever stands in a compressed stream, only the three errors come out."""
    with contextlib.suppress(*READ_ERRORS):
        unpacked(packed[:position] + data + packed[position + len(data) :], compression_of(packed))


@pytest.mark.parametrize("kind", [tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_folders_and_links_with_content(kind: bytes) -> None:
    """Readers differ on what follows a folder or link that says it has content: headers, or content to be stepped over."""
    made = written(tarfile.USTAR_FORMAT, "f", b"", type=kind, linkname="x")
    with pytest.raises(MalformedError, match="with content"):
        members(header(made, 0, slice(124, 136), b"%011o\0" % 512))


@pytest.mark.parametrize("size", [0, 6, 8])
def test_size_in_an_extended_header(size: int) -> None:
    """A size that fits into a header stands in it: one that only readers of pax headers see is of another archive."""
    made = written(tarfile.PAX_FORMAT, "f", pax_headers={"size": "7"})
    assert [one.size for one in members(made)] == [7]
    with pytest.raises(MalformedError, match="not the header's"):
        members(header(made, 1024, slice(124, 136), b"%011o\0" % size))


def test_extended_headers_twice() -> None:
    """Of two extended headers of one kind some readers take the last, others both."""
    made = written(tarfile.PAX_FORMAT, "f", pax_headers={"comment": "one"})
    with pytest.raises(MalformedError, match="two extended headers"):
        members(made[:1024] + made)


def test_prefix_in_a_gnu_header() -> None:
    """Python takes what stands after the times of a GNU header for a part of the name; times there are harmless."""
    made = written(tarfile.GNU_FORMAT, "f")
    assert members(header(made, 0, slice(345, 369), b"14200000000\0" * 2))[0].name == "f"
    for place, value in ((slice(345, 350), b"../ev"), (slice(400, 401), b"1")):
        with pytest.raises(MalformedError, match="GNU header"):
            members(header(made, 0, place, value))


def test_star_says_another_size() -> None:
    """A size of star's own, which other programs go by, is a sparse file's."""
    with pytest.raises(UnsupportedError):
        members(written(tarfile.PAX_FORMAT, "f", pax_headers={"SCHILY.realsize": "3"}))


def test_manifests_in_many_folders_are_not_all_kept() -> None:
    """Which of them is the one shows when all names are known: no more is kept than one manifest and one signature may have."""
    limits = replace(LIMITS, max_manifest_bytes=1000)
    files = {f"{n}/SHA256SUMS": bytes(900) for n in range(10_000)}
    before = BeforeLayout(limits)
    kept = sum(before.content_of(name, len(data))._keep for name, data in files.items())
    assert kept * 900 <= 1000 + MAX_SIGNATURE_FILE_BYTES
    before.require_kept(Layout("0/", "0/SHA256SUMS", ()))
    with pytest.raises(ResourceLimitError, match="called like a manifest"):
        before.require_kept(Layout("9999/", "9999/SHA256SUMS", ()))


def test_a_manifest_of_very_many_lines_is_a_resource_limit() -> None:
    """Lines are counted before they are taken apart; one that ends the text is none."""
    line = b"0" * 64 + b"  a%d\n"
    assert len(parse_manifest(line % 1 + line % 2, max_entries=2)) == 2
    with pytest.raises(ResourceLimitError):
        parse_manifest(line % 1 + line % 2 + b"x", max_entries=2)
