"""The daily digest: alerts of vendors that are only observed are written down at once and told together, once a day (shell)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalation.model import AlertDraft, Severity
from escalation.rules import VERDICT_KIND, notice
from escalation.triage import raise_alert
from trust_store.model.identifiers import format_time
from trust_store.model.verdict import Reason
from trust_store.storage.connection import transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable
    from datetime import datetime

KIND = "daily_digest"
MAX_LINES = 100
NEVER_DEFERRED = frozenset({Reason.COMPROMISED, Reason.DISTRUSTED, Reason.REVOKED, Reason.WITHDRAWN})
"""What the team itself decided against is told at once, whoever's it is said to be: the gate holds it in observe mode too."""


def waits(draft: AlertDraft) -> bool:
    """Whether the alert of an observed vendor may wait for the digest: never for a package that was decided against.

    That need not be its reason: it may stand beside one that goes before.
    """
    also = draft.context.verdict.also if draft.context else ()
    return draft.kind == VERDICT_KIND and NEVER_DEFERRED.isdisjoint((draft.reason, *also))


def defer(
    connection: sqlite3.Connection, draft: AlertDraft, *, at: datetime, randomness: Callable[[int], bytes]
) -> str:
    """Write the alert without sending it and put it on the next digest; returns its id. One alert stands there once."""
    with transaction(connection):
        alert_id = raise_alert(connection, draft, channels=(), at=at, randomness=randomness)
        connection.execute(
            "INSERT INTO digest_entry (alert_id, recorded_at) VALUES (?, ?) ON CONFLICT DO NOTHING",
            (alert_id, format_time(at)),
        )
        return alert_id


def send_due(
    connection: sqlite3.Connection,
    *,
    hour: int,
    channels: Iterable[str],
    at: datetime,
    randomness: Callable[[int], bytes],
) -> str | None:
    """Queue the digest if it is due and there is anything to tell; returns its alert's id.

    Due: from ``hour`` (UTC) on, once a day; what was recorded while no daemon ran is told with the next one. Telling and marking
    are one transaction: an entry is on exactly one digest.
    """
    if at.hour < hour:
        return None
    today = at.date().isoformat()
    with transaction(connection):
        last = connection.execute("SELECT max(told_at) FROM digest_entry").fetchone()[0]
        rows = connection.execute(
            "SELECT e.alert_id, a.severity, a.title, a.vendor_id FROM digest_entry e JOIN alert a ON a.id = e.alert_id"
            " WHERE e.told_at IS NULL ORDER BY e.recorded_at, e.alert_id"
        ).fetchall()
        if not rows or (last is not None and str(last)[:10] >= today):
            return None
        connection.execute("UPDATE digest_entry SET told_at = ? WHERE told_at IS NULL", (format_time(at),))
        vendors = ", ".join(sorted({str(row["vendor_id"] or "unstated") for row in rows})[:20])
        lines = [f"{row['severity']}: {row['title']} ({row['alert_id']})" for row in rows[:MAX_LINES]]
        if len(rows) > MAX_LINES:
            lines.append(f"and {len(rows) - MAX_LINES} more: rootwarden alert list")
        draft = notice(
            KIND,
            "observed",
            Severity.LOW,
            f"{len(rows)} alert(s) of observed vendors since the last digest",
            subject=today,
            summary=f'what would have alerted at once with mode = "enforce": {vendors}',
            lines=lines,
        )
        return raise_alert(connection, draft, channels=channels, at=at, randomness=randomness)
