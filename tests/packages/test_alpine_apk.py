from __future__ import annotations

import gzip
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.packages.generate.alpine_craft import INFO, control_stream, data_stream, segment, signatures
from tests.packages.table import FIXTURES
from trust_store.decode.alpine_apk import read_control, read_signatures, unpack_stream
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError
from trust_store.formats.protocol import Reading, ReadLimits
from trust_store.formats.readers import alpine_apk
from trust_store.formats.streaming import BytesSource, SourceChangedError
from trust_store.model.package_facts import Product, Uncovered

VALID = (FIXTURES / "alpine-apk" / "valid.apk").read_bytes()
DATA = data_stream()
LONG = b"".join(hashlib.sha256(bytes([n % 256, n // 256])).digest() for n in range(20_000))
CONTROL = control_stream(DATA)


def read(data: bytes, limits: ReadLimits | None = None) -> Reading:
    """The package in ``data``."""
    return alpine_apk.read(BytesSource(data), (), limits or ReadLimits())


def recognised(data: bytes) -> bool:
    """Whether the reader takes it."""
    return alpine_apk.recognises(BytesSource(data), ReadLimits())


def test_the_control_stream_states_the_product() -> None:
    """Name and version come from .PKGINFO, and only where that is signed."""
    assert read(VALID).product == Product("fixture", "1.2-r3")
    assert read(CONTROL + DATA).product is None


def test_only_the_signatures_are_not_covered() -> None:
    """The map has the first stream as uncovered and inert, and nothing else."""
    start = len(VALID) - len(CONTROL) - len(DATA)
    assert read(VALID).coverage.uncovered == (Uncovered(start=0, end=start, inert=True),)


def test_packages_are_told_from_others_by_their_streams() -> None:
    """A .PKGINFO alone is pacman's; one with another stream behind it is Alpine's, as is a signature at the beginning."""
    assert recognised(VALID)
    assert recognised(CONTROL + DATA)
    assert recognised((FIXTURES / "alpine-apk" / "index.apk").read_bytes())
    assert not recognised(CONTROL)
    assert not recognised(segment(("a", b"1")) + DATA)
    assert not recognised(gzip.compress(b"no archive"))
    assert not recognised(b"\x1f\x8b")


@pytest.mark.parametrize(
    "members",
    [
        ((".SIGN.RSA256.", b"x"),), ((".SIGN.MD5.a", b"x"),), ((".SIGN.RSA256.a", b""),), ((".SIGN.RSA256.a", bytes(20_000)),),
        ((".SIGN.RSA256.a/b", b"x"),), ((".SIGN.RSA256.a", b"x"), ("a", b"")),
    ],
)  # fmt: skip
def test_a_stream_that_is_no_signatures_is_malformed(members: tuple[tuple[str, bytes], ...]) -> None:
    """The first stream has signatures of known kinds and nothing else, or none at all."""
    with pytest.raises(MalformedError):
        read_signatures(gzip.decompress(segment(*members)))


def test_signatures_are_capped() -> None:
    """Very many are a resource limit."""
    with pytest.raises(ResourceLimitError):
        read_signatures(gzip.decompress(signatures(*(("RSA256", b"x"),) * 65)))


@pytest.mark.parametrize(
    "members",
    [
        (("a", b"1"),), ((".PKGINFO", b""),), ((".PKGINFO", b"pkgname = a\n"),), ((".PKGINFO", INFO.encode() + b"datahash = x\n"),),
        ((".PKGINFO", INFO.encode() + b"no field\n"),), ((".PKGINFO", b"\xff"),),
        ((".PKGINFO", INFO.encode() + b"datahash = " + b"0" * 64 + b"\ndatahash = " + b"1" * 64 + b"\n"),),
        ((".PKGINFO", INFO.encode()), (".SIGN.RSA256.a", b"x")), (("sub/.PKGINFO", INFO.encode()),),
    ],
)  # fmt: skip
def test_a_control_stream_that_does_not_say_what_it_is_malformed(members: tuple[tuple[str, bytes], ...]) -> None:
    """One name, one version, at most one digest of the data; no signatures among the scripts."""
    with pytest.raises(MalformedError):
        read_control(gzip.decompress(segment(*members)))


def test_a_member_that_runs_out_of_its_stream_is_malformed() -> None:
    """What a control stream begins, the data stream does not end."""
    with pytest.raises(MalformedError):
        read_control(gzip.decompress(CONTROL)[:-600])


def test_a_stream_that_unpacks_to_very_much_is_a_resource_limit() -> None:
    """A bomb is given up before it has been unpacked, and a long stream before it has been read."""
    bomb = gzip.compress(bytes(100 * 1024 * 1024))
    with pytest.raises(ResourceLimitError):
        unpack_stream(BytesSource(bomb).read_at, 0, max_packed=1 << 24)
    with pytest.raises(ResourceLimitError):
        read(
            VALID.replace(CONTROL, segment(("a", LONG))),
            ReadLimits(max_manifest_bytes=1000),
        )


@pytest.mark.parametrize("position", [3, len(VALID) - len(DATA) - 5])
def test_a_file_that_changes_while_it_is_read_is_unreadable(position: int) -> None:
    """What was looked at before the pass must be the same in it."""
    reads = 0

    class Changing(BytesSource):
        def read_at(self, offset: int, length: int) -> bytes:
            nonlocal reads
            reads += 1
            data = super().read_at(offset, length)
            if reads <= 4 or not offset <= position < offset + len(data):
                return data
            return data[: position - offset] + b"\xff" + data[position - offset + 1 :]

    with pytest.raises(SourceChangedError):
        alpine_apk.read(Changing(VALID), (), ReadLimits())


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_with_a_reading_error(data: bytes) -> None:
    """Only the three errors of a reader come of streams with anything in them."""
    for one in (
        data,
        b"\x1f\x8b\x08\0" + data,
        gzip.compress(data),
        signatures(("RSA", data + b"x")) + data,
        VALID[:-9] + data,
    ):
        try:
            recognised(one)
            read(one)
        except READ_ERRORS:
            continue
        assert one.startswith(b"\x1f\x8b")


@given(st.integers(0, len(VALID) - 1), st.integers(0, 255))
def test_a_changed_package_is_read_or_refused(position: int, value: int) -> None:
    """A byte changed gives a reading or one of the three errors."""
    try:
        read(bytes([*VALID[:position], value, *VALID[position + 1 :]]))
    except READ_ERRORS:
        return


def test_a_large_info_file_is_a_resource_limit() -> None:
    """A short stream can unpack to millions of lines, which take much memory: .PKGINFO may have one MiB."""
    with pytest.raises(ResourceLimitError, match="a file of more than"):
        read_control(gzip.decompress(segment((".PKGINFO", b"a = b\n" * 200_000))))
