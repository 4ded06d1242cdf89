"""A lost instance key is replaced on record, over a log that it had signed; a key that is there never is."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from monitor.cli import group
from tests.trust_store.store_setup import AT, open_store, propose
from trust_store import audit, checkpoints, instance_key, query
from trust_store.errors import DecisionRefusedError, StoreInconsistentError, TrustStoreError
from trust_store.instance_key import KEY_NAME, NEXT_NAME, PUBLIC_NAME
from trust_store.rekeying import rekey
from trust_store.storage.connection import connect

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A store with one proposal and its checkpoint, and a configuration in which this user is ann."""
    (tmp_path / "rootwarden.toml").write_text(
        f'[store]\ndirectory = "{tmp_path}"\n[control]\nsocket = "{tmp_path}/c.sock"\n[approvers]\nann = {os.geteuid()}\n'
    )
    with closing(open_store(tmp_path)) as connection:
        propose(connection, "First")
        checkpoints.keep_checkpoint(connection, tmp_path / checkpoints.CHECKPOINT_NAME, AT)
        yield connection


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and what was said of a command; errors become their codes."""
    result = CliRunner().invoke(group, ["--config", str(folder / "rootwarden.toml"), *arguments], standalone_mode=False)
    if isinstance(result.exception, TrustStoreError):
        return result.exception.exit_code, str(result.exception)
    if result.exception is not None:
        raise result.exception
    return int(result.return_value or 0), result.stdout


def replaced(connection: sqlite3.Connection, folder: Path, former: str | None = None) -> str:
    """Rekey as ann."""
    return rekey(connection, folder / "rootwarden.db", identity="ann", reason="disk failure", at=AT, former=former)


def test_a_key_that_is_there_is_never_replaced(store: sqlite3.Connection, tmp_path: Path) -> None:
    """Neither a good key nor a store without a reason is touched."""
    before = (tmp_path / KEY_NAME).read_bytes()
    with pytest.raises(DecisionRefusedError, match="only when it is lost"):
        replaced(store, tmp_path)
    with pytest.raises(DecisionRefusedError, match="say why"):
        rekey(store, tmp_path / "rootwarden.db", identity="ann", reason=" ", at=AT)
    assert (tmp_path / KEY_NAME).read_bytes() == before


def test_a_lost_key_is_replaced_on_record(store: sqlite3.Connection, tmp_path: Path) -> None:
    """The entry names who, why, the lost key and the new one; the store works on and its older checkpoints still count."""
    former = instance_key.public_key(tmp_path / "rootwarden.db")
    (tmp_path / KEY_NAME).unlink()
    made = replaced(store, tmp_path)
    row = audit.entries(store)[-1]
    assert (row["kind"], row["actor"]) == ("instance.rekeyed", "ann")
    assert json.loads(row["body"]) == {"former_key": former, "key": made, "reason": "disk failure"}
    assert instance_key.public_key(tmp_path / "rootwarden.db") == made != former
    assert not (tmp_path / NEXT_NAME).exists()
    query.open_consistent(tmp_path / "rootwarden.db").close()
    propose(store, "Second")
    kept = checkpoints.keep_checkpoint(store, tmp_path / checkpoints.CHECKPOINT_NAME, AT)
    assert kept is not None
    assert kept.head.seq == 3
    checkpoints.require_checkpoint(store, kept)


def test_a_log_that_somebody_else_wrote_is_not_adopted(store: sqlite3.Connection, tmp_path: Path) -> None:
    """Taking the key away and rekeying does not have a forged entry signed, whatever public half is stated."""
    former = instance_key.public_key(tmp_path / "rootwarden.db")
    (tmp_path / KEY_NAME).unlink()
    store.execute("UPDATE store_revision SET revision = revision + 1")
    with pytest.raises(StoreInconsistentError, match="not signed by the lost key"):
        replaced(store, tmp_path)
    (tmp_path / PUBLIC_NAME).unlink()
    with pytest.raises(StoreInconsistentError, match="not signed by the lost key"):
        replaced(store, tmp_path, former)


def test_a_lost_public_half_has_to_be_named(store: sqlite3.Connection, tmp_path: Path) -> None:
    """With both halves lost the public one is stated, from a client's memory; one that is there is not overruled."""
    former = instance_key.public_key(tmp_path / "rootwarden.db")
    (tmp_path / KEY_NAME).unlink()
    with pytest.raises(DecisionRefusedError, match="is not what"):
        replaced(store, tmp_path, "ab" * 32)
    (tmp_path / PUBLIC_NAME).unlink()
    with pytest.raises(DecisionRefusedError, match="--former-key"):
        replaced(store, tmp_path)
    made = replaced(store, tmp_path, former)
    assert instance_key.public_key(tmp_path / "rootwarden.db") == made


@pytest.mark.parametrize("name", ["append", "promote_next"])
def test_a_rekey_cut_off_is_finished(
    store: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Cut off before its commit it starts again; after it, the waiting key takes its place, and there is one entry."""
    (tmp_path / KEY_NAME).unlink()

    def cut_off(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(*((audit, name) if name == "append" else (instance_key, name)), cut_off)
        with pytest.raises(KeyboardInterrupt):
            replaced(store, tmp_path)
    assert (tmp_path / NEXT_NAME).exists()
    assert not (tmp_path / KEY_NAME).exists()
    made = replaced(store, tmp_path)
    assert instance_key.public_key(tmp_path / "rootwarden.db") == made
    assert [row["kind"] for row in audit.entries(store)] == ["anchor.proposed", "instance.rekeyed"]
    query.open_consistent(tmp_path / "rootwarden.db").close()


def test_rekey_by_command(store: sqlite3.Connection, tmp_path: Path) -> None:
    """The command says what clients have to be told; a client that knew the old key refuses until it was."""
    store.close()
    assert run(tmp_path, "anchor", "list")[0] == 0
    assert run(tmp_path, "audit", "rekey", "--reason", "x")[0] == 2
    (tmp_path / KEY_NAME).unlink()
    code, told = run(tmp_path, "audit", "rekey", "--reason", "disk failure")
    assert (code, "accept-restored" in told) == (0, True)
    code, told = run(tmp_path, "anchor", "list")
    assert (code, "is signed by key" in told) == (4, True)
    assert run(tmp_path, "audit", "accept-restored", "--revision", "1")[0] == 0
    assert run(tmp_path, "anchor", "list")[0] == 0
    (tmp_path / KEY_NAME).unlink()
    code, told = run(tmp_path, "audit", "rekey", "--reason", "again", "--json")
    assert (code, json.loads(told)["outcome"]) == (0, "rekeyed")


def test_rekey_needs_root_or_the_owner(
    store: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever does not own the store replaces nothing; a missing store is told."""
    store.close()
    (tmp_path / KEY_NAME).unlink()
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: 54321)
        code, told = run(tmp_path, "audit", "rekey", "--reason", "x")
    assert (code, "does not own" in told) == (2, True)
    assert not (tmp_path / KEY_NAME).exists()
    (tmp_path / "rootwarden.db").unlink()
    assert run(tmp_path, "audit", "rekey", "--reason", "x")[0] == 4
    with closing(connect(tmp_path / "rootwarden.db", create=True)):
        assert run(tmp_path, "audit", "verify")[0] == 4


def test_an_owner_who_is_no_approver_rekeys_under_the_uid(store: sqlite3.Connection, tmp_path: Path) -> None:
    """The store's owner may, since the files are in those hands anyhow: the log names the uid, and nobody who approves."""
    config = tmp_path / "rootwarden.toml"
    config.write_text(config.read_text().replace(f"ann = {os.geteuid()}", "ann = 54321"))
    (tmp_path / KEY_NAME).unlink()
    assert run(tmp_path, "audit", "rekey", "--reason", "disk failure")[0] == 0
    assert audit.entries(store)[-1]["actor"] == f"uid:{os.geteuid()}"


def test_a_key_that_systemd_hands_over_is_not_lost(store: sqlite3.Connection, tmp_path: Path) -> None:
    """Where the folder of credentials beside the configuration holds the key, that there is none beside the database proves nothing."""
    store.close()
    (tmp_path / "credentials").mkdir()
    (tmp_path / KEY_NAME).rename(tmp_path / "credentials/instance-key")
    code, told = run(tmp_path, "audit", "rekey", "--reason", "x")
    assert (code, "only when it is lost" in told) == (2, True)
    assert not (tmp_path / KEY_NAME).exists()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can reach."""
    made = Path(tempfile.mkdtemp(prefix="rootwarden-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write as another user")
def test_root_rekeys_as_the_services_user(open_folder: Path) -> None:
    """As in the documented installation: root, whom nobody names, replaces the key of a store of the service, which can read it then."""
    service, state = 61001, open_folder / "state"
    state.mkdir(mode=0o700)
    (open_folder / "rootwarden.toml").write_text(
        f'[store]\ndirectory = "{state}"\n[control]\nsocket = "{open_folder}/c.sock"\n[approvers]\nann = 54321\n'
    )
    with closing(open_store(state)) as connection:
        propose(connection, "First")
        checkpoints.keep_checkpoint(connection, state / checkpoints.CHECKPOINT_NAME, AT)
    (state / KEY_NAME).unlink()
    for path in (state, *state.iterdir()):
        os.chown(path, service, service)
    assert run(open_folder, "audit", "rekey", "--reason", "disk failure")[0] == 0
    assert run(open_folder, "audit", "accept-restored", "--revision", "1")[0] == 0
    assert {path.stat().st_uid for path in state.iterdir()} == {service}
    assert (os.geteuid(), os.getegid()) == (0, 0)
    with closing(query.open_consistent(state / "rootwarden.db")) as connection:
        assert audit.entries(connection)[-1]["actor"] == "uid:0"
