"""Creates and migrates the schema: one named set per package, applied under an exclusive file lock.

A migration is (name, SQL statements). Each set is registered in sqlite-utils' ``Migrations`` under its package's name.
Only ``init``, ``run`` and ``upgrade`` call ``migrate``; everybody else calls ``require_schema``.
"""

from __future__ import annotations

import fcntl
from typing import TYPE_CHECKING, Any

from trust_store.errors import SchemaMismatchError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: a name that never changes once released, and the statements that take the schema there."""

    name: str
    sqlite: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MigrationSet:
    """All migrations of one package, in order."""

    package: str
    migrations: tuple[Migration, ...]


def migrate(connection: sqlite3.Connection, lock: Path, sets: tuple[MigrationSet, ...]) -> None:
    """Bring the store to the newest schema; ``lock`` is a file beside it, held exclusively meanwhile."""
    import sqlite_utils
    from sqlite_utils.migrations import Migrations

    def step(statements: tuple[str, ...]) -> Callable[[Any], None]:
        def apply(database: Any) -> None:
            for statement in statements:
                database.execute(statement)

        return apply

    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        database = sqlite_utils.Database(connection)
        for package in sets:
            registered = Migrations(package.package)
            for migration in package.migrations:
                registered(name=migration.name)(step(migration.sqlite))
            registered.apply(database)


def require_schema(connection: sqlite3.Connection, sets: tuple[MigrationSet, ...]) -> None:
    """Raise SchemaMismatchError unless exactly the known migrations have been applied."""
    known = {(s.package, m.name) for s in sets for m in s.migrations}
    found = connection.execute("SELECT name FROM sqlite_master WHERE name = '_sqlite_migrations'").fetchone()
    rows = connection.execute("SELECT migration_set, name FROM _sqlite_migrations").fetchall() if found else []
    applied = {(str(r[0]), str(r[1])) for r in rows if str(r[0]) in {s.package for s in sets}}
    if applied != known:
        missing, extra = sorted(known - applied), sorted(applied - known)
        raise SchemaMismatchError(
            f"the store has another schema than this program (missing {missing}, unknown {extra}); "
            "'rootwarden init' or starting the daemon brings it up to date, a newer store needs a newer program"
        )
