"""XML signatures over the parts of a package (ECMA-376-2 clause 10), as Visual Studio extensions have them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from trust_store.decode import cms
from trust_store.decode.unsigned_attributes import MAX_TOKEN_BYTES
from trust_store.errors import READ_ERRORS
from trust_store.model.package_facts import SignatureFact, SignatureOrigin, SignerHint
from trust_store.signatures.embedded import EmbeddedScheme

if TYPE_CHECKING:
    from trust_store.decode.xml_signature import XMLSignature
    from trust_store.model.package_facts import SideFile
    from trust_store.signatures.protocol import SignatureScheme

NAME = "opc-xmldsig"
DOC = """XMLDSig over a manifest of a package's parts: Canonical XML 1.0, RSA PKCS #1 v1.5 or ECDSA. The first certificate in the signature,
or of those that the package's relationships name, is the signer's. A timestamp in the signature is over its value."""


def fact(signature: XMLSignature, certificates: tuple[bytes, ...], file: SideFile, *, matches: bool) -> SignatureFact:
    """``matches`` is whether every part is what the manifest says; ``certificates`` those beside the ones in the signature."""
    carried = (*signature.certificates, *certificates)
    token = signature.timestamp
    return SignatureFact(
        scheme=NAME,
        origin=SignatureOrigin.EMBEDDED,
        file=file,
        hint=SignerHint(key_sha256=_key(carried)),
        digest_algorithm=signature.digest_algorithm,
        signature_algorithm=signature.algorithm,
        signature=signature.value,
        signed=signature.signed,
        digest=hashlib.new(signature.digest_algorithm, signature.signed, usedforsecurity=False).digest(),
        content_matches=matches and signature.object_matches,
        certificates=carried,
        timestamps=(token,) if token is not None and len(token) <= MAX_TOKEN_BYTES else (),
    )


def _key(certificates: tuple[bytes, ...]) -> str | None:
    try:
        return hashlib.sha256(cms.certificate_names(certificates[0]).spki).hexdigest() if certificates else None
    except READ_ERRORS:
        return None


SCHEME: SignatureScheme = EmbeddedScheme(NAME, DOC)
