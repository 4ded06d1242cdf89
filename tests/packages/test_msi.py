from __future__ import annotations

import hashlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.packages.table import FIXTURES
from trust_store.decode import ole
from trust_store.decode.msi_tables import (
    DATA,
    POOL,
    PROPERTY,
    read_properties,
    stream_name,
    table_of,
    tables_with_streams,
)
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError, UnsupportedError
from trust_store.formats.protocol import ReadLimits
from trust_store.formats.readers import msi
from trust_store.formats.streaming import BytesSource
from trust_store.model.package_facts import Product, Uncovered
from trust_store.model.verdict import Reason

VALID = (FIXTURES / "msi/valid.msi").read_bytes()
EXTENDED = (FIXTURES / "msi/extended.msi").read_bytes()
LIMITS = ReadLimits()
SECTOR = 512
FREE, END, FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD


def compound(data: bytes) -> ole.CompoundFile:
    """The tree."""
    return ole.read_compound(BytesSource(data))


def stream(data: bytes, node: ole.Node) -> bytes:
    """A stream's content."""
    return b"".join(data[start:end] for start, end in node.ranges)


def patched(data: bytes, at: int, form: str, *values: int) -> bytes:
    """The data with little-endian values put in."""
    changed = bytearray(data)
    struct.pack_into("<" + form, changed, at, *values)
    return bytes(changed)


def entry(
    name: str, kind: int, *, left: int = FREE, right: int = FREE, child: int = FREE, start: int = 0, size: int = 0
) -> bytes:
    """One directory entry."""
    text = name.encode("utf-16-le") + b"\0\0"
    head = text.ljust(64, b"\0") + struct.pack("<HBBIII", len(text), kind, 1, left, right, child)
    return head + bytes(16 + 4 + 16) + struct.pack("<IQ", start, size)


def file_of(*entries: bytes, fat: tuple[int, ...] = (), sectors: bytes = b"") -> bytes:
    """Sector 0 is the allocation table, 1 the directory of up to four entries, then ``sectors``."""
    head = ole.MAGIC + bytes(16) + struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    head += struct.pack("<IIIIIIIII", 0, 1, 1, 0, 4096, END, 0, END, 0) + struct.pack("<109I", 0, *[FREE] * 108)
    table = struct.pack("<128I", FAT, END, *fat, *[FREE] * (126 - len(fat)))
    return head + table + b"".join(entries).ljust(SECTOR, b"\0") + sectors


ROOT = entry("Root Entry", 5, child=1, start=END)


def test_streams_are_found_where_they_lie() -> None:
    """Large streams come from sectors, small ones from the mini stream, in the order of their chains."""
    tree = compound(VALID)
    large = [stream(VALID, node) for node in tree.root.children if node.size >= 4096]
    small = [stream(VALID, node) for node in tree.root.children if node.size < 4096]
    assert b"C" * 5000 in large
    assert b"D" * 4096 in large
    assert b"A" * 70 in small
    assert tree.used_end == len(VALID)


def test_root_class() -> None:
    """The class that says it is an installer's file is found without reading the tree."""
    assert ole.root_class(BytesSource(VALID)).hex() == "84100c0000000000c000000000000046"
    assert ole.root_class(BytesSource(VALID[:100])) == b""


def test_other_compound_files_are_not_the_readers() -> None:
    """A document of another class without an installer's signature is read by nobody here."""
    other = file_of(ROOT, entry("Contents", 2))
    assert not msi.recognises(BytesSource(other), LIMITS)
    assert msi.recognises(BytesSource(file_of(ROOT, entry(msi.SIGNATURE, 2))), LIMITS)
    assert msi.recognises(BytesSource(VALID), LIMITS)


def test_metadata_is_digested_where_the_second_stream_says_so() -> None:
    """With MsiDigitalSignatureEx a stream's date is covered; without it is not."""
    name = "\x05SummaryInformation".encode("utf-16-le")
    for data, matches in ((VALID, True), (EXTENDED, False)):
        changed = patched(data, data.index(name) + 108, "I", 77)
        assert [fact.content_matches for fact in msi.read(BytesSource(changed), (), LIMITS).signatures] == [matches]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("bb", "a", "ccc"), True),
        (("bb", "ccc", "a"), False),
        (("b", "a", "C"), True),
        (("b", "C", "a"), False),
        (("b", "a", "bb"), True),
        (("bb", "a", "C"), False),
    ],
)
def test_entries_stand_where_their_names_are_looked_for(names: tuple[str, str, str], found: bool) -> None:  # noqa: FBT001 - what is expected
    """Shorter names go first, others by their letters without case: a stream elsewhere in the tree is hidden from Windows."""
    top, left, right = names
    entries = ROOT, entry(top, 2, left=2, right=3), entry(left, 2), entry(right, 2)
    if found:
        assert len(compound(file_of(*entries)).root.children) == 3
    else:
        with pytest.raises(MalformedError):
            compound(file_of(*entries))


def test_a_signed_stream_hidden_by_the_tree() -> None:
    """Nobody signs the directory's tree: two entries changed for each other in it leave a signed table where nobody finds it."""
    root = VALID.index("Root Entry".encode("utf-16-le"))
    first = struct.unpack_from("<I", VALID, root + 76)[0]
    at = root + 128 * first
    left, right = struct.unpack_from("<II", VALID, at + 68)
    assert left != right
    with pytest.raises(MalformedError):
        compound(patched(VALID, at + 68, "II", right, left))


def test_names_that_only_the_order_covers() -> None:
    """Without MsiDigitalSignatureEx a stream may be renamed where the order stays: Windows Installer has it so, and the map says so."""
    old, new = (text.encode("utf-16-le") + b"\0\0" for text in ("\x05SummaryInformation", "\x05SummaryInformatioo"))
    reading = msi.read(BytesSource(VALID.replace(old, new)), (), LIMITS)
    assert [fact.content_matches for fact in reading.signatures] == [True]
    at = VALID.index(old)
    assert any(one.inert and (one.start or 0) <= at < (one.end or 0) for one in reading.coverage.uncovered)


def renamed_table(data: bytes, table: str, other: str) -> bytes:
    """The data with a table's stream under the name of another table."""
    old, new = (stream_name(name).encode("utf-16-le") for name in (table, other))
    assert len(old) == len(new)
    assert data.count(old) == 1
    return data.replace(old, new)


def test_a_table_under_another_name() -> None:
    """A table of which there is no stream is empty: a stream with a name that the database does not list is none of its tables."""
    reading = msi.read(BytesSource(renamed_table(VALID, "Property", "Propertz")), (), LIMITS)
    assert [fact.content_matches for fact in reading.signatures] == [True]
    assert reading.problem is not None
    assert reading.problem.reason is Reason.MALFORMED


@pytest.mark.parametrize(
    "table", ["_StringPool", "_StringData", "_Tables", "_Columns", "Property", "Media", "_Validation"]
)
def test_names_of_tables_and_of_their_streams(table: str) -> None:
    """The name of a table's stream gives the table's back; other streams are of no table."""
    assert table_of(stream_name(table)) == table
    assert table_of(stream_name(table)[1:]) is None
    assert table_of(stream_name(table) + "a") is None


def test_lists_of_tables() -> None:
    """Numbers of strings, of two bytes or three; what is no such list is refused."""
    for width, flags in ((2, 0), (3, 0x8000)):
        pool = struct.pack("<HHHHHH", 1252, flags, 1, 1, 2, 1)
        names = tables_with_streams((2).to_bytes(width, "little"), pool, b"abc")
        assert names == {"bc", POOL, DATA, "_Tables", "_Columns"}
        with pytest.raises(MalformedError):
            tables_with_streams(bytes(width + 1), pool, b"abc")
    with pytest.raises(MalformedError):
        tables_with_streams(b"", b"", b"")


def test_a_name_that_ends_early() -> None:
    """A name with a NUL inside is another name to whoever reads it to the first one."""
    with pytest.raises(MalformedError):
        compound(file_of(ROOT, entry("a\0b", 2)))


def test_digest_of_the_metadata_under_another_name() -> None:
    """What is digested first is then content, and the signature holds: whoever did it may give all streams other names."""
    name = "\x05MsiDigitalSignatureEx".encode("utf-16-le")
    reading = msi.read(BytesSource(EXTENDED.replace(name, b"\x01" + name[1:])), (), LIMITS)
    assert [fact.content_matches for fact in reading.signatures] == [True]
    assert reading.problem is not None
    assert reading.problem.reason is Reason.DOWNGRADE
    assert all(msi.read(BytesSource(data), (), LIMITS).problem is None for data in (VALID, EXTENDED))


def test_covered_and_uncovered_are_the_whole_file() -> None:
    """The map has every byte once."""
    for data in (VALID, EXTENDED, VALID + b"appended", VALID + bytes(700)):
        coverage = msi.read(BytesSource(data), (), LIMITS).coverage
        assert coverage.covered_bytes + sum((o.end or 0) - (o.start or 0) for o in coverage.uncovered) == len(data)


def test_product() -> None:
    """Name and version stand in the Property table, which the signature covers."""
    assert msi.read(BytesSource(VALID), (), LIMITS).product == Product("Fixture", "1.2.3")
    assert msi.read(BytesSource(file_of(ROOT, entry("a", 2))), (), LIMITS).product is None


def test_names_of_table_streams() -> None:
    """A table's name is packed by pairs of characters, the last one of an odd number alone."""
    names = {node.name for node in compound(VALID).root.children}
    assert {stream_name(name).encode("utf-16-le") for name in (PROPERTY, POOL, DATA)} < names
    assert stream_name("abc") == "\u4840" + chr(0x3800 + 36 + (37 << 6)) + chr(0x4800 + 38)


POOLED = struct.pack("<HH", 65001, 0) + struct.pack("<6H", 11, 1, 3, 1, 0, 1) + struct.pack("<I", 70000)
STRINGS = b"ProductNameabc" + b"x" * 70000


def test_properties() -> None:
    """Texts are numbers of strings, in columns; a long string's length stands in an entry of its own."""
    wanted = frozenset(("ProductName",))
    assert read_properties(struct.pack("<HH", 1, 2), POOLED, STRINGS, wanted) == {"ProductName": "abc"}
    assert read_properties(struct.pack("<HH", 1, 3), POOLED, STRINGS, wanted) == {"ProductName": "x" * 70000}
    large = struct.pack("<HH", 1252, 0x8000) + POOLED[4:]
    assert read_properties(b"\1\0\0\2\0\0", large, STRINGS, wanted) == {"ProductName": "abc"}
    assert read_properties(struct.pack("<HH", 2, 1), POOLED, STRINGS, wanted) == {}
    odd = struct.pack("<HH", 9999, 0) + POOLED[4:]
    assert read_properties(struct.pack("<HH", 1, 2), odd, STRINGS, wanted) == {"ProductName": "abc"}


@pytest.mark.parametrize(
    ("table", "pool", "data"),
    [(b"", b"", b""), (b"\0\0\0", POOLED, STRINGS), (b"", POOLED, b""), (b"", POOLED[:-4], STRINGS)],
)
def test_broken_tables(table: bytes, pool: bytes, data: bytes) -> None:
    """No pool, half a row, strings longer than their bytes, a long string without its length."""
    with pytest.raises(MalformedError):
        read_properties(table, pool, data, frozenset())


@given(st.binary(max_size=40), st.binary(max_size=60), st.binary(max_size=40))
def test_hostile_tables(table: bytes, pool: bytes, data: bytes) -> None:
    """Whatever the bytes, they are properties or malformed."""
    try:
        found = read_properties(table, pool, data, frozenset(("ProductName", "")))
    except MalformedError:
        return
    assert set(found) <= {"ProductName", ""}


@pytest.mark.parametrize(("tail", "inert"), [(b"appended", False), (bytes(512), True), (bytes(600) + b"x", False)])
def test_what_comes_after_the_last_sector(tail: bytes, *, inert: bool) -> None:
    """Zeros after the last sector in use are padding; anything else is content that nobody signed."""
    last = msi.read(BytesSource(VALID + tail), (), LIMITS).coverage.uncovered[-1]
    assert last == Uncovered(start=len(VALID), end=len(VALID) + len(tail), inert=inert)


def test_signature_that_is_a_storage() -> None:
    """A storage under the signature's name is left out by nobody's rule."""
    data = file_of(ROOT, entry(msi.SIGNATURE, 1))
    with pytest.raises(MalformedError, match="no stream"):
        msi.read(BytesSource(data), (), LIMITS)


def test_an_empty_storage_and_an_empty_stream() -> None:
    """A tree by hand: a storage with a stream in it, both empty."""
    tree = compound(file_of(ROOT, entry("a", 1, child=2), entry("b", 2)))
    (storage,) = tree.root.children
    assert (storage.kind, [node.name for node in storage.children]) == (ole.STORAGE, ["b".encode("utf-16-le")])


def test_sectors_of_4096_bytes() -> None:
    """Version 4 has larger sectors, the header filling the first of them, and sizes of 64 bits."""
    head = ole.MAGIC + bytes(16) + struct.pack("<HHHHH6x", 0x3E, 4, 0xFFFE, 12, 6)
    head += struct.pack("<IIIIIIIII", 1, 1, 1, 0, 4096, END, 0, END, 0) + struct.pack("<109I", 0, *[FREE] * 108)
    table = struct.pack("<1024I", FAT, END, 3, END, *[FREE] * 1020)
    directory = (ROOT + entry("a", 2, start=2, size=5000)).ljust(4096, b"\0")
    data = head.ljust(4096, b"\0") + table + directory + b"x" * 5000
    (node,) = compound(data).root.children
    assert (node.ranges, stream(data, node)) == (((3 * 4096, 3 * 4096 + 5000),), b"x" * 5000)
    with pytest.raises(MalformedError):
        compound(data.replace(struct.pack("<IQ", 2, 5000), struct.pack("<IQ", 2, 5000 + (1 << 32))))


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", MalformedError),
        (VALID[:511], MalformedError),
        (patched(VALID, 26, "H", 5), UnsupportedError),
        (patched(VALID, 28, "H", 0xFEFF), UnsupportedError),
        (patched(VALID, 30, "H", 12), UnsupportedError),
        (patched(VALID, 44, "I", 0xFFFFFFFF), MalformedError),
        (patched(VALID, 48, "I", 0xFFFFFFF0), MalformedError),
        (patched(VALID, 56, "I", 8192), MalformedError),
        (patched(VALID, 76, "I", 0xFFFFFF), MalformedError),
        (file_of(ROOT, entry("a", 2, start=2, size=5000), fat=(3, 2), sectors=bytes(1024)), MalformedError),
        (file_of(ROOT, entry("a", 2, start=2, size=5000), fat=(END,), sectors=bytes(5200)), MalformedError),
        (file_of(ROOT, entry("a", 2, start=0, size=5000), sectors=bytes(5200)), MalformedError),
        (file_of(ROOT, entry("a", 2, start=99, size=5000), sectors=bytes(5200)), MalformedError),
        (file_of(ROOT, entry("a", 2, start=0, size=10)), MalformedError),
        (file_of(ROOT, entry("a", 2, size=1 << 30)), MalformedError),
        (file_of(ROOT, entry("a", 2, left=1)), MalformedError),
        (file_of(ROOT, entry("a", 2, left=0)), MalformedError),
        (file_of(ROOT, entry("a", 2, right=9)), MalformedError),
        (file_of(ROOT, entry("a", 2, left=2), entry("A", 2)), MalformedError),
        (file_of(ROOT, entry("a", 3)), MalformedError),
        (file_of(ROOT, entry("", 2)), MalformedError),
        (file_of(ROOT, patched(entry("abc", 2), 64, "H", 66)), MalformedError),
        (file_of(entry("Root Entry", 1, child=1, start=END), entry("a", 2)), MalformedError),
        (file_of(entry("Root Entry", 5, child=1, start=2, size=600), entry("a", 2), fat=(END,), sectors=bytes(512)), MalformedError),
    ],
)  # fmt: skip
def test_broken_files(data: bytes, error: type[Exception]) -> None:
    """Chains that cross, circle or end early, entries met twice, names that collide, counts that the file cannot hold."""
    with pytest.raises(error):
        compound(data)


def test_storages_nested_too_deep() -> None:
    """A storage in a storage, and so on: a limit, not a stack that overflows."""
    names = [entry("Root Entry", 5, child=1, start=END)]
    names += [entry("s", 1, child=number + 1) for number in range(1, 20)]
    directory = b"".join(names).ljust(6 * SECTOR, b"\0")
    data = file_of(fat=(3, 4, 5, 6, END), sectors=directory[SECTOR:])
    data = data[: 2 * SECTOR] + directory[:SECTOR] + data[3 * SECTOR :]
    with pytest.raises(ResourceLimitError):
        compound(patched(data, SECTOR + 4, "I", 2))


@settings(max_examples=200)
@given(st.integers(0, len(VALID) - 1), st.binary(min_size=1, max_size=8))
def test_hostile_files(place: int, data: bytes) -> None:
    """Whatever the bytes, the answer is a reading of this very file or one of the errors of readers."""
    changed = VALID[:place] + data + VALID[place + len(data) :]
    try:
        reading = msi.read(BytesSource(changed), (), LIMITS)
    except READ_ERRORS:
        return
    assert reading.sha256 == hashlib.sha256(changed).hexdigest()


@given(
    st.lists(st.integers(0, 8) | st.sampled_from([FREE, END, FAT]), max_size=8), st.integers(0, 9), st.integers(0, 6000)
)
def test_hostile_chains(fat: list[int], start: int, size: int) -> None:
    """Whatever the allocation table says, a stream's bytes lie in the file, each once, or the file is refused."""
    data = file_of(ROOT, entry("a", 2, start=start, size=size), fat=tuple(fat), sectors=bytes(8 * SECTOR))
    try:
        tree = compound(data)
    except READ_ERRORS:
        return
    places = [place for node in tree.root.children for begin, end in node.ranges for place in range(begin, end)]
    assert len(set(places)) == len(places) == size
    assert not places or max(places) < len(data)
