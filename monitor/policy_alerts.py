"""Alerts about what changed in vendor files and ``[approvers]``: every change is told, and what settles one ends its alert."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from escalation.deduplication import notice_key
from escalation.model import Severity
from escalation.rules import notice
from escalation.triage import resolve_below
from trust_store.storage.approver_list import APPROVERS, newest
from trust_store.storage.vendors import AWAITING, latest
from trust_store.terminal import safe

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from datetime import datetime

    from escalation.model import AlertDraft
    from trust_store.storage.vendors import VendorChange

POLICY_KIND = "policy_changed"
WEAKENED = "weakened"
SHOWN_CHARACTERS = 230
"""Of each value, the old and the new: both have to fit into one summary, with what to do about it."""


def change_notice(change: VendorChange, seq: int) -> AlertDraft:
    """The alert about one changed field; a weakening counts only once it is approved. ``seq``: the newest audit entry by then.

    The same change made again later is another matter, and so are two changes whose texts begin alike.
    """
    told = "--approvers" if change.field == APPROVERS else change.vendor_id
    effect = (
        f"it takes effect when approved under the old policy: rootwarden anchor approve-policy {told}"
        if change.weakens
        else "it is in effect"
    )
    values = json.dumps([change.old, change.new], default=str, sort_keys=True)
    digest = hashlib.sha256(values.encode()).hexdigest()
    return notice(
        POLICY_KIND,
        WEAKENED if change.weakens else "changed",
        Severity.HIGH if change.weakens else Severity.LOW,
        f"{change.vendor_id or '[approvers]'}: {change.field} changed in the configuration",
        subject=f"{change.field}:{seq}:{digest}",
        summary=f"{effect}; {_difference(change.old, change.new)}",
        vendor_id=change.vendor_id,
    )


def policy_approved(result: Mapping[str, Any]) -> bool:
    """Whether a decision was the last approval that a vendor's file or the list of approvers waited for."""
    return result["outcome"] == "effective" and result.get("alert") is None


def awaits_approval(connection: sqlite3.Connection, vendor_id: str) -> bool:
    """Whether anything of a vendor's file as recorded last (of ``[approvers]``: the empty id) counts only once it is approved."""
    if not vendor_id:
        approvers = newest(connection)
        return approvers is not None and approvers.awaiting
    recorded = latest(connection, vendor_id)
    return recorded is not None and recorded.state == AWAITING


def settle_field(connection: sqlite3.Connection, change: VendorChange, at: datetime) -> None:
    """End the alerts about what the field was before: what it is now is told anew."""
    subject = f"{change.field}:"
    resolve_below(connection, notice_key(POLICY_KIND, change.vendor_id, subject), "told anew as it is now", at)


def settle_waiting(connection: sqlite3.Connection, vendor_id: str, resolution: str, at: datetime) -> None:
    """End the alerts about what waited for approval of a vendor's file (of ``[approvers]``: the empty id): nothing does any more."""
    resolve_below(connection, notice_key(POLICY_KIND, vendor_id, ""), resolution, at, reason=WEAKENED)


def _difference(old: Any, new: Any) -> str:
    """What changed, in few words: of a list only what came and what went, so that a change at its end is seen as well."""
    before, after = _entries(old), _entries(new)
    if before is None or after is None:
        return f"was {safe(repr(old), SHOWN_CHARACTERS)}, now {safe(repr(new), SHOWN_CHARACTERS)}"
    added, gone = [e for e in after if e not in before], [e for e in before if e not in after]
    told = [("added", added)] * bool(added) + [("gone", gone)] * bool(gone)
    return (
        "; ".join(f"{word}: {safe(', '.join(entries), SHOWN_CHARACTERS)}" for word, entries in told)
        or "the same ones, in their details"
    )


def _entries(value: Any) -> list[str] | None:
    if isinstance(value, dict):
        return [f"{key} = {entry}" for key, entry in value.items()]
    return [str(entry) for entry in value] if isinstance(value, list | tuple) else None
