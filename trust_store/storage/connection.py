"""One SQLite connection and one ``transaction()`` that spans the tables of all three packages.

Opened with plain sqlite3, so that the cold ``check`` imports nothing heavier. WAL, foreign keys on, ``synchronous=FULL``:
what was acknowledged survives a power cut. A connection belongs to the thread and process that opened it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from typing import TYPE_CHECKING

from trust_store.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BUSY_TIMEOUT_MS = 5000


class StoreClosedError(StoreUnavailableError):
    """This user may not read the store: its owner and root may."""


class StoreConnection(sqlite3.Connection):
    """A connection that knows whether ``transaction`` is open, and what is to be done before it commits."""

    writing = False
    before_commit: Callable[[sqlite3.Connection], None] | None = None


def connect(path: Path, *, create: bool = False, read_only: bool = False) -> sqlite3.Connection:
    """Open the store at ``path``; raises StoreUnavailableError, StoreClosedError where only this user may not. Rows come back as
    sqlite3.Row, autocommit is on.
    """
    _require_regular(path)
    mode = "ro&immutable=1" if read_only and _frozen(path) else "ro" if read_only else "rwc" if create else "rw"
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            timeout=BUSY_TIMEOUT_MS / 1000,
            factory=StoreConnection,
        )
        connection.row_factory = sqlite3.Row
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        if not read_only:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("SELECT count(*) FROM sqlite_master")
    except (sqlite3.Error, UnicodeDecodeError) as error:  # damaged text reaches Python as the latter
        raise _why(path, error) from error
    return connection


def _require_regular(path: Path) -> None:
    """Raises StoreUnavailableError for a pipe, device or folder: opening one may wait for ever. What is not there is SQLite's matter."""
    with contextlib.suppress(OSError):
        if not stat.S_ISREG(path.stat().st_mode):
            raise StoreUnavailableError(f"cannot open the store {path}: it is no regular file")


def owner_of(path: Path) -> int:
    """Whose the store at ``path`` is; raises StoreClosedError where its folder is closed to this user, StoreUnavailableError."""
    try:
        return path.stat().st_uid
    except OSError as error:
        raise _why(path, error) from error


def closed(path: Path) -> StoreClosedError:
    """The error for a file of the store that this user may not read."""
    return StoreClosedError(f"{path} cannot be read: Permission denied; run this as root or as the store's owner")


def _why(path: Path, error: Exception) -> StoreUnavailableError:
    """SQLite does not tell a store that is closed to this user from one that is not there: looking again does."""
    said: object = error
    try:
        path.open("rb").close()
    except PermissionError:
        return closed(path)
    except OSError as found:
        said = found.strerror
    return StoreUnavailableError(
        f"cannot open the store {path}: {said}; 'rootwarden init' creates one, '--only-anchors' needs none"
    )


def _frozen(path: Path) -> bool:
    """Whether the store lies complete on a file system that takes no writes, where SQLite could not make its side files.

    Only there is a store read without locks: nobody can be writing to it through this mount.
    """
    try:
        if not os.statvfs(path).f_flag & os.ST_RDONLY:
            return False
        return not any(path.with_name(path.name + suffix).exists() for suffix in ("-wal", "-shm"))
    except OSError:
        return False


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One write transaction, begun IMMEDIATE so that it waits for other writers; rolled back on any exception.

    Nested use joins the outer transaction. Raises StoreUnavailableError for what SQLite could not do.
    """
    if connection.in_transaction:
        yield connection
        return
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:
        raise StoreUnavailableError(f"the store is busy or cannot be written: {error}") from error
    own = connection if isinstance(connection, StoreConnection) else None
    try:
        if own is not None:
            own.writing = True
        yield connection
        if own is not None and own.before_commit is not None:
            own.before_commit(connection)
        connection.execute("COMMIT")
    except BaseException as error:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error):
            raise StoreUnavailableError(f"the store refused a write: {error}") from error
        raise
    finally:
        if own is not None:
            own.writing, own.before_commit = False, None
