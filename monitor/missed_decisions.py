"""Decisions that people made while no daemon ran: nobody was told of them then, so everybody is when one starts.

The mark is the number of the newest audit entry whose decision was told; it moves in the transaction that tells.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from escalation.model import Severity
from escalation.rules import notice
from monitor.storage.marks import TOLD, mark_of, move_mark
from trust_store import audit
from trust_store.settings import RESERVED_NAMES

if TYPE_CHECKING:
    import sqlite3

    from escalation.model import AlertDraft

MAX_LINES = 20
_URGENT_KINDS = frozenset({"anchor.fingerprint_mismatch"})
_ELSEWHERE = ("instance.",)
"""Kinds of entries that are told by whoever watches over the log itself."""


def note_told(connection: sqlite3.Connection) -> None:
    """Move the mark to the newest entry, inside the caller's transaction."""
    move_mark(connection, TOLD, audit.head(connection).seq)


def missed(connection: sqlite3.Connection) -> AlertDraft | None:
    """The alert about every decision of people since the mark, None where there is none; nothing is written."""
    after = mark_of(connection, TOLD)
    first, last, count, urgent = 0, 0, 0, False
    lines: list[str] = []
    while found := audit.entries(connection, after=after):
        after = found[-1]["seq"]
        for entry in found:
            if entry["actor"] in RESERVED_NAMES or entry["kind"].startswith(_ELSEWHERE):
                continue
            first, last, count = first or entry["seq"], entry["seq"], count + 1
            urgent = urgent or _is_urgent(entry)
            if len(lines) < MAX_LINES:
                lines.append(
                    f"{entry['seq']}: {entry['recorded_at']} {entry['actor']}: {entry['kind']} {entry['subject']}"
                )
    if not count:
        return None
    if count > len(lines):
        lines.append(f"and {count - len(lines)} more")
    return notice(
        "missed_decisions",
        "urgent" if urgent else "told_late",
        Severity.CRITICAL if urgent else Severity.MEDIUM,
        f"{count} decision(s) about trust were made while the daemon did not run",
        subject=f"{first}-{last}",
        summary=f"entries {first} to {last} of the audit log; 'rootwarden audit show --after {first - 1}' shows them",
        lines=lines,
    )


def _is_urgent(entry: sqlite3.Row) -> bool:
    """A fingerprint that did not match, and an emergency."""
    body: dict[str, Any] = json.loads(entry["body"])
    return entry["kind"] in _URGENT_KINDS or "break_glass" in (body.get("way"), body.get("basis"))
