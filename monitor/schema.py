"""Opens the store for writing: creates it where it is missing, migrates the tables of all three packages, notes changed policy."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from escalation.storage.schema import MIGRATIONS as ESCALATION
from monitor.storage.schema import MIGRATIONS as MONITOR
from trust_store.storage.connection import connect
from trust_store.storage.migrations import migrate
from trust_store.storage.schema import MIGRATIONS as TRUST_STORE

if TYPE_CHECKING:
    import sqlite3

    from trust_store.settings import StoreSettings

MIGRATION_SETS = (TRUST_STORE, ESCALATION, MONITOR)


def open_store(settings: StoreSettings) -> sqlite3.Connection:
    """Return a connection to the store at the newest schema; the caller holds the writer's lock. The file is 0600."""
    mask = os.umask(0o077)
    try:
        connection = connect(settings.database, create=True)
        migrate(connection, settings.directory / "migration.lock", MIGRATION_SETS)
    finally:
        os.umask(mask)
    return connection
