"""The rows of the audit log: appending one, reading one back with its hash and signature checked, comparing a decision row with it.

Anybody can compute a hash: an answer rests on an entry only where this instance signed it (``EntrySignatures``), however far back
it lies. ``trust_store.audit`` walks the whole chain.
"""

from __future__ import annotations

import hashlib
import json
import sys
from typing import TYPE_CHECKING, Any

from trust_store.errors import StoreInconsistentError
from trust_store.instance_key import public_key
from trust_store.model.identifiers import format_time
from trust_store.quick_dataclass import dataclass
from trust_store.storage.head import database_of, entry_signed, head, open_head, signed_until
from trust_store.storage.records import RECORD_TABLES, content_digest

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping
    from datetime import datetime

COLUMNS = (
    "seq", "recorded_at", "kind", "actor", "subject", "body",
    "record_kind", "record_id", "record_version", "record_sha256", "vendor_id", "state", "previous_hash",
)  # fmt: skip
"""All columns that an entry's hash covers, in this order."""


@dataclass(frozen=True, slots=True)
class Record:
    """The row of a decision table that an entry wrote: ``kind`` anchor, approval or vendor; ``sha256`` of its content."""

    kind: str
    id: str
    version: int
    sha256: str
    vendor_id: str | None = None
    state: str | None = None


def append(
    connection: sqlite3.Connection,
    kind: str,
    actor: str,
    subject: str,
    body: Mapping[str, Any],
    at: datetime,
    *,
    record: Record | None = None,
) -> int:
    """Append one entry inside the caller's ``transaction`` and return its number; raises as ``open_head`` does."""
    open_head(connection)
    last = head(connection)
    seq = last.seq + 1
    written = (
        (record.kind, record.id, record.version, record.sha256, record.vendor_id, record.state)
        if record
        else (None,) * 6
    )
    values = (
        seq, format_time(at), kind, actor, subject, json.dumps(body, sort_keys=True, ensure_ascii=True), *written, last.hash,
    )  # fmt: skip
    link = entry_hash(values)
    # Its signature is made when the transaction commits.
    connection.execute(f"INSERT INTO audit_log VALUES ({','.join('?' * 14)}, '')", (*values, link))  # noqa: S608 - marks only
    connection.execute("UPDATE store_revision SET audit_seq = ?, audit_hash = ? WHERE one = 1", (seq, link))
    return seq


def entry(connection: sqlite3.Connection, seq: int) -> sqlite3.Row:
    """The entry of that number, checked; raises StoreInconsistentError."""
    row = connection.execute("SELECT * FROM audit_log WHERE seq = ?", (seq,)).fetchone()
    if row is None:
        raise StoreInconsistentError(f"audit_log: entry {seq} is missing")
    signatures_of(connection).require(row)
    found: sqlite3.Row = row
    return found


def entries(connection: sqlite3.Connection, *, after: int = 0, limit: int = 1000) -> tuple[sqlite3.Row, ...]:
    """Up to ``limit`` entries later than number ``after``, oldest first, each checked."""
    found = connection.execute("SELECT * FROM audit_log WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit)).fetchall()
    require_all(connection, found)
    return tuple(found)


def require_all(connection: sqlite3.Connection, rows: Iterable[sqlite3.Row]) -> None:
    """Raise StoreInconsistentError unless each of these entries is what this instance wrote."""
    signatures: EntrySignatures | None = None
    for row in rows:
        signatures = signatures or signatures_of(connection)
        signatures.require(row)


@dataclass(frozen=True, slots=True)
class EntrySignatures:
    """Whose signatures over entries count: those of the key ``public`` (hex)."""

    public: str
    committed: int
    """The newest entry that must be signed; later ones are of the transaction that is open."""

    def require(self, row: sqlite3.Row) -> None:
        """Raise StoreInconsistentError unless the entry's hash is that of its columns, and this instance signed it."""
        require_own_hash(row)
        if row["seq"] <= self.committed and not self._hold(row):
            raise StoreInconsistentError(
                f"audit_log: entry {row['seq']} was not signed by this instance: it was written or changed by somebody else"
            )

    def require_record(self, row: sqlite3.Row, kind: str, log: sqlite3.Row | None) -> None:
        """Raise StoreInconsistentError unless ``row`` of a decision table is exactly what the entry ``log`` says was written."""
        if log is not None:
            self.require(log)
        require_said(row, kind, log)

    def _hold(self, row: sqlite3.Row) -> bool:
        signature = row["signature"]
        return type(signature) is str and entry_signed(self.public, row["seq"], row["hash"], signature)


def signatures_of(connection: sqlite3.Connection) -> EntrySignatures:
    """The signatures that count in this store; raises StoreInconsistentError where its public key is missing.

    Inside a transaction that appends, what it appended so far is believed unsigned.
    """
    committed = signed_until(connection)
    return EntrySignatures(public_key(database_of(connection)), sys.maxsize if committed is None else committed)


def require_own_hash(row: sqlite3.Row) -> None:
    """Raise StoreInconsistentError unless the entry's hash is that of its columns."""
    try:
        found = entry_hash(tuple(row[c] for c in COLUMNS))
    except (TypeError, ValueError):  # a BLOB where text belongs
        found = None
    if found is None or found != row["hash"]:
        raise StoreInconsistentError(f"audit_log: entry {row['seq']} was changed")


def require_said(row: sqlite3.Row, kind: str, log: sqlite3.Row | None) -> None:
    """``EntrySignatures.require_record`` for an entry that was checked already."""
    table = RECORD_TABLES[kind]
    name = f"{table.name}: {row[table.id_column]} number {row[table.version_column]}"
    if log is None or log["seq"] != row["audit_seq"]:
        raise StoreInconsistentError(f"{name} has no entry {row['audit_seq']} in the audit log")
    said = (log["record_kind"], log["record_id"], log["record_version"], log["record_sha256"])
    if said != (kind, row[table.id_column], row[table.version_column], content_digest(table, row)):
        raise StoreInconsistentError(f"{name} is not what entry {log['seq']} of the audit log recorded")


def entry_hash(values: tuple[Any, ...]) -> str:
    """SHA-256 over a canonical, unambiguous encoding (a JSON array) of an entry's columns, ``previous_hash`` last."""
    encoded = json.dumps(values, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(b"rootwarden/audit/1\0" + encoded.encode()).hexdigest()
