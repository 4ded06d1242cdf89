"""Digest states that keep content in place of hashing it: for Ed25519, which needs the message, and for looking at what was signed."""

from __future__ import annotations

from trust_store.decode.foreign_messages import HEAD_BYTES, TAIL_BYTES, foreign_message
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.signatures.protocol import LENGTH, MAX_MESSAGE_BYTES, MESSAGE, DigestState


def new_state(what: str) -> DigestState:
    """The state for MESSAGE, LENGTH or FOREIGN."""
    if what == MESSAGE:
        return MessageState()
    return LengthState() if what == LENGTH else ForeignState()


class LengthState:
    """How many bytes there are."""

    def __init__(self, size: int = 0) -> None:
        self._size = size

    def update(self, data: bytes, /) -> None:
        """Take the next piece of the content."""
        self._size += len(data)

    def copy(self) -> LengthState:
        """The count so far."""
        return LengthState(self._size)

    def digest(self) -> bytes:
        """Eight octets, the highest first."""
        return self._size.to_bytes(8, "big")


class MessageState:
    """The content itself, up to ``limit`` bytes; beyond, nothing is kept and ``digest`` raises ResourceLimitError."""

    def __init__(self, limit: int = MAX_MESSAGE_BYTES, pieces: tuple[bytes, ...] = (), size: int = 0) -> None:
        self._limit, self._size = limit, size
        self._pieces = list(pieces)

    def update(self, data: bytes, /) -> None:
        """Take the next piece of the content."""
        self._size += len(data)
        if self._size > self._limit:
            self._pieces.clear()
        elif data:
            self._pieces.append(bytes(data))

    def copy(self) -> MessageState:
        """The content so far, ready for what follows it; the pieces are shared."""
        if len(self._pieces) > 1:
            self._pieces = [b"".join(self._pieces)]
        return MessageState(self._limit, tuple(self._pieces), self._size)

    def digest(self) -> bytes:
        """The content; raises ResourceLimitError where it is longer than what is kept."""
        if self._size > self._limit:
            raise ResourceLimitError(
                f"an Ed25519 value over {self._size} bytes without a digest; at most {self._limit} are kept in memory"
            )
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)


class ForeignState:
    """Both ends of the content; ``digest`` is empty, and raises MalformedError where the content is a message of another protocol."""

    def __init__(self, head: bytes = b"", tail: bytes = b"", size: int = 0) -> None:
        self._head, self._tail, self._size = head, tail, size

    def update(self, data: bytes, /) -> None:
        """Take the next piece of the content."""
        self._size += len(data)
        if len(self._head) < HEAD_BYTES:
            self._head += data[: HEAD_BYTES - len(self._head)]
        self._tail = (self._tail + data)[-TAIL_BYTES:] if len(data) < TAIL_BYTES else bytes(data[-TAIL_BYTES:])

    def copy(self) -> ForeignState:
        """The same, ready for what follows."""
        return ForeignState(self._head, self._tail, self._size)

    def digest(self) -> bytes:
        """Nothing; raises MalformedError where a value over this content may have been made for something else."""
        kind = foreign_message(self._head, self._tail, self._size)
        if kind is not None:
            raise MalformedError(f"the file is {kind}: the signature may have been made for that and not for a file")
        return b""
