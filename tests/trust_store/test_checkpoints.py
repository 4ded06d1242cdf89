"""A checkpoint kept elsewhere is of this store and key, and the log still contains it; otherwise the log was put back."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from monitor.cli import group
from tests.trust_store.store_setup import AT, open_store, propose
from trust_store import audit, checkpoints, instance_key, query
from trust_store.checkpoints import CHECKPOINT_NAME, Checkpoint, keep_checkpoint, parse_all, require_checkpoint
from trust_store.errors import (
    MalformedError,
    StoreInconsistentError,
    StoreUnavailableError,
    TrustStoreError,
    UsageError,
)
from trust_store.storage.connection import connect

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A store with one proposal, and a configuration that names it."""
    (tmp_path / "rootwarden.toml").write_text(
        f'[store]\ndirectory = "{tmp_path}"\n[control]\nsocket = "{tmp_path}/c.sock"\n'
    )
    with closing(open_store(tmp_path)) as connection:
        propose(connection, "First")
        yield connection


def made(connection: sqlite3.Connection) -> Checkpoint:
    """A checkpoint of the log as it is."""
    found = checkpoints.checkpoint(connection, AT)
    assert found is not None
    return found


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and output of an ``audit`` command; errors become their codes."""
    command = ["--config", str(folder / "rootwarden.toml"), "audit", *arguments]
    result = CliRunner().invoke(group, command, standalone_mode=False)
    if isinstance(result.exception, TrustStoreError):
        return result.exception.exit_code, str(result.exception)
    if result.exception is not None:
        raise result.exception
    return int(result.return_value or 0), result.stdout


def test_a_checkpoint_is_one_line(store: sqlite3.Connection) -> None:
    """What is printed is read back as it was, from among other text and from a folded header too."""
    said = made(store)
    assert said.line.startswith("rootwarden-checkpoint/1 store_")
    assert parse_all(said.line) == (said,)
    assert parse_all(f"level='info' event='checkpoint' line='{said.line}'\n" * 3) == (said,)
    assert parse_all("X-Rootwarden-Checkpoint: " + said.line.replace(" ", "\r\n ")) == (said,)
    require_checkpoint(store, said)


def test_openssl_verifies_a_checkpoint(store: sqlite3.Connection, tmp_path: Path) -> None:
    """The signature is plain Ed25519 over the line, so that a place elsewhere can verify it without this program."""
    line, _, signature = made(store).line.rpartition(" ")
    (tmp_path / "message").write_bytes(b"rootwarden/checkpoint/1\0" + line.encode())
    (tmp_path / "signature").write_bytes(bytes.fromhex(signature))
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-rawin", "-inkey", str(tmp_path / instance_key.PUBLIC_NAME)]
    files = ["-in", str(tmp_path / "message"), "-sigfile", str(tmp_path / "signature")]
    assert subprocess.run([*command, *files], capture_output=True, check=False).returncode == 0


def test_every_part_of_a_checkpoint_is_signed(store: sqlite3.Connection) -> None:
    """Another store, number, hash, revision, time or signature is refused."""
    said = made(store)
    others = [
        replace(said, store="store_X"),
        replace(said, head=replace(said.head, seq=2)),
        replace(said, head=replace(said.head, hash="a" * 64)),
        replace(said, head=replace(said.head, revision=9)),
        replace(said, at=AT + timedelta(seconds=1)),
        replace(said, signature="0" * 128),
    ]
    for other in others:
        with pytest.raises(StoreInconsistentError):
            require_checkpoint(store, other)


def test_every_changed_character_is_refused(store: sqlite3.Connection) -> None:
    """No character of a line can be another and the line still be taken."""
    line = made(store).line
    for place, letter in enumerate(line):
        other = line[:place] + ("1" if letter != "1" else "2") + line[place + 1 :]
        with pytest.raises((MalformedError, StoreInconsistentError)):
            require_checkpoint(store, parse_all(other)[0])


@given(
    st.text(max_size=400)
    | st.from_regex(r"rootwarden-checkpoint/1 [a-zA-Z_]+ \d+ [0-9a-f]{64} \d+ [0-9T:.Z-]+ [0-9a-f]{128}")
)
def test_hostile_text_is_malformed(text: str) -> None:
    """Any text is a checkpoint or malformed, nothing else."""
    try:
        parse_all(text)
    except MalformedError:
        return


def test_a_text_with_too_many_is_malformed(store: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of checkpoints in one text is capped."""
    monkeypatch.setattr(checkpoints, "MAX_CHECKPOINTS", 2)
    said = made(store)
    with pytest.raises(MalformedError, match="more than 2"):
        parse_all("\n".join(replace(said, at=AT + timedelta(seconds=n)).line for n in range(3)))


def test_the_kept_one_never_goes_back(store: sqlite3.Connection, tmp_path: Path) -> None:
    """The file follows the log, keeps its line while the log stands, and is not replaced by an older head."""
    path = tmp_path / CHECKPOINT_NAME
    first = keep_checkpoint(store, path, AT)
    assert keep_checkpoint(store, path, AT + timedelta(days=1)) == first
    propose(store, "Second")
    second = keep_checkpoint(store, path, AT)
    assert second is not None
    assert (second.head.seq, checkpoints.read_checkpoint(path)) == (2, second)
    assert checkpoints.newest_line(store) == second.line
    store.execute("BEGIN")
    store.execute("UPDATE store_revision SET audit_seq = 1")
    assert keep_checkpoint(store, path, AT) == second
    store.execute("ROLLBACK")


def test_an_unused_store_has_none(tmp_path: Path) -> None:
    """Before the first decision there is nothing to hold on to; a checkpoint of another store does not fit it."""
    with closing(open_store(tmp_path)) as connection:
        assert keep_checkpoint(connection, tmp_path / CHECKPOINT_NAME, AT) is None
        assert checkpoints.newest_line(connection) == ""
        require_checkpoint(connection, None)
    assert not (tmp_path / CHECKPOINT_NAME).exists()


def test_what_is_no_checkpoint_is_an_error(store: sqlite3.Connection, tmp_path: Path) -> None:
    """A damaged, doubled or unreadable file stops the store from being opened; a missing one does not."""
    path = tmp_path / CHECKPOINT_NAME
    line = made(store).line
    for text in ("", "5 nothing\n", line, f"{line}\n{line}\n", f" {line}\n", "\xff"):
        path.write_bytes(text.encode("latin-1"))
        with pytest.raises(StoreInconsistentError, match="is no audit checkpoint"):
            query.open_consistent(tmp_path / "rootwarden.db")
        assert checkpoints.newest_line(store) == ""
    path.unlink()
    query.open_consistent(tmp_path / "rootwarden.db").close()
    path.mkdir()
    with pytest.raises(StoreUnavailableError):
        checkpoints.read_checkpoint(path)
    with pytest.raises(StoreUnavailableError):
        checkpoints.write_checkpoint(path, made(store))


def test_a_database_put_back_is_noticed(store: sqlite3.Connection, tmp_path: Path) -> None:
    """A database restored under an unchanged checkpoint, or grown another way since, is refused by every reader."""
    store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    old = tmp_path / "old.db"
    shutil.copy(tmp_path / "rootwarden.db", old)
    propose(store, "Second")
    keep_checkpoint(store, tmp_path / CHECKPOINT_NAME, AT)
    store.close()
    for suffix in ("-wal", "-shm"):
        (tmp_path / f"rootwarden.db{suffix}").unlink(missing_ok=True)
    shutil.copy(old, tmp_path / "rootwarden.db")
    with pytest.raises(StoreInconsistentError, match="knows entry 2 at revision 2"):
        query.open_consistent(tmp_path / "rootwarden.db")
    assert run(tmp_path, "verify")[0] == 4
    with closing(connect(tmp_path / "rootwarden.db")) as connection:
        propose(connection, "Another history")
    with pytest.raises(StoreInconsistentError, match="rewritten"):
        query.open_consistent(tmp_path / "rootwarden.db")


def test_verify_takes_checkpoints_from_anywhere(store: sqlite3.Connection, tmp_path: Path) -> None:
    """Lines and files are checked one by one: contained ones are counted, a foreign or newer one ends in 4, no checkpoint in 2."""
    first = made(store).line
    propose(store, "Second")
    code, line = run(tmp_path, "checkpoint")
    assert code == 0
    (tmp_path / "journal.txt").write_text(f"a\n{first}\nb\n{line}\n")
    code, out = run(tmp_path, "verify", "--json", "--checkpoint", str(tmp_path / "journal.txt"), "--checkpoint", first)
    answer = json.loads(out)
    assert (code, answer["entries"], answer["revision"], answer["checkpoints"]) == (0, 2, 2, 3)
    assert (
        "2 given checkpoint(s) contained" in run(tmp_path, "verify", "--checkpoint", str(tmp_path / "journal.txt"))[1]
    )
    newer = replace(made(store), head=audit.Head(3, "a" * 64, 3)).line
    assert run(tmp_path, "verify", "--checkpoint", newer)[0] == 4
    os.mkfifo(tmp_path / "pipe")  # that nobody writes to
    for wrong in (
        "rootwarden-checkpoint/1 nothing",
        str(tmp_path / "pipe"),
        str(tmp_path / "missing"),
        str(tmp_path),
        str(tmp_path / "rootwarden.toml"),
    ):
        assert run(tmp_path, "verify", "--checkpoint", wrong)[0] == 2


def test_checkpoint_prints_what_can_be_had(store: sqlite3.Connection, tmp_path: Path) -> None:
    """With the key it is made now; without it the kept one serves, as long as it is about this very log."""
    code, out = run(tmp_path, "checkpoint", "--json")
    answer = json.loads(out)
    assert (code, answer["entries"], parse_all(answer["line"])[0].head.seq) == (0, 1, 1)
    kept = keep_checkpoint(store, tmp_path / CHECKPOINT_NAME, AT)
    assert kept is not None
    (tmp_path / instance_key.KEY_NAME).rename(tmp_path / "away")
    assert run(tmp_path, "checkpoint") == (0, f"{kept.line}\n")
    (tmp_path / "away").rename(tmp_path / instance_key.KEY_NAME)
    propose(store, "Second")
    (tmp_path / instance_key.KEY_NAME).unlink()
    assert run(tmp_path, "checkpoint")[0] == 4


def test_checkpoint_of_nothing_is_a_wrong_question(tmp_path: Path) -> None:
    """An unused store has none to print."""
    (tmp_path / "rootwarden.toml").write_text(f'[store]\ndirectory = "{tmp_path}"\n')
    open_store(tmp_path).close()
    code, told = run(tmp_path, "checkpoint")
    assert (code, "empty" in told) == (UsageError.exit_code, True)


def test_a_forged_log_is_shown_and_told(store: sqlite3.Connection, tmp_path: Path) -> None:
    """Looking at entries of a log whose head nobody signed shows them, and ends in 4."""
    assert run(tmp_path, "show")[0] == 0
    store.execute("UPDATE store_revision SET signature = ''")
    code, told = run(tmp_path, "show")
    assert (code, "the head was changed" in told) == (4, True)
