"""Where every file of the incoming folder stands, as rows. Called on the storage thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.intake_plan import IntakeRow, IntakeStatus
from trust_store.model.identifiers import format_time, parse_time

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from datetime import datetime


def load_rows(connection: sqlite3.Connection) -> Mapping[str, IntakeRow]:
    """Every remembered file by its path."""
    rows = connection.execute("SELECT path, stamp, status, first_seen_at FROM intake")
    return {
        r["path"]: IntakeRow(r["path"], r["stamp"], IntakeStatus(r["status"]), parse_time(r["first_seen_at"]))
        for r in rows
    }


def save_row(
    connection: sqlite3.Connection, row: IntakeRow, vendor_id: str | None, package_sha256: str | None, at: datetime
) -> None:
    """Remember a file as it now stands; its first sighting stays."""
    connection.execute(
        """INSERT INTO intake (path, vendor_id, stamp, status, package_sha256, first_seen_at, updated_at)
           VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET vendor_id = excluded.vendor_id, stamp = excluded.stamp,
               status = excluded.status, package_sha256 = excluded.package_sha256, updated_at = excluded.updated_at""",
        (
            row.path,
            vendor_id,
            row.stamp,
            row.status.value,
            package_sha256,
            format_time(row.first_seen_at),
            format_time(at),
        ),
    )
