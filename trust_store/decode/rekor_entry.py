"""Bodies of Rekor entries (github.com/sigstore/rekor pkg/types, rekor-tiles): what the log says was signed, by whom, with which value.

Five kinds are read: hashedrekord 0.0.1 and 0.0.2, dsse 0.0.1 and 0.0.2, intoto 0.0.2.
"""

from __future__ import annotations

from typing import Any

from trust_store.decode.dsse import DIGEST_OCTETS
from trust_store.decode.json_fields import (
    a_digest,
    a_text,
    an_object,
    any_base64,
    maybe_object,
    objects,
    some_octets,
)
from trust_store.decode.strict_json import parse_object
from trust_store.decode.x509 import pem_blocks
from trust_store.errors import MalformedError, UnsupportedError
from trust_store.quick_dataclass import dataclass

MAX_BODY_BYTES = 1024 * 1024
MAX_SIGNATURES = 16
HASHEDREKORD, DSSE, INTOTO = "hashedrekord", "dsse", "intoto"
TIMED = frozenset({(HASHEDREKORD, "0.0.1"), (DSSE, "0.0.1"), (INTOTO, "0.0.2")})
"""Entries of logs that tell when they took one in; the later ones do not."""
_DIGESTS = {"SHA2_256": "sha256", "SHA2_384": "sha384", "SHA2_512": "sha512"}


@dataclass(frozen=True, slots=True)
class Verifier:
    """By what a signature is to be verified: a certificate or a SubjectPublicKeyInfo, in DER."""

    certificate: bytes | None
    key: bytes | None


@dataclass(frozen=True, slots=True)
class EntryBody:
    """``digest``, made with ``algorithm``, is of the file or of an envelope's PAE (hashedrekord), or of the payload (dsse, intoto)."""

    kind: str
    version: str
    algorithm: str
    digest: bytes
    signatures: tuple[tuple[bytes, Verifier], ...]


def parse_body(body: bytes) -> EntryBody:
    """The body of an entry; raises MalformedError, UnsupportedError or ResourceLimitError, nothing else."""
    said = parse_object(body, max_bytes=MAX_BODY_BYTES)
    kind, version, spec = a_text(said, "kind", 40), a_text(said, "apiVersion", 40), an_object(said, "spec")
    reader = _READERS.get((kind, version))
    if reader is None:
        raise UnsupportedError(f"Rekor: an entry of the kind {kind!a} {version!a}")
    algorithm, digest, signatures = reader(spec)
    if len(digest) != DIGEST_OCTETS[algorithm]:
        raise MalformedError(f"Rekor: a {algorithm} digest of {len(digest)} octets")
    if not signatures:
        raise MalformedError("Rekor: an entry without a signature")
    return EntryBody(kind, version, algorithm, digest, tuple(signatures))


_Read = tuple[str, bytes, list[tuple[bytes, Verifier]]]


def _hashedrekord_1(spec: dict[str, Any]) -> _Read:
    signature = an_object(spec, "signature")
    algorithm, digest = _hash(an_object(an_object(spec, "data"), "hash"))
    verifier = _pem(some_octets(an_object(signature, "publicKey"), "content"))
    return algorithm, digest, [(some_octets(signature, "content"), verifier)]


def _hashedrekord_2(spec: dict[str, Any]) -> _Read:
    inner = an_object(spec, "hashedRekordV002")
    algorithm, digest = _output(an_object(inner, "data"))
    return algorithm, digest, [_signature_2(an_object(inner, "signature"))]


def _dsse_1(spec: dict[str, Any]) -> _Read:
    algorithm, digest = _hash(an_object(spec, "payloadHash"))
    listed = objects(spec, "signatures", MAX_SIGNATURES)
    return algorithm, digest, [(some_octets(s, "signature"), _pem(some_octets(s, "verifier"))) for s in listed]


def _dsse_2(spec: dict[str, Any]) -> _Read:
    inner = an_object(spec, "dsseV002")
    algorithm, digest = _output(an_object(inner, "payloadHash"))
    return algorithm, digest, [_signature_2(s) for s in objects(inner, "signatures", MAX_SIGNATURES)]


def _intoto_2(spec: dict[str, Any]) -> _Read:
    """The envelope's texts stand in base64 once more, so that a signature is encoded twice."""
    content = an_object(spec, "content")
    algorithm, digest = _hash(an_object(content, "payloadHash"))
    found = []
    for said in objects(an_object(content, "envelope"), "signatures", MAX_SIGNATURES):
        try:
            text = some_octets(said, "sig").decode("ascii")
        except UnicodeDecodeError as error:
            raise MalformedError("Rekor: a signature that is not base64 in base64") from error
        found.append((any_base64(text, "sig"), _pem(some_octets(said, "publicKey"))))
    return algorithm, digest, found


_READERS = {
    (HASHEDREKORD, "0.0.1"): _hashedrekord_1,
    (HASHEDREKORD, "0.0.2"): _hashedrekord_2,
    (DSSE, "0.0.1"): _dsse_1,
    (DSSE, "0.0.2"): _dsse_2,
    (INTOTO, "0.0.2"): _intoto_2,
}


def _signature_2(said: dict[str, Any]) -> tuple[bytes, Verifier]:
    verifier = an_object(said, "verifier")
    certificate, key = maybe_object(verifier, "x509Certificate"), maybe_object(verifier, "publicKey")
    if (certificate is None) == (key is None):
        raise MalformedError("Rekor: a verifier is either a certificate or a key")
    return some_octets(said, "content"), Verifier(
        some_octets(certificate, "rawBytes") if certificate else None, some_octets(key, "rawBytes") if key else None
    )


def _hash(said: dict[str, Any]) -> tuple[str, bytes]:
    algorithm = a_text(said, "algorithm", 40)
    if algorithm not in DIGEST_OCTETS:
        raise UnsupportedError(f"Rekor: a digest of the kind {algorithm!a}")
    return algorithm, a_digest(said.get("value"), DIGEST_OCTETS[algorithm])


def _output(said: dict[str, Any]) -> tuple[str, bytes]:
    algorithm = _DIGESTS.get(a_text(said, "algorithm", 40))
    if algorithm is None:
        raise UnsupportedError(f"Rekor: a digest of the kind {said['algorithm']!a}")
    return algorithm, some_octets(said, "digest")


def _pem(text: bytes) -> Verifier:
    """A certificate or a public key in PEM (RFC 7468), one of either."""
    certificates, keys = pem_blocks(text, b"CERTIFICATE"), pem_blocks(text, b"PUBLIC KEY")
    if len(certificates) + len(keys) != 1:
        raise MalformedError("Rekor: a verifier is one certificate or one key")
    return Verifier(certificates[0] if certificates else None, keys[0] if keys else None)
