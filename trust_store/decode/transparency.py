"""What transparency logs hand out, and the arithmetic of it: inclusion proofs, checkpoints, promises, certificate timestamps. Pure.

RFC 9162 2.1.3 (Merkle inclusion), C2SP tlog-checkpoint and signed-note (checkpoints), Rekor's signed entry timestamps, RFC 6962 3.2 and
3.3 (signed certificate timestamps embedded in a certificate).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from trust_store.decode.certificate_extensions import read_certificate
from trust_store.decode.json_fields import base64_octets
from trust_store.decode.spki import guarded
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from cryptography.x509.certificate_transparency import SignedCertificateTimestamp

    from trust_store.decode.sigstore_bundle import InclusionProof, LogEntry

MAX_NOTE_SIGNATURES = 64
MAX_EMBEDDED_TIMESTAMPS = 16
HINT_OCTETS = 4
_DIGEST_OCTETS = 32
_SIGNATURE = re.compile("— ([^\\s+]{1,512}) ([A-Za-z0-9+/=]{8,2048})")
_SIZE = re.compile("0|[1-9][0-9]{0,18}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed tree head: ``signed`` are the octets that every signature is over; ``signatures`` are (name, key hint, value)."""

    origin: str
    size: int
    root: bytes
    signed: bytes
    signatures: tuple[tuple[str, bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class EmbeddedTimestamp:
    """One signed certificate timestamp: ``message`` is what the log signed (RFC 6962 3.2), for the issuer that was asked about."""

    log_id: bytes
    at: datetime
    signature: bytes
    message: bytes


def includes(body: bytes, proof: InclusionProof) -> bool:
    """Whether the proof leads from the entry ``body`` to its root (RFC 9162 2.1.3.2)."""
    if proof.index >= proof.size or any(len(one) != _DIGEST_OCTETS for one in (*proof.hashes, proof.root)):
        return False
    node, last = proof.index, proof.size - 1
    found = hashlib.sha256(b"\0" + body).digest()
    for sibling in proof.hashes:
        if last == 0:
            return False
        if node & 1 or node == last:
            found = hashlib.sha256(b"\1" + sibling + found).digest()
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\1" + found + sibling).digest()
        node, last = node >> 1, last >> 1
    return last == 0 and found == proof.root


def parse_checkpoint(note: str) -> Checkpoint:
    """A signed note whose text is a checkpoint; raises MalformedError or ResourceLimitError."""
    text, separator, block = note.partition("\n\n")
    lines = text.split("\n")
    if not separator or "\n\n" in block or not block.endswith("\n") or len(lines) < 3:
        raise MalformedError("checkpoint: not a text, one empty line and signatures")
    if not lines[0] or not _SIZE.fullmatch(lines[1]):
        raise MalformedError("checkpoint: no origin, or no size of the tree")
    root = base64_octets(lines[2], "checkpoint's root")
    if len(root) != _DIGEST_OCTETS:
        raise MalformedError(f"checkpoint: a root of {len(root)} octets")
    listed = block[:-1].split("\n")
    if len(listed) > MAX_NOTE_SIGNATURES:
        raise ResourceLimitError(f"checkpoint: {len(listed)} signatures")
    return Checkpoint(lines[0], int(lines[1]), root, (text + "\n").encode(), tuple(_note_signature(s) for s in listed))


def _note_signature(line: str) -> tuple[str, bytes, bytes]:
    match = _SIGNATURE.fullmatch(line)
    if match is None:
        raise MalformedError("checkpoint: a line that is no signature")
    value = base64_octets(match[2], "checkpoint's signature")
    if len(value) <= HINT_OCTETS:
        raise MalformedError("checkpoint: a signature that is only a hint")
    return match[1], value[:HINT_OCTETS], value[HINT_OCTETS:]


def promised(entry: LogEntry) -> bytes:
    """What a signed entry timestamp is over: canonical JSON (RFC 8785) of body, time, log id and index."""
    said = {
        "body": base64.b64encode(entry.body).decode(),
        "integratedTime": entry.integrated_at or 0,
        "logID": entry.log_id.hex(),
        "logIndex": entry.index,
    }
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode()


def embedded_timestamps(certificate: bytes, issuer_spki: bytes) -> tuple[EmbeddedTimestamp, ...]:
    """Those in a certificate (DER) issued by the key ``issuer_spki``; none where it has no such extension. Others than v1 are left out.

    Raises MalformedError, ResourceLimitError or UnsupportedError.
    """
    loaded, extensions = read_certificate(certificate)
    kind = x509.PrecertificateSignedCertificateTimestamps
    listed = next((tuple(e.value) for e in extensions if isinstance(e.value, kind)), ())
    return guarded(lambda: _embedded(loaded, listed, issuer_spki), "certificate")


def _embedded(
    certificate: x509.Certificate, listed: tuple[SignedCertificateTimestamp, ...], issuer_spki: bytes
) -> tuple[EmbeddedTimestamp, ...]:
    if not listed:
        return ()
    if len(listed) > MAX_EMBEDDED_TIMESTAMPS:
        raise ResourceLimitError(f"{len(listed)} certificate timestamps in one certificate")
    tbs = certificate.tbs_precertificate_bytes
    entry = hashlib.sha256(issuer_spki).digest() + len(tbs).to_bytes(3, "big") + tbs
    found = []
    for sct in listed:
        if not isinstance(sct.signature_hash_algorithm, hashes.SHA256):
            continue  # RFC 6962 2.1.4: SHA-256 and no other
        at = sct.timestamp.replace(tzinfo=UTC)
        milliseconds = (at - _EPOCH) // timedelta(milliseconds=1)
        head = b"\0\0" + milliseconds.to_bytes(8, "big") + b"\0\1"
        tail = len(sct.extension_bytes).to_bytes(2, "big") + sct.extension_bytes
        found.append(EmbeddedTimestamp(sct.log_id, at, sct.signature, head + entry + tail))
    return tuple(found)
