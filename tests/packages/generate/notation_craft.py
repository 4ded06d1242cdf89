"""Notary Project envelopes built from the specification: JWS (RFC 7515) and COSE_Sign1 (RFC 9052), each part to be changed."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from trust_store.decode import cbor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.packages.pki import Issued

MEDIA = "application/vnd.cncf.notary.payload.v1+json"
PREFIX = "io.cncf.notary."
SIGNED_AT = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
_ALGORITHMS = {
    2048: "PS256", 3072: "PS384", 4096: "PS512", "secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512",
}  # fmt: skip
_HASHES: dict[str, Any] = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
_NUMBERS = {"PS256": -37, "PS384": -38, "PS512": -39, "ES256": -7, "ES384": -35, "ES512": -36}


def algorithm_of(key: Any) -> str:
    """The one that goes with a key."""
    return _ALGORITHMS[key.key_size if isinstance(key, rsa.RSAPrivateKey) else key.curve.name]


def value_of(key: Any, algorithm: str, message: bytes) -> bytes:
    """A signature as JWS and COSE hold it: ECDSA as r and s side by side."""
    digest = _HASHES[algorithm[2:]]()
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, PSS(MGF1(digest), digest.digest_size), digest)
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(digest)))
    half = (key.key_size + 7) // 8
    return r.to_bytes(half, "big") + s.to_bytes(half, "big")


def payload(content: bytes, algorithm: str = "sha256", **changes: Any) -> bytes:
    """The descriptor of a file."""
    target = {
        "mediaType": "application/octet-stream",
        "digest": f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}",
        "size": len(content),
    }
    return json.dumps({"targetArtifact": target | changes}).encode()


def url(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jws(
    signer: Issued,
    chain: Sequence[Issued],
    body: bytes,
    *,
    header: dict[str, Any] | None = None,
    changes: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A JWS envelope; ``changes`` replace protected headers (None takes one away), ``header`` adds unprotected ones."""
    algorithm = algorithm_of(signer.key)
    protected: dict[str, Any] = {
        "alg": algorithm,
        "cty": MEDIA,
        "crit": [PREFIX + "signingScheme"],
        PREFIX + "signingScheme": "notary.x509",
        PREFIX + "signingTime": "2026-03-04T12:00:00Z",
    }
    protected = {name: value for name, value in (protected | (changes or {})).items() if value is not None}
    parts = url(json.dumps(protected).encode()), url(body)
    return {
        "payload": parts[1],
        "protected": parts[0],
        "header": {
            "x5c": [base64.b64encode(one.der).decode() for one in (signer, *chain)],
            PREFIX + "signingAgent": "fixtures/1",
            **(header or {}),
        },
        "signature": url(value_of(signer.key, algorithm, ".".join(parts).encode())),
    }


def cose(
    signer: Issued,
    chain: Sequence[Issued],
    body: bytes,
    *,
    unprotected: dict[Any, bytes] | None = None,
    changes: dict[str, Any] | None = None,
) -> bytes:
    """A COSE_Sign1 envelope; ``changes`` replace protected headers by encoded values (None takes one away)."""
    algorithm = algorithm_of(signer.key)
    stated: dict[Any, Any] = {
        1: number(_NUMBERS[algorithm]),
        2: cbor.encode_array((cbor.encode_text(PREFIX + "signingScheme"),)),
        3: cbor.encode_text(MEDIA),
        PREFIX + "signingScheme": cbor.encode_text("notary.x509"),
        PREFIX + "signingTime": moment(SIGNED_AT),
    }
    stated |= {int(name) if name.isdigit() else name: value for name, value in (changes or {}).items()}
    protected = encode_map({name: value for name, value in stated.items() if value is not None})
    parts = (
        cbor.encode_text("Signature1"),
        cbor.encode_bytes(protected),
        cbor.encode_bytes(b""),
        cbor.encode_bytes(body),
    )
    value = value_of(signer.key, algorithm, cbor.encode_array(parts))
    listed = cbor.encode_array(tuple(cbor.encode_bytes(one.der) for one in (signer, *chain)))
    loose = encode_map({33: listed, PREFIX + "signingAgent": cbor.encode_text("fixtures/1"), **(unprotected or {})})
    return b"\xd2" + cbor.encode_array(
        (cbor.encode_bytes(protected), loose, cbor.encode_bytes(body), cbor.encode_bytes(value))
    )


def number(value: int) -> bytes:
    """An integer in CBOR."""
    return cbor.head(0, value) if value >= 0 else cbor.head(1, -1 - value)


def moment(at: datetime) -> bytes:
    """A time in CBOR: tag 1 around seconds."""
    return b"\xc1" + number(int(at.timestamp()))


def encode_map(items: dict[Any, bytes]) -> bytes:
    """A map in CBOR."""
    pairs = [(number(k) if isinstance(k, int) else cbor.encode_text(k)) + value for k, value in items.items()]
    return cbor.head(5, len(pairs)) + b"".join(pairs)
