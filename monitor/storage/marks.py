"""How far the daemon has come in the audit log, by what it does with the entries: told to people, or judged anew by."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

TOLD, JUDGED = "told", "judged"


def mark_of(connection: sqlite3.Connection, name: str) -> int:
    """The number of the newest audit entry that was dealt with; 0 before the first."""
    row = connection.execute("SELECT audit_seq FROM mark WHERE name = ?", (name,)).fetchone()
    return int(row[0]) if row else 0


def move_mark(connection: sqlite3.Connection, name: str, seq: int) -> None:
    """Move the mark on, in the caller's transaction if there is one; never back."""
    connection.execute(
        "INSERT INTO mark VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET audit_seq = excluded.audit_seq"
        " WHERE mark.audit_seq < excluded.audit_seq",
        (name, seq),
    )
