"""How far the daemon has come in the audit log survives it, and never goes back."""

from __future__ import annotations

from pathlib import Path

from monitor.schema import MIGRATION_SETS
from monitor.storage.marks import JUDGED, TOLD, mark_of, move_mark
from trust_store.storage.connection import connect
from trust_store.storage.migrations import migrate


def test_a_mark_moves_on_and_stays(tmp_path: Path) -> None:
    """Nothing dealt with is 0; a later number replaces an earlier one, never the other way round, each mark for itself."""
    with connect(tmp_path / "rootwarden.db", create=True) as connection:
        migrate(connection, tmp_path / "migrate.lock", MIGRATION_SETS)
        assert mark_of(connection, JUDGED) == 0
        move_mark(connection, JUDGED, 7)
        move_mark(connection, JUDGED, 5)
        move_mark(connection, TOLD, 3)
    with connect(tmp_path / "rootwarden.db", read_only=True) as connection:
        assert (mark_of(connection, JUDGED), mark_of(connection, TOLD)) == (7, 3)
