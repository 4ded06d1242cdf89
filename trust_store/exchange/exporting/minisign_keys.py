"""Public key files of minisign and signify, one for each key: a comment line and 42 bytes in base64 (jedisct1.github.io/minisign)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from trust_store.exchange.exporting.encodings import file_name, one_line
from trust_store.exchange.exporting.protocol import VENDOR, ExportedFile
from trust_store.model.trust_anchor import AnchorKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trust_store.exchange.exporting.protocol import ExportContext
    from trust_store.model.trust_anchor import TrustAnchor

NAME = "minisign"
DOC = "a public key file for each anchor, for minisign -p and signify -p"
KINDS = frozenset({AnchorKind.MINISIGN})
KEEPS = frozenset({VENDOR})
SINGLE = False
_NUMBER = slice(2, 10)


def export(anchors: Sequence[TrustAnchor], context: ExportContext) -> tuple[ExportedFile, ...]:
    """``<vendor>-<key number>.pub`` for each key; the number as minisign prints it, little-endian."""
    del context
    found = []
    for anchor in anchors:
        number = f"{int.from_bytes(anchor.material[_NUMBER], 'little'):016X}"
        text = f"untrusted comment: {one_line(anchor.vendor_id)} public key {number}\n"
        text += base64.b64encode(anchor.material).decode() + "\n"
        found.append(ExportedFile(f"{file_name(anchor.vendor_id)}-{number}.pub", text.encode()))
    return tuple(found)
