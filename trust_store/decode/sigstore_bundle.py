"""Sigstore bundles and the documents that say the same in another shape: bytes -> values, nothing judged and nothing verified.

protobuf-specs ``sigstore_bundle.proto`` (v0.1 to v0.3), cosign's older ``--bundle`` (``LocalSignedPayload``), PEP 740 attestation objects.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from trust_store.decode.dsse import DIGEST_OCTETS, IN_TOTO, Envelope, EnvelopeSignature, parse_envelope
from trust_store.decode.json_fields import (
    a_text,
    an_integer,
    an_object,
    any_base64,
    maybe_object,
    objects,
    some_octets,
)
from trust_store.decode.rekor_entry import parse_body
from trust_store.decode.strict_json import parse_object
from trust_store.decode.x509 import MAX_CERTIFICATE_BYTES, pem_blocks
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_BUNDLE_BYTES = 8 * 1024 * 1024
MAX_ENTRIES = 8
MAX_TIMESTAMPS = 32
MAX_CHAIN = 16
MAX_PROOF_HASHES = 64
MAX_CHECKPOINT = 16_384
MAX_HINT = 1024
MEDIA_TYPE = "application/vnd.dev.sigstore.bundle"
MEDIA_TYPES = {
    f"{MEDIA_TYPE}+json;version=0.1": "0.1",
    f"{MEDIA_TYPE}+json;version=0.2": "0.2",
    f"{MEDIA_TYPE}+json;version=0.3": "0.3",
    f"{MEDIA_TYPE}.v0.3+json": "0.3",
}
COSIGN, PYPI = "cosign", "pypi"
"""What ``Bundle.version`` says of documents that are no bundle: they are judged by the rules of v0.1 and v0.2."""
_DIGESTS = {"SHA2_256": "sha256", "SHA2_384": "sha384", "SHA2_512": "sha512"}
_LOGGED = frozenset({"SignedEntryTimestamp", "Payload"})
_PUBLISH_KEYS = frozenset({"version", "verification_material", "envelope"})


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """RFC 9162 2.1.3; ``checkpoint`` is a signed note, None where there is none."""

    index: int
    root: bytes
    size: int
    hashes: tuple[bytes, ...]
    checkpoint: str | None


@dataclass(frozen=True, slots=True)
class LogEntry:
    """TransparencyLogEntry: an entry of a log, and what the log says of it. ``body`` is canonicalized JSON.

    ``promise`` is a signed entry timestamp; ``integrated_at`` seconds since 1970, None where it is absent or nought. ``kind`` and
    ``version`` are empty where the document does not state them.
    """

    index: int
    log_id: bytes
    kind: str
    version: str
    body: bytes
    integrated_at: int | None
    promise: bytes | None
    proof: InclusionProof | None


@dataclass(frozen=True, slots=True)
class MessageSignature:
    """A signature over a file's digest; ``digest`` is what the bundle says that digest is, None where it does not."""

    value: bytes
    algorithm: str | None
    digest: bytes | None


@dataclass(frozen=True, slots=True)
class Bundle:
    """One signature with its proofs. ``certificates``: the signer's first; none where a bare key signed, named by ``key_hint``.

    Either ``message`` or ``envelope`` is set. ``timestamps`` are RFC 3161 responses or tokens as they stand.
    """

    version: str
    certificates: tuple[bytes, ...]
    key_hint: str | None
    entries: tuple[LogEntry, ...]
    timestamps: tuple[bytes, ...]
    message: MessageSignature | None
    envelope: Envelope | None

    @property
    def signature(self) -> bytes:
        """The signature's value."""
        return self.message.value if self.message else self.envelope.signatures[0].value if self.envelope else b""


def parse(document: bytes) -> Bundle:
    """One document of any of the shapes; raises MalformedError, UnsupportedError or ResourceLimitError, nothing else."""
    return parse_said(parse_object(document, max_bytes=MAX_BUNDLE_BYTES))


def parse_said(said: dict[str, Any]) -> Bundle:
    """The same of an object that was read already."""
    if is_bundle(said):
        return _bundle(said)
    if is_cosign(said):
        return _cosign(said)
    if is_attestation(said):
        return _attestation(said)
    raise UnsupportedError("no sigstore bundle, cosign bundle or PyPI attestation")


def is_bundle(said: dict[str, Any]) -> bool:
    """By its media type, whatever its version."""
    return isinstance(kind := said.get("mediaType"), str) and kind.startswith(MEDIA_TYPE)


def is_cosign(said: dict[str, Any]) -> bool:
    """What ``cosign sign-blob --bundle`` wrote before it wrote sigstore bundles, or the log's part of it alone."""
    return "base64Signature" in said or set(said) >= _LOGGED


def is_attestation(said: dict[str, Any]) -> bool:
    """A PEP 740 attestation object."""
    return set(said) >= _PUBLISH_KEYS and isinstance(said["verification_material"], dict)


def _bundle(said: dict[str, Any]) -> Bundle:
    version = MEDIA_TYPES.get(said["mediaType"])
    if version is None:
        raise UnsupportedError(f"sigstore: a bundle of the kind {said['mediaType'][:80]!a}")
    material = an_object(said, "verificationMaterial")
    certificates, hint = _signer(material, version)
    stamps = maybe_object(material, "timestampVerificationData") or {}
    tokens = [some_octets(item, "signedTimestamp") for item in objects(stamps, "rfc3161Timestamps", MAX_TIMESTAMPS)]
    if len(set(tokens)) != len(tokens):
        raise MalformedError("sigstore: a timestamp stands twice in the bundle")
    message, envelope = maybe_object(said, "messageSignature"), maybe_object(said, "dsseEnvelope")
    if (message is None) == (envelope is None):
        raise MalformedError("sigstore: a bundle has either a message signature or a DSSE envelope")
    return Bundle(
        version,
        certificates,
        hint,
        _entries(objects(material, "tlogEntries", MAX_ENTRIES)),
        tuple(tokens),
        _message(message) if message is not None else None,
        _one_signature(parse_envelope(envelope)) if envelope is not None else None,
    )


def _signer(material: dict[str, Any], version: str) -> tuple[tuple[bytes, ...], str | None]:
    """Certificates or a key's hint: exactly one of them; in v0.3 the one certificate alone (sigstore_bundle.proto)."""
    chain, single = maybe_object(material, "x509CertificateChain"), maybe_object(material, "certificate")
    key = maybe_object(material, "publicKey")
    if sum(one is not None for one in (chain, single, key)) != 1:
        raise MalformedError("sigstore: a bundle has either a certificate or a public key's hint")
    if key is not None:
        hint = key.get("hint", "")
        if not isinstance(hint, str) or len(hint) > MAX_HINT:
            raise MalformedError("sigstore: a key's hint that is no text")
        return (), hint
    if chain is not None and version == "0.3":
        raise MalformedError("sigstore: a v0.3 bundle has one certificate, not a chain")
    if single is not None and version != "0.3":
        raise MalformedError(f"sigstore: a v{version} bundle has a chain of certificates")
    listed = objects(chain, "certificates", MAX_CHAIN) if chain is not None else [single or {}]
    found = tuple(_certificate(some_octets(item, "rawBytes")) for item in listed)
    if not found:
        raise MalformedError("sigstore: an empty chain of certificates")
    return found, None


def _certificate(der: bytes) -> bytes:
    if len(der) > MAX_CERTIFICATE_BYTES:
        raise ResourceLimitError(f"sigstore: a certificate of {len(der)} bytes")
    return der


def _message(said: dict[str, Any]) -> MessageSignature:
    value, stated = some_octets(said, "signature"), maybe_object(said, "messageDigest")
    if stated is None:
        return MessageSignature(value, None, None)
    algorithm, digest = _DIGESTS.get(a_text(stated, "algorithm", 40)), some_octets(stated, "digest")
    if algorithm is None:
        raise UnsupportedError(f"sigstore: a message digest of the kind {stated['algorithm']!a}")
    if len(digest) != DIGEST_OCTETS[algorithm]:
        raise MalformedError(f"sigstore: a {algorithm} digest of {len(digest)} octets")
    return MessageSignature(value, algorithm, digest)


def _one_signature(envelope: Envelope) -> Envelope:
    """sigstore_bundle.proto: the envelope MUST contain only one signature."""
    if len(envelope.signatures) != 1:
        raise MalformedError(f"sigstore: an envelope with {len(envelope.signatures)} signatures, one is right")
    return envelope


def _entries(listed: Iterable[dict[str, Any]]) -> tuple[LogEntry, ...]:
    found = tuple(_entry(item) for item in listed)
    if len({(entry.log_id, entry.index) for entry in found}) != len(found):
        raise MalformedError("sigstore: a log entry stands twice in the bundle")
    return found


def _entry(said: dict[str, Any]) -> LogEntry:
    kind, promise = an_object(said, "kindVersion"), maybe_object(said, "inclusionPromise")
    proof = maybe_object(said, "inclusionProof")
    return LogEntry(
        index=_number(said, "logIndex"),
        log_id=some_octets(an_object(said, "logId"), "keyId"),
        kind=a_text(kind, "kind", 40),
        version=a_text(kind, "version", 40),
        body=some_octets(said, "canonicalizedBody"),
        integrated_at=_number(said, "integratedTime") or None,
        promise=some_octets(promise, "signedEntryTimestamp") if promise else None,
        proof=_proof(proof) if proof else None,
    )


def _number(said: dict[str, Any], name: str) -> int:
    """A number that is nought where it is left out, as in protobuf's JSON."""
    return 0 if said.get(name) is None else an_integer(said, name)


def _proof(said: dict[str, Any]) -> InclusionProof:
    checkpoint, hashes = maybe_object(said, "checkpoint"), said.get("hashes") or []
    if not isinstance(hashes, list) or not all(isinstance(one, str) for one in hashes):
        raise MalformedError("sigstore: an inclusion proof without its hashes")
    if len(hashes) > MAX_PROOF_HASHES:
        raise ResourceLimitError(f"sigstore: an inclusion proof of {len(hashes)} hashes")
    return InclusionProof(
        _number(said, "logIndex"),
        some_octets(said, "rootHash"),
        _number(said, "treeSize"),
        tuple(any_base64(one, "hashes") for one in hashes),
        a_text(checkpoint, "envelope", MAX_CHECKPOINT) if checkpoint and checkpoint.get("envelope") else None,
    )


def _cosign(said: dict[str, Any]) -> Bundle:
    """``{base64Signature, cert, rekorBundle: {SignedEntryTimestamp, Payload: {body, integratedTime, logIndex, logID}}}``.

    Or the inner object alone: value and certificate are in the entry's body as well, and are held against it later.
    """
    certificates: tuple[bytes, ...] = ()
    if "base64Signature" not in said:
        entry = _logged_entry(said)
        body = parse_body(entry.body)
        value, verifier = body.signatures[0]
        certificates = (_certificate(verifier.certificate),) if verifier.certificate else ()
        hint = None if certificates else ""
        return Bundle(COSIGN, certificates, hint, (entry,), (), MessageSignature(value, None, None), None)
    if said.get("cert"):
        text = any_base64(a_text(said, "cert"), "cert")
        certificates = tuple(pem_blocks(text, b"CERTIFICATE"))
        if not certificates and not pem_blocks(text, b"PUBLIC KEY"):
            raise MalformedError("cosign: 'cert' holds neither a certificate nor a key")
    logged = maybe_object(said, "rekorBundle")
    entries = (_logged_entry(logged),) if logged is not None else ()
    value = some_octets(said, "base64Signature")
    return Bundle(
        COSIGN, certificates, None if certificates else "", entries, (), MessageSignature(value, None, None), None
    )


def _logged_entry(said: dict[str, Any]) -> LogEntry:
    payload = an_object(said, "Payload")
    log_id = a_text(payload, "logID", 64)
    if not re.fullmatch("[0-9a-f]{64}", log_id):
        raise MalformedError("cosign: a log id that is no digest")
    body = some_octets(payload, "body")
    kind, version = _kind_of(body)
    return LogEntry(
        an_integer(payload, "logIndex"), bytes.fromhex(log_id), kind, version, body,
        an_integer(payload, "integratedTime"), some_octets(said, "SignedEntryTimestamp"), None,
    )  # fmt: skip


def _kind_of(body: bytes) -> tuple[str, str]:
    said = parse_object(body)
    return a_text(said, "kind", 40), a_text(said, "apiVersion", 40)


def _attestation(said: dict[str, Any]) -> Bundle:
    """PEP 740: version 1, ``verification_material``: certificate and transparency_entries, ``envelope``: statement and signature."""
    if said["version"] != 1 or isinstance(said["version"], bool):
        raise UnsupportedError("PyPI attestation: a version other than 1")
    material, envelope = an_object(said, "verification_material"), an_object(said, "envelope")
    entries = _entries(objects(material, "transparency_entries", MAX_ENTRIES))
    if not entries:
        raise MalformedError("PyPI attestation: no transparency entry")
    return Bundle(
        PYPI,
        (_certificate(some_octets(material, "certificate")),),
        None,
        entries,
        (),
        None,
        Envelope(
            IN_TOTO,
            some_octets(envelope, "statement"),
            (EnvelopeSignature("", some_octets(envelope, "signature")),),
        ),
    )
