"""Digests over parts of a package and over bytes that stand for others: what embedded signatures cover is seldom the file as it lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.errors import MalformedError
from trust_store.formats.protocol import CHUNK_BYTES
from trust_store.formats.streaming import new_state
from trust_store.signatures.protocol import DigestRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trust_store.formats.protocol import PackageSource


def range_chunks(source: PackageSource, start: int, end: int) -> Iterator[bytes]:
    """The bytes from ``start`` to before ``end`` in pieces of at most CHUNK_BYTES; raises MalformedError where there are fewer."""
    while start < end:
        data = source.read_at(start, min(CHUNK_BYTES, end - start))
        if not data:
            raise MalformedError("the file ends before what it describes does")
        start += len(data)
        yield data


def digest_ranges(
    source: PackageSource, pieces: Iterable[tuple[int, int] | bytes], algorithms: Iterable[str]
) -> dict[str, bytes]:
    """Digest by algorithm over ``pieces`` in their order: (start, end) of the source, or bytes as they are.

    ``source`` is one whose bytes cannot change any more (``pinned.PinnedSource``). Raises MalformedError and UnsupportedError.
    """
    states = {algorithm: new_state(DigestRequest(algorithm)) for algorithm in algorithms}
    for piece in pieces:
        chunks = (piece,) if isinstance(piece, bytes) else range_chunks(source, *piece)
        for chunk in chunks:
            for state in states.values():
                state.update(chunk)
    return {algorithm: state.digest() for algorithm, state in states.items()}
