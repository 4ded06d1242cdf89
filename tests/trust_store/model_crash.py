"""Stores that lose power in the middle of a decision, are edited by hand, or are put back to an older copy."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from trust_store import audit, query
from trust_store.errors import StoreInconsistentError
from trust_store.instance_key import KEY_NAME, PUBLIC_NAME
from trust_store.storage import connection as connections
from trust_store.storage.connection import StoreConnection, connect
from trust_store.storage.records import RECORD_TABLES

if TYPE_CHECKING:
    from pathlib import Path

DATABASE = "rootwarden.db"
TABLES = {
    **{table.name: (*table.content, "audit_seq") for table in RECORD_TABLES.values()},
    "audit_log": (
        "seq", "recorded_at", "kind", "actor", "subject", "body", "record_kind", "record_id", "record_version", "record_sha256",
        "vendor_id", "state", "previous_hash", "hash",
        "signature",
    ),
    "tombstone": ("kind", "value", "anchor_id"),
    "store_revision": ("revision", "audit_seq", "audit_hash", "signature"),
}  # fmt: skip
"""Every column on which trust rests."""


class PowerCutError(BaseException):
    """The machine stopped; nothing that would catch an error may go on."""


class FragileConnection(StoreConnection):
    """Stops at the statement of which ``left`` says how many there are before it, or right after it has run (``after``)."""

    left: int | None = None
    after = False
    dead = False

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        self._stop(after=False)
        found = super().execute(*arguments)
        self._stop(after=True)
        return found

    def executemany(self, *arguments: Any) -> sqlite3.Cursor:
        self._stop(after=False)
        return super().executemany(*arguments)

    def _stop(self, *, after: bool) -> None:
        if self.dead:
            raise PowerCutError
        if self.left is None or self.after != after:
            return
        self.left -= 1
        if self.left < 0:
            self.dead = True
            raise PowerCutError


def open_fragile(folder: Path) -> FragileConnection:
    """The store in ``folder``; without fsync, which no test can tell apart."""
    with patch.object(connections, "StoreConnection", FragileConnection):
        opened = connect(folder / DATABASE)
    assert isinstance(opened, FragileConnection)
    opened.execute("PRAGMA synchronous = OFF")
    return opened


def copied(folder: Path, target: Path) -> Path:
    """The store's files as they lie on the disk now, write-ahead log included."""
    target.mkdir()
    for name in (DATABASE, DATABASE + "-wal", KEY_NAME, PUBLIC_NAME):
        if (folder / name).exists():
            shutil.copy2(folder / name, target / name)
    return target


def edit_row(folder: Path, table: str, column: str, row: int) -> str | None:
    """Change one column of one row behind the program's back; what was done, None where there is no row or another is such."""
    with closing(_unprotected(folder, table)) as raw:
        chosen = _row(raw, table, row)
        if chosen is None:
            return None
        changed = _other(chosen[column])
        with contextlib.suppress(sqlite3.IntegrityError):
            raw.execute(f"UPDATE {table} SET {column} = ? WHERE {_where(table)}", (changed, *chosen))  # noqa: S608 - own names
            return f"{table}.{column} of {tuple(chosen)!r} is {changed!r}"
        return None


def delete_row(folder: Path, table: str, row: int) -> str | None:
    """Remove one row; None where there is none."""
    with closing(_unprotected(folder, table)) as raw:
        chosen = _row(raw, table, row)
        if chosen is None:
            return None
        raw.execute(f"DELETE FROM {table} WHERE {_where(table)}", tuple(chosen))  # noqa: S608 - own names
        return f"{table}: {tuple(chosen)!r} is gone"


def noticed(folder: Path) -> tuple[str, ...]:
    """Where a store is found to be inconsistent."""
    found: tuple[str, ...] = ()
    try:
        query.open_consistent(folder / DATABASE).close()
    except StoreInconsistentError:
        found = ("on opening",)
    with closing(open_fragile(folder)) as opened:
        try:
            audit.verify(opened)
        except StoreInconsistentError:
            found += ("by the walk",)
    return found


def _row(raw: sqlite3.Connection, table: str, row: int) -> sqlite3.Row | None:
    raw.row_factory = sqlite3.Row
    found = raw.execute(f"SELECT {', '.join(TABLES[table])} FROM {table} ORDER BY 1, 2").fetchall()  # noqa: S608 - own names
    return found[row % len(found)] if found else None


def _where(table: str) -> str:
    return " AND ".join(f"{column} IS ?" for column in TABLES[table])


def _unprotected(folder: Path, table: str) -> sqlite3.Connection:
    """A plain connection, the triggers that keep the table append-only dropped."""
    raw = sqlite3.connect(folder / DATABASE, isolation_level=None)
    raw.execute("PRAGMA foreign_keys = OFF")
    raw.execute("PRAGMA ignore_check_constraints = ON")
    for (name,) in raw.execute(
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", (table,)
    ).fetchall():
        raw.execute(f"DROP TRIGGER {name}")
    return raw


def _other(value: Any) -> Any:
    """Another value of the same kind."""
    if value is None:
        return "x"
    if isinstance(value, bytes):
        return value[:-1] + bytes([value[-1] ^ 1]) if value else b"x"
    if isinstance(value, int):
        return value + 1000
    return value[:-1] + ("y" if value.endswith("x") else "x") if value else "x"
