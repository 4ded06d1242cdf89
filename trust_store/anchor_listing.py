"""An anchor as JSON values for people and programs. What identifies a key that awaits decision is withheld: the vendor reads it out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from trust_store.anchor_rules import disclosed, fingerprint_of
from trust_store.decode.anchor_json import constraints_to_json, rule_to_json
from trust_store.model.identifiers import format_time
from trust_store.model.trust_anchor import AnchorState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from trust_store.model.trust_anchor import TrustAnchor


def awaiting_among(anchors: Iterable[TrustAnchor]) -> frozenset[str]:
    """The fingerprints of those that await decision."""
    return frozenset(v for a in anchors if a.state is AnchorState.PENDING for v in fingerprint_of(a))


def anchor_to_dict(
    anchor: TrustAnchor, *, reference: str | None = None, awaiting: Collection[str] = ()
) -> dict[str, Any]:
    """JSON values of an anchor; ``key_sha256``, ``identifiers`` and ``signer_rule`` pins of itself are null while it is pending.

    ``awaiting`` are the fingerprints that await decision anywhere (``storage.related``, ``awaiting_among``): what was decided about
    such a key earlier, or for another vendor, does not give it away either.
    """
    twin = any(value in awaiting for value in fingerprint_of(anchor))
    withheld = twin or anchor.state is AnchorState.PENDING
    identifiers: dict[str, list[str]] = {}
    for identifier in anchor.identifiers:
        identifiers.setdefault(identifier.kind.value, []).append(identifier.value)
    rule = rule_to_json(anchor.signer_rule)
    return {
        "id": anchor.id,
        "vendor": anchor.vendor_id,
        "kind": anchor.kind.value,
        "name": disclosed(anchor, anchor.name, awaiting=twin),
        "state": anchor.state.value,
        "cause": anchor.cause,
        "basis": anchor.basis.value,
        "recorded_at": format_time(anchor.recorded_at),
        "effective_from": format_time(anchor.effective_from),
        "authority": anchor.authority,
        "reference": None if reference is None else disclosed(anchor, reference, awaiting=twin),
        "previous": anchor.previous,
        "successor": anchor.successor,
        "follow_rotation": anchor.follow_rotation,
        "signer_rule": rule if disclosed(anchor, text := json.dumps(rule), awaiting=twin) == text else None,
        "constraints": constraints_to_json(anchor.constraints),
        "key_sha256": None if withheld else anchor.key_sha256,
        "identifiers": None if withheld else identifiers,
    }
