"""Rows of an append-only decision table: written with their audit entry, read back as a set that the log agrees with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trust_store.errors import StoreInconsistentError
from trust_store.storage import audit_log
from trust_store.storage.records import RECORD_TABLES, content_digest

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping
    from datetime import datetime

MAX_ROWS_PER_QUERY = 500


def append_row(
    connection: sqlite3.Connection,
    record_kind: str,
    row: Mapping[str, Any],
    *,
    kind: str,
    actor: str,
    subject: str,
    body: Mapping[str, Any],
    at: datetime,
) -> int:
    """Write one row of the decision table with its audit entry, in the caller's transaction; returns the entry's number."""
    table = RECORD_TABLES[record_kind]
    record = audit_log.Record(
        record_kind, row[table.id_column], row[table.version_column], content_digest(table, row), row.get("vendor_id"),
        row.get("state"),
    )  # fmt: skip
    seq = audit_log.append(connection, kind, actor, subject, body, at, record=record)
    marks = ",".join("?" * (len(table.content) + 1))
    connection.execute(
        f"INSERT INTO {table.name} ({','.join(table.content)}, audit_seq) VALUES ({marks})",  # noqa: S608 - names from this program
        (*(row[column] for column in table.content), seq),
    )
    return seq


def rows_of(connection: sqlite3.Connection, record_kind: str, entries: Iterable[sqlite3.Row]) -> list[sqlite3.Row]:
    """The rows that these audit entries wrote, found from the log's side and checked one by one.

    Raises StoreInconsistentError where one is missing or is not what was recorded: a row that somebody edited or removed cannot
    hide itself. Ordered as the log is.
    """
    table = RECORD_TABLES[record_kind]
    wanted = {int(entry["seq"]): entry for entry in entries}
    numbers = sorted(wanted)
    found: dict[int, sqlite3.Row] = {}
    for start in range(0, len(numbers), MAX_ROWS_PER_QUERY):
        part = numbers[start : start + MAX_ROWS_PER_QUERY]
        marks = ",".join("?" * len(part))
        for row in connection.execute(f"SELECT * FROM {table.name} WHERE audit_seq IN ({marks})", part):  # noqa: S608 - own names
            found[int(row["audit_seq"])] = row
    if not numbers:
        return []
    signatures = audit_log.signatures_of(connection)
    for number in numbers:
        if number not in found:
            entry = wanted[number]
            raise StoreInconsistentError(
                f"{table.name}: {entry['record_id']} number {entry['record_version']} of audit entry {number} is missing"
            )
        signatures.require_record(found[number], record_kind, wanted[number])
    return [found[number] for number in numbers]


def require_known(
    connection: sqlite3.Connection, record_kind: str, column: str, value: str, known: Iterable[int]
) -> None:
    """Raise StoreInconsistentError for a row of the table with this value that none of the log's entries ``known`` wrote."""
    table = RECORD_TABLES[record_kind]
    said = set(known)
    for row in connection.execute(f"SELECT * FROM {table.name} WHERE {column} = ?", (value,)):  # noqa: S608 - own names
        if row["audit_seq"] not in said:
            name = f"{row[table.id_column]} number {row[table.version_column]}"
            raise StoreInconsistentError(f"{table.name}: {name} is not in the audit log")
