from __future__ import annotations

import hashlib

import pytest

from tests.packages.generate.rpm_craft import octets, split
from tests.packages.table import FIXTURES
from trust_store.errors import UnsupportedError
from trust_store.formats import signed_parts
from trust_store.formats.part_names import part_named
from trust_store.formats.protocol import ReadLimits
from trust_store.formats.readers import rpm
from trust_store.formats.signed_parts import PartDigests, read_openpgp
from trust_store.formats.streaming import BytesSource
from trust_store.signatures.protocol import DigestRequest

CHUNKS = (b"one", b"", b"two" * 1000, b"three")
ALGORITHMS = ("md5", "sha256", "sha512")


@pytest.mark.parametrize("threaded_from", [1, 1 << 30])
def test_digests_are_the_same_with_and_without_threads(monkeypatch: pytest.MonkeyPatch, threaded_from: int) -> None:
    """Every digest is over all chunks in their order, and may be asked for more than once."""
    monkeypatch.setattr(signed_parts, "THREADED_FROM_BYTES", threaded_from)
    whole = b"".join(CHUNKS)
    parts = PartDigests(map(DigestRequest, ALGORITHMS), len(whole), keep=True)
    for chunk in CHUNKS:
        parts.update(chunk)
    for _ in range(2):
        found = {request.algorithm: state.copy().digest() for request, state in parts.close().items()}
        assert found == {name: hashlib.new(name, whole).digest() for name in ALGORITHMS}
    assert parts.content == whole


def test_nothing_is_kept_that_is_not_wanted_or_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Content is kept only on request, and up to the cap."""
    monkeypatch.setattr(signed_parts, "MAX_KEPT_BYTES", 3)
    for length, keep, expected in ((3, True, b"abc"), (3, False, None), (4, True, None)):
        parts = PartDigests((), length, keep=keep)
        parts.update(b"abcd"[:length])
        assert parts.content == expected


def test_a_digest_that_there_is_not_is_unsupported() -> None:
    """An unknown name is told at once."""
    with pytest.raises(UnsupportedError):
        PartDigests([DigestRequest("sha0")], 1)


def test_what_is_no_signature_is_a_fact_with_its_problem() -> None:
    """Nothing that stands in a signature's place is left out."""
    for value in (b"", b"x", b"\xc2\x01\x04", bytes(100)):
        (fact,) = read_openpgp(value).unreadable
        assert fact.problem is not None


def test_a_large_package_is_read_with_threads_as_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """The facts of a package do not depend on how its digests were computed."""
    data = (FIXTURES / "rpm" / "header_and_payload.rpm").read_bytes()
    without = rpm.read(BytesSource(data), (), ReadLimits())
    monkeypatch.setattr(signed_parts, "THREADED_FROM_BYTES", 1)
    assert rpm.read(BytesSource(data), (), ReadLimits()) == without
    broken = split(data).signed_by(octets(1004, bytes(16))).data
    reading = rpm.read(BytesSource(broken), (), ReadLimits())
    assert reading.problem is not None
    assert "md5" in reading.problem.detail


def test_parts_are_never_called_alike() -> None:
    """A name that is too long to be told is told with its digest, and no other name is what that is."""
    names = ["a", "n" * 200, "n" * 201, "n" * 202, "n" * 200 + "b"]
    told = [part_named(name) for name in names]
    assert told[:2] == names[:2]
    assert len({*told, *map(part_named, told)}) == len(names) + 3
