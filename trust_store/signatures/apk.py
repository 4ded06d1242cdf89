"""APK Signature Scheme v2, v3, v3.1, v4 and source stamps: a value over signed data, which is kept, under a certificate's key.

Android compares certificates and knows no expiry of them; what stands in the signed data is compared with the package by the reader.
"""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import TYPE_CHECKING

from trust_store.decode import cms
from trust_store.decode.apk_signers import ALGORITHMS
from trust_store.decode.public_keys import verifies
from trust_store.model.package_facts import SignatureFact, SignatureOrigin, SignerHint
from trust_store.signatures.embedded import EmbeddedScheme

if TYPE_CHECKING:
    from trust_store.decode.apk_lineage import LineageNode
    from trust_store.model.package_facts import SideFile, SignatureRole
    from trust_store.signatures.protocol import SignatureScheme

V2, V3, V31, V4, STAMP = "apk-v2", "apk-v3", "apk-v3.1", "apk-v4", "source-stamp"


def signer_fact(
    scheme: str,
    signed: bytes,
    certificates: tuple[bytes, ...],
    algorithm: int,
    signature: bytes,
    *,
    matches: bool,
    role: SignatureRole,
    file: SideFile | None = None,
    origin: SignatureOrigin = SignatureOrigin.EMBEDDED,
) -> SignatureFact:
    """A signature over ``signed`` by the first certificate; raises MalformedError where that cannot be read."""
    names = cms.certificate_names(certificates[0])
    return SignatureFact(
        scheme=scheme,
        origin=origin,
        file=file,
        hint=SignerHint(key_sha256=hashlib.sha256(names.spki).hexdigest()),
        digest_algorithm=ALGORITHMS[algorithm].digest,
        signature_algorithm=ALGORITHMS[algorithm].signature,
        signature=signature,
        signed=signed,
        content_matches=matches,
        certificates=certificates,
        role=role,
    )


def value_holds(spki: bytes, algorithm: int, signature: bytes, signed: bytes) -> bool:
    """Whether a value of one of the schemes' algorithms is one over ``signed``."""
    known = ALGORITHMS[algorithm]
    return verifies(spki, known.signature, known.digest, signature, hashlib.new(known.digest, signed).digest())


def lineage_holds(nodes: tuple[LineageNode, ...]) -> bool:
    """Whether every certificate after the first is signed by the one before it; raises MalformedError where one cannot be read."""
    return all(
        verifies(
            cms.certificate_names(before.certificate).spki,
            node.algorithm,
            node.digest,
            node.signature,
            hashlib.new(node.digest, node.signed).digest(),
        )
        for before, node in pairwise(nodes)
    )


_DOC = "RSA PKCS #1 v1.5, RSA-PSS, ECDSA and DSA with SHA-256 or SHA-512"
SCHEMES: dict[str, SignatureScheme] = {
    V2: EmbeddedScheme(
        V2, f"APK Signature Scheme v2: {_DOC}; the strongest as Android chooses it, the others must hold too."
    ),
    V3: EmbeddedScheme(
        V3, f"APK Signature Scheme v3: {_DOC}, for a range of Android versions; may carry a proof of rotation."
    ),
    V31: EmbeddedScheme(V31, f"APK Signature Scheme v3.1: {_DOC}; the rotated key for Android 13 and later."),
    V4: EmbeddedScheme(
        V4, f"APK Signature Scheme v4 (.idsig): {_DOC}; over a hash tree of the whole package and its v3 or v2 digest."
    ),
    STAMP: EmbeddedScheme(
        STAMP, f"Source stamp of a store: {_DOC}; over the content digests. It never passes a package."
    ),
}
