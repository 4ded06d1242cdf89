"""``config check``, ``doctor`` and ``run`` judge a configuration alike; ``doctor`` tells what else keeps people from working."""

from __future__ import annotations

import json
import os
import socket
import threading
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from monitor.cli import group
from monitor.config import load_monitor_settings
from monitor.schema import open_store
from trust_store.instance_key import KEY_NAME
from trust_store.storage.approver_list import record_approvers
from trust_store.storage.connection import transaction
from trust_store.storage.vendors import record_vendors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START = datetime(2026, 11, 1, tzinfo=UTC)
MAIN = '[store]\ndirectory = "state"\n[control]\nsocket = "control.sock"\n[api]\nsocket = "api.sock"\n'
PEOPLE = "[approvers]\nann = 61001\nbob = 61002\ncleo = 61003\n"
VENDOR = '[vendor]\nid = "dten"\nname = "DTEN"\n'
CONTACT = '[[vendor.contact]]\nname = "Desk"\nphone = "+1 555 0100"\n'
SOURCE = '[[source]]\nkind = "feed"\nname = "news"\nurl = "https://dten.example/feed"\n'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with nothing to say against it but that no channel delivers."""
    (tmp_path / "vendors.d").mkdir()
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "vendors.d/dten.toml").write_text(VENDOR + CONTACT + SOURCE)
    file = tmp_path / "rootwarden.toml"
    file.write_text(MAIN + PEOPLE)
    return file


def run(config: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and everything said; errors become their codes as they do for the installed command."""
    result = CliRunner().invoke(group, ["--config", str(config), *arguments], standalone_mode=False)
    if result.exception is not None:
        return getattr(result.exception, "exit_code", 1), str(result.exception)
    return int(result.return_value), result.output


def findings(config: Path) -> dict[str, str]:
    """What doctor says that is not in order: sentence -> advice."""
    lines = [json.loads(line) for line in run(config, "doctor", "--json")[1].splitlines()]
    return {f["what"]: f["advice"] for f in lines if f["level"] != "ok"}


def test_a_good_configuration_is_in_order(config: Path) -> None:
    """Nothing is found but what is missing."""
    assert run(config, "config", "check")[1].splitlines()[-1].startswith("warning: no delivery channel")
    code, told = run(config, "config", "check", "--json")
    assert (code, len(json.loads(told)["warnings"])) == (0, 1)


@pytest.mark.parametrize(
    ("main", "told"),
    [
        (MAIN + "[delivery.slack]\n", "needs one of webhook_file"),
        (MAIN + "[delivery]\ndigest_hour = 25\n", "digest_hour is a whole number"),
        (
            MAIN + '[delivery.smtp]\nhost = "h"\nsender = "a@b.example"\nrecipients = ["nobody"]\n',
            "is no mail address",
        ),
        (MAIN + '[delivery.slack]\nwebhook_file = "absent"\n', "absent cannot be read"),
        (MAIN.replace("[api]\n", '[api]\nmode = "rw"\n'), "is no octal file mode"),
        (MAIN.replace("[control]\n", '[control]\nmode = "0999"\n'), "is no octal file mode"),
        (MAIN.replace("[control]\n", '[control]\ngroup = "no-such"\n'), "there is no group 'no-such'"),
        (MAIN.replace("control.sock", "s" * 110), "is longer than"),
    ],
)
def test_what_a_start_refuses_is_told_beforehand(config: Path, main: str, told: str) -> None:
    """``config check``, ``doctor`` and ``run`` refuse the same with exit 2, and ``run`` before it makes or opens a store."""
    config.write_text(main)
    for command in (("config", "check"), ("doctor",), ("run",)):
        code, said = run(config, *command)
        assert (code, told in said) == (2, True), (command, said)
    assert list((config.parent / "state").iterdir()) == []


@pytest.mark.parametrize("key", ['webhook_credential = "x"', 'webhook_env = "RW_WEBHOOK"'])
def test_a_secret_that_only_the_service_gets_is_not_looked_for(config: Path, key: str) -> None:
    """A credential, or a variable of the unit, is no error where the configuration is checked from a shell."""
    config.write_text(f"{MAIN}{PEOPLE}[delivery.slack]\n{key}\n")
    assert run(config, "config", "check")[0] == 0
    assert "handed to the service" in run(config, "doctor")[1]
    assert run(config, "run")[0] == 2


@pytest.mark.parametrize(
    ("main", "vendor", "told"),
    [
        (MAIN + PEOPLE, VENDOR + SOURCE, "vendor dten: no contact to call"),
        (MAIN, VENDOR + CONTACT + SOURCE, "[approvers] names nobody"),
        (MAIN + "[approvers]\nann = 61001\n", VENDOR + CONTACT + SOURCE, "needs 2 approvers and [approvers] names 1"),
        (MAIN + "[approvers]\na = 61001\nb = 61002\n", VENDOR + CONTACT + SOURCE, "imported keys need one more person"),
        (MAIN + PEOPLE, VENDOR + CONTACT, "no source is read"),
    ],
)
def test_what_people_would_miss_is_a_warning(config: Path, main: str, vendor: str, told: str) -> None:
    """A configuration under which no key can be decided is read, and warned about by both commands."""
    config.write_text(main)
    (config.parent / "vendors.d/dten.toml").write_text(vendor)
    code, said = run(config, "config", "check")
    assert (code, told in said) == (0, True)
    assert any(told in what for what in findings(config))


def test_that_nobody_can_decide_is_told_once(config: Path) -> None:
    """An empty list of approvers is one finding, not one more for each vendor."""
    config.write_text(MAIN)
    assert [what for what in findings(config) if "approvers" in what] == [
        "[approvers] names nobody: no key can be decided"
    ]


def test_three_people_and_one_who_does_both_are_enough(config: Path) -> None:
    """No warning about importing where one more is named than has to approve, or where policy lets one do both."""
    assert not any("imported keys" in what for what in findings(config))
    config.write_text(f"{MAIN}[approvers]\nann = 61001\n")
    file = config.parent / "vendors.d/dten.toml"
    file.write_text(VENDOR + "[vendor.policy]\napprovals = 1\n" + CONTACT + SOURCE)
    assert not any("approvers" in what or "imported" in what for what in findings(config))


def store_with(config: Path, failures: int = 0) -> None:
    """A store that knows the configuration as it is, in which the source has failed that often."""
    settings = load_monitor_settings(config)
    counter = iter(range(1000))
    with closing(open_store(settings.trust.store)) as connection, transaction(connection):
        record_vendors(connection, settings.trust.vendors, START, lambda n: bytes([next(counter)]) * n)
        record_approvers(connection, settings.trust.approvers.by_identity, START)
        connection.execute(
            "INSERT INTO source_state (vendor_id, url, kind, name, failures, next_due_at) VALUES (?, ?, 'feed', 'news', ?, ?)"
            " ON CONFLICT (vendor_id, url) DO UPDATE SET failures = excluded.failures",
            ("dten", "https://dten.example/feed", failures, "2026-11-01T00:00:00.000000Z"),
        )


def test_a_source_that_fails_again_and_again_is_told(config: Path) -> None:
    """From the third failure in a row on, with the command that shows why."""
    store_with(config, failures=2)
    assert "rootwarden source show 'news'" not in findings(config).values()
    store_with(config, failures=3)
    assert findings(config)["source news failed 3 times in a row"] == "rootwarden source show 'news'"


def test_changes_that_wait_for_approval_are_told(config: Path) -> None:
    """A weaker vendor file and a new approver each name the command that makes them count."""
    store_with(config)
    assert not any("approve-policy" in advice for advice in findings(config).values())
    file = config.parent / "vendors.d/dten.toml"
    file.write_text(VENDOR + "[vendor.policy]\napprovals = 1\n" + CONTACT + SOURCE)
    config.write_text(f"{MAIN}{PEOPLE}dan = 61004\n")
    store_with(config)
    advice = " ".join(findings(config).values())
    assert "anchor approve-policy dten" in advice
    assert "anchor approve-policy --approvers" in advice


def test_a_lost_instance_key_is_told(config: Path) -> None:
    """Whoever may read the store hears that nothing can be signed, and the command for a lost key."""
    store_with(config)
    (config.parent / "state" / KEY_NAME).unlink()
    assert any("audit rekey" in advice for advice in findings(config).values())


@pytest.fixture
def listening(config: Path) -> Iterator[None]:
    """This very process answers pings at the control socket."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(config.parent / "control.sock"))
        server.listen()

        def serve() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                with peer:
                    if peer.makefile("rb").readline():
                        peer.sendall(b'{"ok": true, "result": {"loaded_at": "2026-03-01T10:00:00Z"}}\n')

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.usefixtures("listening")
def test_a_configuration_newer_than_the_daemon_is_told(config: Path) -> None:
    """A file changed after the daemon loaded it names the restart; one changed before does not."""
    files = (config, config.parent / "vendors.d", config.parent / "vendors.d/dten.toml")
    loaded_at = datetime(2026, 3, 1, 10, tzinfo=UTC).timestamp()
    for file in files:
        os.utime(file, (loaded_at, loaded_at))
    assert "systemctl restart rootwarden" not in findings(config).values()
    os.utime(files[2], (loaded_at, loaded_at + 1))
    (changed,) = [what for what, advice in findings(config).items() if advice == "systemctl restart rootwarden"]
    assert str(files[2]) in changed


def test_a_daemon_that_is_silent_is_told_once(config: Path) -> None:
    """The sentence says it once, with the way out."""
    (told,) = [what for what in findings(config) if "does not answer" in what]
    assert told.count("does not answer") == 1
    assert "systemctl start rootwarden" in told
