"""Values out of JSON, read strictly: each function returns what it is named after or raises MalformedError."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, TypeVar

from trust_store.errors import MalformedError
from trust_store.model.identifiers import parse_time

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

MAX_TEXT = 8192
MAX_ITEMS = 200_000
MAX_BYTES = 16 * 1024**2
_T = TypeVar("_T")


def object_of(value: object, keys: frozenset[str]) -> dict[str, Any]:
    """An object with exactly these keys."""
    if not isinstance(value, dict) or set(value) != keys:
        raise MalformedError("an object with other keys than it must have")
    return value


def list_of(value: object, read: Callable[[object], _T], most: int = MAX_ITEMS) -> tuple[_T, ...]:
    """A list of at most ``most``, each item read."""
    if not isinstance(value, list) or len(value) > most:
        raise MalformedError("not a list, or too long a one")
    return tuple(read(item) for item in value)


def row_of(value: object, length: int) -> list[Any]:
    """A list of exactly so many."""
    if not isinstance(value, list) or len(value) != length:
        raise MalformedError(f"not a list of {length}")
    return value


def optional(value: object, read: Callable[[object], _T]) -> _T | None:
    """None, or the value read."""
    return None if value is None else read(value)


def text(value: object) -> str:
    """A text that can be written down again, of at most MAX_TEXT characters."""
    if not isinstance(value, str) or len(value) > MAX_TEXT or any("\ud800" <= c <= "\udfff" for c in value):
        raise MalformedError("not a text, or too long a one")
    return value


def boolean(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise MalformedError("neither true nor false")
    return value


def natural(value: object) -> int:
    """A whole number that a table holds, not below nought."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        raise MalformedError("not a natural number")
    return value


def moment(value: object) -> datetime:
    """A time with its zone."""
    try:
        return parse_time(text(value))
    except (ValueError, OverflowError) as error:
        raise MalformedError("not a time") from error


def octets(value: object) -> bytes:
    """Bytes in base64, at most MAX_BYTES of it."""
    if not isinstance(value, str) or len(value) > MAX_BYTES * 4 // 3 + 4:
        raise MalformedError("not base64, or too much of it")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError("not base64") from error
