"""One line of JSON from whoever asks, read without the leniencies about which readers differ."""

from __future__ import annotations

import json
import math
from typing import Any

from trust_store.errors import UsageError


def read_question(line: bytes) -> tuple[str | int | float | None, dict[str, Any]]:
    """Id and the rest of one question; raises UsageError for what is no JSON object with a usable id."""
    try:
        asked = json.loads(line, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not a JSON object: {str(error)[:120]}") from error
    if not isinstance(asked, dict):
        raise UsageError("not a JSON object")
    identity = asked.pop("id", None)
    if isinstance(identity, bool) or not isinstance(identity, str | int | float | None):
        raise UsageError("'id' must be a string or a number")
    if isinstance(identity, float) and not math.isfinite(identity):
        raise UsageError("'id' is no number that JSON can carry")  # RFC 8259 section 6
    return identity, asked


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A key that stands twice says two things, and readers differ about which of them holds."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")
