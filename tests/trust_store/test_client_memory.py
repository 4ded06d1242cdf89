"""A client that has seen a newer state of a store refuses an older one, and a memory that cannot be kept stops nobody."""

from __future__ import annotations

import os
import shutil
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from monitor.cli import group
from tests.trust_store.store_setup import AT, open_store, propose
from trust_store import audit, checkpoints, client_memory, instance_key, query
from trust_store.errors import StoreInconsistentError, TrustStoreError
from trust_store.remembered import Memory, memory_folder, raise_memory, read_memory, why_not_kept
from trust_store.storage.connection import connect, transaction
from trust_store.storage.head import known_store_id, open_head

if TYPE_CHECKING:
    from collections.abc import Callable

DATABASE = "rootwarden.db"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a store of one proposal, a copy of all of it in ``old``, and a second proposal since."""
    place = tmp_path / "store"
    place.mkdir()
    (place / "rootwarden.toml").write_text(f'[store]\ndirectory = "{place}"\n[control]\nsocket = "{place}/c.sock"\n')
    with closing(open_store(place)) as connection:
        propose(connection, "First")
        checkpoints.keep_checkpoint(connection, place / checkpoints.CHECKPOINT_NAME, AT)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copytree(place, tmp_path / "old")
    with closing(connect(place / DATABASE)) as connection:
        propose(connection, "Second")
        checkpoints.keep_checkpoint(connection, place / checkpoints.CHECKPOINT_NAME, AT)
    return place


@pytest.fixture
def put_back(folder: Path) -> Callable[[], None]:
    """Puts the older state back, the checkpoint beside it and all."""

    def restore() -> None:
        shutil.rmtree(folder)
        shutil.copytree(folder.parent / "old", folder)

    return restore


def remembered(folder: Path) -> Memory | None:
    """What this user remembers of the store."""
    with closing(connect(folder / DATABASE, read_only=True)) as connection:
        return client_memory.recall(connection, memory_folder())


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and what was said of a command; errors become their codes."""
    result = CliRunner().invoke(group, ["--config", str(folder / "rootwarden.toml"), *arguments], standalone_mode=False)
    if isinstance(result.exception, TrustStoreError):
        return result.exception.exit_code, str(result.exception)
    if result.exception is not None:
        raise result.exception
    return int(result.return_value or 0), result.stdout


def test_the_highest_revision_is_remembered(folder: Path) -> None:
    """Opening a store leaves its newest state behind, in a file of this user alone, written again only when it rose."""
    query.open_consistent(folder / DATABASE).close()
    first = remembered(folder)
    assert first is not None
    assert (first.revision, first.seq) == (2, 2)
    place = memory_folder()
    assert place is not None
    file = place / first.store
    assert (file.stat().st_mode & 0o777, place.stat().st_mode & 0o777) == (0o600, 0o700)
    number = file.stat().st_ino
    query.open_consistent(folder / DATABASE).close()
    assert file.stat().st_ino == number
    with closing(connect(folder / DATABASE)) as connection:
        propose(connection, "Third")
    query.open_consistent(folder / DATABASE).close()
    assert (remembered(folder) or first).revision == 3


def test_a_store_put_back_as_a_whole_is_noticed(folder: Path, put_back: Callable[[], None]) -> None:
    """Database, key and checkpoint restored together are older than what this client saw: exit 4 with both numbers and the way on."""
    assert run(folder, "anchor", "list")[0] == 0
    put_back()
    for command in (("anchor", "list"), ("audit", "verify"), ("package", "show", "ab" * 32, "--vendor", "any")):
        code, told = run(folder, *command)
        assert code == 4
        assert "is at revision 1 (entry 1)" in told
        assert "seen revision 2 (entry 2)" in told
        assert "rootwarden audit accept-restored --revision 1" in told


def test_a_store_that_grew_another_way_is_noticed(folder: Path, put_back: Callable[[], None]) -> None:
    """As many decisions as before, but others: the entry that was seen is not there."""
    query.open_consistent(folder / DATABASE).close()
    put_back()
    with closing(connect(folder / DATABASE)) as connection:
        for name in ("Other", "And another"):
            propose(connection, name)
    with pytest.raises(StoreInconsistentError, match="was rewritten"):
        query.open_consistent(folder / DATABASE)


def test_another_key_is_noticed(folder: Path) -> None:
    """Whoever signs the whole store again with a key of his own is not believed by who has seen it before."""
    query.open_consistent(folder / DATABASE).close()
    key = instance_key.create(folder / DATABASE)
    with closing(connect(folder / DATABASE)) as connection:
        for table in ("head_signature",):
            connection.execute(f"DROP TRIGGER {table}_no_delete")
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - a fixed name
        from trust_store.storage.head import sign_head

        sign_head(connection, key)
        (folder / checkpoints.CHECKPOINT_NAME).unlink()
        assert audit.verify(connection).seq == 2
    with pytest.raises(StoreInconsistentError, match="is signed by key"):
        query.open_consistent(folder / DATABASE)


def test_a_restored_backup_is_accepted_when_said(folder: Path, put_back: Callable[[], None]) -> None:
    """accept-restored names the revision; another number is refused, the right one is remembered from then on."""
    run(folder, "anchor", "list")
    put_back()
    assert run(folder, "audit", "accept-restored", "--revision", "2")[0] == 2
    assert run(folder, "anchor", "list")[0] == 4
    code, told = run(folder, "audit", "accept-restored", "--revision", "1")
    assert (code, told) == (0, "revision 1 is remembered\n")
    assert run(folder, "anchor", "list")[0] == 0
    assert run(folder, "audit", "verify")[0] == 0


def test_a_restored_database_alone_gets_a_new_checkpoint(folder: Path) -> None:
    """Where only the database was restored, the checkpoint beside it is replaced as well."""
    run(folder, "anchor", "list")
    for suffix in ("-wal", "-shm"):
        (folder / f"{DATABASE}{suffix}").unlink(missing_ok=True)
    shutil.copy(folder.parent / "old" / DATABASE, folder / DATABASE)
    assert run(folder, "anchor", "list")[0] == 4
    code, told = run(folder, "audit", "accept-restored", "--revision", "1", "--json")
    assert (code, '"checkpoint": true' in told) == (0, True)
    assert run(folder, "anchor", "list")[0] == 0
    kept = checkpoints.read_checkpoint(folder / checkpoints.CHECKPOINT_NAME)
    assert kept is not None
    assert kept.head.seq == 1


@pytest.mark.parametrize(
    "text", ["", "nothing\n", "rootwarden-memory/1 store_X 9 9 " + "a" * 64 + " " + "b" * 64 + "\n", "\0" * 5000]
)
def test_a_damaged_memory_is_none(folder: Path, text: str) -> None:
    """What is no memory of this store stops nobody and is written anew."""
    query.open_consistent(folder / DATABASE).close()
    known, place = remembered(folder), memory_folder()
    assert known is not None
    assert place is not None
    (place / known.store).write_text(text)
    query.open_consistent(folder / DATABASE).close()
    assert remembered(folder) == known


def test_a_memory_that_cannot_be_kept_stops_nobody(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No folder, a folder of somebody else, one open to others, a file in its place: the store is opened all the same."""
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    wide = tmp_path / "wide/rootwarden/stores"
    wide.mkdir(parents=True)
    wide.chmod(0o777)
    (tmp_path / "file").write_text("")
    for value in (str(wide.parents[1]), str(tmp_path / "file"), "/proc/1/nothing", "relative"):
        monkeypatch.setenv("XDG_STATE_HOME", value)
        monkeypatch.setattr("trust_store.remembered.ROOT_STATE", tmp_path / "file")
        query.open_consistent(folder / DATABASE).close()
        assert remembered(folder) is None
        place = memory_folder()
        assert why_not_kept(place) is not None
    assert why_not_kept(None) == "neither XDG_STATE_HOME nor HOME names a folder"
    assert why_not_kept(tmp_path / "fresh") is None
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert why_not_kept(foreign / "stores") is not None


@pytest.mark.parametrize(
    ("environment", "uid", "expected"),
    [
        ({"XDG_STATE_HOME": "/s", "HOME": "/h"}, 1000, "/s/rootwarden/stores"),
        ({"HOME": "/h"}, 1000, "/h/.local/state/rootwarden/stores"),
        ({"HOME": "/h"}, 0, "/var/lib/rootwarden-client/stores"),
        ({}, 0, "/var/lib/rootwarden-client/stores"),
        ({"HOME": "relative"}, 1000, None),
        ({}, 1000, None),
    ],
)
def test_where_memories_are(environment: dict[str, str], uid: int, expected: str | None) -> None:
    """Under the state folder of the user; root, whose HOME may be another's, has a place of its own."""
    found = memory_folder(environment, uid)
    assert found == (Path(expected) if expected else None)


def test_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    """A link in a memory's place is neither read nor written through."""
    query.open_consistent(folder / DATABASE).close()
    known, place = remembered(folder), memory_folder()
    assert known is not None
    assert place is not None
    (tmp_path / "victim").write_text("as it was")
    (place / known.store).unlink()
    (place / known.store).symlink_to(tmp_path / "victim")
    query.open_consistent(folder / DATABASE).close()
    assert (tmp_path / "victim").read_text() == "as it was"
    assert remembered(folder) == known


def test_clients_at_once_never_lower_it(folder: Path) -> None:
    """Readers of different moments that remember at once leave the highest revision behind."""
    place = memory_folder()
    assert place is not None
    query.open_consistent(folder / DATABASE).close()
    base = remembered(folder)
    assert base is not None
    seen = [replace(base, revision=n, seq=n) for n in range(3, 43)]
    threads = [
        threading.Thread(target=lambda part=part: [raise_memory(place, m) for m in part])  # type: ignore[misc]
        for part in (seen[::2], seen[1::2], seen[::-1])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert remembered(folder) == seen[-1]
    assert sorted(p.name for p in place.iterdir()) == sorted([base.store, f".{base.store}.lock"])


def test_a_decision_made_meanwhile_is_no_rollback(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered was asked before the store's moment was fixed, so another client's newer look does not count against it."""
    query.open_consistent(folder / DATABASE).close()
    known = remembered(folder)
    assert known is not None
    verify = audit.verify

    def slowly(connection: object, **options: object) -> audit.Head:
        found = verify(connection, **options)  # type: ignore[arg-type]
        place = memory_folder()
        assert place is not None
        raise_memory(place, replace(known, revision=9, seq=9))
        return found

    monkeypatch.setattr(audit, "verify", slowly)
    query.open_consistent(folder / DATABASE).close()
    assert (remembered(folder) or known).revision == 9


def test_an_unused_store_is_not_remembered(tmp_path: Path) -> None:
    """Before the first decision there is nothing to go back from; nor does a store whose name is no name leave a file."""
    with closing(open_store(tmp_path)) as connection:
        assert client_memory.accept(connection, memory_folder()) is None
        with transaction(connection):
            open_head(connection)
            connection.execute("INSERT INTO store_meta VALUES (1, '../../x')")
            audit.append(connection, "k", "a", "s", {}, AT)
        assert known_store_id(connection) == "../../x"
        assert client_memory.recall(connection, memory_folder()) is None
    query.open_consistent(tmp_path / DATABASE).close()
    assert read_memory(tmp_path, "missing") is None


def test_no_decision_is_taken_on_a_store_put_back(folder: Path, put_back: Callable[[], None]) -> None:
    """A decision in process asks this user's memory too."""
    config = (folder / "rootwarden.toml").read_text()
    (folder.parent / "old/rootwarden.toml").write_text(f"{config}[approvers]\nann = {os.geteuid()}\n")
    query.open_consistent(folder / DATABASE).close()
    put_back()
    code, told = run(folder, "anchor", "reject", "anchor_x", "--because", "unconfirmed")
    assert (code, "is older than it was" in told) == (4, True)
