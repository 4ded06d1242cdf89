"""The head of the audit log: how many entries it has, the hash of the newest, the store's revision, and the signature over them.

Whoever writes opens the head first (``open_head``), which verifies what is there, so that nothing written past this program is
ever signed as its own; ``transaction`` has it signed again before it commits, and each new entry with it. ``head_signature``
keeps each signature, so that the first entry without one can be named.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING

from trust_store import instance_key
from trust_store.errors import StoreInconsistentError
from trust_store.quick_dataclass import dataclass
from trust_store.storage.connection import StoreConnection

if TYPE_CHECKING:
    import sqlite3

GENESIS = "0" * 64
_DOMAIN = b"rootwarden/head/1\0"
_ENTRY_DOMAIN = b"rootwarden/entry/1\0"
_ENTRIES_AT_ONCE = 1000
_MAX_LOOK_BACK = 10_000


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry: its number (0 for an empty log) and hash, and the store's revision."""

    seq: int
    hash: str
    revision: int


def head(connection: sqlite3.Connection) -> Head:
    """The head row as it stands, its signature unchecked; raises StoreInconsistentError where there is none."""
    return _head_row(connection)[0]


def database_of(connection: sqlite3.Connection) -> Path | None:
    """The file behind a connection, None for a database in memory."""
    file = next((str(row[2] or "") for row in connection.execute("PRAGMA database_list") if row[1] == "main"), "")
    return Path(file) if file else None


def known_store_id(connection: sqlite3.Connection) -> str:
    """The id of the store, empty before it has one."""
    row = connection.execute("SELECT store_id FROM store_meta").fetchone()
    return str(row[0]) if row else ""


def require_signed_head(connection: sqlite3.Connection) -> Head:
    """The head, its signature verified; raises StoreInconsistentError that names the first entry this instance did not sign."""
    found, signature = _head_row(connection)
    newest = connection.execute(
        "SELECT seq, revision, signature FROM head_signature ORDER BY number DESC LIMIT 1"
    ).fetchone()
    if newest is None and found == Head(0, GENESIS, 0) and signature == "":
        return found  # nothing was ever decided here, so there is nothing to sign
    public = instance_key.public_key(database_of(connection))
    if not instance_key.verifies(public, signature, _message(known_store_id(connection), found)):
        raise StoreInconsistentError(_first_unsigned(connection, public, found))
    if newest is None or (newest[0], newest[1], newest[2]) != (found.seq, found.revision, signature):
        raise StoreInconsistentError(
            f"head_signature: ends at entry {newest[0] if newest else 0}, the store's head says {found.seq}: "
            "the log was cut off or put back"
        )
    return found


def open_head(connection: sqlite3.Connection) -> None:
    """Before the head changes: it is verified, the key is fetched, and the signature is made before the transaction commits.

    Raises ValueError outside of ``transaction``, StoreInconsistentError where the head is not signed or the key is missing.
    """
    if not isinstance(connection, StoreConnection) or not connection.writing:
        raise ValueError("an audit entry is written in the transaction() of what it records")
    if connection.before_commit is not None:
        return
    before = require_signed_head(connection)
    key = instance_key.private_key(database_of(connection), unused=before == Head(0, GENESIS, 0))
    connection.before_commit = functools.partial(sign_head, key=key)


def signed_until(connection: sqlite3.Connection) -> int | None:
    """In a transaction that appends: the newest entry before it. None outside of one, where every entry is signed."""
    if not isinstance(connection, StoreConnection) or connection.before_commit is None:
        return None
    return _last_signed(connection)


def signed_by(connection: sqlite3.Connection, public: str) -> bool:
    """Whether the head as it stands is signed by the key whose public half is ``public`` (hex)."""
    found, signature = _head_row(connection)
    return instance_key.verifies(public, signature, _message(known_store_id(connection), found))


def start_rekeyed_head(connection: sqlite3.Connection, key: instance_key.InstanceKey) -> None:
    """``open_head`` with a key that replaces a lost one; the caller has verified the head under the lost key."""
    if not isinstance(connection, StoreConnection) or not connection.writing:
        raise ValueError("an audit entry is written in the transaction() of what it records")
    connection.before_commit = functools.partial(sign_head, key=key, first=1)


def sign_head(connection: sqlite3.Connection, key: instance_key.InstanceKey, first: int | None = None) -> None:
    """Sign the head as it stands now, and every entry from ``first`` on (None: those that were appended since the last time)."""
    now = head(connection)
    _sign_entries(connection, key, _last_signed(connection) if first is None else first - 1)
    signature = key.sign(_message(known_store_id(connection), now))
    connection.execute("UPDATE store_revision SET signature = ? WHERE one = 1", (signature,))
    connection.execute(
        "INSERT INTO head_signature (seq, revision, signature) VALUES (?, ?, ?)", (now.seq, now.revision, signature)
    )


def entry_signed(public: str, seq: int, link: str, signature: str) -> bool:
    """Whether ``signature`` is that of the key ``public`` (hex) over the entry of number ``seq`` and hash ``link``."""
    return instance_key.verifies(public, signature, _entry_message(seq, link))


def _last_signed(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT seq FROM head_signature ORDER BY number DESC LIMIT 1").fetchone()
    return int(row[0]) if row else 0


def _sign_entries(connection: sqlite3.Connection, key: instance_key.InstanceKey, after: int) -> None:
    while rows := connection.execute(
        "SELECT seq, hash FROM audit_log WHERE seq > ? ORDER BY seq LIMIT ?", (after, _ENTRIES_AT_ONCE)
    ).fetchall():
        signed = [(key.sign(_entry_message(seq, link)), seq) for seq, link in rows]
        connection.executemany("UPDATE audit_log SET signature = ? WHERE seq = ?", signed)
        after = rows[-1][0]


def _entry_message(seq: int, link: str) -> bytes:
    """What is signed of an entry; never a head, so that no state within a transaction passes for one that was committed."""
    return _ENTRY_DOMAIN + json.dumps([seq, link], separators=(",", ":")).encode()


def _head_row(connection: sqlite3.Connection) -> tuple[Head, str]:
    row = connection.execute("SELECT audit_seq, audit_hash, revision, signature FROM store_revision").fetchone()
    if row is None:
        raise StoreInconsistentError("store_revision: the head row of the audit log is missing")
    if (type(row[0]), type(row[1]), type(row[2]), type(row[3])) != (int, str, int, str):
        raise StoreInconsistentError("store_revision: the head row of the audit log was changed")
    return Head(row[0], row[1], row[2]), row[3]


def _message(store: str, said: Head) -> bytes:
    """What is signed; nothing else that this key signs begins alike."""
    return _DOMAIN + json.dumps([store, said.seq, said.hash, said.revision], separators=(",", ":")).encode()


def _first_unsigned(connection: sqlite3.Connection, public: str, said: Head) -> str:
    """Why the head's signature does not hold, with the first entry after the last one that this instance signed."""
    store = known_store_id(connection)
    signed = connection.execute(
        "SELECT s.seq, s.revision, s.signature, coalesce(l.hash, ?) FROM head_signature s LEFT JOIN audit_log l ON l.seq = s.seq"
        " ORDER BY s.number DESC LIMIT ?",
        (GENESIS, _MAX_LOOK_BACK),
    )
    for seq, revision, signature, link in signed:
        if instance_key.verifies(public, str(signature), _message(store, Head(seq, str(link), revision))):
            if seq < said.seq:
                return f"audit_log: entry {seq + 1} was not signed by this instance: it was appended or rewritten by somebody else"
            if seq > said.seq:
                return f"store_revision: says the log ends at entry {said.seq}, but entry {seq} was signed"
            return f"store_revision: the head was changed, entry {seq} was signed at revision {revision}"
    return (
        f"store_revision: the head (entry {said.seq}) is not signed by the key in {instance_key.PUBLIC_NAME}, nor is any entry "
        "before it: the key or the whole log was replaced"
    )
