"""One PEM file of CA certificates (RFC 7468), as OpenSSL, curl and most TLS and CMS libraries read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.exchange.exporting.encodings import comment, pem
from trust_store.exchange.exporting.protocol import ExportedFile
from trust_store.model.trust_anchor import AnchorKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trust_store.exchange.exporting.protocol import ExportContext
    from trust_store.model.trust_anchor import TrustAnchor

NAME = "pem"
DOC = "one PEM file of certificates, for OpenSSL, curl and others"
KINDS = frozenset({AnchorKind.X509})
KEEPS: frozenset[str] = frozenset()
SINGLE = True


def export(anchors: Sequence[TrustAnchor], context: ExportContext) -> tuple[ExportedFile, ...]:
    """A comment and a certificate for each anchor; text before a BEGIN line is ignored (RFC 7468 section 2)."""
    head = comment(f"trust anchors for {context.purpose}, store {context.store_id} revision {context.store_revision}")
    parts = [comment(f"{a.vendor_id}: {a.name} ({a.id})") + pem("CERTIFICATE", a.material) for a in anchors]
    return (ExportedFile("anchors.pem", (head + "".join(parts)).encode()),)
