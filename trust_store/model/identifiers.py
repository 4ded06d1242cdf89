"""Ids, times and fingerprints: the only place that knows how they are written down."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SEPARATORS = re.compile(r"[\s:\-\u00a0\u200b\u200c\u200d\u2060\ufeff]+")
_HEX = re.compile(r"[0-9a-f]+\Z")
RANDOM_BYTES = 10


class IdentifierKind(StrEnum):
    """What a value identifies. Only digests of a whole key or certificate are identities; the others are hints.

    ``sha256`` is the digest of a whole certificate or, for keys without one, of the key itself (SSH key blob, minisign key);
    ``key_id`` an OpenPGP key id or minisign key number (16 hex digits) or npm key id; ``issuer`` the name of a certificate's issuer.
    """

    SHA256 = "sha256"
    SHA1 = "sha1"
    SPKI_SHA256 = "spki_sha256"
    SUBJECT_KEY_IDENTIFIER = "subject_key_identifier"
    AUTHORITY_KEY_IDENTIFIER = "authority_key_identifier"
    OPENPGP = "openpgp"
    OPENPGP_SUBKEY = "openpgp_subkey"
    KEY_ID = "key_id"
    SUBJECT = "subject"
    ISSUER = "issuer"


@dataclass(frozen=True, slots=True, order=True)
class Identifier:
    """One value that points at a key: lower-case hex without separators, or an RFC 4514 name for ``subject``."""

    kind: IdentifierKind
    value: str


def new_id(prefix: str, at: datetime, randomness: bytes) -> str:
    """Return ``prefix_`` + ULID (48 bits of milliseconds, 80 bits of ``randomness``, 10 bytes)."""
    if len(randomness) != RANDOM_BYTES:
        raise ValueError(f"a ULID needs {RANDOM_BYTES} random bytes")
    number = (int(at.timestamp() * 1000) << 80) | int.from_bytes(randomness, "big")
    return f"{prefix}_" + "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -5, -5))


def format_time(at: datetime) -> str:
    """Return ``YYYY-MM-DDTHH:MM:SS.ffffffZ``; raises ValueError for a naive time."""
    if at.tzinfo is None:
        raise ValueError("a time without a zone has no meaning here; write it with Z or an offset")
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def parse_time(text: str) -> datetime:
    """Return an aware UTC time from ISO 8601 text; raises ValueError if it is naive or no time."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write it with Z or an offset")
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text!r} is before or after every date in UTC") from error


def normalise_hex(text: str) -> str | None:
    """Return ``text`` as lower-case hex without colons, blanks, dashes or zero-width marks, or None if it is not hex."""
    plain = _SEPARATORS.sub("", text).lower().removeprefix("0x")
    return plain if _HEX.match(plain) else None
