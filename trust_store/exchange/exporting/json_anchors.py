"""Everything about each anchor as JSON: nothing is lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from trust_store.decode.anchor_json import anchor_to_json
from trust_store.exchange.exporting.protocol import SIGNER_RULE, VENDOR, ExportedFile
from trust_store.model.identifiers import format_time
from trust_store.model.trust_anchor import AnchorKind, Constraints

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trust_store.exchange.exporting.protocol import ExportContext
    from trust_store.model.trust_anchor import TrustAnchor

NAME = "json"
DOC = "every anchor with every limit as JSON; nothing is lost"
KINDS = frozenset(AnchorKind)
KEEPS = frozenset({VENDOR, SIGNER_RULE, *Constraints.__dataclass_fields__})
SINGLE = True


def export(anchors: Sequence[TrustAnchor], context: ExportContext) -> tuple[ExportedFile, ...]:
    """One object: where it is from, and the anchors."""
    said = {
        "schema": "rootwarden/anchors/1",
        "store_id": context.store_id,
        "store_revision": context.store_revision,
        "exported_at": format_time(context.at),
        "anchors": [anchor_to_json(anchor) for anchor in anchors],
    }
    return (ExportedFile("anchors.json", (json.dumps(said, indent=1, ensure_ascii=True) + "\n").encode()),)
