"""OCSP responses (RFC 6960 section 4.2) from hostile bytes: what the responder signed about which certificates."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trust_store.decode.asn1 import GENERALIZED_TIME, INTEGER, OCTET_STRING, OID, SEQUENCE, Element, der, read_one
from trust_store.decode.crl import SignedBytes
from trust_store.decode.crl_entries import REASONS, RevokedEntry, read_bits, read_extension
from trust_store.decode.der_time import read_time
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError

if TYPE_CHECKING:
    from datetime import datetime

MAX_RESPONSE_BYTES = 1024 * 1024
MAX_STATUSES = 1024
MAX_CERTIFICATES = 16
MAX_EXTENSIONS = 64
GOOD, REVOKED, UNKNOWN = "good", "revoked", "unknown"
STATUSES = {
    0: "successful",
    1: "malformedRequest",
    2: "internalError",
    3: "tryLater",
    5: "sigRequired",
    6: "unauthorized",
}
"""OCSPResponseStatus (RFC 6960 section 4.2.1)."""
HASHES = {
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
"""Digests of a CertID that are computed. SHA-1 names a certificate here, it proves nothing (RFC 6960 section 4.3)."""
_BASIC, _NONCE = "1.3.6.1.5.5.7.48.1.1", "1.3.6.1.5.5.7.48.1.2"
_KNOWN = frozenset({_NONCE, "1.3.6.1.5.5.7.48.1.6"})  # nonce, archive cutoff
_ENUMERATED = 0x0A
_BYTES, _VERSION, _EXTENSIONS, _CERTIFICATES = 0xA0, 0xA0, 0xA1, 0xA0
_BY_NAME, _BY_KEY = 0xA1, 0xA2
_GOOD, _REVOKED, _UNKNOWN = 0x80, 0xA1, 0x82
_NEXT_UPDATE, _SINGLE_EXTENSIONS = 0xA0, 0xA1


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """One SingleResponse. ``hash_name`` is None for a digest that is not known; ``status`` is good, revoked or unknown."""

    hash_name: str | None
    issuer_name_hash: bytes
    issuer_key_hash: bytes
    serial_number: int
    status: str
    revoked: RevokedEntry | None
    this_update: datetime
    next_update: datetime | None
    unknown_critical: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StatusResponse:
    """A basic response. Its responder is named by ``responder_name`` (DER) or ``responder_key`` (SHA-1 of the key)."""

    signed: SignedBytes
    responder_name: bytes | None
    responder_key: bytes | None
    produced_at: datetime
    statuses: tuple[CertificateStatus, ...]
    certificates: tuple[bytes, ...] = ()
    unknown_critical: tuple[str, ...] = ()


def load_response(data: bytes) -> StatusResponse:
    """Decode one DER OCSPResponse.

    Raises MalformedError, ResourceLimitError, and UnsupportedError for a response that is an error or not a basic one.
    """
    if len(data) > MAX_RESPONSE_BYTES:
        raise ResourceLimitError(f"an OCSP response of {len(data)} bytes")
    element = read_one(data, "OCSP response").expect(SEQUENCE, "OCSP response")
    if der(element) != data:
        raise MalformedError("an OCSP response that is not DER")
    outer = element.children()
    status = outer[0].expect(_ENUMERATED, "response status").content if outer else b""
    if len(status) != 1 or (status[0] and status[0] not in STATUSES):
        raise MalformedError("an OCSP response without a status")
    if status[0]:
        raise UnsupportedError(f"an OCSP response that says {STATUSES[status[0]]}")
    if len(outer) != 2:  # responseStatus, responseBytes
        raise MalformedError("an OCSP response without an answer")
    inner = read_one(outer[1].expect(_BYTES, "response bytes").content, "response bytes")
    kind, value = _exactly(inner.expect(SEQUENCE, "response bytes"), 2)
    if kind.expect(OID, "response type").oid("response type") != _BASIC:
        raise UnsupportedError("an OCSP response that is no basic one")
    return _basic(value.expect(OCTET_STRING, "response").content)


def _basic(data: bytes) -> StatusResponse:
    element = read_one(data, "basic OCSP response").expect(SEQUENCE, "basic OCSP response")
    if der(element) != data:
        raise MalformedError("a basic OCSP response that is not DER")
    parts = element.children()
    if len(parts) not in (3, 4):  # tbsResponseData, signatureAlgorithm, signature, certs
        raise MalformedError("a basic OCSP response is a signed sequence")
    certificates: tuple[bytes, ...] = ()
    if len(parts) == 4:  # certs
        listed = read_one(parts[3].expect(_CERTIFICATES, "certificates").content, "certificates")
        found = listed.expect(SEQUENCE, "certificates").children()
        if len(found) > MAX_CERTIFICATES:
            raise ResourceLimitError(f"an OCSP response with more than {MAX_CERTIFICATES} certificates")
        certificates = tuple(certificate.raw for certificate in found)
    signed = SignedBytes(parts[0].raw, parts[1].raw, read_bits(parts[2], "signature"), hashlib.sha256(data).hexdigest())
    return _data(parts[0], signed, certificates)


def _data(element: Element, signed: SignedBytes, certificates: tuple[bytes, ...]) -> StatusResponse:
    """ResponseData (section 4.2.1)."""
    fields = list(element.expect(SEQUENCE, "response data").children())
    if fields and fields[0].tag == _VERSION:
        raise MalformedError("an OCSP response of an unknown version")  # version 1 is the default, which DER leaves out
    if len(fields) not in (3, 4):  # responderID, producedAt, responses, responseExtensions
        raise MalformedError("response data with a field that has no place there")
    responder, produced, responses = fields[:3]
    if responder.tag not in (_BY_NAME, _BY_KEY):
        raise MalformedError("an OCSP response of a responder without a name")
    by_name = responder.tag == _BY_NAME
    inner = read_one(responder.content, "responder").expect(SEQUENCE if by_name else OCTET_STRING, "responder")
    statuses = responses.expect(SEQUENCE, "responses").children()
    if len(statuses) > MAX_STATUSES:
        raise ResourceLimitError(f"an OCSP response about more than {MAX_STATUSES} certificates")
    return StatusResponse(
        signed,
        inner.raw if by_name else None,
        None if by_name else inner.content,
        _time(produced, "produced at"),
        tuple(_single(status) for status in statuses),
        certificates,
        _unknown_critical(fields[3], _EXTENSIONS) if len(fields) == 4 else (),  # responseExtensions
    )


def _single(element: Element) -> CertificateStatus:
    fields = list(element.expect(SEQUENCE, "single response").children())
    if len(fields) < 3:  # certID, certStatus, thisUpdate
        raise MalformedError("a single response without a status")
    algorithm, name_hash, key_hash, serial = _exactly(fields[0].expect(SEQUENCE, "certificate id"), 4)
    identifiers = algorithm.expect(SEQUENCE, "hash algorithm").children()
    hash_name = HASHES.get(identifiers[0].oid("hash algorithm")) if identifiers else None
    status, revoked = _status(fields[1])
    rest = fields[3:]
    next_update = rest.pop(0) if rest and rest[0].tag == _NEXT_UPDATE else None
    extensions = rest.pop(0) if rest and rest[0].tag == _SINGLE_EXTENSIONS else None
    if rest:
        raise MalformedError("a single response with a field that has no place there")
    return CertificateStatus(
        hash_name,
        name_hash.expect(OCTET_STRING, "issuer name hash").content,
        key_hash.expect(OCTET_STRING, "issuer key hash").content,
        serial.expect(INTEGER, "serial number").integer("serial number"),
        status,
        revoked,
        _time(fields[2], "this update"),
        None if next_update is None else _time(read_one(next_update.content, "next update"), "next update"),
        () if extensions is None else _unknown_critical(extensions, _SINGLE_EXTENSIONS),
    )


def _status(element: Element) -> tuple[str, RevokedEntry | None]:
    """CertStatus: good and unknown are NULL, revoked is RevokedInfo."""
    if element.tag in (_GOOD, _UNKNOWN) and not element.content:
        return (GOOD if element.tag == _GOOD else UNKNOWN), None
    if element.tag != _REVOKED:
        raise MalformedError("a certificate status that is none")
    fields = element.children()
    if len(fields) not in (1, 2):  # revocationTime, revocationReason
        raise MalformedError("a revocation without a time")
    code = 0
    if len(fields) == 2:  # revocationReason
        value = read_one(fields[1].expect(0xA0, "reason").content, "reason").expect(_ENUMERATED, "reason").content
        code = value[0] if len(value) == 1 else -1
    if code not in REASONS:
        raise MalformedError("a reason that is none")
    return REVOKED, RevokedEntry(_time(fields[0], "revocation time"), REASONS[code])


def _unknown_critical(element: Element, tag: int) -> tuple[str, ...]:
    listed = read_one(element.expect(tag, "extensions").content, "extensions").expect(SEQUENCE, "extensions").children()
    if len(listed) > MAX_EXTENSIONS:
        raise ResourceLimitError(f"more than {MAX_EXTENSIONS} extensions")
    found = [read_extension(extension) for extension in listed]
    return tuple(sorted({oid for oid, critical, _ in found if critical and oid not in _KNOWN}))


def _time(element: Element, what: str) -> datetime:
    return read_time(element.expect(GENERALIZED_TIME, what), what)


def _exactly(element: Element, count: int) -> tuple[Element, ...]:
    found = element.children()
    if len(found) != count:
        raise MalformedError(f"OCSP: {len(found)} values where {count} are expected")
    return found
