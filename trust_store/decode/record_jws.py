"""``RECORD.jws`` of a Python wheel (PEP 427): JSON Web Signature in the draft's JSON form, Ed25519, over the digest of RECORD.

Bytes -> values, nothing verified. The form is the one that PEP 427 defines and the wheel project wrote: ``recipients`` with a header
(``alg`` and ``jwk.kty`` Ed25519, the key in ``jwk.vk``) and a signature each, and one ``payload`` with ``hash``.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from trust_store.decode.spki import ed25519_spki
from trust_store.decode.strict_json import parse_object
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

MAX_BYTES = 64 * 1024
MAX_RECIPIENTS = 16
ALGORITHM = "Ed25519"
_BASE64URL = re.compile(r"[A-Za-z0-9_-]{1,16384}")
_HASH = re.compile(r"sha256=([A-Za-z0-9_-]{43})=?")
_KEY_BYTES, _SIGNATURE_BYTES = 32, 64


@dataclass(frozen=True, slots=True)
class RecordSignature:
    """One signature over ``signed``; ``spki`` is the key that its header brings along, ``record_sha256`` what the payload states."""

    signed: bytes
    value: bytes
    spki: bytes
    record_sha256: bytes


def parse_record_jws(data: bytes) -> tuple[RecordSignature, ...]:
    """Every signature of the file; raises MalformedError, UnsupportedError or ResourceLimitError."""
    message = parse_object(data, max_bytes=MAX_BYTES)
    recipients = message.get("recipients")
    if set(message) != {"recipients", "payload"} or not isinstance(recipients, list) or not recipients:
        raise MalformedError("RECORD.jws: not recipients and a payload")
    if len(recipients) > MAX_RECIPIENTS:
        raise ResourceLimitError(f"RECORD.jws: more than {MAX_RECIPIENTS} signatures")
    payload = message["payload"]
    digest = _record_digest(parse_object(_decoded(payload, "payload")))
    return tuple(_signature(recipient, str(payload), digest) for recipient in recipients)


def _signature(recipient: Any, payload: str, digest: bytes) -> RecordSignature:
    if not isinstance(recipient, dict) or set(recipient) != {"header", "signature"}:
        raise MalformedError("RECORD.jws: a recipient is not a header and a signature")
    header = parse_object(_decoded(recipient["header"], "header"))
    key = header.get("jwk")
    if not isinstance(key, dict):
        raise MalformedError("RECORD.jws: the header brings no key along")
    if header.get("alg") != ALGORITHM or key.get("kty", key.get("alg")) != ALGORITHM:
        raise UnsupportedError(f"RECORD.jws: an algorithm other than {ALGORITHM}")
    public, value = _decoded(key.get("vk"), "key"), _decoded(recipient["signature"], "signature")
    if len(public) != _KEY_BYTES or len(value) != _SIGNATURE_BYTES:
        raise MalformedError("RECORD.jws: a key or signature of the wrong length")
    signed = f"{recipient['header']}.{payload}".encode("ascii")
    return RecordSignature(signed, value, ed25519_spki(public), digest)


def _record_digest(payload: dict[str, Any]) -> bytes:
    """SHA-256 of RECORD, as stated."""
    stated = payload.get("hash")
    match = _HASH.fullmatch(stated) if isinstance(stated, str) else None
    if match is None or set(payload) != {"hash"}:
        raise MalformedError("RECORD.jws: the payload does not state the SHA-256 of RECORD and nothing else")
    return base64url(match[1], "hash")


def _decoded(text: Any, what: str) -> bytes:
    if not isinstance(text, str) or not _BASE64URL.fullmatch(text.rstrip("=")):
        raise MalformedError(f"RECORD.jws: {what} is not base64url")
    return base64url(text, what)


def base64url(text: str, what: str) -> bytes:
    """Base64 in the URL alphabet without or with padding (RFC 4648 5); raises MalformedError, also for bits that mean nothing."""
    bare = text.rstrip("=")
    try:
        found = base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    except (binascii.Error, ValueError) as error:
        raise MalformedError(f"{what} is not base64url: {error}") from error
    if base64.urlsafe_b64encode(found).decode("ascii").rstrip("=") != bare:
        raise MalformedError(f"{what} is not base64url")
    return found
