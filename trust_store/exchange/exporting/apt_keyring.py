"""OpenPGP keyrings for apt's ``Signed-By`` (sources.list(5)), one per vendor: binary transferable public keys, one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.exchange.exporting.encodings import file_name
from trust_store.exchange.exporting.protocol import VENDOR, ExportedFile
from trust_store.model.trust_anchor import AnchorKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trust_store.exchange.exporting.protocol import ExportContext
    from trust_store.model.trust_anchor import TrustAnchor

NAME = "apt-keyring"
DOC = "an OpenPGP keyring for each vendor, for apt's Signed-By and gpgv"
KINDS = frozenset({AnchorKind.OPENPGP})
KEEPS = frozenset({VENDOR})
SINGLE = False


def export(anchors: Sequence[TrustAnchor], context: ExportContext) -> tuple[ExportedFile, ...]:
    """``<vendor>.gpg`` with that vendor's keys."""
    del context
    keyrings: dict[str, bytes] = {}
    for anchor in anchors:
        keyrings[anchor.vendor_id] = keyrings.get(anchor.vendor_id, b"") + anchor.material
    return tuple(ExportedFile(f"{file_name(vendor)}.gpg", keys) for vendor, keys in keyrings.items())
