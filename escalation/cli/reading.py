"""Opens the store for commands that only read."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from escalation.storage.schema import MIGRATIONS
from trust_store.settings import load_trust_settings
from trust_store.storage.connection import connect
from trust_store.storage.migrations import require_schema

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from trust_store.settings import TrustSettings


def settings_of() -> TrustSettings:
    """The settings of the current invocation; raises ConfigError."""
    return load_trust_settings(click.get_current_context().obj.config)


@contextlib.contextmanager
def open_store() -> Iterator[sqlite3.Connection]:
    """The store, read-only, with this package's schema checked; raises StoreUnavailableError and SchemaMismatchError."""
    connection = connect(settings_of().store.database, read_only=True)
    try:
        require_schema(connection, (MIGRATIONS,))
        yield connection
    finally:
        connection.close()
