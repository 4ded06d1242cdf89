from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trust_store.package_craft import LIMITS, side
from trust_store.errors import MalformedError, TrustStoreError, UnsupportedError
from trust_store.formats import streaming
from trust_store.formats.detect import read_package
from trust_store.formats.streaming import SHA256, BytesSource, FileSource, PackageStream, digests_of
from trust_store.model.verdict import Reason
from trust_store.signatures.protocol import DigestRequest

if TYPE_CHECKING:
    from pathlib import Path


class Shrinking:
    """A source whose file becomes shorter, as FileSource reports it."""

    size = 100

    def read_at(self, offset: int, length: int) -> bytes:
        """Fail after the first bytes."""
        if offset:
            raise streaming.SourceChangedError("the file became shorter while it was being read")
        return bytes(min(length, 10))


def test_source_that_shrinks_is_unreadable(tmp_path: Path) -> None:
    """A file that changes under the reader is unreadable, not malformed."""
    problem = read_package(Shrinking(), (side(b"x"),), (), LIMITS).problem
    assert problem is not None
    assert problem.reason is Reason.UNREADABLE
    path = tmp_path / "x"
    path.write_bytes(bytes(10))
    with path.open("rb+") as file:
        source = FileSource(file.fileno())
        assert (source.read_at(8, 10), source.size) == (bytes(2), 10)
        file.truncate(5)
        with pytest.raises(streaming.SourceChangedError):
            source.read_at(0, 10)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b" "]), max_size=12), st.integers(1, 5))
def test_text_digest_does_not_depend_on_pieces(parts: list[bytes], step: int) -> None:
    """Line ends become CR LF, wherever the pieces of the stream end; with a CR that is none there is no digest, whatever follows."""
    text = b"".join(parts)
    request = DigestRequest("sha256", text=True)
    expected = hashlib.sha256(text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")).digest()
    state = streaming.new_state(request)
    for start in range(0, len(text), step):
        state.update(text[start : start + step])
    if b"\r" in text.replace(b"\r\n", b""):
        copied = state.copy().copy()
        copied.update(b"trailer")
        for ambiguous in (state, copied, digests_of(text, (request,))[request]):
            with pytest.raises(UnsupportedError, match="CR"):
                ambiguous.digest()
        return
    assert digests_of(text, (request,))[request].digest() == expected
    assert state.copy().digest() == state.digest() == expected


def test_digest_with_prefix_and_unknown_names() -> None:
    """A prefix goes before the content; a digest that is not known is unsupported."""
    request = DigestRequest("sha512", prefix=b"salt")
    assert digests_of(b"x", (request,))[request].digest() == hashlib.sha512(b"saltx").digest()
    for name in ("shake_128", "ripemd161"):
        with pytest.raises(TrustStoreError):
            streaming.new_state(DigestRequest(name))


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=1, max_size=60), st.lists(st.integers(0, 30), max_size=6), st.integers(1, 59))
def test_stream_hands_out_and_digests_the_same_bytes(data: bytes, takes: list[int], boundary: int) -> None:
    """What is taken is what is hashed, in any portions; the snapshot is over exactly the bytes before the boundary."""
    boundary = min(boundary, len(data))
    stream = PackageStream(BytesSource(data), (), boundary=boundary)
    position = 0
    for length in takes:
        if position + length > len(data):
            with pytest.raises(MalformedError):
                stream.take(length)
            return
        assert stream.take(length) == data[position : position + length]
        position += length
    stream.read_to_end()
    assert stream.sha256 == hashlib.sha256(data).hexdigest()
    assert stream.snapshot[SHA256].digest() == hashlib.sha256(data[:boundary]).digest()


def test_nothing_lies_before_the_start(tmp_path: Path) -> None:
    """Whoever looks for a trailer in a file that is too short for one is given nothing, whatever kind of source it is."""
    path = tmp_path / "short"
    path.write_bytes(b"ab")
    with path.open("rb") as stream:
        sources = (FileSource(stream.fileno()), BytesSource(b"ab"))
        assert [source.read_at(-1, 1) for source in sources] == [b"", b""]
        assert [source.read_at(0, 5) for source in sources] == [b"ab", b"ab"]
