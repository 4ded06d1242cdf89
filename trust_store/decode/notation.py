"""Notary Project signatures (notation) in JWS and COSE envelopes: bytes -> values, nothing judged and nothing verified.

notaryproject specifications: signature-specification.md, signature-envelope-jws.md and -cose.md; RFC 7515, RFC 9052, RFC 9360.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import Any

from trust_store.decode import cbor
from trust_store.decode.dsse import DIGEST_OCTETS
from trust_store.decode.json_fields import a_digest, a_text, an_integer, an_object, base64_octets
from trust_store.decode.strict_json import parse_object
from trust_store.decode.x509 import MAX_CERTIFICATE_BYTES
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.model.identifiers import parse_time
from trust_store.quick_dataclass import dataclass

JWS, COSE = "notation-jws", "notation-cose"
MAX_ENVELOPE_BYTES = 1024 * 1024
MAX_CHAIN = 16
PAYLOAD_TYPE = "application/vnd.cncf.notary.payload.v1+json"
X509_SCHEME, AUTHORITY_SCHEME = "notary.x509", "notary.x509.signingAuthority"
_PREFIX = "io.cncf.notary."
_SCHEME, _TIME, _EXPIRY = _PREFIX + "signingScheme", _PREFIX + "signingTime", _PREFIX + "expiry"
_AUTHENTIC_TIME = _PREFIX + "authenticSigningTime"
_STAMP = _PREFIX + "timestampSignature"
_PLUGINS = (_PREFIX + "verificationPlugin", _PREFIX + "verificationPluginMinVersion")
_KNOWN = frozenset({_SCHEME, _EXPIRY, _AUTHENTIC_TIME})
"""Headers that may be critical and that are understood here."""
ALGORITHMS = {
    "PS256": ("rsa-pss/32", "sha256"), "PS384": ("rsa-pss/48", "sha384"), "PS512": ("rsa-pss/64", "sha512"),
    "ES256": ("ecdsa", "sha256"), "ES384": ("ecdsa", "sha384"), "ES512": ("ecdsa", "sha512"),
}  # fmt: skip
_COSE_ALGORITHMS = {-37: "PS256", -38: "PS384", -39: "PS512", -7: "ES256", -35: "ES384", -36: "ES512"}
_SIGN1_TAG, _EPOCH_TAG = 18, 1
_ALG, _CRIT, _CONTENT_TYPE, _X5CHAIN = 1, 2, 3, 33


@dataclass(frozen=True, slots=True)
class Target:
    """The payload's targetArtifact: what was signed."""

    media_type: str
    algorithm: str
    digest: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Notation:
    """One signature. ``signed`` are the octets that ``value`` is over; ``value`` of ECDSA is r and s side by side (RFC 7518 3.4).

    ``at`` is when it says it was made, ``expires`` after when it asks not to be believed; ``chain`` the signer's certificate first.
    """

    algorithm: str
    scheme: str
    target: Target
    signed: bytes
    value: bytes
    chain: tuple[bytes, ...]
    at: datetime
    expires: datetime | None
    timestamp: bytes | None


def is_jws(said: dict[str, Any]) -> bool:
    """The flattened JSON serialization (RFC 7515 7.2.2) with a header of certificates."""
    header = said.get("header")
    return {"payload", "protected", "signature"} <= set(said) and isinstance(header, dict) and "x5c" in header


def is_cose(data: bytes) -> bool:
    """COSE_Sign1_Tagged (RFC 9052 4.2): tag 18 around an array of four."""
    return data[:2] == bytes([0xC0 | _SIGN1_TAG, 0x84])


def parse_jws(data: bytes) -> Notation:
    """A JWS envelope; raises MalformedError, UnsupportedError or ResourceLimitError, nothing else."""
    said = parse_object(data, max_bytes=MAX_ENVELOPE_BYTES)
    texts = {name: a_text(said, name, MAX_ENVELOPE_BYTES) for name in ("protected", "payload", "signature")}
    protected = parse_object(_url(texts["protected"]))
    header = an_object(said, "header")
    algorithm = a_text(protected, "alg", 40)
    if a_text(protected, "cty", 200) != PAYLOAD_TYPE:
        raise UnsupportedError("notation: a payload of another type")
    critical = protected.get("crit")
    attributes = {name: value for name, value in protected.items() if name not in ("alg", "cty", "crit")}
    times = {n: _text_time(attributes[n]) for n in (_TIME, _EXPIRY, _AUTHENTIC_TIME) if n in attributes}
    stamp = header.get(_STAMP)
    return _notation(
        algorithm,
        critical,
        attributes,
        times,
        _target(_url(texts["payload"])),
        f"{texts['protected']}.{texts['payload']}".encode(),
        _url(texts["signature"]),
        [base64_octets(one, "x5c") if isinstance(one, str) else b"" for one in _list(header.get("x5c"))],
        base64_octets(a_text(header, _STAMP, MAX_ENVELOPE_BYTES), _STAMP) if stamp is not None else None,
    )


def parse_cose(data: bytes) -> Notation:
    """A COSE_Sign1 envelope; raises like ``parse_jws``."""
    if len(data) > MAX_ENVELOPE_BYTES:
        raise ResourceLimitError(f"notation: an envelope of {len(data)} bytes")
    message = cbor.decode(data)
    if not isinstance(message, cbor.Tag) or message.number != _SIGN1_TAG or not isinstance(message.value, list):
        raise MalformedError("notation: no COSE_Sign1")
    match message.value:
        case [bytes() as protected, dict() as unprotected, bytes() as payload, bytes() as value]:
            pass
        case _:
            raise MalformedError("notation: a COSE_Sign1 has headers, payload and signature (RFC 9052 4.2)")
    said = cbor.decode(protected)
    if not isinstance(said, dict):
        raise MalformedError("notation: protected headers that are no map")
    algorithm = _COSE_ALGORITHMS.get(number) if isinstance(number := said.get(_ALG), int) else None
    if said.get(_CONTENT_TYPE) != PAYLOAD_TYPE:
        raise UnsupportedError("notation: a payload of another type")
    attributes = {name: value for name, value in said.items() if name not in (_ALG, _CRIT, _CONTENT_TYPE)}
    times = {n: _epoch_time(attributes[n]) for n in (_TIME, _EXPIRY, _AUTHENTIC_TIME) if n in attributes}
    chain, stamp = unprotected.get(_X5CHAIN), unprotected.get(_STAMP)
    if stamp is not None and not isinstance(stamp, bytes):
        raise MalformedError("notation: a timestamp that is no byte string")
    parts = (
        cbor.encode_text("Signature1"),
        cbor.encode_bytes(protected),
        cbor.encode_bytes(b""),
        cbor.encode_bytes(payload),
    )
    return _notation(
        algorithm or "",
        said.get(_CRIT),
        attributes,
        times,
        _target(payload),
        cbor.encode_array(parts),
        value,
        [one if isinstance(one, bytes) else b"" for one in ([chain] if isinstance(chain, bytes) else _list(chain))],
        stamp,
    )


def _notation(
    algorithm: str,
    critical: object,
    attributes: dict[Any, Any],
    times: dict[str, datetime],
    target: Target,
    signed: bytes,
    value: bytes,
    chain: list[bytes],
    stamp: bytes | None,
) -> Notation:
    if algorithm not in ALGORITHMS:
        raise UnsupportedError(f"notation: the algorithm {algorithm[:40]!a}")
    if not 0 < len(chain) <= MAX_CHAIN or not all(0 < len(one) <= MAX_CERTIFICATE_BYTES for one in chain):
        raise MalformedError("notation: no chain of certificates, or too long a one")
    scheme = attributes.get(_SCHEME)
    _require_critical(critical, attributes, scheme)
    made = _TIME if scheme == X509_SCHEME else _AUTHENTIC_TIME
    if made not in times or (scheme == AUTHORITY_SCHEME and _TIME in times):
        raise MalformedError(f"notation: a signature of scheme {scheme} states its time as {made}")
    return Notation(algorithm, str(scheme), target, signed, value, tuple(chain), times[made], times.get(_EXPIRY), stamp)


def _require_critical(critical: object, attributes: dict[Any, Any], scheme: object) -> None:
    """signature-specification.md, Signed attributes: what is critical is there and understood; some must be critical."""
    if not isinstance(critical, list) or not critical or not all(isinstance(name, str | int) for name in critical):
        raise MalformedError("notation: the critical headers are no list")
    if len(set(critical)) != len(critical) or not all(name in attributes for name in critical):
        raise MalformedError("notation: a critical header that is not there, or stands twice")
    if plugins := [name for name in _PLUGINS if name in attributes]:
        raise UnsupportedError(f"notation: it asks for a verification plugin ({plugins[0]})")
    if unknown := [name for name in critical if name not in _KNOWN]:
        raise UnsupportedError(f"notation: the critical header {unknown[0]!a:.80}")
    if scheme not in (X509_SCHEME, AUTHORITY_SCHEME):
        raise UnsupportedError(f"notation: the signing scheme {scheme!a:.80}")
    if missing := [name for name in _KNOWN if name in attributes and name not in critical]:
        raise MalformedError(f"notation: {missing[0]} must be critical")


def _target(payload: bytes) -> Target:
    said = an_object(parse_object(payload), "targetArtifact")
    algorithm, _, digest = a_text(said, "digest", 200).partition(":")
    if algorithm not in DIGEST_OCTETS:
        raise UnsupportedError(f"notation: a digest of the kind {algorithm[:40]!a}")
    return Target(
        a_text(said, "mediaType", 1024), algorithm, a_digest(digest, DIGEST_OCTETS[algorithm]), an_integer(said, "size")
    )


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise MalformedError("notation: no chain of certificates")
    return value[: MAX_CHAIN + 1]


def _url(text: str) -> bytes:
    """Base64url without padding (RFC 7515 2)."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError("notation: not base64url") from error
    if base64.urlsafe_b64encode(data).rstrip(b"=") != text.encode():
        raise MalformedError("notation: not base64url without padding")
    return data


def _text_time(value: object) -> datetime:
    try:
        if isinstance(value, str):
            return parse_time(value)
    except (ValueError, OverflowError) as error:
        raise MalformedError("notation: no time") from error
    raise MalformedError("notation: no time")


def _epoch_time(value: object) -> datetime:
    """Tag 1 around whole seconds (RFC 8949 3.4.2)."""
    if not isinstance(value, cbor.Tag) or value.number != _EPOCH_TAG or not isinstance(value.value, int):
        raise MalformedError("notation: no time")
    try:
        return datetime.fromtimestamp(value.value, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise MalformedError("notation: no time") from error
