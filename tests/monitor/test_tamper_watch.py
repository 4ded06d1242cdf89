"""What is changed behind the running daemon's back is alerted about, once, and what was changed in the store stops decisions."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from escalation.storage.rows import alerts
from monitor.schema import open_store
from monitor.set_alerts import STORE_KIND
from monitor.tamper_watch import APPROVERS, EDITED_KIND, REKEYED_KIND, TamperWatch, edits
from tests.trust_store.store_setup import AT, propose, randomness
from trust_store import checkpoints, instance_key
from trust_store.errors import StoreInconsistentError
from trust_store.rekeying import rekey
from trust_store.settings import load_trust_settings
from trust_store.storage.connection import transaction
from trust_store.storage.vendors import record_vendors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VENDOR = """[vendor]
id = "dten"
name = "DTEN"
[vendor.policy]
approvals = 2
[[vendor.contact]]
name = "Ada"
phone = "+1 555 0100"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration with one vendor and one approver."""
    (tmp_path / "vendors.d").mkdir()
    (tmp_path / "state").mkdir()
    (tmp_path / "vendors.d/dten.toml").write_text(VENDOR)
    (tmp_path / "rootwarden.toml").write_text(
        f'[store]\ndirectory = "{tmp_path}/state"\n[approvers]\nann = {os.geteuid()}\n'
    )
    return tmp_path


@pytest.fixture
def watch(folder: Path) -> TamperWatch:
    """The watch of a daemon that has loaded it."""
    return TamperWatch(load_trust_settings(folder / "rootwarden.toml"), ("smtp",), lambda: AT, randomness)


@pytest.fixture
def store(watch: TamperWatch) -> Iterator[sqlite3.Connection]:
    """Its store, the vendor recorded."""
    with closing(open_store(watch.loaded.store)) as connection:
        with transaction(connection):
            record_vendors(connection, watch.loaded.vendors, AT, randomness)
        checkpoints.keep_checkpoint(connection, watch.loaded.store.directory / checkpoints.CHECKPOINT_NAME, AT)
        yield connection


def kinds(connection: sqlite3.Connection) -> list[str]:
    """The kinds of the alerts that stand."""
    return sorted(alert.kind for alert in alerts(connection))


def test_nothing_changed_is_no_alert(watch: TamperWatch, store: sqlite3.Connection) -> None:
    """A store and files as they were loaded are silent."""
    assert watch.look(store) == ()
    watch.report_rekeyed(store)
    assert kinds(store) == []


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("+1 555 0100", "+1 555 0199", "contacts"),
        ("approvals = 2", "approvals = 1", "policy.approvals"),
        ('name = "DTEN"', 'name = "Other"', "name"),
        ('name = "Ada"', 'name = "Eve"', "contacts"),
    ],
)
def test_an_edited_vendor_file_is_alerted_about_once(
    watch: TamperWatch, store: sqlite3.Connection, folder: Path, old: str, new: str, field: str
) -> None:
    """A policy or a contact edited while the daemon runs: one alert that names the field, settled when it is put back."""
    file = folder / "vendors.d/dten.toml"
    file.write_text(VENDOR.replace(old, new))
    for _ in range(3):
        (edit,) = watch.look(store)
        assert (edit.subject, field in edit.what) == ("dten", True)
    (alert,) = alerts(store)
    assert (alert.kind, alert.severity.value, field in alert.title) == (EDITED_KIND, "high", True)
    assert store.execute("SELECT count(*) FROM delivery").fetchone()[0] == 1
    file.write_text(VENDOR)
    assert watch.look(store) == ()
    assert kinds(store) == []


def test_files_that_come_and_go_are_alerted_about(watch: TamperWatch, store: sqlite3.Connection, folder: Path) -> None:
    """A vendor added or removed, another approver, a file that cannot be read any more."""
    (folder / "vendors.d/new.toml").write_text('[vendor]\nid = "new"\nname = "New"\n')
    (folder / "vendors.d/dten.toml").unlink()
    config = (folder / "rootwarden.toml").read_text()
    (folder / "rootwarden.toml").write_text(f"{config}eve = 54321\n")
    told = {edit.subject: edit.what for edit in watch.look(store)}
    assert told == {"dten": "file removed", "new": "file added", APPROVERS: "edited"}
    assert kinds(store) == [EDITED_KIND] * 3
    (folder / "rootwarden.toml").write_text("[nonsense")
    (edit,) = watch.look(store)
    assert edit.subject == "configuration"
    assert kinds(store) == [EDITED_KIND]


def test_a_further_edit_is_another_alert(watch: TamperWatch, store: sqlite3.Connection, folder: Path) -> None:
    """Who edits twice is told of twice; the first state no longer stands."""
    file = folder / "vendors.d/dten.toml"
    for number in ("0101", "0102"):
        file.write_text(VENDOR.replace("0100", number))
        watch.look(store)
    assert kinds(store) == [EDITED_KIND]
    assert store.execute("SELECT count(*) FROM alert").fetchone()[0] == 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE vendor_snapshot SET content = replace(content, '0100', '0199')",
        "UPDATE audit_log SET actor = 'mallory'",
        "UPDATE store_revision SET signature = ''",
        "DELETE FROM vendor_snapshot",
    ],
)
def test_a_changed_store_is_alerted_about_and_stops(
    watch: TamperWatch, store: sqlite3.Connection, statement: str
) -> None:
    """A contact edited in the database, an entry, the signature: one critical alert however often one looks, and an error each time."""
    for table in ("vendor_snapshot", "audit_log"):
        for verb in ("update", "delete"):
            store.execute(f"DROP TRIGGER {table}_no_{verb}")
    store.execute(statement)
    for _ in range(2):
        with pytest.raises(StoreInconsistentError):
            watch.look(store)
    (alert,) = alerts(store)
    assert (alert.kind, alert.severity.value) == (STORE_KIND, "critical")


def test_a_store_put_back_is_alerted_about(watch: TamperWatch, store: sqlite3.Connection) -> None:
    """A store older than the checkpoint beside it, under the running daemon's feet."""
    path = watch.loaded.store.directory / checkpoints.CHECKPOINT_NAME
    before = sqlite3.connect(":memory:")
    store.backup(before)
    propose(store, "Second")
    checkpoints.keep_checkpoint(store, path, AT)
    before.backup(store)
    with pytest.raises(StoreInconsistentError):
        watch.look(store)
    assert kinds(store) == [STORE_KIND]


def test_a_replaced_key_is_alerted_about_once(watch: TamperWatch, store: sqlite3.Connection) -> None:
    """Each rekey gives one alert, which a later start does not give again even when it was resolved."""
    database = watch.loaded.store.database
    (database.with_name(instance_key.KEY_NAME)).unlink()
    rekey(store, database, identity="ann", reason="disk failure", at=AT)
    watch.report_rekeyed(store)
    (alert,) = alerts(store)
    assert (alert.kind, "ann" in alert.title, "disk failure" in alert.summary) == (REKEYED_KIND, True, True)
    store.execute("UPDATE alert SET status = 'resolved', resolved_at = updated_at")
    watch.report_rekeyed(store)
    assert kinds(store) == []


def test_edits_are_found_in_both_directions(watch: TamperWatch) -> None:
    """The comparison of two equal configurations is empty."""
    assert edits(watch.loaded, watch.loaded) == ()


def test_a_file_that_ends_its_reader_hides_nothing_of_the_store(
    watch: TamperWatch, store: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever reading the configuration ends in is told, and the audit log is looked at all the same."""

    def failing(_: object) -> None:
        raise TypeError("crafted")

    looked: list[object] = []
    monkeypatch.setattr("monitor.tamper_watch.load_trust_settings", failing)
    monkeypatch.setattr("monitor.tamper_watch.audit.verify", lambda *_, **__: looked.append(1))
    (edit,) = watch.look(store)
    assert ("crafted" in edit.what, kinds(store), looked) == (True, [EDITED_KIND], [1])
