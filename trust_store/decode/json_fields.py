"""Fields of JSON objects from outside, as protocol buffers write them: each function returns what it is named after.

Or it raises MalformedError.
Whole numbers of 64 bits may stand as decimal text and bytes are base64 (protobuf's JSON mapping). Fields that nobody asks for are left
alone: newer writers add some.
"""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING, Any

from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.model.identifiers import parse_time

if TYPE_CHECKING:
    from datetime import datetime

MAX_TEXT = 65_536
MAX_INTEGER_DIGITS = 20


def an_object(said: dict[str, Any], name: str) -> dict[str, Any]:
    """The object in field ``name``."""
    value = said.get(name)
    if not isinstance(value, dict):
        raise MalformedError(f"{name!r} is no object")
    return value


def maybe_object(said: dict[str, Any], name: str) -> dict[str, Any] | None:
    """The same, or None where the field is absent or null."""
    return None if said.get(name) is None else an_object(said, name)


def objects(said: dict[str, Any], name: str, most: int) -> list[dict[str, Any]]:
    """The objects of a list, at most ``most``; none where the field is absent or null. Raises ResourceLimitError for more."""
    value = said.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise MalformedError(f"{name!r} is no list of objects")
    if len(value) > most:
        raise ResourceLimitError(f"{len(value)} entries in {name!r}, at most {most} are read")
    return value


def a_text(said: dict[str, Any], name: str, most: int = MAX_TEXT) -> str:
    """The text in field ``name``, not empty and of at most ``most`` characters."""
    value = said.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= most:
        raise MalformedError(f"{name!r} is no text, or none of 1 to {most} characters")
    return value


def an_integer(said: dict[str, Any], name: str) -> int:
    """The natural number in field ``name``, written as one or as decimal text."""
    value = said.get(name)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= MAX_INTEGER_DIGITS:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        raise MalformedError(f"{name!r} is no natural number")
    return value


def some_octets(said: dict[str, Any], name: str) -> bytes:
    """The bytes in field ``name``, at least one, in any of the ways in which base64 is written."""
    value = said.get(name)
    if not isinstance(value, str) or not (octets := any_base64(value, name)):
        raise MalformedError(f"{name!r} is no base64")
    return octets


def base64_octets(text: str, name: str) -> bytes:
    """Base64 with its padding and without line ends (RFC 4648 4)."""
    if len(text) % 4 or text.endswith("==="):
        raise MalformedError(f"{name!r} is not base64: its padding is wrong")
    try:
        return binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except ValueError as error:
        raise MalformedError(f"{name!r} is not base64: {str(error)[:100]}") from error


def any_base64(text: str, name: str) -> bytes:
    """The same, or with the alphabet for addresses (RFC 4648 5), without padding, or in lines (RFC 2045 6.8).

    Protobuf's JSON mapping has readers take each of them, and so has DSSE (protocol.md).
    """
    joined = text.replace("\r", "").replace("\n", "") if "\n" in text else text
    if "-" in joined or "_" in joined:
        if "+" in joined or "/" in joined:
            raise MalformedError(f"{name!r} is in two alphabets of base64 at once")
        joined = joined.replace("-", "+").replace("_", "/")
    return base64_octets(joined if joined.endswith("=") else joined + "=" * (-len(joined) % 4), name)


def a_digest(text: object, octets: int) -> bytes:
    """A digest written in hexadecimal, of exactly so many octets."""
    try:
        digest = binascii.a2b_hex(text) if isinstance(text, str) else b""
    except ValueError:
        digest = b""
    if len(digest) != octets:
        raise MalformedError(f"no digest of {octets} octets in hexadecimal")
    return digest


def a_window(said: dict[str, Any], name: str) -> tuple[datetime | None, datetime | None]:
    """The times between which something is good, both included (TimeRange); None where there is no such end.

    No window at all bounds nothing; one that is there has a start (sigstore_common.proto: only the end is optional).
    """
    window = maybe_object(said, name)
    first, last = (_moment(window.get(end)) for end in ("start", "end")) if window is not None else (None, None)
    if window is not None and first is None:
        raise MalformedError(f"{name!r} has no start")
    if first and last and first > last:
        raise MalformedError(f"{name!r} ends before it starts")
    return first, last


def _moment(value: object) -> datetime | None:
    if value is None:
        return None
    try:
        if isinstance(value, str):
            return parse_time(value)
    except (ValueError, OverflowError) as error:
        raise MalformedError(f"no time: {str(error)[:100]}") from error
    raise MalformedError("no time")
