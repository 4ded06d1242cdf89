"""Times of certificates, revocation lists and OCSP responses (RFC 5280 section 4.1.2.5), strictly: whole seconds, Z, no fraction."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from trust_store.decode.asn1 import GENERALIZED_TIME, UTC_TIME
from trust_store.errors import MalformedError

if TYPE_CHECKING:
    from trust_store.decode.asn1 import Element

_PIVOT = 50
"""UTCTime years below are 20YY, the others 19YY (RFC 5280 section 4.1.2.5.1)."""
GENERALIZED_FROM_YEAR = 2050
_LENGTHS = {UTC_TIME: 13, GENERALIZED_TIME: 15}


def read_time(element: Element, what: str) -> datetime:
    """The aware UTC time of a UTCTime or GeneralizedTime; raises MalformedError naming ``what``."""
    return parse_time(element.tag, element.content, what)


def parse_time(tag: int, content: bytes, what: str) -> datetime:
    """As ``read_time``, from tag and content octets."""
    if len(content) != _LENGTHS.get(tag) or content[-1:] != b"Z" or not content[:-1].isdigit():
        raise MalformedError(f"{what} is no UTCTime or GeneralizedTime in whole seconds, Z")
    text = content[:-1].decode("ascii")
    if tag == UTC_TIME:
        text = ("20" if int(text[:2]) < _PIVOT else "19") + text
    try:
        return datetime(
            int(text[:4]), int(text[4:6]), int(text[6:8]), int(text[8:10]), int(text[10:12]), int(text[12:]), tzinfo=UTC
        )
    except ValueError as error:
        raise MalformedError(f"{what}: {error}") from error
