"""Signature values that are part of a format: over a message that is kept, or over a digest, under a certificate's key or a bare one.

What is particular to a format (where the value stands, what it is over) is its reader's; the arithmetic is the same for all of them.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from trust_store.decode import cms
from trust_store.decode.distinguished_name import name_text
from trust_store.decode.public_keys import verifies, verifies_message
from trust_store.decode.unsigned_attributes import unsigned_attributes
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.model.package_facts import KeyCheck, SignatureFact, SignerHint
from trust_store.signatures.protocol import RAW, X509

if TYPE_CHECKING:
    from trust_store.decode.cms import CertificateNames
    from trust_store.model.package_facts import SideFile, SignatureOrigin
    from trust_store.signatures.protocol import CandidateKey, PendingSignature


class EmbeddedScheme:
    """A scheme whose signatures stand in no file of their own.

    ``holds`` tries certificates and bare keys. It says False only for a key that the signature's hint names (issuer and serial number,
    subject key identifier, or SHA-256 of the SubjectPublicKeyInfo), None for every other one under which the value does not verify.
    """

    def __init__(self, name: str, doc: str) -> None:
        self.NAME, self.DOC = name, doc

    def recognises(self, data: bytes) -> bool:  # noqa: ARG002 - the protocol's signature
        """Never."""
        return False

    def parse(self, data: bytes, *, origin: SignatureOrigin, file: SideFile | None) -> tuple[PendingSignature, ...]:  # noqa: ARG002
        """Raises UnsupportedError: the format's reader makes the facts."""
        raise UnsupportedError(f"a signature of scheme {self.NAME} in a file of its own")

    def holds(self, fact: SignatureFact, key: CandidateKey) -> KeyCheck | None:
        """Whether the signature holds under ``key``; None if it cannot be or need not be the signer's."""
        if fact.scheme != self.NAME or fact.problem is not None or key.kind not in (X509, RAW):
            return None
        return value_check(fact, key)


def signer_fact(
    info: cms.SignerInfo,
    attributes: cms.SignedAttributes | None,
    digest: bytes,
    *,
    scheme: str,
    origin: SignatureOrigin,
) -> SignatureFact:
    """What a SignerInfo says over content whose digest is ``digest``, without the certificates that the message carries.

    ``content_matches`` is whether the digest in the signed attributes is that one; True where there are none.
    """
    unsigned = unsigned_attributes(info)
    return SignatureFact(
        scheme=scheme,
        origin=origin,
        file=None,
        hint=SignerHint(
            issuer_der=info.issuer_der,
            issuer=name_text(info.issuer_der),
            serial_number=info.serial_number,
            subject_key_identifier=info.subject_key_identifier,
        ),
        digest_algorithm=info.digest_algorithm,
        signature_algorithm=info.signature_algorithm,
        signature=info.signature,
        signed=attributes.signed if attributes else b"",
        digest=digest,
        content_matches=attributes is None or hmac.compare_digest(attributes.message_digest, digest),
        claimed_at=attributes.signing_time if attributes else None,
        timestamps=unsigned.timestamps,
        countersignatures=unsigned.countersignatures,
    )


def value_check(fact: SignatureFact, key: CandidateKey) -> KeyCheck | None:
    """The same for whatever scheme the fact is of."""
    if key.kind == RAW:
        spki, digest = key.material, hashlib.sha256(key.material).hexdigest()
        named = fact.hint.key_sha256 == digest
    else:
        try:
            names = cms.certificate_names(key.material)
        except (MalformedError, ResourceLimitError):
            return None
        spki, digest = names.spki, hashlib.sha256(key.material).hexdigest()
        named = is_named(fact.hint, names)
    good = fact.content_matches and value_verifies(fact, spki)
    return KeyCheck(key=digest, owner=digest, holds=good) if good or named else None


def is_named(hint: SignerHint, names: CertificateNames) -> bool:
    """Whether the hint names the certificate of these names (RFC 5652 5.3), or its key."""
    if hint.key_sha256 is not None:
        return hint.key_sha256 == hashlib.sha256(names.spki).hexdigest()
    if hint.serial_number is not None:
        return (names.issuer_der, names.serial_number) == (hint.issuer_der, hint.serial_number)
    return hint.subject_key_identifier is not None and hint.subject_key_identifier == names.subject_key_identifier


def value_verifies(fact: SignatureFact, spki: bytes) -> bool:
    """Whether ``signature`` is one over ``signed`` where that is kept, else over ``digest``."""
    if fact.signature_algorithm == "ed25519":
        return bool(fact.signed) and verifies_message(spki, fact.signature, fact.signed)
    digest = hashlib.new(fact.digest_algorithm, fact.signed).digest() if fact.signed else fact.digest
    return verifies(spki, fact.signature_algorithm, fact.digest_algorithm, fact.signature, digest)
