"""In-toto statements in a DSSE envelope that a bare key signed, without certificate or log: alone, or one a line."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from trust_store.decode import cms
from trust_store.decode.dsse import parse_envelope, parse_statement, strongest
from trust_store.decode.key_decides import verifies_octets
from trust_store.decode.public_keys import key_kind
from trust_store.decode.signature_documents import DSSE, documents, kind_of
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.model.package_facts import KeyCheck, SignatureFact
from trust_store.quick_dataclass import dataclass
from trust_store.signatures.protocol import MAX_SIGNATURES_PER_FILE, RAW, X509, DigestRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trust_store.decode.dsse import Envelope, EnvelopeSignature, Statement
    from trust_store.model.package_facts import SideFile, SignatureOrigin
    from trust_store.signatures.protocol import CandidateKey, DigestState, SignatureScheme

NAME = DSSE
MAX_SIGNED_BYTES = 8 * 1024 * 1024
"""Of all signatures in a file together: each keeps what it is over, which is the same for all of one envelope."""
_KEY_TYPES = {
    "rsa": (("rsa", "rsassa-pss-sha256"), ("rsa", "rsa-pkcs1v15-sha256")),
    "ed25519": (("ed25519", "ed25519"),),
    "secp256r1": (("ecdsa", "ecdsa-sha2-nistp256"),),
    "secp384r1": (("ecdsa", "ecdsa-sha2-nistp384"),),
}


@dataclass(frozen=True, slots=True)
class PendingStatement:
    """One signature over an envelope whose subject has not been read yet."""

    envelope: Envelope
    statement: Statement
    signature: EnvelopeSignature
    origin: SignatureOrigin
    file: SideFile | None

    @property
    def digests(self) -> tuple[DigestRequest, ...]:
        """Those that the statement's subjects name."""
        return tuple(DigestRequest(name) for name in self.statement.algorithms)

    def complete(self, states: Mapping[DigestRequest, DigestState]) -> SignatureFact:
        """The fact: whether the file is one of the subjects; the value is over the envelope's PAE."""
        digests = {request.algorithm: states[request].copy().digest() for request in self.digests}
        return SignatureFact(
            scheme=NAME,
            origin=self.origin,
            file=self.file,
            digest_algorithm="sha256",  # the least that goes with any key here
            signature=self.signature.value,
            signed=self.envelope.signed,
            digest=digests[strongest(digests)],
            content_matches=bool(self.statement.about(digests)),
            packet=self.signature.key_id.encode("utf-8", "surrogatepass"),
        )


class DSSEScheme:
    """The scheme as the registry holds it."""

    NAME = NAME
    DOC = """In-toto statements in DSSE envelopes (`.intoto.jsonl`, `.att`) by a bare key or a certificate's: RSA (PSS or PKCS #1 v1.5 with
SHA-256), ECDSA with the curve's digest, Ed25519. A subject of the statement has the file's digest: SHA-256, SHA-384 or SHA-512, every one
of them that it names. The key id is a hint; several signatures are each looked at."""

    def recognises(self, data: bytes) -> bool:
        """Whether ``data`` is an envelope, or one a line."""
        return kind_of(data) == NAME

    def parse(self, data: bytes, *, origin: SignatureOrigin, file: SideFile | None) -> tuple[PendingStatement, ...]:
        """Every signature of every envelope; raises MalformedError, UnsupportedError or ResourceLimitError."""
        found: list[PendingStatement] = []
        kept = 0
        for said in documents(data):
            envelope = parse_envelope(said)
            kept += len(envelope.payload) * len(envelope.signatures)
            if kept > MAX_SIGNED_BYTES:
                raise ResourceLimitError(f"DSSE: signatures over more than {MAX_SIGNED_BYTES} bytes in one file")
            statement = parse_statement(envelope)
            found += [PendingStatement(envelope, statement, one, origin, file) for one in envelope.signatures]
        if len(found) > MAX_SIGNATURES_PER_FILE:
            raise ResourceLimitError(f"DSSE: {len(found)} signatures in one file")
        return tuple(found)

    def holds(self, fact: SignatureFact, key: CandidateKey) -> KeyCheck | None:
        """Whether the value holds under ``key``; False only for a key that the key id names, None for others."""
        if fact.scheme != NAME or fact.problem is not None or key.kind not in (X509, RAW):
            return None
        try:
            spki = key.material if key.kind == RAW else cms.certificate_names(key.material).spki
        except (MalformedError, ResourceLimitError):
            return None
        good = fact.content_matches and verifies_octets(spki, fact.signature, fact.signed)
        digest = hashlib.sha256(key.material).hexdigest()
        named = fact.packet.decode("utf-8", "replace") in _key_ids(spki)
        return KeyCheck(key=digest, owner=digest, holds=good) if good or named else None


def _key_ids(spki: bytes) -> frozenset[str]:
    """What signers call a key: its digest, or that of securesystemslib's canonical description of it."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

    ids = {hashlib.sha256(spki).hexdigest()}
    kind = key_kind(spki)
    for name, scheme in _KEY_TYPES.get(kind or "", ()):
        key = load_der_public_key(spki)
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        for text in (spki[-32:].hex(),) if kind == "ed25519" else (pem, pem.strip()):
            said = {"keytype": name, "keyval": {"public": text}, "scheme": scheme}
            # Canonical JSON of OLPC leaves line ends in texts as they are.
            canonical = json.dumps(said, separators=(",", ":"), sort_keys=True).replace("\\n", "\n")
            ids.add(hashlib.sha256(canonical.encode()).hexdigest())
    return frozenset(ids)


SCHEME: SignatureScheme = DSSEScheme()
