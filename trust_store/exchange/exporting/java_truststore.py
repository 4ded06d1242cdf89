"""A PKCS#12 truststore that Java reads (JDK 9 and later: trusted entries carry Oracle's trustedKeyUsage attribute)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.exchange.exporting.encodings import file_name
from trust_store.exchange.exporting.protocol import ExportedFile
from trust_store.model.trust_anchor import AnchorKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trust_store.exchange.exporting.protocol import ExportContext
    from trust_store.model.trust_anchor import TrustAnchor

NAME = "java-truststore"
DOC = "a PKCS#12 truststore for keytool, jarsigner and Java programs"
KINDS = frozenset({AnchorKind.X509})
KEEPS: frozenset[str] = frozenset()
SINGLE = True


def export(anchors: Sequence[TrustAnchor], context: ExportContext) -> tuple[ExportedFile, ...]:
    """One entry for each certificate, its alias ``vendor-anchor id``. Salted, so that no two exports have the same bytes."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

    entries = [
        pkcs12.PKCS12Certificate(
            x509.load_der_x509_certificate(a.material), file_name(f"{a.vendor_id}-{a.id}").encode()
        )
        for a in anchors
    ]
    store = pkcs12.serialize_java_truststore(entries, BestAvailableEncryption(context.password))
    return (ExportedFile("truststore.p12", store),)
