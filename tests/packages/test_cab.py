from __future__ import annotations

import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.packages.table import FIXTURES, cases, facts_and_verdict
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError, UnsupportedError
from trust_store.formats.protocol import ReadLimits
from trust_store.formats.readers import cab
from trust_store.formats.streaming import BytesSource

VALID = (FIXTURES / "cab/valid.cab").read_bytes()
UNSIGNED = (FIXTURES / "cab/unsigned.cab").read_bytes()
LIMITS = ReadLimits()


def patched(at: int, form: str, *values: int) -> bytes:
    """The signed cabinet with little-endian values put in."""
    changed = bytearray(VALID)
    struct.pack_into("<" + form, changed, at, *values)
    return bytes(changed)


def test_covered_and_uncovered_are_the_whole_file() -> None:
    """The map has every byte once."""
    for data in (VALID, UNSIGNED, VALID + b"appended"):
        coverage = cab.read(BytesSource(data), (), LIMITS).coverage
        assert coverage.covered_bytes + sum((o.end or 0) - (o.start or 0) for o in coverage.uncovered) == len(data)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (VALID[:30], MalformedError),
        (patched(25, "B", 2), UnsupportedError),
        (patched(8, "I", 20), MalformedError),
        (patched(8, "I", len(VALID) + 1), MalformedError),
        (patched(38, "B", 4), MalformedError),
        (patched(39, "B", 4), MalformedError),
        (patched(44, "I", 100), MalformedError),
        (patched(48, "I", 0), MalformedError),
        (patched(48, "I", len(VALID)), MalformedError),
        (patched(48, "I", 8) + bytes(16), MalformedError),
    ],
)
def test_broken_headers(data: bytes, error: type[Exception]) -> None:
    """A header that contradicts the file, or a signature that is not behind the cabinet, is refused."""
    with pytest.raises(error):
        cab.read(BytesSource(data), (), LIMITS)


def test_signature_that_is_too_long() -> None:
    """A signature of more than 8 MiB is not read."""
    with pytest.raises(ResourceLimitError):
        cab.read(BytesSource(patched(48, "I", 9 << 20) + bytes(9 << 20)), (), LIMITS)


def test_space_reserved_for_something_else() -> None:
    """A reserved area of another size holds no signature."""
    assert cab.read(BytesSource(patched(36, "H", 24)), (), LIMITS).signatures == ()


def test_packages_inside_get_verdicts_of_their_own() -> None:
    """A cabinet without a signature is unsigned; what is a package inside is judged as if it stood alone."""
    case = next(case for case in cases("cab") if case.values["name"] == "packages_inside")
    verdict = facts_and_verdict(case)[1]
    members = [(member.path, member.format, member.reason.value) for member in verdict.members]
    assert members == [("setup.exe", "pe", "trusted"), ("broken.exe", "pe", "uncovered_content")]
    assert verdict.reason.value == "unsigned"


def test_nothing_inside_a_cabinet_that_cannot_be_unpacked() -> None:
    """A compression that is not read, or a broken directory, leaves the cabinet as unsigned as it is."""
    inside = (FIXTURES / "cab/packages_inside.cab").read_bytes()
    for at, value in ((42, 3), (60, 0xFF)):  # the folder's compression, within the first file's entry
        changed = bytearray(inside)
        changed[at] = value
        reading = cab.read(BytesSource(bytes(changed)), (), LIMITS)
        assert (reading.signatures, reading.members) == ((), ())


@given(st.integers(0, len(VALID) - 1), st.binary(max_size=8), st.integers(0, 16))
def test_hostile_cabinets(place: int, inserted: bytes, removed: int) -> None:
    """Whatever the bytes, the answer is a reading of this very file or one of the errors of readers."""
    data = VALID[:place] + inserted + VALID[place + removed :]
    try:
        reading = cab.read(BytesSource(data), (), LIMITS)
    except READ_ERRORS:
        return
    assert reading.sha256 == hashlib.sha256(data).hexdigest()
