"""Approvals as rows: each bound to a digest of what was approved, each with its audit entry, counted only if both agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trust_store.errors import StoreInconsistentError
from trust_store.model.identifiers import format_time, parse_time
from trust_store.model.trust_anchor import AnchorState
from trust_store.storage import audit_log
from trust_store.storage.anchors import rules_since
from trust_store.storage.approver_list import still_counts
from trust_store.storage.records import RECORD_TABLES, content_digest

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from trust_store.storage.anchors import StoredAnchor

PLAIN = "plain"
"""The way of an approval that no vendor has to be asked for."""


@dataclass(frozen=True, slots=True)
class Approval:
    """One person's approval of one change; the call's details are None where none was made.

    ``way`` is plain or how a key was accepted (``anchor_rules.Way``). ``needed`` is how many people policy asked for then,
    ``counts_from`` the earliest time at which the approval may take effect under the policy of then (None: at once).
    """

    subject: str
    transition: str
    digest: str
    approver: str
    spoke_with: str | None = None
    called: str | None = None
    ticket: str | None = None
    algorithm: str | None = None
    way: str = PLAIN
    reason: str | None = None
    needed: int = 1
    counts_from: datetime | None = None
    recorded_at: datetime | None = None


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
        "way": approval.way,
        "reason": approval.reason,
        "needed": approval.needed,
        "counts_from": format_time(approval.counts_from) if approval.counts_from else None,
        "recorded_at": format_time(at),
    }
    table = RECORD_TABLES["approval"]
    record = audit_log.Record("approval", approval.subject, number, content_digest(table, row))
    told = ("transition", "spoke_with", "called", "ticket", "algorithm", "way", "reason", "needed", "counts_from")
    seq = audit_log.append(
        connection, kind, approval.approver, approval.subject, {key: row[key] for key in told}, at, record=record
    )
    marks = ",".join("?" * (len(table.content) + 1))
    connection.execute(
        f"INSERT INTO approval ({','.join(table.content)}, audit_seq) VALUES ({marks})",  # noqa: S608 - names from this program
        (*(row[column] for column in table.content), seq),
    )


def approvals(
    connection: sqlite3.Connection, subject: str, transition: str, digest: str, *, after: int = 0
) -> tuple[Approval, ...]:
    """The approvals of exactly this that still count, the oldest first: those of people who may still approve.

    ``after`` is the number of the audit entry up to which none counts. Raises StoreInconsistentError if a row is not what was
    recorded.
    """
    found = [
        _approval(row)
        for row in _rows(connection, subject)
        if (row["transition"], row["proposal_digest"]) == (transition, digest) and row["audit_seq"] > after
    ]
    return tuple(a for a in found if still_counts(connection, a.approver))


def acceptances(connection: sqlite3.Connection, stored: StoredAnchor) -> tuple[Approval, ...]:
    """The approvals of an anchor's key that still count, all given since it last got the rules that it has.

    What a change of the rules voided stays void when somebody puts the old ones back. Raises as ``approvals`` does.
    """
    since = rules_since(connection, stored)
    return approvals(connection, stored.anchor.id, AnchorState.VALID, stored.proposal_digest, after=since)


def _approval(row: sqlite3.Row) -> Approval:
    return Approval(
        subject=row["subject"],
        transition=row["transition"],
        digest=row["proposal_digest"],
        approver=row["approver"],
        spoke_with=row["spoke_with"],
        called=row["called"],
        ticket=row["ticket"],
        algorithm=row["algorithm"],
        way=row["way"],
        reason=row["reason"],
        needed=row["needed"],
        counts_from=parse_time(row["counts_from"]) if row["counts_from"] else None,
        recorded_at=parse_time(row["recorded_at"]),
    )


def _rows(connection: sqlite3.Connection, subject: str) -> list[sqlite3.Row]:
    rows = connection.execute("SELECT * FROM approval WHERE subject = ? ORDER BY number", (subject,)).fetchall()
    entries = {
        entry["seq"]: entry
        for entry in connection.execute(
            "SELECT * FROM audit_log WHERE record_kind = 'approval' AND record_id = ?", (subject,)
        )
    }
    if rows:
        signatures = audit_log.signatures_of(connection)
        for row in rows:
            signatures.require_record(row, "approval", entries.pop(row["audit_seq"], None))
    if entries:
        raise StoreInconsistentError(f"approval: the row of audit entry {min(entries)} about {subject} is missing")
    return rows
