"""An anchor as a person or a program reads it. What identifies a key that awaits decision is withheld: the vendor reads it out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from trust_store.anchor_rules import WITHHELD, disclosed
from trust_store.model.identifiers import format_time
from trust_store.model.trust_anchor import AnchorState
from trust_store.storage.anchors import encode_constraints, encode_rule
from trust_store.terminal import safe

if TYPE_CHECKING:
    from trust_store.model.trust_anchor import TrustAnchor


def anchor_to_dict(anchor: TrustAnchor, *, reference: str | None = None) -> dict[str, Any]:
    """JSON values of an anchor; ``key_sha256``, ``identifiers`` and ``signer_rule`` pins of itself are null while it is pending."""
    withheld = anchor.state is AnchorState.PENDING
    identifiers: dict[str, list[str]] = {}
    for identifier in anchor.identifiers:
        identifiers.setdefault(identifier.kind.value, []).append(identifier.value)
    rule = encode_rule(anchor.signer_rule)
    return {
        "id": anchor.id,
        "vendor": anchor.vendor_id,
        "kind": anchor.kind.value,
        "name": disclosed(anchor, anchor.name),
        "state": anchor.state.value,
        "cause": anchor.cause,
        "recorded_at": format_time(anchor.recorded_at),
        "effective_from": format_time(anchor.effective_from),
        "authority": anchor.authority,
        "reference": None if reference is None else disclosed(anchor, reference),
        "previous": anchor.previous,
        "successor": anchor.successor,
        "follow_rotation": anchor.follow_rotation,
        "signer_rule": json.loads(rule) if disclosed(anchor, rule) == rule else None,
        "constraints": json.loads(encode_constraints(anchor.constraints)),
        "key_sha256": None if withheld else anchor.key_sha256,
        "identifiers": None if withheld else identifiers,
    }


def summary_line(anchor: TrustAnchor) -> str:
    """One line of the list."""
    cause = f" ({safe(anchor.cause, 60)})" if anchor.cause else ""
    name = safe(disclosed(anchor, anchor.name), 100)
    return f"{anchor.id}  {anchor.state.value:<11} {anchor.vendor_id:<12} {anchor.kind.value:<7} {name}{cause}"


def anchor_lines(anchor: TrustAnchor, *, reference: str) -> list[str]:
    """The lines of ``anchor show``."""
    shown = anchor_to_dict(anchor, reference=reference)
    lines = []
    for key, value in shown.items():
        if key == "identifiers":
            for kind, values in (value or {"fingerprints": [WITHHELD]}).items():
                lines += [f"{kind:<24} {safe(v, 200)}" for v in values]
        elif key == "key_sha256" and value is None:
            continue
        elif value not in (None, "", False):
            text = value if isinstance(value, str) else json.dumps(value)
            lines.append(f"{key.replace('_', ' '):<24} {safe(text, 1000)}")
    return lines
