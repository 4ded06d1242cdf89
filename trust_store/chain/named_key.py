"""An anchor that is a name and a key and no certificate (RFC 5280 section 6.1.1(d), RFC 5914 section 2)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography import x509

from trust_store.decode.asn1 import BIT_STRING, INTEGER, OID, SEQUENCE, length_octets
from trust_store.decode.public_keys import canonical_spki_sha256
from trust_store.decode.x509 import load_certificate
from trust_store.errors import MalformedError

if TYPE_CHECKING:
    from trust_store.model.certificate import Certificate

_EARLIEST, _LATEST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_ECDSA_WITH_SHA256 = b"\x2a\x86\x48\xce\x3d\x04\x03\x02"
_TIMES = b"\x18\x0f19500101000000Z\x18\x0f99991231235959Z"


def certificate_of(name: bytes, spki: bytes) -> Certificate:
    """The key as an issuer of that name, as path building and validation take an anchor; raises MalformedError or ResourceLimitError.

    A version 1 certificate has a name, a key and no extension: it says nothing that the anchor does not. Its signature is empty and
    holds under no key, since nobody made one; validation never asks for an anchor's own signature. It has no end.
    """
    version_1 = _value(INTEGER, b"\x01")
    algorithm = _value(SEQUENCE, _value(OID, _ECDSA_WITH_SHA256))
    signed = _value(SEQUENCE, version_1 + algorithm + name + _value(SEQUENCE, _TIMES) + name + spki)
    bare = load_certificate(_value(SEQUENCE, signed + algorithm + _value(BIT_STRING, b"\0")))
    if bare.spki != spki or bare.subject_der != name:
        raise MalformedError("a name and a key that do not stand for themselves")
    return replace(bare, not_before=_EARLIEST, not_after=_LATEST)


def name_of(text: str) -> bytes:
    """A distinguished name as RFC 4514 writes it -> DER; raises MalformedError for what is none, and for the empty name."""
    try:
        name = x509.Name.from_rfc4514_string(text)
        encoded = name.public_bytes()
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise MalformedError(f"no distinguished name: {str(error)[:200]}") from error
    if not list(name):
        raise MalformedError("an empty distinguished name names nobody")
    return encoded


def same_key(one: bytes, other: bytes) -> bool:
    """Whether two SubjectPublicKeyInfos hold the same key, however each is encoded."""
    return one == other or canonical_spki_sha256(one) == canonical_spki_sha256(other)


def _value(tag: int, content: bytes) -> bytes:
    return bytes([tag]) + length_octets(len(content)) + content
