"""What this user's commands remember of each store: the newest state seen, and who signed it.

A tripwire against a database that was put back to an older state together with everything beside it. It lives under the user's
state directory, never decides anything but to refuse, and where it cannot be kept everything goes on without it: ``doctor`` says so.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from trust_store import audit, instance_key
from trust_store.errors import StoreInconsistentError
from trust_store.remembered import Memory, exclusive_memory, is_name, raise_memory, read_memory, ready, write_memory
from trust_store.storage.head import database_of, known_store_id

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

ACCEPT = "rootwarden audit accept-restored"


def recall(connection: sqlite3.Connection, folder: Path | None) -> Memory | None:
    """What is remembered of this store: to be asked before the store's moment is fixed, lest another's newer look seem a rollback."""
    store = known_store_id(connection)
    return read_memory(folder, store) if folder is not None and is_name(store) else None


def require_not_older(connection: sqlite3.Connection, folder: Path | None, known: Memory | None) -> None:
    """Compare the store with what was ``known``, and remember what is newer; the head's signature was verified before.

    Raises StoreInconsistentError where the store is older than what was seen, rewritten, or signed by another key.
    """
    now = _seen(connection)
    if now is None or folder is None:
        return
    if known is not None:
        _require(connection, known, now)
    if known is None or (now.revision, now.seq) > (known.revision, known.seq):
        with contextlib.suppress(OSError):
            raise_memory(folder, now)


def accept(connection: sqlite3.Connection, folder: Path | None) -> Memory | None:
    """Remember the store as it is now, older or not, and return that; None where nothing can be remembered."""
    now = _seen(connection)
    if now is None or folder is None or not ready(folder):
        return None
    with exclusive_memory(folder, now.store):
        write_memory(folder, now)
    return now


def _seen(connection: sqlite3.Connection) -> Memory | None:
    """The store as it is; None for one that was never used and so is of no name."""
    store, head = known_store_id(connection), audit.head(connection)
    if not is_name(store) or head.seq == 0:
        return None
    return Memory(store, head.revision, head.seq, head.hash, instance_key.public_key(database_of(connection)))


def _require(connection: sqlite3.Connection, known: Memory, now: Memory) -> None:
    """Same key, no lower revision, and the entry seen last still there."""
    if known.public != now.public:
        raise StoreInconsistentError(
            f"store {now.store} is signed by key {now.public[:16]}..., this user has seen it signed by {known.public[:16]}...: the key "
            f"was replaced; if that was on purpose: {ACCEPT} --revision {now.revision}"
        )
    row = connection.execute("SELECT hash FROM audit_log WHERE seq = ?", (known.seq,)).fetchone()
    if now.revision < known.revision or row is None or row[0] != known.hash:
        what = "was rewritten" if now.revision >= known.revision and row is not None else "is older than it was"
        raise StoreInconsistentError(
            f"store {now.store} {what}: it is at revision {now.revision} (entry {now.seq}), this user has seen revision "
            f"{known.revision} (entry {known.seq}); after a backup restored on purpose: {ACCEPT} --revision {now.revision}"
        )
