"""DSSE envelopes and the in-toto statements in them: bytes -> values, nothing judged and nothing verified.

https://github.com/secure-systems-lab/dsse (protocol.md, envelope.md), https://github.com/in-toto/attestation (spec/v1).
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

from trust_store.decode.json_fields import a_digest, a_text, objects, some_octets
from trust_store.decode.strict_json import parse_object
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

IN_TOTO = "application/vnd.in-toto+json"
STATEMENT_TYPES = ("https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1")
DIGEST_OCTETS = {"sha256": 32, "sha384": 48, "sha512": 64}
"""Digests of a subject that count; others (gitCommit, sha1) say nothing about a file here."""
MAX_PAYLOAD_BYTES = 16 * 1024 * 1024
MAX_SIGNATURES = 64
MAX_SUBJECTS = 4096
MAX_KEY_ID = 1024


@dataclass(frozen=True, slots=True)
class EnvelopeSignature:
    """A signature over the envelope's PAE; ``key_id`` is an unauthenticated hint, empty where there is none."""

    key_id: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """One envelope; at least one signature."""

    payload_type: str
    payload: bytes
    signatures: tuple[EnvelopeSignature, ...]

    @property
    def signed(self) -> bytes:
        """The octets that every signature is over: the pre-authentication encoding (protocol.md, PAE)."""
        kind = self.payload_type.encode()
        return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(self.payload), self.payload)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a statement is about: a name, and the digests of it that count, by hashlib name; at least one."""

    name: str | None
    digests: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """An in-toto statement; ``subjects`` without a digest that counts are left out."""

    predicate_type: str
    subjects: tuple[Subject, ...]
    count: int

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Every digest that some subject names."""
        return tuple(name for name in DIGEST_OCTETS if any(name in dict(s.digests) for s in self.subjects))

    def about(self, digests: Mapping[str, bytes]) -> tuple[Subject, ...]:
        """The subjects that are the file with these digests: every digest that counts must be the file's, not one of them."""
        return tuple(subject for subject in self.subjects if _is_it(subject, digests))


def parse_envelope(said: dict[str, Any]) -> Envelope:
    """The envelope in a JSON object; raises MalformedError or ResourceLimitError."""
    payload = some_octets(said, "payload")
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ResourceLimitError(f"DSSE: a payload of {len(payload)} bytes")
    signatures = [_signature(item) for item in objects(said, "signatures", MAX_SIGNATURES)]
    if not signatures:
        raise MalformedError("DSSE: an envelope without a signature")
    return Envelope(a_text(said, "payloadType", 1024), payload, tuple(signatures))


def parse_statement(envelope: Envelope) -> Statement:
    """The in-toto statement inside; raises MalformedError, ResourceLimitError, or UnsupportedError for another kind of payload."""
    if envelope.payload_type != IN_TOTO:
        raise UnsupportedError(f"DSSE: a payload of type {envelope.payload_type[:80]!a}, not an in-toto statement")
    said = parse_object(envelope.payload, max_bytes=MAX_PAYLOAD_BYTES, fractions=True)
    kind = a_text(said, "_type", 1024)
    if kind not in STATEMENT_TYPES:
        raise UnsupportedError(f"in-toto: a statement of type {kind[:80]!a}")
    listed = objects(said, "subject", MAX_SUBJECTS)
    if not listed:
        raise MalformedError("in-toto: a statement about nothing")
    subjects = tuple(subject for item in listed if (subject := _subject(item)).digests)
    if not subjects:
        raise UnsupportedError("in-toto: no subject has a SHA-256, SHA-384 or SHA-512 digest")
    return Statement(a_text(said, "predicateType", 4096), subjects, len(listed))


def _signature(said: dict[str, Any]) -> EnvelopeSignature:
    key_id = said.get("keyid")
    if key_id is not None and (not isinstance(key_id, str) or len(key_id) > MAX_KEY_ID):
        raise MalformedError("DSSE: a key id that is no text")
    return EnvelopeSignature(key_id or "", some_octets(said, "sig"))


def _subject(said: dict[str, Any]) -> Subject:
    name, digests = said.get("name"), said.get("digest")
    if name is not None and not isinstance(name, str):
        raise MalformedError("in-toto: a subject's name that is no text")
    if not isinstance(digests, dict):
        raise MalformedError("in-toto: a subject without digests")
    found = tuple((kind, a_digest(digests[kind], octets)) for kind, octets in DIGEST_OCTETS.items() if kind in digests)
    return Subject(name, found)


def _is_it(subject: Subject, digests: Mapping[str, bytes]) -> bool:
    return all(kind in digests and hmac.compare_digest(digests[kind], value) for kind, value in subject.digests)


def strongest(algorithms: Iterable[str]) -> str:
    """The one with the longest digest of those that count."""
    return max(algorithms, key=lambda name: DIGEST_OCTETS[name])
