"""Signatures of Android A/B payloads: bare values over SHA-256, made by keys that nothing in the file names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.model.package_facts import SignatureFact, SignatureOrigin, SignatureRole
from trust_store.signatures.embedded import EmbeddedScheme

if TYPE_CHECKING:
    from trust_store.decode.android_payload import PayloadSignature
    from trust_store.signatures.protocol import SignatureScheme

PAYLOAD, METADATA = "android-payload", "android-payload-metadata"


def value_fact(scheme: str, signature: PayloadSignature, digest: bytes, *, role: SignatureRole) -> SignatureFact:
    """One value over bytes of that SHA-256."""
    return SignatureFact(
        scheme=scheme,
        origin=SignatureOrigin.EMBEDDED,
        file=None,
        digest_algorithm="sha256",
        signature_algorithm=signature.algorithm,
        signature=signature.value,
        digest=digest,
        content_matches=True,
        role=role,
    )


_DOC = "RSA PKCS #1 v1.5 or ECDSA with SHA-256; the key is not named, and every key at hand is tried."
SCHEMES: dict[str, SignatureScheme] = {
    PAYLOAD: EmbeddedScheme(PAYLOAD, f"The signature of an Android A/B payload, over metadata and data: {_DOC}"),
    METADATA: EmbeddedScheme(METADATA, f"The signature of an Android A/B payload over its metadata alone: {_DOC}"),
}
