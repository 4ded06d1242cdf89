from __future__ import annotations

import gzip
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.packages.generate.pacman import archive
from tests.packages.table import FIXTURES
from trust_store.decode.facts_json import facts_from_json, facts_to_json
from trust_store.decode.package_info import first_member, parse_package_info
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError
from trust_store.formats.detect import read_package
from trust_store.formats.protocol import ReadLimits, SideMaterial
from trust_store.formats.readers import pacman
from trust_store.formats.streaming import BytesSource
from trust_store.model.package_facts import Product, SideFile, SignatureOrigin
from trust_store.model.verdict import Reason

FOLDER = FIXTURES / "pacman"
VALID = (FOLDER / "valid.pkg.tar.gz").read_bytes()
SIGNATURE = (FOLDER / "valid.pkg.tar.gz.sig").read_bytes()
INFO = b"pkgname = a\npkgver = 1-1\n"


def test_the_package_states_the_product_where_it_is_signed() -> None:
    """Name and version come from .PKGINFO, and only with a signature beside the package."""
    file = SideFile("valid.pkg.tar.gz.sig", hashlib.sha256(SIGNATURE).hexdigest())
    side = (SideMaterial(file, SignatureOrigin.FOUND, SIGNATURE),)
    assert pacman.read(BytesSource(VALID), side, ReadLimits()).product == Product("fixture", "1.2-3")
    assert pacman.read(BytesSource(VALID), (), ReadLimits()).product is None


def test_packages_are_known_by_their_first_member() -> None:
    """Past extended headers, compressed or not; another first member makes it an archive like others."""
    for data in (VALID, gzip.decompress(VALID), archive((".MTREE", b""), (".PKGINFO", INFO))):
        assert pacman.recognises(BytesSource(data), ReadLimits())
    for data in (archive(("a", b""), (".PKGINFO", INFO)), gzip.compress(b"x"), b""):
        assert not pacman.recognises(BytesSource(data), ReadLimits())


def test_a_long_name_comes_before_its_member() -> None:
    """An extended header is passed over; one whose size is no number shows nothing."""
    data = gzip.decompress(archive((".PKGINFO", INFO), ("ä" * 150, b"")))
    assert first_member(data) == ".PKGINFO"
    extended = gzip.decompress(archive(("ä" * 150, b"")))
    assert first_member(extended) not in (None, ".PKGINFO")
    assert first_member(extended[:600]) is None
    assert first_member(extended[:124] + b"9" * 12 + extended[136:]) is None


@pytest.mark.parametrize("text", [b"pkgname\n", b"= 1\n", b"pkgname = a\npkgname = b\n", b"\xff"])
def test_an_info_file_that_programs_read_differently_is_malformed(text: bytes) -> None:
    """Lines are key and value, and what names the package stands once."""
    with pytest.raises(MalformedError):
        parse_package_info(text)


def test_a_large_info_file_is_a_resource_limit() -> None:
    """Lines and bytes of .PKGINFO are capped."""
    with pytest.raises(ResourceLimitError):
        parse_package_info(b"a = b\n" * 70_000)
    with pytest.raises(ResourceLimitError):
        pacman.read(BytesSource(archive((".PKGINFO", INFO + b"a = b\n" * 200_000))), (), ReadLimits())


def test_a_very_long_name_is_a_resource_limit() -> None:
    """What no facts hold is told as such, and not as a reader that answers nonsense."""
    data = archive((".PKGINFO", INFO.replace(b"= a", b"= " + b"a" * 10_000)))
    file = SideFile("a.sig", hashlib.sha256(SIGNATURE).hexdigest())
    facts = read_package(BytesSource(data), (SideMaterial(file, SignatureOrigin.FOUND, SIGNATURE),), (), ReadLimits())
    assert facts.problem is not None
    assert facts.problem.reason is Reason.RESOURCE_LIMIT
    assert facts_from_json(facts_to_json(facts)) == facts


@given(st.binary(max_size=1200))
def test_any_bytes_have_a_first_member_or_none(data: bytes) -> None:
    """Nothing is raised for what is no archive."""
    assert first_member(data) is None or data[257:262] == b"ustar"


@given(st.integers(0, len(VALID) - 1), st.integers(0, 255))
def test_a_changed_package_is_read_or_refused(position: int, value: int) -> None:
    """A byte changed gives a reading or one of the three errors."""
    try:
        pacman.read(BytesSource(bytes([*VALID[:position], value, *VALID[position + 1 :]])), (), ReadLimits())
    except READ_ERRORS:
        return
