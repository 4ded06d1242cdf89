"""One pass over a package: every byte is read once, in order, and goes through all the digests that are wanted."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from trust_store.errors import MalformedError, UnsupportedError
from trust_store.formats.protocol import CHUNK_BYTES
from trust_store.signatures.protocol import FOREIGN, LENGTH, MESSAGE, STRONG_DIGESTS, WEAK_DIGESTS, DigestRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from trust_store.formats.digest_threads import DigestThreads
    from trust_store.formats.protocol import PackageSource
    from trust_store.signatures.protocol import DigestState

SHA256 = DigestRequest("sha256")
THREADED_FROM_BYTES = 8 * 1024**2


class SourceChangedError(OSError):
    """The file became shorter while it was being read."""


class FileSource:
    """A package by its descriptor; positional reads only, so that the descriptor may be shared."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._size = os.fstat(descriptor).st_size

    @property
    def size(self) -> int:
        """Bytes at the time of opening."""
        return self._size

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes from ``offset``, fewer only at the end and none before the start; raises OSError."""
        wanted = max(0, min(length, self._size - offset)) if offset >= 0 else 0
        pieces: list[bytes] = []
        while wanted:
            piece = os.pread(self.descriptor, wanted, offset)
            if not piece:
                raise SourceChangedError("the file became shorter while it was being read")
            pieces.append(piece)
            offset += len(piece)
            wanted -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class BytesSource:
    """A package held in memory, for tests and for members."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self._data)

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes from ``offset``, fewer only at the end and none before the start."""
        return self._data[offset : offset + max(0, length)] if offset >= 0 else b""


class TextState:
    """A digest over text with its line ends as CR LF (RFC 9580 5.2.1.2): a bare LF gets its CR.

    A CR without its LF has no one canonical form: GnuPG keeps it within a line and drops it before the end of one, others end a line
    with it. Text with one has no digest.
    """

    def __init__(self, state: DigestState, *, ends_in_cr: bool = False) -> None:
        self._state = state
        self._ends_in_cr = ends_in_cr
        self._ambiguous = False

    def update(self, data: bytes, /) -> None:
        """Take the next piece of the text."""
        if self._ends_in_cr and data:
            data = b"\r" + data
            self._ends_in_cr = False
        if data.endswith(b"\r"):
            self._ends_in_cr = True
            data = data[:-1]
        self._ambiguous = self._ambiguous or data.count(b"\r") != data.count(b"\r\n")
        self._state.update(data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))

    def copy(self) -> DigestState:
        """An independent digest of the text so far, ready for what follows it."""
        return AmbiguousText() if self._ambiguous or self._ends_in_cr else self._state.copy()

    def digest(self) -> bytes:
        """The digest of the text so far; raises UnsupportedError where a CR stands without its LF."""
        return self.copy().digest()


class AmbiguousText:
    """The digest of text of which programs that canonicalize it make different bytes: there is none."""

    def update(self, data: bytes, /) -> None:
        """Whatever follows changes nothing."""

    def copy(self) -> DigestState:
        """The same."""
        return self

    def digest(self) -> bytes:
        """Raises UnsupportedError."""
        raise UnsupportedError(
            "a signature over text with a CR that is no line end (RFC 9580 5.2.1.2): programs disagree on it"
        )


def new_state(request: DigestRequest) -> DigestState:
    """A fresh digest; raises UnsupportedError where the name is unknown or this machine's library lacks it."""
    if request.algorithm in (MESSAGE, FOREIGN, LENGTH):
        from trust_store.formats import kept_content  # few signatures want them

        return kept_content.new_state(request.algorithm)
    if request.algorithm not in STRONG_DIGESTS | WEAK_DIGESTS:
        raise UnsupportedError(f"digest {request.algorithm[:40]!a} is not supported")
    try:
        state = hashlib.new(request.algorithm, usedforsecurity=False)
    except ValueError as error:
        raise UnsupportedError(f"digest {request.algorithm} is not available here") from error
    if request.prefix:  # the salt of a version 6 OpenPGP signature (RFC 9580 5.2.4)
        state.update(request.prefix)
    return TextState(state) if request.text else state


def digests_of(data: bytes, requests: Iterable[DigestRequest]) -> dict[DigestRequest, DigestState]:
    """The states of ``requests`` over bytes in memory; raises UnsupportedError."""
    states = {request: new_state(request) for request in requests}
    for state in states.values():
        state.update(data)
    return states


class PackageStream:
    """The package from start to end; at the end ``states`` hold every digest over it, SHA-256 always among them.

    No single read crosses ``boundary``; when it has been reached, ``snapshot`` holds copies of the states over the bytes
    before it.
    """

    def __init__(
        self, source: PackageSource, requests: Iterable[DigestRequest], *, boundary: int | None = None
    ) -> None:
        self.states: dict[DigestRequest, DigestState] = {r: new_state(r) for r in {SHA256, *requests}}
        self.snapshot: Mapping[DigestRequest, DigestState] = {}
        self._source = source
        self._boundary = boundary
        self._position = 0
        self._buffer = b""
        self._at = 0
        self._threads: DigestThreads | None = None

    @property
    def sha256(self) -> str:
        """Of the whole file, hex; only to be asked at its end."""
        return self.states[SHA256].copy().digest().hex()

    def take(self, length: int) -> bytes:
        """Exactly ``length`` bytes; raises MalformedError if the file ends before."""
        if length <= len(self._buffer) - self._at:
            piece = self._buffer[self._at : self._at + length]
            self._at += length
            return piece
        return b"".join(self.chunks(length))

    def chunks(self, length: int) -> Iterator[bytes]:
        """The next ``length`` bytes in pieces of at most CHUNK_BYTES; raises MalformedError if the file ends before."""
        while length > 0:
            if self._at == len(self._buffer):
                self._fill()
            piece = (
                self._buffer[self._at : self._at + length] if self._at or length < len(self._buffer) else self._buffer
            )
            self._at += len(piece)
            length -= len(piece)
            yield piece

    def read_to_end(self) -> None:
        """Take in all that is left."""
        for _ in self.chunks(self._source.size - self._position + len(self._buffer) - self._at):
            pass

    def _fill(self) -> None:
        wanted = CHUNK_BYTES
        if self._boundary is not None and self._position < self._boundary:
            wanted = min(wanted, self._boundary - self._position)
        self._buffer = self._source.read_at(self._position, wanted)
        self._at = 0
        if not self._buffer:
            raise MalformedError("the file ends before what it describes does")
        self._position += len(self._buffer)
        self._digest(self._buffer)
        if self._position == self._boundary:
            self.snapshot = {request: state.copy() for request, state in self.states.items()}

    def _digest(self, data: bytes) -> None:
        """Through every digest; large files with several through threads. At the boundary and the end all are up to date."""
        states = list(self.states.values())
        if len(states) < 2 or self._source.size < THREADED_FROM_BYTES:
            for state in states:
                state.update(data)
            return
        if self._threads is None:
            from trust_store.formats.digest_threads import DigestThreads  # rarely needed, and not free to import

            self._threads = DigestThreads(states)
        self._threads.update(data)
        if self._position == self._boundary:
            self._threads.drain()
        if self._position >= self._source.size:
            self._threads.close()
