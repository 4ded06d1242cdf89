"""An anchor as JSON values for people and programs. What identifies a key that awaits decision is withheld: the vendor reads it out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from trust_store.anchor_rules import disclosed
from trust_store.decode.anchor_json import constraints_to_json, rule_to_json
from trust_store.model.identifiers import format_time
from trust_store.model.trust_anchor import AnchorState

if TYPE_CHECKING:
    from trust_store.model.trust_anchor import TrustAnchor


def anchor_to_dict(anchor: TrustAnchor, *, reference: str | None = None) -> dict[str, Any]:
    """JSON values of an anchor; ``key_sha256``, ``identifiers`` and ``signer_rule`` pins of itself are null while it is pending."""
    withheld = anchor.state is AnchorState.PENDING
    identifiers: dict[str, list[str]] = {}
    for identifier in anchor.identifiers:
        identifiers.setdefault(identifier.kind.value, []).append(identifier.value)
    rule = rule_to_json(anchor.signer_rule)
    return {
        "id": anchor.id,
        "vendor": anchor.vendor_id,
        "kind": anchor.kind.value,
        "name": disclosed(anchor, anchor.name),
        "state": anchor.state.value,
        "cause": anchor.cause,
        "basis": anchor.basis.value,
        "recorded_at": format_time(anchor.recorded_at),
        "effective_from": format_time(anchor.effective_from),
        "authority": anchor.authority,
        "reference": None if reference is None else disclosed(anchor, reference),
        "previous": anchor.previous,
        "successor": anchor.successor,
        "follow_rotation": anchor.follow_rotation,
        "signer_rule": rule if disclosed(anchor, text := json.dumps(rule)) == text else None,
        "constraints": constraints_to_json(anchor.constraints),
        "key_sha256": None if withheld else anchor.key_sha256,
        "identifiers": None if withheld else identifiers,
    }
