"""What is changed behind a running daemon's back is noticed by it, by the journal's checkpoints and by whoever asks the store."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.stories.installation import Installation, await_

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VENDOR = """[vendor]
id = "dten"
name = "DTEN"
[[vendor.contact]]
name = "Ada"
phone = "+1 555 0100"
"""


@pytest.fixture
def place(folder: Path) -> Iterator[Installation]:
    """A running daemon with one vendor."""
    installation = Installation(folder / "place", vendors={"dten": VENDOR})
    installation.configure()
    installation.start()
    yield installation
    installation.stop()


def kinds(place: Installation) -> set[str]:
    """The kinds of the alerts that stand."""
    return {alert["kind"] for alert in place.alerts()}


def decide(place: Installation) -> str:
    """Ask for a decision, refused or not, and return what was said."""
    done = place.run("anchor", "reject", "anchor_nothing", "--because", "unconfirmed", person=place.people[0])
    assert done.returncode in (2, 4)
    return done.stderr


def test_a_contact_edited_while_the_daemon_runs_is_noticed(place: Installation) -> None:
    """The next decision finds the edited file: an alert names it, and nothing of it counts."""
    file = place.folder / "vendors.d/dten.toml"
    file.write_text(file.read_text().replace("0100", "0199"))
    decide(place)
    await_("the alert", lambda: "policy_edited" in kinds(place))


def test_a_row_changed_under_the_daemon_stops_decisions(place: Installation) -> None:
    """An edited entry: the decision is refused naming it, and the alert is critical."""
    with closing(sqlite3.connect(place.folder / "state/rootwarden.db")) as connection, connection:
        connection.execute("DROP TRIGGER audit_log_no_update")
        connection.execute("UPDATE audit_log SET actor = 'mallory' WHERE seq = 1")
    assert "entry 1 was changed" in decide(place)
    with closing(sqlite3.connect(place.folder / "state/rootwarden.db")) as connection:
        found = connection.execute("SELECT kind, severity FROM alert").fetchall()
    assert found == [("store_changed", "critical")]


def test_the_journal_holds_what_a_restored_store_lacks(place: Installation) -> None:
    """The daemon's own log is enough to verify the store, and to tell that it was put back as a whole."""
    place.stop()
    shutil.copytree(place.folder / "state", place.folder / "old")
    file = place.folder / "vendors.d/dten.toml"
    file.write_text(file.read_text().replace('name = "DTEN"', 'name = "Other"'))
    place.start()
    place.stop()
    journal = place.folder / "daemon.log"
    assert place.log().count("rootwarden-checkpoint/1") >= 2
    done = place.run("audit", "verify", "--checkpoint", str(journal), expected=(0,))
    assert "given checkpoint(s) contained" in done.stdout
    shutil.rmtree(place.folder / "state")
    shutil.copytree(place.folder / "old", place.folder / "state")
    shutil.rmtree(place.folder / "remembered", ignore_errors=True)
    place.run("audit", "verify", expected=(0,))
    assert "this store does not" in place.run("audit", "verify", "--checkpoint", str(journal), expected=(4,)).stderr
