"""Notary Project signatures over a file (``notation blob sign``): JWS and COSE envelopes with the signer's chain inside."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from trust_store.decode import cms
from trust_store.decode.distinguished_name import name_text
from trust_store.decode.notation import ALGORITHMS, COSE, JWS, is_cose, parse_cose, parse_jws
from trust_store.decode.public_keys import key_kind, rsa_bits, verifies
from trust_store.decode.signature_documents import kind_of
from trust_store.errors import MalformedError, UnsupportedError
from trust_store.model.package_facts import KeyCheck, SignatureFact, SignerHint
from trust_store.quick_dataclass import dataclass
from trust_store.signatures.protocol import LENGTH, X509, DigestRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trust_store.decode.notation import Notation
    from trust_store.model.package_facts import SideFile, SignatureOrigin
    from trust_store.signatures.protocol import CandidateKey, DigestState

_KEY_SPECS = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_RSA_SPECS = {2048: "PS256", 3072: "PS384", 4096: "PS512"}
"""Algorithm selection (signature-specification.md): the key's kind and size decide, and no other algorithm goes with it."""
_COORDINATE = {"ES256": 32, "ES384": 48, "ES512": 66}


@dataclass(frozen=True, slots=True)
class PendingNotation:
    """The one signature of an envelope, before its file has been read."""

    scheme: str
    signature: Notation
    data: bytes
    origin: SignatureOrigin
    file: SideFile | None

    @property
    def digests(self) -> tuple[DigestRequest, ...]:
        """What the payload's descriptor names: a digest and the size."""
        return DigestRequest(self.signature.target.algorithm), DigestRequest(LENGTH)

    def complete(self, states: Mapping[DigestRequest, DigestState]) -> SignatureFact:
        """The fact, with the file's digest compared with the one in the descriptor."""
        own = self.signature
        digest, size = (states[request].copy().digest() for request in self.digests)
        names = cms.certificate_names(own.chain[0])
        algorithm, digest_algorithm = ALGORITHMS[own.algorithm]
        return SignatureFact(
            scheme=self.scheme,
            origin=self.origin,
            file=self.file,
            hint=SignerHint(
                issuer_der=names.issuer_der,
                issuer=name_text(names.issuer_der),
                serial_number=names.serial_number,
                subject_key_identifier=names.subject_key_identifier,
            ),
            digest_algorithm=digest_algorithm,
            signature_algorithm=algorithm,
            signature=own.value,
            signed=own.signed,
            digest=digest,
            content_matches=hmac.compare_digest(own.target.digest, digest)
            and own.target.size == int.from_bytes(size, "big"),
            packet=self.data,
            certificates=own.chain,
            claimed_at=own.at,
            timestamps=(own.timestamp,) if own.timestamp else (),
        )


class NotationScheme:
    """One of the two envelopes, as the registry holds it."""

    def __init__(self, name: str, doc: str) -> None:
        self.NAME, self.DOC = name, doc

    def recognises(self, data: bytes) -> bool:
        """Whether ``data`` claims to be such an envelope."""
        if self.NAME == COSE:
            return is_cose(data)
        return kind_of(data) == JWS

    def parse(self, data: bytes, *, origin: SignatureOrigin, file: SideFile | None) -> tuple[PendingNotation, ...]:
        """The one signature; raises MalformedError, UnsupportedError or ResourceLimitError."""
        signature = parse_cose(data) if self.NAME == COSE else parse_jws(data)
        spki = cms.certificate_names(signature.chain[0]).spki
        if _algorithm_of(spki) != signature.algorithm:
            raise MalformedError(f"notation: {signature.algorithm} does not go with the signer's key")
        return (PendingNotation(self.NAME, signature, data, origin, file),)

    def holds(self, fact: SignatureFact, key: CandidateKey) -> KeyCheck | None:
        """Whether the signature holds under the signer's certificate, the first of the chain; None for every other key."""
        if fact.scheme != self.NAME or fact.problem is not None or key.kind != X509:
            return None
        if not fact.certificates or key.material != fact.certificates[0]:
            return None
        digest = hashlib.sha256(key.material).hexdigest()
        return KeyCheck(key=digest, owner=digest, holds=fact.content_matches and _verifies(fact, key.material))


def _algorithm_of(spki: bytes) -> str:
    kind = key_kind(spki)
    found = _RSA_SPECS.get(rsa_bits(spki) or 0) if kind == "rsa" else _KEY_SPECS.get(kind or "")
    if found is None:
        raise UnsupportedError("notation: a signer's key of a kind or size that the specification does not have")
    return found


def _verifies(fact: SignatureFact, certificate: bytes) -> bool:
    spki = cms.certificate_names(certificate).spki
    value = fact.signature
    if fact.signature_algorithm == "ecdsa":
        half = _COORDINATE.get(_KEY_SPECS.get(key_kind(spki) or "", ""), 0)
        if not half or len(value) != 2 * half:  # RFC 7518 3.4, RFC 9053 2.1
            return False
        value = encode_dss_signature(int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big"))
    digest = hashlib.new(fact.digest_algorithm, fact.signed).digest()
    return verifies(spki, fact.signature_algorithm, fact.digest_algorithm, value, digest)


_RULES = """The payload's descriptor names the file's digest; the chain (x5c, x5chain) leads to an anchor by notation's certificate rules;
RFC 3161 timestamps over the value count where their authority is trusted. An expiry in the signature holds. What asks for a verification
plugin is not read."""
SCHEMES = {
    JWS: NotationScheme(
        JWS, f"Notary Project signatures over a file (`notation blob sign`) in a JWS envelope.\n\n{_RULES}"
    ),
    COSE: NotationScheme(COSE, f"The same in a COSE_Sign1 envelope.\n\n{_RULES}"),
}
