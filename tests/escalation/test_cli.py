"""The alert and script commands on a real store."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from escalation.cli import alert as alert_cli
from escalation.cli import script as script_cli
from escalation.model import Severity
from escalation.rules import decide, notice
from escalation.storage.schema import MIGRATIONS
from escalation.triage import raise_alert
from monitor.cli import Invocation
from tests.escalation.conftest import AT, make_context, make_verdict
from trust_store.errors import DecisionRefusedError, StoreUnavailableError, TrustStoreError
from trust_store.storage.connection import connect
from trust_store.storage.migrations import migrate
from trust_store.storage.schema import MIGRATIONS as TRUST_MIGRATIONS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Office:
    """A configuration, a store and the commands."""

    def __init__(self, folder: Path, randomness: Callable[[int], bytes], *, approver: bool = True) -> None:
        self.folder, self.randomness = folder, randomness
        self.config = folder / "rootwarden.toml"
        person = f"ada = {os.geteuid()}\n" if approver else ""
        self.config.write_text(
            f'[store]\ndirectory = "{folder}"\n[control]\nsocket = "{folder}/control.sock"\n[approvers]\n{person}'
        )
        connection = connect(folder / "rootwarden.db", create=True)
        migrate(connection, folder / "migrate.lock", (TRUST_MIGRATIONS, MIGRATIONS))
        verdict = replace(make_verdict(name="evil\x1b[2J.zip"), also=("expired",))
        draft = decide(make_context(verdict=verdict))
        self.alert = raise_alert(connection, draft, channels=("smtp",), at=AT, randomness=randomness)
        quiet = notice("source_stale", "stale", Severity.LOW, "Feed unread", subject="s1")
        self.notice = raise_alert(connection, quiet, channels=(), at=AT, randomness=randomness)
        connection.close()

    def run(self, command: Any, *arguments: str) -> str:
        """Run a command as ``main`` does: exit codes are return values, errors are raised."""
        invocation = Invocation(self.config, lambda: AT, self.randomness)
        result = CliRunner().invoke(command, arguments, obj=invocation, standalone_mode=False)
        if result.exception is not None:
            raise result.exception
        assert result.return_value == 0
        return result.stdout


@pytest.fixture
def office(tmp_path: Path, randomness: Callable[[int], bytes]) -> Office:
    """A store with one alert and one notice."""
    return Office(tmp_path, randomness)


def test_list_and_show(office: Office) -> None:
    """Open alerts are listed, one is shown with its deliveries; control characters are visible text."""
    listed = office.run(alert_cli.command, "list")
    assert office.alert in listed
    shown = office.run(alert_cli.command, "show", office.alert)
    assert "\x1b" not in listed + shown
    assert "smtp: queued, 0 failed attempts" in shown
    assert "also: expired" in shown
    data = json.loads(office.run(alert_cli.command, "show", office.alert, "--json"))
    assert (data["status"], data["severity"], data["vendor"]) == ("open", "high", "dten")
    assert data["deliveries"][0]["channel"] == "smtp"
    lines = office.run(alert_cli.command, "list", "--json", "--all").splitlines()
    assert {json.loads(line)["id"] for line in lines} == {office.alert, office.notice}


def test_acknowledge_and_resolve_without_a_daemon(office: Office) -> None:
    """The owner of the store decides in process, by the name that [approvers] gives his uid."""
    assert office.run(alert_cli.command, "acknowledge", office.alert) == f"{office.alert}: acknowledged by ada\n"
    assert "acknowledged by ada" in office.run(alert_cli.command, "show", office.alert)
    done = json.loads(office.run(alert_cli.command, "resolve", office.alert, "--because", "settled", "--json"))
    assert done["status"] == "resolved"
    assert office.alert not in office.run(alert_cli.command, "list")
    assert office.alert in office.run(alert_cli.command, "list", "--all")
    assert "resolved: ada: settled" in office.run(alert_cli.command, "show", office.alert)
    with pytest.raises(DecisionRefusedError):
        office.run(alert_cli.command, "resolve", office.alert, "--because", "again")


def test_who_may_not_decide(
    tmp_path: Path, randomness: Callable[[int], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An uid without a name, or that does not own the store, is refused; no store is said as such."""
    office = Office(tmp_path, randomness, approver=False)
    with pytest.raises(DecisionRefusedError, match="approvers"):
        office.run(alert_cli.command, "acknowledge", office.alert)
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: 4711)
        with pytest.raises(DecisionRefusedError, match="does not own"):
            office.run(alert_cli.command, "acknowledge", office.alert)
    (tmp_path / "rootwarden.db").unlink()
    with pytest.raises(StoreUnavailableError):
        office.run(alert_cli.command, "acknowledge", office.alert)
    with pytest.raises(StoreUnavailableError):
        office.run(alert_cli.command, "list")


def test_scripts(office: Office) -> None:
    """The script is printed byte for byte, the sheet on request; a notice has none to run."""
    listed = office.run(script_cli.command, "list")
    assert office.alert in listed
    assert office.notice not in listed
    assert json.loads(office.run(script_cli.command, "list", "--json"))["alert"] == office.alert
    assert office.run(script_cli.command, "show", office.alert).startswith("#!/bin/sh\n")
    assert "CALL SHEET" in office.run(script_cli.command, "show", office.alert, "--sheet")
    both = json.loads(office.run(script_cli.command, "show", office.alert, "--json"))
    assert set(both) == {"alert", "sheet", "script"}
    assert "Feed unread" in office.run(script_cli.command, "show", office.notice, "--sheet")
    for alert_id in (office.notice, "alert_x"):
        with pytest.raises(TrustStoreError) as caught:
            office.run(script_cli.command, "show", alert_id)
        assert caught.value.exit_code == 2


def test_nothing_open_says_so(office: Office) -> None:
    """An empty list is empty on standard output."""
    for alert_id in (office.alert, office.notice):
        office.run(alert_cli.command, "resolve", alert_id, "--because", "done")
    assert office.run(alert_cli.command, "list") == ""


@pytest.mark.parametrize("command", [alert_cli.command, script_cli.command])
def test_every_command_has_examples(command: Any) -> None:
    """--help of each group and command shows how it is used."""
    for one in (command, *command.commands.values()):
        assert "Examples:" in one.help
