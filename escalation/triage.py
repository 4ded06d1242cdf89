"""Writes an alert down: alert, call sheet, script and one outbox row a channel, in the caller's transaction (shell).

``rules`` decides. Because the caller's transaction also holds the facts, a fact and its alert commit together or not at all.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from escalation.deduplication import package_key, supersedes
from escalation.model import CallPurpose, Severity
from escalation.rules import VERDICT_KIND
from escalation.scripts.render import render
from escalation.storage.rows import message_to_json
from trust_store.model.identifiers import RANDOM_BYTES, format_time, new_id
from trust_store.storage.connection import transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from escalation.model import AlertDraft, EscalationScript, Message

LAST_CHARACTER = "\U0010ffff"
_LOUDEST_FIRST = tuple(Severity)


def raise_alert(
    connection: sqlite3.Connection,
    draft: AlertDraft,
    *,
    channels: Iterable[str],
    at: datetime,
    randomness: Callable[[int], bytes],
) -> str:
    """Write the alert and queue it for each of ``channels``; return its id.

    An unresolved alert of the same key is counted up instead, its sheet and script brought up to date, and nothing is sent
    again, except once when a key that fits has turned up since, and whenever the matter got more severe: then it is open
    again. Unresolved alerts about the same package for another reason are resolved as superseded by this one.
    """
    now = format_time(at)
    with transaction(connection):
        row = connection.execute(
            "UPDATE alert SET repeat_count = repeat_count + 1, updated_at = ?"
            " WHERE dedup_key = ? AND status <> 'resolved' RETURNING id, body, severity",
            [now, draft.dedup_key],
        ).fetchone()
        alert_id = str(row["id"]) if row else new_id("alert", at, randomness(RANDOM_BYTES))
        made, message = render(alert_id, draft)
        if row is None:
            _insert_alert(connection, alert_id, draft, now)
            _supersede(connection, alert_id, draft, now)
        _write_script(connection, made, now)
        if row is None:
            _queue(connection, message, channels, at, randomness)
        elif _is_worse(row["severity"], draft) or _can_be_settled_now(row["body"], draft):
            _update_alert(connection, alert_id, draft, reopened=_is_worse(row["severity"], draft))
            _queue(connection, replace(message, title=f"Update: {message.title}"), channels, at, randomness)
        return alert_id


def resolve_matter(connection: sqlite3.Connection, dedup_key: str, resolution: str, at: datetime) -> int:
    """Resolve the unresolved alert of that key because the matter settled itself; return how many there were (0 or 1)."""
    with transaction(connection):
        cursor = connection.execute(
            "UPDATE alert SET status = 'resolved', resolved_at = ?, updated_at = ?, resolution = ?"
            " WHERE dedup_key = ? AND status <> 'resolved'",
            [format_time(at), format_time(at), resolution, dedup_key],
        )
        return cursor.rowcount


def stands(connection: sqlite3.Connection, dedup_key: str) -> bool:
    """Whether an alert of that key is unresolved."""
    found = connection.execute("SELECT 1 FROM alert WHERE dedup_key = ? AND status <> 'resolved'", [dedup_key])
    return found.fetchone() is not None


def resolve_below(
    connection: sqlite3.Connection, key_start: str, resolution: str, at: datetime, *, reason: str | None = None
) -> int:
    """Resolve the unresolved alerts whose key begins so (of one ``reason``, where it is given); return how many there were."""
    now = format_time(at)
    with transaction(connection):
        cursor = connection.execute(
            "UPDATE alert SET status = 'resolved', resolved_at = ?, updated_at = ?, resolution = ?"
            " WHERE dedup_key >= ? AND dedup_key < ? AND status <> 'resolved' AND (? IS NULL OR reason = ?)",
            [now, now, resolution, key_start, key_start + LAST_CHARACTER, reason, reason],
        )
        return cursor.rowcount


def resolve_for_package(
    connection: sqlite3.Connection,
    package_sha256: str,
    vendor_id: str | None,
    resolution: str,
    at: datetime,
    *,
    asker: str = "",
) -> int:
    """Resolve every unresolved verdict alert about these bytes for this vendor and asker; return how many there were."""
    return resolve_below(connection, package_key(vendor_id, package_sha256, asker), resolution, at)


def _queue(
    connection: sqlite3.Connection,
    message: Message,
    channels: Iterable[str],
    at: datetime,
    randomness: Callable[[int], bytes],
) -> None:
    """One outbox row for each channel."""
    now, payload = format_time(at), message_to_json(message)
    for channel in dict.fromkeys(channels):
        delivery_id = new_id("delivery", at, randomness(RANDOM_BYTES))
        connection.execute(
            "INSERT INTO delivery (id, alert_id, channel, payload, message_id, state, created_at, next_attempt_at)"
            " VALUES (?, ?, ?, ?, ?, 'queued', ?, ?)",
            [delivery_id, message.alert_id, channel, payload, f"{delivery_id}@rootwarden.invalid", now, now],
        )


def _is_worse(before: str, draft: AlertDraft) -> bool:
    return _LOUDEST_FIRST.index(draft.severity) < _LOUDEST_FIRST.index(Severity(before))


def _update_alert(connection: sqlite3.Connection, alert_id: str, draft: AlertDraft, *, reopened: bool) -> None:
    """Have the alert say what it is about now; whoever took on something less severe has to look again."""
    connection.execute(
        "UPDATE alert SET body = ?, title = ?, reason = ?, severity = ? WHERE id = ?",
        [_body(draft), draft.title, draft.reason, draft.severity.value, alert_id],
    )
    if reopened:
        connection.execute(
            "UPDATE alert SET status = 'open', acknowledged_at = NULL, acknowledged_by = NULL WHERE id = ?", [alert_id]
        )


def _can_be_settled_now(body: str, draft: AlertDraft) -> bool:
    """Whether a key that fits was found since the alert was sent: the one change that is worth a second message."""
    before = json.loads(body).get("purpose")
    return before == CallPurpose.OBTAIN_KEY and draft.purpose is CallPurpose.CONFIRM_KEY


def _body(draft: AlertDraft) -> str:
    return json.dumps({"summary": draft.summary, "lines": list(draft.lines), "purpose": draft.purpose})


def _insert_alert(connection: sqlite3.Connection, alert_id: str, draft: AlertDraft, now: str) -> None:
    connection.execute(
        "INSERT INTO alert (id, dedup_key, kind, reason, severity, vendor_id, package_sha256, title, body, status,"
        " opened_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', ?, ?)",
        [
            alert_id,
            draft.dedup_key,
            draft.kind,
            draft.reason,
            draft.severity.value,
            draft.vendor_id,
            draft.package_sha256,
            draft.title,
            _body(draft),
            now,
            now,
        ],
    )


def _supersede(connection: sqlite3.Connection, alert_id: str, draft: AlertDraft, now: str) -> None:
    """One package, one vendor, one open question: the older reason is no longer the answer."""
    if draft.kind != VERDICT_KIND or draft.package_sha256 is None:
        return
    rows = connection.execute(
        "SELECT id, dedup_key FROM alert WHERE package_sha256 = ? AND kind = ? AND status <> 'resolved' AND id <> ?",
        [draft.package_sha256, VERDICT_KIND, alert_id],
    ).fetchall()
    for row in rows:
        if supersedes(draft.dedup_key, row["dedup_key"]):
            connection.execute(
                "UPDATE alert SET status = 'resolved', resolved_at = ?, updated_at = ?, resolution = ? WHERE id = ?",
                [now, now, f"superseded by {alert_id}", row["id"]],
            )


def _write_script(connection: sqlite3.Connection, made: EscalationScript, now: str) -> None:
    connection.execute(
        "INSERT INTO script (alert_id, sheet, script, updated_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (alert_id) DO UPDATE SET sheet = excluded.sheet, script = excluded.script,"
        " updated_at = excluded.updated_at WHERE sheet <> excluded.sheet OR script <> excluded.script",
        [made.alert_id, made.sheet, made.script, now],
    )
