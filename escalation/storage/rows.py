"""Rows to frozen types and back; the read-only questions that commands and triage ask about alerts and deliveries."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from escalation.errors import AlertNotFoundError, EscalationError
from escalation.model import (
    Alert,
    AlertStatus,
    Delivery,
    DeliveryState,
    EscalationScript,
    Message,
    Severity,
)
from trust_store.model.identifiers import parse_time

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime


def message_to_json(message: Message) -> str:
    """The payload of an outbox row."""
    return json.dumps(
        {
            "alert_id": message.alert_id,
            "severity": message.severity.value,
            "title": message.title,
            "summary": message.summary,
            "facts": [list(pair) for pair in message.facts],
            "said": list(message.said),
            "warning": message.warning,
            "sheet": message.sheet,
            "script": message.script,
        },
        ensure_ascii=True,
    )


def message_from_json(text: str) -> Message:
    """The message of an outbox row; raises EscalationError if the row is damaged."""
    try:
        data: dict[str, Any] = json.loads(text)
        return Message(
            alert_id=str(data["alert_id"]),
            severity=Severity(data["severity"]),
            title=str(data["title"]),
            summary=str(data["summary"]),
            facts=tuple((str(label), str(value)) for label, value in data["facts"]),
            said=tuple(str(line) for line in data["said"]),
            warning=str(data["warning"]),
            sheet=str(data["sheet"]),
            script=str(data["script"]),
        )
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise EscalationError(f"an outbox row cannot be read: {type(error).__name__}") from error


def alerts(connection: sqlite3.Connection, *, status: AlertStatus | None = None, limit: int = 200) -> tuple[Alert, ...]:
    """Alerts, newest first; without ``status`` all that are not resolved."""
    where, values = ("status = ?", [status.value]) if status else ("status <> 'resolved'", [])
    rows = connection.execute(
        f"SELECT * FROM alert WHERE {where} ORDER BY opened_at DESC, id DESC LIMIT ?",  # noqa: S608 - two fixed texts
        [*values, limit],
    )
    return tuple(_alert(row) for row in rows)


def alert(connection: sqlite3.Connection, alert_id: str) -> Alert:
    """One alert; raises AlertNotFoundError."""
    row = connection.execute("SELECT * FROM alert WHERE id = ?", [alert_id]).fetchone()
    if row is None:
        raise AlertNotFoundError(f"there is no alert {alert_id[:80]!r}; 'rootwarden alert list --all' shows them")
    return _alert(row)


def script(connection: sqlite3.Connection, alert_id: str) -> EscalationScript | None:
    """Sheet and script of an alert, None where it has none."""
    row = connection.execute("SELECT sheet, script FROM script WHERE alert_id = ?", [alert_id]).fetchone()
    return EscalationScript(alert_id, row["sheet"], row["script"]) if row else None


def deliveries(connection: sqlite3.Connection, alert_id: str) -> tuple[Delivery, ...]:
    """All deliveries of an alert, oldest first."""
    rows = connection.execute("SELECT * FROM delivery WHERE alert_id = ? ORDER BY id", [alert_id])
    return tuple(delivery_of(row) for row in rows)


def delivery_of(row: sqlite3.Row) -> Delivery:
    """One outbox row; raises EscalationError if its payload is damaged."""
    return Delivery(
        id=row["id"],
        alert_id=row["alert_id"],
        channel=row["channel"],
        message_id=row["message_id"],
        message=message_from_json(row["payload"]),
        state=DeliveryState(row["state"]),
        attempts=row["attempts"],
        created_at=parse_time(row["created_at"]),
        next_attempt_at=parse_time(row["next_attempt_at"]),
        sending_since=_time(row["sending_since"]),
        sent_at=_time(row["sent_at"]),
        last_error=row["last_error"],
        possible_repeat_of=row["possible_repeat_of"],
    )


def _alert(row: sqlite3.Row) -> Alert:
    body = json.loads(row["body"])
    return Alert(
        id=row["id"],
        dedup_key=row["dedup_key"],
        kind=row["kind"],
        reason=row["reason"],
        severity=Severity(row["severity"]),
        vendor_id=row["vendor_id"],
        package_sha256=row["package_sha256"],
        title=row["title"],
        summary=str(body.get("summary", "")),
        lines=tuple(str(line) for line in body.get("lines", [])),
        status=AlertStatus(row["status"]),
        opened_at=parse_time(row["opened_at"]),
        updated_at=parse_time(row["updated_at"]),
        resolved_at=_time(row["resolved_at"]),
        resolution=row["resolution"],
        acknowledged_by=row["acknowledged_by"],
        repeat_count=row["repeat_count"],
    )


def _time(text: str | None) -> datetime | None:
    return parse_time(text) if text else None
