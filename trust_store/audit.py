"""The append-only, hash-chained log of every decision, and the proof that the decision tables are its projection.

Entry n's hash covers every column of it and the hash of entry n-1, so that a change, a removal or a swap shows. An entry that
wrote a row of a decision table carries the digest of that row (a ``Record``), so each row can be checked alone and cheaply.
Whoever can write the file could recompute the chain, or one entry's hash: the instance's signatures under the head and under each
entry are against that, and against an older state put back ``trust_store.checkpoints`` and each client's memory.
"""

from __future__ import annotations

import json
import sqlite3

from trust_store.errors import StoreInconsistentError
from trust_store.storage import anchors, tombstones
from trust_store.storage.audit_log import (
    Record,
    append,
    entries,
    entry,
    require_all,
    require_own_hash,
    require_said,
)
from trust_store.storage.head import GENESIS, Head, head, require_signed_head
from trust_store.storage.records import RECORD_TABLES

__all__ = [
    "GENESIS",
    "REKEYED",
    "Head",
    "Record",
    "append",
    "entries",
    "entry",
    "head",
    "require_all",
    "require_signed_head",
    "verify",
]
REKEYED = "instance.rekeyed"
"""The kind of entry that tells of a lost instance key and the one that took its place."""


def verify(connection: sqlite3.Connection, *, last: int | None = None, signed: bool = True) -> Head:
    """Walk the chain, compare the decision tables with it and verify the head; StoreInconsistentError names the first bad row.

    ``last`` limits the walk to so many newest entries (and the rows they wrote), for a cost that does not grow; that each of them
    is signed is left to the answers that rest on it. Without ``signed`` no signature is looked at, which is for the moment in
    which a lost key is replaced.
    """
    try:
        newest = head(connection)
        first = 1 if last is None else max(1, newest.seq - last + 1)
        written = _walk(connection, first, newest)
        buried = [e["record_id"] for e in written["anchor"].values() if e["state"] in tombstones.STATES]
        for kind in RECORD_TABLES:
            _compare(connection, kind, first, written[kind])
        lost = [stored.anchor for stored in anchors.current_of(connection, buried)]
        tombstones.require_projection(connection, lost, whole=first == 1)
        if first == 1:
            _compare_identifiers(connection)
        if signed:
            require_signed_head(connection)
            if last is None:
                _require_signed_entries(connection)
    except (sqlite3.DatabaseError, TypeError, ValueError, KeyError) as error:
        raise StoreInconsistentError(f"the store cannot be read through: {error}") from error
    return newest


def _walk(connection: sqlite3.Connection, first: int, newest: Head) -> dict[str, dict[int, sqlite3.Row]]:
    """Every entry from ``first`` on: numbers without a gap, own hash, link to the one before, and the head row.

    Returns the entries that wrote a row of a decision table, by kind of record and number.
    """
    written: dict[str, dict[int, sqlite3.Row]] = {kind: {} for kind in RECORD_TABLES}
    if connection.execute("SELECT 1 FROM audit_log WHERE seq < 1 LIMIT 1").fetchone():
        raise StoreInconsistentError("audit_log: there is an entry before the first")
    before = connection.execute("SELECT hash FROM audit_log WHERE seq = ?", (first - 1,)).fetchone()
    if first > 1 and before is None:
        raise StoreInconsistentError(f"audit_log: entry {first - 1} is missing")
    expected, link = first, str(before[0]) if first > 1 else GENESIS
    rows = connection.execute("SELECT * FROM audit_log WHERE seq >= ? ORDER BY seq", (first,))
    while (row := _next(rows, expected)) is not None:
        if row["seq"] != expected:
            raise StoreInconsistentError(f"audit_log: entry {expected} is missing (found {row['seq']})")
        require_own_hash(row)
        if row["previous_hash"] != link:
            raise StoreInconsistentError(f"audit_log: entry {expected} does not follow entry {expected - 1}")
        if row["record_kind"] is not None:
            if row["record_kind"] not in written:
                raise StoreInconsistentError(f"audit_log: entry {expected} is about a table that does not exist")
            written[row["record_kind"]][expected] = row
        expected, link = expected + 1, row["hash"]
    if (expected - 1, link) != (newest.seq, newest.hash):
        raise StoreInconsistentError(f"audit_log: ends at entry {expected - 1}, the store's head says {newest.seq}")
    return written


def _require_signed_entries(connection: sqlite3.Connection) -> None:
    require_all(connection, connection.execute("SELECT * FROM audit_log ORDER BY seq"))


def _next(rows: sqlite3.Cursor, expected: int) -> sqlite3.Row | None:
    """The next row; one whose text is no text any more names its entry."""
    try:
        row: sqlite3.Row | None = rows.fetchone()
    except sqlite3.OperationalError as error:
        raise StoreInconsistentError(f"audit_log: entry {expected} was changed: {error}") from error
    return row


def _compare(connection: sqlite3.Connection, kind: str, first: int, entries: dict[int, sqlite3.Row]) -> None:
    """Every row (written by entry ``first`` or later) has its entry and every entry its row."""
    table = RECORD_TABLES[kind]
    # From the first entry on means every row, whatever stands in audit_seq.
    where = "" if first == 1 else "WHERE audit_seq >= ?"
    rows = connection.execute(f"SELECT * FROM {table.name} {where}", () if first == 1 else (first,))  # noqa: S608 - own names
    try:
        for row in rows:
            require_said(row, kind, entries.pop(row["audit_seq"], None))
    except sqlite3.OperationalError as error:
        raise StoreInconsistentError(
            f"{table.name}: {_unreadable(connection, table.name)} was changed: {error}"
        ) from error
    if entries:
        lost = entries[min(entries)]
        raise StoreInconsistentError(
            f"{table.name}: {lost['record_id']} number {lost['record_version']} of audit entry {lost['seq']} is missing"
        )


def _unreadable(connection: sqlite3.Connection, table: str) -> str:
    """The row of a table whose text is no text any more, named by its audit entry."""
    for (number,) in connection.execute(f"SELECT audit_seq FROM {table} ORDER BY audit_seq").fetchall():  # noqa: S608 - own names
        try:
            connection.execute(f"SELECT * FROM {table} WHERE audit_seq = ?", (number,)).fetchone()  # noqa: S608 - own names
        except sqlite3.OperationalError:
            return f"the row of audit entry {number}"
    return "a row"


def _compare_identifiers(connection: sqlite3.Connection) -> None:
    """The identifier index of anchors holds what the anchors' own rows say, no more and no less."""
    said = {
        (kind, value, str(row[0]))
        for row in connection.execute("SELECT anchor_id, identifiers FROM anchor_version WHERE version = 1")
        for kind, value in json.loads(row[1])
    }
    found = {
        (str(r[0]), str(r[1]), str(r[2]))
        for r in connection.execute("SELECT kind, value, owner_id FROM identifier WHERE owner_kind = 'anchor'")
    }
    if said != found:
        raise StoreInconsistentError(f"identifier: the rows of {min(said ^ found)[2]} are not those of its anchor")
