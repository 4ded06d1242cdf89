"""What somebody who can write the database, and knows how the log is made, still cannot do: everything is named."""

# Table and column names of this file's own lists stand in its statements.
# ruff: noqa: S608

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from tests.trust_store.store_setup import AT, call, open_store, package, propose, randomness, vendor
from trust_store import anchor_approval, audit, instance_key, query
from trust_store.errors import StoreInconsistentError, StoreUnavailableError
from trust_store.storage import anchors, approvals, vendors
from trust_store.storage.audit_log import COLUMNS, entry_hash
from trust_store.storage.connection import connect, transaction
from trust_store.storage.records import RECORD_TABLES, content_digest
from trust_store.storage.vendors import record_vendors

if TYPE_CHECKING:
    from collections.abc import Iterator

DATABASE = "rootwarden.db"
FILES = (DATABASE, instance_key.KEY_NAME, instance_key.PUBLIC_NAME)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a vendor and an anchor that two people approved."""
    folder = tmp_path_factory.mktemp("small")
    with closing(open_store(folder)) as connection:
        with transaction(connection):
            record_vendors(connection, (vendor(),), AT, randomness)
        first = propose(connection)
        for who in ("ann", "bob"):
            anchor_approval.approve(connection, first, call(), identity=who, vendor=vendor(), at=AT)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder


@pytest.fixture
def forger(small: Path, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A connection of somebody who took the guards off a copy of it."""
    for name in FILES:
        shutil.copy(small / name, tmp_path / name)
    with closing(connect(tmp_path / DATABASE)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        yield connection


def newest(connection: sqlite3.Connection) -> audit.Head:
    """The head as it stands."""
    return audit.head(connection)


def rechain(connection: sqlite3.Connection, first: int) -> None:
    """Compute every hash from entry ``first`` on anew, and the head row, as this program would."""
    before = connection.execute("SELECT hash FROM audit_log WHERE seq = ?", (first - 1,)).fetchone()
    link = before[0] if before else audit.GENESIS
    seq = 0
    for row in connection.execute("SELECT * FROM audit_log WHERE seq >= ? ORDER BY seq", (first,)).fetchall():
        values = {**dict(row), "previous_hash": link}
        link, seq = entry_hash(tuple(values[c] for c in COLUMNS)), row["seq"]
        connection.execute(
            "UPDATE audit_log SET previous_hash = ?, hash = ? WHERE seq = ?", (values["previous_hash"], link, seq)
        )
    connection.execute("UPDATE store_revision SET audit_seq = ?, audit_hash = ?", (seq, link))


def add_entry(connection: sqlite3.Connection, actor: str = "mallory") -> int:
    """Append an entry by hand, its chain right."""
    last = newest(connection)
    values = (last.seq + 1, "2026-05-03T12:00:00.000000Z", "anchor.noted", actor, "s", "{}", *[None] * 6, last.hash)
    link = entry_hash(values)
    connection.execute(f"INSERT INTO audit_log VALUES ({','.join('?' * 14)}, '')", (*values, link))
    connection.execute("UPDATE store_revision SET audit_seq = ?, audit_hash = ?", (last.seq + 1, link))
    return last.seq + 1


@pytest.mark.parametrize("column", [*COLUMNS, "hash", "signature"])
def test_any_single_byte_of_any_entry(forger: sqlite3.Connection, column: str) -> None:
    """Each byte of each column of each entry: once changed, the full walk names that entry, whether it still is text or not."""
    for (seq,) in forger.execute("SELECT seq FROM audit_log").fetchall():
        old = forger.execute(f"SELECT {column} FROM audit_log WHERE seq = ?", (seq,)).fetchone()[0]
        for value, text in changed(old):
            forger.execute("BEGIN")
            try:
                marks = "CAST(? AS TEXT)" if text else "?"
                forger.execute(f"UPDATE audit_log SET {column} = {marks} WHERE seq = ?", (value, seq))
            except sqlite3.IntegrityError:  # a number or hash that another entry has: the table itself refuses
                forger.execute("ROLLBACK")
                continue
            with pytest.raises(StoreInconsistentError) as told:
                audit.verify(forger)
            assert re.search(rf"audit_log: (entry {seq} |there is an entry before)", str(told.value)), (old, value)
            forger.execute("ROLLBACK")


def changed(old: object) -> Iterator[tuple[object, bool]]:
    """Every value one byte away, and whether it is to be stored as text."""
    if old is None:
        yield "x", False
        yield 0, False
    elif isinstance(old, int):
        for bit in range(40):
            yield old ^ (1 << bit), False
        yield None, False
    else:
        data = str(old).encode()
        for place, byte in enumerate(data):
            for other in (byte ^ 1, byte ^ 0x80):
                yield data[:place] + bytes([other]) + data[place + 1 :], True
        yield data, False  # the same bytes as a BLOB
        yield data + b"\0", True
        yield data[:-1], True


@pytest.mark.parametrize("column", ["revision", "audit_seq", "audit_hash", "signature"])
def test_any_single_byte_of_the_head(forger: sqlite3.Connection, column: str) -> None:
    """The head row is signed as a whole: revision, number, hash, and the one text form of the signature itself."""
    old = forger.execute(f"SELECT {column} FROM store_revision").fetchone()[0]
    for value, text in changed(old):
        forger.execute("BEGIN")
        try:
            marks = "CAST(? AS TEXT)" if text else "?"
            forger.execute(f"UPDATE store_revision SET {column} = {marks}", (value,))
        except sqlite3.IntegrityError:
            forger.execute("ROLLBACK")
            continue
        with pytest.raises(StoreInconsistentError):
            audit.verify(forger)
        forger.execute("ROLLBACK")


def test_an_appended_entry_is_named(forger: sqlite3.Connection, tmp_path: Path) -> None:
    """An entry appended by hand, its hash and the head right, is named on opening and by the full walk: nobody signed it."""
    seq = add_entry(forger)
    with pytest.raises(StoreInconsistentError, match=f"audit_log: entry {seq} was not signed"):
        audit.verify(forger)
    add_entry(forger)
    with pytest.raises(StoreInconsistentError, match=f"audit_log: entry {seq} was not signed"):
        query.open_consistent(tmp_path / DATABASE)


@pytest.mark.parametrize(
    "statement", ["UPDATE store_revision SET signature = ''", "UPDATE store_revision SET revision = 99"]
)
def test_an_appended_entry_is_never_signed_later(forger: sqlite3.Connection, statement: str) -> None:
    """The program does not build on an entry that it did not write: the next decision is refused, the forged one stays unsigned."""
    seq = add_entry(forger)
    forger.execute(statement)
    with pytest.raises(StoreInconsistentError, match=f"entry {seq} was not signed"):
        propose(forger, "Next")
    assert newest(forger).seq == seq
    with pytest.raises(StoreInconsistentError, match=f"entry {seq} was not signed"):
        audit.verify(forger)


def test_a_rewritten_history_is_named(forger: sqlite3.Connection) -> None:
    """An altered entry with every later hash computed anew: the first entry that is not as it was signed is named."""
    for seq in range(1, newest(forger).seq + 1):
        forger.execute("BEGIN")
        forger.execute("UPDATE audit_log SET actor = 'mallory' WHERE seq = ?", (seq,))
        rechain(forger, seq)
        with pytest.raises(StoreInconsistentError) as told:
            audit.verify(forger)
        named = re.search(r"entry (\d+) was not signed|nor is any entry", str(told.value))
        assert named is not None
        assert named[1] is None or int(named[1]) <= seq
        forger.execute("ROLLBACK")


def test_removed_and_renumbered_entries_are_found(forger: sqlite3.Connection) -> None:
    """An entry taken out, the later ones moved up and every hash computed anew, leaves a head that nobody signed."""
    last = newest(forger).seq
    for seq in range(1, last + 1):
        forger.execute("BEGIN")
        forger.execute("DELETE FROM audit_log WHERE seq = ?", (seq,))
        for later in range(seq + 1, last + 1):
            forger.execute("UPDATE audit_log SET seq = ? WHERE seq = ?", (later - 1, later))
        rechain(forger, 1)
        with pytest.raises(StoreInconsistentError):
            audit.verify(forger)
        forger.execute("ROLLBACK")


def test_swapped_entries_with_a_new_chain_are_found(forger: sqlite3.Connection) -> None:
    """Two entries that changed places, every hash computed anew, are not what was signed."""
    for seq in range(1, newest(forger).seq):
        forger.execute("BEGIN")
        forger.execute("UPDATE audit_log SET seq = 1000 WHERE seq = ?", (seq,))
        forger.execute("UPDATE audit_log SET seq = ? WHERE seq = ?", (seq, seq + 1))
        forger.execute("UPDATE audit_log SET seq = ? WHERE seq = 1000", (seq + 1,))
        rechain(forger, 1)
        with pytest.raises(StoreInconsistentError):
            audit.verify(forger)
        forger.execute("ROLLBACK")


def test_an_older_signed_head_put_back_is_found(forger: sqlite3.Connection) -> None:
    """Cutting the log off at an entry whose signature is still in the database leaves the later signatures behind."""
    seq, revision, signature = forger.execute(
        "SELECT seq, revision, signature FROM head_signature ORDER BY number DESC LIMIT 1 OFFSET 1"
    ).fetchone()
    for table, key in (("audit_log", "seq"), ("anchor_version", "audit_seq"), ("approval", "audit_seq")):
        forger.execute(f"DELETE FROM {table} WHERE {key} > ?", (seq,))
    link = forger.execute("SELECT hash FROM audit_log WHERE seq = ?", (seq,)).fetchone()[0]
    forger.execute(
        "UPDATE store_revision SET revision = ?, audit_seq = ?, audit_hash = ?, signature = ?",
        (revision, seq, link, signature),
    )
    with pytest.raises(StoreInconsistentError, match="cut off or put back"):
        audit.verify(forger)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE store_revision SET signature = ''",
        "UPDATE store_revision SET signature = upper(signature)",
        "UPDATE store_revision SET signature = signature || ' '",
        "DELETE FROM head_signature",
        "UPDATE store_meta SET store_id = 'store_X'",
        "DELETE FROM store_meta",
        "DELETE FROM store_revision",
    ],
)
def test_without_its_signature_no_store_is_read(forger: sqlite3.Connection, tmp_path: Path, statement: str) -> None:
    """A signature removed or written otherwise, or another name of the store: nothing is answered and nothing is written."""
    forger.execute(statement)
    with pytest.raises(StoreInconsistentError):
        query.open_consistent(tmp_path / DATABASE)
    with pytest.raises(StoreInconsistentError):
        propose(forger, "Next")


@pytest.mark.parametrize(
    ("kind", "column", "value"),
    [
        ("anchor", "material", b"another key"),
        ("approval", "approver", "mallory"),
        ("vendor", "content", "{}"),
    ],
)
def test_an_old_entry_rewritten_with_its_row_makes_no_answer(
    forger: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, column: str, value: object
) -> None:
    """Beyond what opening walks a row and its entry can be made to agree, its hash too; whatever rests on it is refused all the same."""
    table = RECORD_TABLES[kind]
    (seq,) = forger.execute(f"SELECT min(audit_seq) FROM {table.name}").fetchone()
    forger.execute(f"UPDATE {table.name} SET {column} = ? WHERE audit_seq = ?", (value, seq))
    row = forger.execute(f"SELECT * FROM {table.name} WHERE audit_seq = ?", (seq,)).fetchone()
    forger.execute("UPDATE audit_log SET record_sha256 = ? WHERE seq = ?", (content_digest(table, row), seq))
    entry = forger.execute("SELECT * FROM audit_log WHERE seq = ?", (seq,)).fetchone()
    forger.execute("UPDATE audit_log SET hash = ? WHERE seq = ?", (entry_hash(tuple(entry[c] for c in COLUMNS)), seq))
    monkeypatch.setattr(query, "OPENING_WALK_ENTRIES", 1)
    with (
        closing(query.open_consistent(tmp_path / DATABASE)) as connection,
        pytest.raises(StoreInconsistentError, match=f"audit_log: entry {seq} was not signed by this instance"),
    ):
        {
            "anchor": lambda: anchors.checked(connection, [row]),
            "approval": lambda: approvals.approvals(connection, row["subject"], "valid", row["proposal_digest"]),
            "vendor": lambda: vendors.effective(connection, "dten"),
        }[kind]()


def test_an_emptied_store_is_no_unused_one(forger: sqlite3.Connection, tmp_path: Path) -> None:
    """A store whose log was emptied to look unused still has signatures, and says so."""
    for table in ("approval", "anchor_version", "vendor_snapshot", "identifier", "audit_log"):
        forger.execute(f"DELETE FROM {table}")
    forger.execute(
        "UPDATE store_revision SET revision = 0, audit_seq = 0, audit_hash = ?, signature = ''", (audit.GENESIS,)
    )
    with pytest.raises(StoreInconsistentError, match="store_revision"):
        query.open_consistent(tmp_path / DATABASE)


def test_another_key_signs_nothing_here(forger: sqlite3.Connection, tmp_path: Path) -> None:
    """A replaced key, private, public or both, is told apart from the one that signed."""
    path = tmp_path / DATABASE
    public, secret = (tmp_path / n for n in (instance_key.PUBLIC_NAME, instance_key.KEY_NAME))
    before = public.read_bytes(), secret.read_bytes()
    instance_key.create(path)
    with pytest.raises(StoreInconsistentError, match="the key or the whole log was replaced"):
        query.open_consistent(path)
    public.write_bytes(before[0])
    query.open_consistent(path).close()
    with pytest.raises(StoreInconsistentError, match="one of them was replaced"):
        propose(forger, "Next")
    secret.unlink()
    with pytest.raises(StoreInconsistentError, match="audit rekey"):
        propose(forger, "Next")
    query.open_consistent(path).close()
    public.unlink()
    with pytest.raises(StoreInconsistentError, match="is missing"):
        query.open_consistent(path)


def fill(connection: sqlite3.Connection) -> None:
    """Decide until there is no room left."""
    for number in range(100):
        try:
            propose(connection, "New root", f"vendor{number}")
        except StoreUnavailableError:
            return
    pytest.fail("the disk never was full")


def test_a_full_disk_stops_decisions_and_no_question(small: Path, tmp_path: Path) -> None:
    """Where the log cannot be written nothing is decided, what was asked for is not half done, and every question is answered."""
    for name in FILES:
        shutil.copy(small / name, tmp_path / name)
    with closing(connect(tmp_path / DATABASE)) as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        fill(connection)
        before = newest(connection)
        anchor_id = connection.execute("SELECT anchor_id FROM anchor_current WHERE state = 'valid'").fetchone()[0]
        with pytest.raises(StoreUnavailableError, match="refused a write"):
            anchor_approval.lower(
                connection, anchor_id, query.AnchorState.REVOKED, identity="ann", cause="x" * 5000, at=AT
            )
        assert newest(connection) == before
        assert audit.verify(connection) == before
    with closing(query.open_consistent(tmp_path / DATABASE)) as connection:
        assert query.trust_view(connection, "dten", package(), None).store_revision == before.revision


def test_a_log_that_takes_nothing_stops_decisions(small: Path, tmp_path: Path) -> None:
    """A store opened for reading refuses every decision and answers every question."""
    for name in FILES:
        shutil.copy(small / name, tmp_path / name)
    with closing(connect(tmp_path / DATABASE, read_only=True)) as connection:
        with pytest.raises(StoreUnavailableError, match=r"cannot be written|refused a write"):
            propose(connection, "Next")
        assert len(query.anchors(connection)) == 1


def test_a_decision_whose_key_cannot_be_read_is_not_made(forger: sqlite3.Connection, tmp_path: Path) -> None:
    """The key is needed before anything is written: without it neither log nor tables change."""
    (tmp_path / instance_key.KEY_NAME).chmod(0o640)
    before = list(forger.iterdump())
    with pytest.raises(StoreUnavailableError, match="chmod 0600"):
        propose(forger, "Next")
    assert list(forger.iterdump()) == before


def test_a_store_that_lies_frozen_still_answers(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a read-only file system, where SQLite can make no side file, questions are answered and decisions are refused."""
    folder = Path(tempfile.mkdtemp(prefix="rootwarden-frozen-"))
    for name in FILES:
        shutil.copy(small / name, folder / name)
        (folder / name).chmod(0o644 if name != instance_key.KEY_NAME else 0o600)
    folder.chmod(0o555)
    real, euid = os.statvfs, os.geteuid()
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_flag=real(path).f_flag | os.ST_RDONLY))
    try:
        if euid == 0:
            os.seteuid(65534)
        with closing(query.open_consistent(folder / DATABASE)) as connection:
            assert len(query.anchors(connection)) == 1
            with pytest.raises(StoreUnavailableError):
                propose(connection, "Next")
        monkeypatch.setattr(os, "statvfs", real)
        with pytest.raises(StoreUnavailableError, match="cannot open the store"):
            query.open_consistent(folder / DATABASE)
    finally:
        os.seteuid(euid)
        folder.chmod(0o755)
        shutil.rmtree(folder)
