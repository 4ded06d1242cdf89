"""JSON from outside, read strictly: no key twice, no NaN, no great numbers, no great depth."""

from __future__ import annotations

import json
from typing import Any

from trust_store.errors import MalformedError, ResourceLimitError

MAX_JSON_BYTES = 1024 * 1024
MAX_JSON_DEPTH = 32
MAX_NUMBER_DIGITS = 40
MAX_JSON_ITEMS = 200_000
"""Values of every depth together: each becomes an object many times as long as its text."""


def parse_object(data: bytes, *, max_bytes: int = MAX_JSON_BYTES, fractions: bool = False) -> dict[str, Any]:
    """The JSON object that ``data`` is (UTF-8); raises MalformedError or ResourceLimitError, nothing else.

    Numbers with a fraction or an exponent are refused unless ``fractions``: then they are kept as the text they are.
    """
    if len(data) > max_bytes:
        raise ResourceLimitError(f"JSON of {len(data)} bytes; at most {max_bytes} are read")
    if sum(map(data.count, (b",", b"[", b"{"))) > MAX_JSON_ITEMS:  # in texts as well: no value is without one of these
        raise ResourceLimitError(f"JSON with more than {MAX_JSON_ITEMS} values")
    try:
        text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
        found = json.loads(
            text,
            object_pairs_hook=_once,
            parse_constant=_refuse,
            parse_int=_number,
            parse_float=str if fractions else _refuse,
        )
    except RecursionError as error:
        raise ResourceLimitError("JSON nested too deep") from error
    except ValueError as error:
        raise MalformedError(f"not JSON that can be read: {str(error)[:200]}") from error
    if not isinstance(found, dict):
        raise MalformedError("JSON that is no object")
    _require_shallow(found)
    return found


def _require_shallow(value: object) -> None:
    """A level at a time, so that depth never becomes the interpreter's own."""
    level: list[object] = [value]
    for _ in range(MAX_JSON_DEPTH):
        inner: list[object] = []
        for item in level:
            if isinstance(item, str) and not _is_text(item):
                raise MalformedError("JSON with half a character")
            inner += (*item, *item.values()) if isinstance(item, dict) else item if isinstance(item, list) else ()
        if not inner:
            return
        level = inner
    raise ResourceLimitError(f"JSON nested deeper than {MAX_JSON_DEPTH}")


def _is_text(text: str) -> bool:
    """A lone surrogate is no text and cannot be written down again."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _refuse(text: str) -> Any:
    raise ValueError(f"{text[:40]} has no place here")


def _number(text: str) -> int:
    if len(text) > MAX_NUMBER_DIGITS:
        raise ValueError("a number that is too long")
    return int(text)
