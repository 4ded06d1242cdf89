from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.packages.generate.linux_module import appended, module
from tests.packages.table import FIXTURES
from trust_store.errors import READ_ERRORS, MalformedError, UnsupportedError
from trust_store.formats.protocol import Reading, ReadLimits
from trust_store.formats.readers import linux_module
from trust_store.formats.streaming import BytesSource
from trust_store.model.package_facts import Uncovered

VALID = (FIXTURES / "linux-module" / "valid.ko").read_bytes()
MODULE = module()
MARK = linux_module.MARK


def read(data: bytes) -> Reading:
    """The module in ``data``."""
    return linux_module.read(BytesSource(data), (), ReadLimits())


def test_everything_before_the_signature_is_covered() -> None:
    """Signature, structure and mark are inert; the module is covered to its last byte."""
    coverage = read(VALID).coverage
    assert coverage.covered_bytes == len(MODULE)
    assert coverage.uncovered == (Uncovered(start=len(MODULE), end=len(VALID), inert=True),)


def test_the_mark_alone_decides_what_is_a_signed_module() -> None:
    """A file that ends with the mark is read as one, whatever comes before; one byte more and it is none."""
    assert linux_module.recognises(BytesSource(MARK), ReadLimits())
    assert linux_module.recognises(BytesSource(VALID), ReadLimits())
    assert not linux_module.recognises(BytesSource(VALID + b"\n"), ReadLimits())
    assert not linux_module.recognises(BytesSource(MARK[1:]), ReadLimits())


@pytest.mark.parametrize("data", [MARK, b"x" + MARK, b"x" * 11 + MARK, MODULE + MARK])
def test_a_mark_without_its_structure_is_refused(data: bytes) -> None:
    """Twelve bytes of structure stand before the mark."""
    with pytest.raises((MalformedError, UnsupportedError)):
        read(data)


@pytest.mark.parametrize("length", [0xFFFFFFFF, len(MODULE) + 1, 9 * 1024 * 1024])
def test_a_signature_larger_than_the_file_is_malformed(length: int) -> None:
    """Nothing is read before the file's beginning."""
    with pytest.raises(MalformedError):
        read(appended(MODULE, b"", length=length))


def test_a_signature_of_no_bytes_is_told_as_malformed() -> None:
    """An empty message is a signature that cannot be read."""
    (fact,) = read(appended(MODULE, b"")).signatures
    assert fact.problem is not None
    assert fact.problem.reason.value == "malformed"


@given(st.binary(max_size=200), st.integers(0, 400))
def test_any_bytes_are_refused_with_a_reading_error(data: bytes, length: int) -> None:
    """Only the three errors of a reader come of whatever stands before the mark."""
    for one in (
        data + MARK,
        appended(MODULE, data),
        appended(MODULE, data, length=length),
        appended(b"\x7fELF" + data, data),
    ):
        try:
            read(one)
        except READ_ERRORS:
            continue
        assert one.endswith(MARK)
