"""Signatures of xar archives (Apple flat packages): over the digest of the compressed table of contents."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from trust_store.decode import cms
from trust_store.decode.asn1 import SEQUENCE, read_first
from trust_store.decode.public_keys import RSA_PKCS1, verifies
from trust_store.errors import MalformedError, UnsupportedError
from trust_store.model.package_facts import SignatureFact, SignatureOrigin, SignerHint
from trust_store.signatures.embedded import EmbeddedScheme, signer_fact

if TYPE_CHECKING:
    from trust_store.signatures.protocol import SignatureScheme

RSA, CMS = "xar-rsa", "xar-cms"
MAX_DIGEST_BYTES = 64


def rsa_fact(value: bytes, certificates: tuple[bytes, ...], algorithm: str, table_digest: bytes) -> SignatureFact:
    """The bare RSA value; its first certificate is the signer's. Raises MalformedError.

    Some older packages sign the digest of the digest: that is taken where it alone holds under that certificate.
    """
    if not certificates:
        raise MalformedError("xar: a signature without a certificate")
    spki = cms.certificate_names(certificates[0]).spki
    digest = table_digest
    twice = hashlib.new(algorithm, table_digest, usedforsecurity=False).digest()
    if not verifies(spki, RSA_PKCS1, algorithm, value, digest) and verifies(spki, RSA_PKCS1, algorithm, value, twice):
        digest = twice
    return SignatureFact(
        scheme=RSA,
        origin=SignatureOrigin.EMBEDDED,
        file=None,
        hint=SignerHint(key_sha256=hashlib.sha256(spki).hexdigest()),
        digest_algorithm=algorithm,
        signature_algorithm=RSA_PKCS1,
        signature=value,
        digest=digest,
        content_matches=True,
        certificates=certificates,
    )


def cms_facts(space: bytes, certificates: tuple[bytes, ...], table_digest: bytes) -> tuple[SignatureFact, ...]:
    """The CMS message in the space reserved for it, which zeros fill up; raises MalformedError, UnsupportedError, ResourceLimitError."""
    element, end = read_first(space, "xar: the CMS signature")
    if element.tag != SEQUENCE or space[end:].strip(b"\0"):
        raise MalformedError("xar: something other than zeros follows the CMS signature")
    message = cms.parse_signed_data(space[:end])
    if message.content_type != cms.ID_DATA:
        raise UnsupportedError(f"xar: a signature over content type {message.content_type}, not over data")
    if message.encapsulated and cms.content_octets(message, max_bytes=MAX_DIGEST_BYTES) != table_digest:
        raise MalformedError("xar: the CMS signature carries another digest than the table's")
    return tuple(_cms_fact(info, message.certificates or certificates, table_digest) for info in message.signer_infos)


def _cms_fact(info: cms.SignerInfo, certificates: tuple[bytes, ...], table_digest: bytes) -> SignatureFact:
    if info.attributes is None:
        raise UnsupportedError("xar: a CMS signature without signed attributes")
    attributes = cms.parse_attributes(info.attributes)
    if attributes.content_type != cms.ID_DATA:  # RFC 5652 11.1
        raise MalformedError(f"xar: the signed content type is {attributes.content_type}, the content's is data")
    digest = hashlib.new(info.digest_algorithm, table_digest, usedforsecurity=False).digest()
    fact = signer_fact(info, attributes, digest, scheme=CMS, origin=SignatureOrigin.EMBEDDED)
    return replace(fact, certificates=certificates)


SCHEMES: dict[str, SignatureScheme] = {
    CMS: EmbeddedScheme(
        CMS, "A xar archive's x-signature: detached CMS over the digest of the compressed table of contents."
    ),
    RSA: EmbeddedScheme(
        RSA, "A xar archive's signature: RSA PKCS #1 v1.5 over the digest of the compressed table of contents."
    ),
}
