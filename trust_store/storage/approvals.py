"""Approvals as rows: each bound to a digest of what was approved, each with its audit entry, counted only if both agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trust_store.errors import StoreInconsistentError
from trust_store.model.identifiers import format_time
from trust_store.storage import audit_log
from trust_store.storage.records import RECORD_TABLES, content_digest

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Approval:
    """One person's approval of one change; the call's details are None where the change needs no call."""

    subject: str
    transition: str
    digest: str
    approver: str
    spoke_with: str | None = None
    called: str | None = None
    ticket: str | None = None
    algorithm: str | None = None


def record_approval(connection: sqlite3.Connection, approval: Approval, *, kind: str, at: datetime) -> None:
    """Write an approval with its audit entry, inside the caller's transaction."""
    number = 1 + len(_rows(connection, approval.subject))
    row: dict[str, Any] = {
        "subject": approval.subject,
        "number": number,
        "transition": approval.transition,
        "proposal_digest": approval.digest,
        "approver": approval.approver,
        "spoke_with": approval.spoke_with,
        "called": approval.called,
        "ticket": approval.ticket,
        "algorithm": approval.algorithm,
        "recorded_at": format_time(at),
    }
    table = RECORD_TABLES["approval"]
    record = audit_log.Record("approval", approval.subject, number, content_digest(table, row))
    body = {key: row[key] for key in ("transition", "spoke_with", "called", "ticket", "algorithm")}
    seq = audit_log.append(connection, kind, approval.approver, approval.subject, body, at, record=record)
    marks = ",".join("?" * (len(table.content) + 1))
    connection.execute(
        f"INSERT INTO approval ({','.join(table.content)}, audit_seq) VALUES ({marks})",  # noqa: S608 - names from this program
        (*(row[column] for column in table.content), seq),
    )


def approvers(connection: sqlite3.Connection, subject: str, transition: str, digest: str) -> tuple[str, ...]:
    """The distinct people who approved exactly this, in order; raises StoreInconsistentError if a row is not what was recorded."""
    found = [
        str(row["approver"])
        for row in _rows(connection, subject)
        if (row["transition"], row["proposal_digest"]) == (transition, digest)
    ]
    return tuple(dict.fromkeys(found))


def _rows(connection: sqlite3.Connection, subject: str) -> list[sqlite3.Row]:
    rows = connection.execute("SELECT * FROM approval WHERE subject = ? ORDER BY number", (subject,)).fetchall()
    entries = {
        entry["seq"]: entry
        for entry in connection.execute(
            "SELECT * FROM audit_log WHERE record_kind = 'approval' AND record_id = ?", (subject,)
        )
    }
    for row in rows:
        audit_log.require_record(row, "approval", entries.pop(row["audit_seq"], None))
    if entries:
        raise StoreInconsistentError(f"approval: the row of audit entry {min(entries)} about {subject} is missing")
    return rows
