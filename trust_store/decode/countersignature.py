"""Countersignatures that tell a time (PKCS #9 countersignature, RFC 5652 11.4), as Authenticode had them before RFC 3161: bytes -> values.

A bare SignerInfo over another signature's value, with the time in a signed attribute. Its certificates stand in the message around it.
"""

from __future__ import annotations

from trust_store.decode import cms
from trust_store.decode.asn1 import read_one
from trust_store.decode.timestamp_token import TimestampInfo, TimestampToken
from trust_store.errors import MalformedError, ResourceLimitError

MAX_COUNTERSIGNATURE_BYTES = 64 * 1024


def parse_countersignature(data: bytes) -> TimestampToken:
    """The countersignature as a token: what it stamps is its messageDigest, when is its signingTime, which has no accuracy.

    Raises MalformedError, UnsupportedError or ResourceLimitError.
    """
    if len(data) > MAX_COUNTERSIGNATURE_BYTES:
        raise ResourceLimitError(f"timestamp: a countersignature of more than {MAX_COUNTERSIGNATURE_BYTES} bytes")
    info = cms.signer_info(read_one(data, "countersignature"))
    attributes = _attributes(info)
    if attributes.signing_time is None:
        raise MalformedError("timestamp: a countersignature without a signed time")
    stamped = TimestampInfo(
        version=1,
        policy="",
        imprint_algorithm=info.digest_algorithm,
        imprint=attributes.message_digest,
        serial_number=0,
        generated_at=attributes.signing_time,
    )
    return TimestampToken(stamped, b"", (info,), attributes, (), ())


def _attributes(info: cms.SignerInfo) -> cms.SignedAttributes:
    """RFC 5652 11.4 wants no content type, PKCS #9 says nothing of it, and Authenticode's authorities wrote that of data."""
    if info.attributes is None:
        raise MalformedError("timestamp: a countersignature without signed attributes")
    try:
        return cms.parse_attributes(info.attributes, countersignature=True)
    except MalformedError:
        attributes = cms.parse_attributes(info.attributes)
    if attributes.content_type != cms.ID_DATA:
        raise MalformedError(f"timestamp: a countersignature over content type {attributes.content_type}")
    return attributes
