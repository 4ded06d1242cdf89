"""RFC 3161 2.4.2: the token inside a TimeStampResp, as sigstore keeps it. Nothing is verified."""

from __future__ import annotations

from trust_store.decode.asn1 import OID, SEQUENCE, read_one
from trust_store.errors import MalformedError, ResourceLimitError

MAX_RESPONSE_BYTES = 260 * 1024
_GRANTED = (0, 1)
"""PKIStatus granted and grantedWithMods: a token is there."""


def token_of(data: bytes) -> bytes:
    """The token (ContentInfo) in a granted response, or ``data`` where it is one itself; raises MalformedError or ResourceLimitError."""
    if len(data) > MAX_RESPONSE_BYTES:
        raise ResourceLimitError(f"timestamp: a response of {len(data)} bytes")
    parts = read_one(data, "timestamp").expect(SEQUENCE, "timestamp").children()
    if parts and parts[0].tag == OID:
        return data
    if len(parts) != 2:  # status, timeStampToken
        raise MalformedError("timestamp: a response without a token")
    status = parts[0].expect(SEQUENCE, "status").children()
    if not status or status[0].integer("status") not in _GRANTED:
        raise MalformedError("timestamp: a response that grants nothing")
    return parts[1].expect(SEQUENCE, "token").raw
