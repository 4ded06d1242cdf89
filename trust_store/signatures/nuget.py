"""NuGet package signatures: of the author or of a repository, and a repository's countersignature on the author's.

The value is over CMS signed attributes, which also name the signing certificate by its digest: no other certificate will do, be
it of the same key.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from typing import TYPE_CHECKING

from trust_store.decode import cms, nuget_signature
from trust_store.decode.public_keys import rsa_exponent
from trust_store.errors import READ_ERRORS
from trust_store.model.package_facts import KeyCheck, SignatureOrigin
from trust_store.signatures.embedded import EmbeddedScheme, is_named, signer_fact, value_verifies
from trust_store.signatures.protocol import X509

if TYPE_CHECKING:
    from trust_store.decode.nuget_signature import NuGetSignature, NuGetSigner
    from trust_store.model.package_facts import SignatureFact
    from trust_store.signatures.protocol import CandidateKey, SignatureScheme

AUTHOR, REPOSITORY, COUNTERSIGNATURE = "nuget-author", "nuget-repository", "nuget-countersignature"
MAX_EXPONENT = 0xFFFF_FFFF
"""With a public exponent of any size an RSA key can be computed under which a given value is a signature over anything."""


class NuGetScheme(EmbeddedScheme):
    """One of the three kinds; the certificate must be the one whose digest was signed."""

    def holds(self, fact: SignatureFact, key: CandidateKey) -> KeyCheck | None:
        """Whether the signature holds under the certificate ``key``; None if it is neither named nor the one whose digest was signed."""
        if fact.scheme != self.NAME or fact.problem is not None or key.kind != X509:
            return None
        try:
            names = cms.certificate_names(key.material)
            attributes = nuget_signature.signed_attributes(fact.signed, countersignature=self.NAME == COUNTERSIGNATURE)
            bound = nuget_signature.signing_certificate(attributes).names(key.material)
        except READ_ERRORS:
            return None
        if not bound and not is_named(fact.hint, names):
            return None
        digest = hashlib.sha256(key.material).hexdigest()
        good = bound and is_named(fact.hint, names) and fact.content_matches and value_verifies(fact, names.spki)
        return KeyCheck(key=digest, owner=digest, holds=good)


def primary_fact(signature: NuGetSignature, package_digest: bytes) -> SignatureFact:
    """The primary signature; ``package_digest`` is that of the package as it is without its signature."""
    info = signature.primary.info
    digest = hashlib.new(info.digest_algorithm, signature.content, usedforsecurity=False).digest()
    scheme = AUTHOR if signature.primary.kind == nuget_signature.AUTHOR else REPOSITORY
    fact = signer_fact(info, signature.primary.attributes, digest, scheme=scheme, origin=SignatureOrigin.EMBEDDED)
    matches = fact.content_matches and hmac.compare_digest(package_digest, signature.package_digest)
    # a repository's countersignature is a signature of its own here, not a timestamp
    return replace(fact, content_matches=matches, certificates=signature.certificates, countersignatures=())


def countersignature_fact(signature: NuGetSignature, primary: SignatureFact, signer: NuGetSigner) -> SignatureFact:
    """A countersignature: over the primary's value (RFC 5652 11.4), so that it says nothing where that does not hold.

    The value binds the package only under the primary's own key, and that only where its public exponent is small.
    """
    digest = hashlib.new(signer.info.digest_algorithm, primary.signature, usedforsecurity=False).digest()
    fact = signer_fact(signer.info, signer.attributes, digest, scheme=COUNTERSIGNATURE, origin=SignatureOrigin.EMBEDDED)
    return replace(
        fact,
        content_matches=fact.content_matches and _holds(signature, primary),
        certificates=signature.certificates,
    )


def _holds(signature: NuGetSignature, primary: SignatureFact) -> bool:
    """Whether the primary holds under the certificate that it carries and names."""
    for certificate in signature.certificates:
        try:
            names = cms.certificate_names(certificate)
        except READ_ERRORS:
            continue
        if is_named(primary.hint, names) and signature.primary.certificate_id.names(certificate):
            exponent = rsa_exponent(names.spki)
            small = exponent is not None and exponent <= MAX_EXPONENT
            return small and primary.content_matches and value_verifies(primary, names.spki)
    return False


_DOC = """CMS over a statement of the package's digest; RSA PKCS #1 v1.5. The signed attributes name the certificate (RFC 5035)."""
SCHEMES: dict[str, SignatureScheme] = {
    AUTHOR: NuGetScheme(AUTHOR, f"A NuGet package's author signature: {_DOC}"),
    REPOSITORY: NuGetScheme(REPOSITORY, f"A NuGet package's primary signature by a repository: {_DOC}"),
    COUNTERSIGNATURE: NuGetScheme(
        COUNTERSIGNATURE,
        "A repository's countersignature on a NuGet package's author signature: CMS signed attributes over the signature value.",
    ),
}
