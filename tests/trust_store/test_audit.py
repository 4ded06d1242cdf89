"""The log is a chain, the tables are its projection, and a changed row never changes an answer."""

# Table and column names of this file's own lists stand in its statements.
# ruff: noqa: S608

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import threading
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.trust_store.store_setup import AT, call, certificate, open_store, package, propose, randomness, vendor
from trust_store import anchor_approval, audit, checkpoints, instance_key, query
from trust_store.errors import SchemaMismatchError, StoreInconsistentError, StoreUnavailableError
from trust_store.model.identifiers import format_time
from trust_store.storage.audit_log import COLUMNS
from trust_store.storage.connection import connect, transaction
from trust_store.storage.fact_identifiers import hints_in
from trust_store.storage.records import RECORD_TABLES
from trust_store.storage.vendors import record_vendors
from trust_store.storage.versions import append_row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = ("New root", "Pending", "Stolen")
HISTORY = ("audit_log", *(t.name for t in RECORD_TABLES.values()))


def more_rows(anchor_id: str) -> tuple[tuple[str, dict[str, object]], ...]:
    """A row of each decision table that no anchor needs."""
    at = format_time(AT)
    return (
        ("decision", {
            "decision_id": "decision_1", "version": 1, "package_sha256": "ab" * 32, "vendor_id": "dten", "effect": "block",
            "reason": "SEC-1", "state": "pending", "proposed_by": "ann", "effective_from": at, "effective_until": None,
            "recorded_at": at,
        }),
        ("baseline", {
            "baseline_id": "baseline_1", "version": 1, "vendor_id": "dten", "digest": "cd" * 32, "members": "[]",
            "state": "pending", "proposed_by": "ann", "recorded_at": at,
        }),
        ("lineage", {
            "successor_id": anchor_id, "number": 1, "vendor_id": "dten", "predecessor_id": "anchor_old", "grade": "asserted",
            "proof_kind": "none", "proof": b"proof", "reference": "https://forum.example/t/43", "recorded_at": at,
        }),
        ("ratchet", {
            "ratchet_id": "ratchet_1", "version": 1, "vendor_id": "dten", "kind": "file", "name": "tool-#.zip", "marks": "{}",
            "state": "raised", "package_sha256": "ab" * 32, "reason": "", "lowered_at": None, "recorded_at": at,
        }),
    )  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a valid anchor (two approvals), a pending one and a tombstone of another vendor."""
    folder = tmp_path_factory.mktemp("written")
    with closing(open_store(folder)) as connection:
        with transaction(connection):
            record_vendors(connection, (vendor(), vendor("other")), AT, randomness)
        first = propose(connection)
        for who in ("ann", "bob"):
            anchor_approval.approve(connection, first, call(), identity=who, vendor=vendor(), at=AT)
        propose(connection, "Pending")
        for kind, row in more_rows(first):
            with transaction(connection):
                append_row(connection, kind, row, kind=f"{kind}.made", actor="ann", subject="s", body={}, at=AT)
        buried = propose(connection, "Stolen", "other")
        anchor_approval.reject(connection, buried, "disowned", identity="ann", at=AT)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder


def copy_store(written: Path, to: Path) -> None:
    """The database with both halves of its key."""
    for name in ("rootwarden.db", instance_key.KEY_NAME, instance_key.PUBLIC_NAME):
        shutil.copy(written / name, to / name)


@pytest.fixture
def copy(written: Path, tmp_path: Path) -> Path:
    """Path of a database to tamper with, its guards removed as an attacker would."""
    path = tmp_path / "rootwarden.db"
    copy_store(written, tmp_path)
    with closing(connect(path)) as connection:
        for table in (*HISTORY, "tombstone"):
            connection.execute(f"DROP TRIGGER {table}_no_update")
            connection.execute(f"DROP TRIGGER {table}_no_delete")
        connection.execute("PRAGMA foreign_keys = OFF")
    return path


@pytest.fixture
def tampered(copy: Path) -> Iterator[sqlite3.Connection]:
    """A writable connection to it."""
    with closing(connect(copy)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        yield connection


def test_an_honest_store_verifies(written: Path) -> None:
    """The whole walk and the opening walk both accept what the program wrote."""
    with closing(query.open_consistent(written / "rootwarden.db")) as connection:
        newest = audit.verify(connection)
        assert newest == audit.head(connection)
        assert newest.seq == connection.execute("SELECT count(*) FROM audit_log").fetchone()[0]


@pytest.mark.parametrize("table", HISTORY)
@pytest.mark.parametrize("verb", ["UPDATE {} SET recorded_at = 'x'", "DELETE FROM {}"])
def test_history_is_append_only(written: Path, tmp_path: Path, table: str, verb: str) -> None:
    """This program's own mistakes cannot change history either."""
    path = tmp_path / "guarded.db"
    shutil.copy(written / "rootwarden.db", path)
    with closing(connect(path)) as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(verb.format(table))


def cells(table: str) -> list[tuple[str, str]]:
    """Every column of a table."""
    if table == "audit_log":
        return [(table, c) for c in (*COLUMNS, "hash")]
    content = next(t.content for t in RECORD_TABLES.values() if t.name == table)
    return [(table, c) for c in (*content, "audit_seq")]


@pytest.mark.parametrize(("table", "column"), [cell for table in HISTORY for cell in cells(table)])
def test_any_changed_cell_of_any_row_is_found(
    tampered: sqlite3.Connection, copy: Path, table: str, column: str
) -> None:
    """Each cell of each decision row is covered: verify names the table, opening refuses."""
    key = "seq" if table == "audit_log" else "audit_seq"
    for (number,) in tampered.execute(f"SELECT {key} FROM {table}").fetchall():
        tampered.execute("BEGIN")
        tampered.execute("PRAGMA ignore_check_constraints = ON")
        old = tampered.execute(f"SELECT {column} FROM {table} WHERE {key} = ?", (number,)).fetchone()[0]
        new = old + 1000 if isinstance(old, int) else old[:-1] + b"?" if isinstance(old, bytes) else f"{old or ''}?"
        tampered.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (new, number))
        with pytest.raises(StoreInconsistentError, match="|".join(HISTORY)):
            audit.verify(tampered)
        tampered.execute("ROLLBACK")
    tampered.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (new, number))
    with pytest.raises(StoreInconsistentError):
        query.open_consistent(copy)


@pytest.mark.parametrize("column", [c for _, c in cells("anchor_version")])
def test_no_answer_is_given_from_a_changed_anchor(tampered: sqlite3.Connection, column: str) -> None:
    """The view of the anchor's vendor raises whichever cell of its current row was changed, without any full walk."""
    rows = tampered.execute("SELECT audit_seq, vendor_id FROM anchor_current").fetchall()
    for number, vendor_id in rows:
        tampered.execute("BEGIN")
        old = tampered.execute(f"SELECT {column} FROM anchor_version WHERE audit_seq = ?", (number,)).fetchone()[0]
        new = old + 1000 if isinstance(old, int) else old[:-1] + b"?" if isinstance(old, bytes) else f"{old or ''}?"
        tampered.execute(f"UPDATE anchor_version SET {column} = ? WHERE audit_seq = ?", (new, number))
        for ask in (
            query.trust_view,
            lambda c, v, f, _: query.candidates(c, v, hints_in(f)),
            lambda c, *_: query.anchors(c),
        ):
            with pytest.raises(StoreInconsistentError):
                ask(tampered, vendor_id, package(*map(certificate, NAMES)), None)
        tampered.execute("ROLLBACK")


@pytest.mark.parametrize("table", HISTORY)
def test_any_removed_row_is_found(tampered: sqlite3.Connection, copy: Path, table: str) -> None:
    """A row of a decision table or of the log cannot be taken out, the newest included."""
    key = "seq" if table == "audit_log" else "audit_seq"
    for (number,) in tampered.execute(f"SELECT {key} FROM {table}").fetchall():
        tampered.execute("BEGIN")
        tampered.execute(f"DELETE FROM {table} WHERE {key} = ?", (number,))
        with pytest.raises(StoreInconsistentError):
            audit.verify(tampered)
        tampered.execute("ROLLBACK")
    tampered.execute(f"DELETE FROM {table} WHERE {key} = ?", (number,))
    with pytest.raises(StoreInconsistentError):
        query.open_consistent(copy)


def test_a_removed_revocation_revives_nothing(tampered: sqlite3.Connection) -> None:
    """Deleting the newest version of an anchor does not bring the one before it back."""
    anchor_id = tampered.execute("SELECT anchor_id FROM anchor_current WHERE state = 'valid'").fetchone()[0]
    anchor_approval.lower(tampered, anchor_id, query.AnchorState.REVOKED, identity="ann", cause="x", at=AT)
    tampered.execute("DELETE FROM anchor_version WHERE state = 'revoked'")
    with pytest.raises(StoreInconsistentError):
        query.trust_view(tampered, "dten", package(certificate("New root")), None)
    with pytest.raises(StoreInconsistentError):
        query.anchor(tampered, anchor_id)


def test_an_added_row_trusts_nothing(tampered: sqlite3.Connection) -> None:
    """A row that no audit entry recorded is an inconsistency, never an anchor."""
    tampered.execute(
        "INSERT INTO anchor_version SELECT 'anchor_forged', version, vendor_id, kind, name, key_sha256, material, identifiers, "
        "state, constraints, signer_rule, follow_rotation, authority, reference, cause, previous, successor, basis, proposal_digest, "
        "recorded_at, effective_from, effective_until, 999 FROM anchor_current WHERE state = 'valid'"
    )
    facts = package(certificate("New root"))
    with pytest.raises(StoreInconsistentError, match="anchor_forged"):
        audit.verify(tampered)
    assert "anchor_forged" not in {a.id for a in query.trust_view(tampered, "dten", facts, None).anchors}
    tampered.execute("INSERT INTO identifier SELECT kind, value, owner_kind, 'anchor_forged' FROM identifier")
    with pytest.raises(StoreInconsistentError, match="anchor_forged"):
        query.trust_view(tampered, "dten", facts, None)


def test_swapped_entries_are_found(tampered: sqlite3.Connection) -> None:
    """The order of the log is part of it."""
    newest = audit.head(tampered).seq
    for first in range(1, newest):
        tampered.execute("BEGIN")
        tampered.execute("UPDATE audit_log SET seq = -1 WHERE seq = ?", (first,))
        tampered.execute("UPDATE audit_log SET seq = ? WHERE seq = ?", (first, first + 1))
        tampered.execute("UPDATE audit_log SET seq = ? WHERE seq = -1", (first + 1,))
        with pytest.raises(StoreInconsistentError):
            audit.verify(tampered)
        tampered.execute("ROLLBACK")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE identifier SET value = 'x' WHERE owner_kind = 'anchor' AND kind = 'sha256'",
        "DELETE FROM identifier WHERE owner_kind = 'anchor'",
        "INSERT INTO identifier VALUES ('sha256', 'x', 'anchor', 'anchor_x')",
        "DELETE FROM store_revision",
        "UPDATE store_revision SET audit_seq = 0",
        "UPDATE store_revision SET audit_hash = 'x'",
        "UPDATE anchor_version SET identifiers = 'no json'",
    ],
)
def test_indices_and_head_are_compared_too(tampered: sqlite3.Connection, statement: str) -> None:
    """The identifier index and the head row are part of what must agree."""
    tampered.execute(statement)
    with pytest.raises(StoreInconsistentError):
        audit.verify(tampered)


def test_hidden_identifiers_hide_no_tombstone(tampered: sqlite3.Connection) -> None:
    """Tombstones are found from the log, so that emptying the index does not free a key."""
    tampered.execute("DELETE FROM identifier")
    view = query.trust_view(tampered, "dten", package(certificate("Stolen")), None)
    assert "distrusted" in {a.state.value for a in view.anchors}


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM tombstone WHERE kind = 'spki_sha256'",
        "DELETE FROM tombstone",
        "INSERT INTO tombstone VALUES ('sha256', 'x', 'anchor_x')",
        "UPDATE tombstone SET value = 'x' WHERE kind = 'sha256'",
    ],
)
def test_a_tombstone_cannot_be_hidden(tampered: sqlite3.Connection, statement: str) -> None:
    """The index of tombstones is compared with the log: by every question in number, by both walks row by row."""
    tampered.execute(statement)
    for last in (None, 500):
        with pytest.raises(StoreInconsistentError, match="tombstone"):
            audit.verify(tampered, last=last)
    if not statement.startswith("UPDATE"):
        for ask in (query.trust_view, lambda c, v, *_: query.candidates(c, v)):
            with pytest.raises(StoreInconsistentError, match="tombstone"):
                ask(tampered, "dten", package(), None)


def test_the_outside_checkpoint_finds_a_rollback(written: Path, tmp_path: Path) -> None:
    """A database put back to an older state, or with its newest decisions rewritten, is refused."""
    path = tmp_path / "rootwarden.db"
    copy_store(written, tmp_path)
    with closing(connect(path)) as connection:
        propose(connection, "Later")
        checkpoints.keep_checkpoint(connection, tmp_path / checkpoints.CHECKPOINT_NAME, AT)
    query.open_consistent(path).close()
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.copy(written / "rootwarden.db", path)
    with pytest.raises(StoreInconsistentError, match="rolled back"):
        query.open_consistent(path)
    with closing(connect(path)) as connection:
        propose(connection, "Another history")
    with pytest.raises(StoreInconsistentError, match="rewritten"):
        query.open_consistent(path)


def test_only_the_newest_part_is_walked_on_opening(written: Path) -> None:
    """A limited walk starts where it is told to and still ends at the head."""
    with closing(query.open_consistent(written / "rootwarden.db")) as connection:
        for last in range(1, 12):
            assert audit.verify(connection, last=last) == audit.head(connection)


def test_a_limited_walk_needs_its_beginning(tampered: sqlite3.Connection) -> None:
    """The entry before the walk must be there to link to."""
    newest = audit.head(tampered).seq
    tampered.execute("DELETE FROM audit_log WHERE seq = ?", (newest - 2,))
    with pytest.raises(StoreInconsistentError, match=f"entry {newest - 2} is missing"):
        audit.verify(tampered, last=2)
    with pytest.raises(StoreInconsistentError, match="is missing"):
        audit.entry(tampered, newest - 2)
    assert audit.entry(tampered, newest)["seq"] == newest


def test_an_entry_needs_a_transaction(tampered: sqlite3.Connection) -> None:
    """An audit entry never stands without what it records."""
    with pytest.raises(ValueError, match="transaction"):
        audit.append(tampered, "k", "a", "s", {}, AT)


def test_a_database_that_is_none_is_unavailable(tmp_path: Path) -> None:
    """Missing, foreign and damaged files end in exit 4 errors."""
    path = tmp_path / "rootwarden.db"
    with pytest.raises(StoreUnavailableError):
        query.open_consistent(path)
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(StoreUnavailableError):
        query.open_consistent(path)
    path.unlink()
    connect(path, create=True).close()
    with pytest.raises(SchemaMismatchError):
        query.open_consistent(path)


def test_a_damaged_page_is_inconsistent(written: Path, tmp_path: Path) -> None:
    """Bytes overwritten in the file end in a store error at every place, never in another exception or an answer."""
    good = (written / "rootwarden.db").read_bytes()
    path = tmp_path / "rootwarden.db"
    for start in range(0, len(good), 4096):
        path.write_bytes(good[: start + 100] + b"\xff" * 900 + good[start + 1000 :])
        with (
            contextlib.suppress(StoreInconsistentError, StoreUnavailableError),
            closing(query.open_consistent(path)) as connection,
        ):
            query.trust_view(connection, "dten", package(), None)
            audit.verify(connection)


def test_two_writers_take_turns(tmp_path: Path) -> None:
    """Two threads that propose at once lose nothing and leave one unbroken chain."""
    open_store(tmp_path).close()

    def write(who: str) -> None:
        with closing(connect(tmp_path / "rootwarden.db")) as connection:
            for number in range(8):
                propose(connection, "New root", f"{who}{number}", at=AT + timedelta(seconds=number))

    threads = [threading.Thread(target=write, args=(who,)) for who in ("left", "right")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with closing(query.open_consistent(tmp_path / "rootwarden.db")) as connection:
        assert (audit.verify(connection).seq, query.store_revision(connection)) == (16, 16)
