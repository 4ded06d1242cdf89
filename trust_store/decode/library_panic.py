"""A panic of the Rust core of ``cryptography``, which pyo3 raises as a BaseException of its own: it proves nothing of a signature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.errors import MalformedError

if TYPE_CHECKING:
    from types import TracebackType


class PanicIsMalformed:
    """Within it a panic is a MalformedError; every other exception stays what it is."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is not None and kind.__name__ == "PanicException":
            raise MalformedError("the library gave up on it") from error


panic_is_malformed = PanicIsMalformed()
