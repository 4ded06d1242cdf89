from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from monitor.cli import group
from monitor.schema import MIGRATION_SETS
from tests.monitor.listening import ANNOUNCEMENT, START, chain_pre
from tests.simulator.vendor_pki import VendorPKI
from tests.simulator.vendor_site import VendorSite
from trust_store import checkpoints
from trust_store.errors import DaemonUnavailableError, SchemaMismatchError, StoreUnavailableError, UsageError
from trust_store.storage.connection import StoreClosedError, connect
from trust_store.storage.migrations import migrate
from trust_store.storage.writer_lock import writer_lock


@pytest.fixture
def site() -> Iterator[VendorSite]:
    """The vendor's site."""
    with VendorSite() as running:
        running.publish("News", ANNOUNCEMENT + chain_pre(VendorPKI.generate("DTEN", START)))
        yield running


@pytest.fixture
def config(tmp_path: Path, site: VendorSite) -> Path:
    """A configuration with two sources, and a new store."""
    topic = site.open_topic(7, "Keys", posts=3)
    (tmp_path / "vendors.d").mkdir()
    (tmp_path / "state").mkdir()
    sources = "".join(
        f'[[source]]\nkind = "{kind}"\nname = "{name}"\nurl = "{url}"\nallow_loopback_http = true\n'
        for kind, name, url in (("feed", "news", site.feed_url), ("discourse", "forum", topic.url))
    )
    (tmp_path / "vendors.d/dten.toml").write_text(
        f'[vendor]\nid = "dten"\nname = "DTEN"\ndomains = ["127.0.0.1"]\n{sources}'
    )
    file = tmp_path / "rootwarden.toml"
    file.write_text('[store]\ndirectory = "state"\n[control]\nsocket = "control.sock"\n')
    connection = connect(tmp_path / "state/rootwarden.db", create=True)
    migrate(connection, tmp_path / "state/migration.lock", MIGRATION_SETS)
    connection.close()
    return file


def run(config: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and standard output of a command; errors are raised."""
    result = CliRunner().invoke(group, ["--config", str(config), *arguments], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.return_value, result.stdout


def test_poll_reads_every_source_and_says_what_came_of_it(config: Path) -> None:
    """Without a daemon the sources are read in process; a second poll finds nothing new; the checkpoint follows the log."""
    code, text = run(config, "poll")
    assert code == 0
    assert "new        forum: 3 new or changed" in text
    assert "1 keys proposed" in text
    code, text = run(config, "poll", "--json")
    assert [(s["source"], s["status"]) for s in json.loads(text)["sources"]] == [
        ("forum", "unchanged"),
        ("news", "unchanged"),
    ]
    kept = checkpoints.read_checkpoint(config.parent / "state" / checkpoints.CHECKPOINT_NAME)
    assert kept is not None
    assert kept.head.seq == 1


def test_poll_of_one_source_leaves_the_others(config: Path, site: VendorSite) -> None:
    """--source polls that one alone; a failing source is told and makes the exit 4."""
    site.fault("/feed.xml", "login_page")
    code, text = run(config, "poll", "--source", "news")
    assert code == 4
    assert text.startswith("failed     news\n           soft_404: not a feed")
    assert {r.path for r in site.requests} == {"/feed.xml"}


def test_an_unknown_source_names_the_nearest(config: Path) -> None:
    """A mistyped name is a usage error with a suggestion."""
    with pytest.raises(UsageError, match="did you mean 'forum'"):
        run(config, "poll", "--source", "forun")
    with pytest.raises(UsageError, match="source list"):
        run(config, "source", "show", "zzz")


def test_sources_are_listed_with_their_state(config: Path, site: VendorSite) -> None:
    """list and show say state, clocks, failures and what was read, as text and as JSON."""
    site.publish("File", "<a href='/gone.pem'>key</a>")
    assert [
        (s["name"], s["state"], s["last_ok_at"]) for s in json.loads(run(config, "source", "list", "--json")[1])
    ] == [
        ("forum", "new", None),
        ("news", "new", None),
    ]
    run(config, "poll")
    site.fault("/t/7.json", "error")
    run(config, "poll")
    forum, news = json.loads(run(config, "source", "list", "--json")[1])
    assert (forum["state"], forum["failures"], forum["last_error"]) == ("failing", 1, "status: HTTP 500")
    assert news["state"] == "ok"
    assert "failing  forum" in run(config, "source", "list")[1]
    shown = json.loads(run(config, "source", "show", "news", "--json")[1])
    assert {d["title"] for d in shown["documents"]} == {"News", "File"}
    assert [(f["status"], f["url"]) for f in shown["key_files"]] == [("pending", f"{site.base}/gone.pem")]
    text = run(config, "source", "show", "news")[1]
    assert "document: News (1 parts, 1 versions)" in text
    assert "key file:" in text


def test_no_sources_are_told(config: Path) -> None:
    """An installation that listens to nobody says how to change that."""
    (config.parent / "vendors.d/dten.toml").write_text('[vendor]\nid = "dten"\nname = "DTEN"\n')
    for command in (["poll"], ["source", "list"]):
        result = CliRunner().invoke(group, ["--config", str(config), *command], standalone_mode=False)
        assert "add [[source]]" in result.stderr
        assert result.return_value == 0


def test_without_a_store_the_way_to_one_is_named(config: Path) -> None:
    """No store: exit 4 and the command that makes one; another schema is refused, never migrated here."""
    (config.parent / "state/rootwarden.db").unlink()
    for command in (["poll"], ["source", "list"]):
        with pytest.raises(StoreUnavailableError, match="rootwarden init"):
            run(config, *command)
    connect(config.parent / "state/rootwarden.db", create=True).close()
    for command in (["poll"], ["source", "list"]):
        with pytest.raises(SchemaMismatchError):
            run(config, *command)


def daemon(path: Path, answer: dict[str, Any], heard: list[Any]) -> Callable[[], None]:
    """A stand-in that answers one request at the control socket; call what it returns to wait for its end."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(1)

    def serve() -> None:
        peer, _ = server.accept()
        with peer, server:
            heard.append(json.loads(peer.makefile("rb").readline()))
            peer.sendall(json.dumps(answer).encode() + b"\n")

    thread = threading.Thread(target=serve)
    thread.start()
    return thread.join


def test_while_the_daemon_writes_poll_asks_it(config: Path, site: VendorSite) -> None:
    """With the writer's lock held the request goes over the control socket and nothing is fetched here."""
    heard: list[Any] = []
    outcome = {
        "source": "news\x1b",
        "status": "partial",
        "problems": ["x\u202e"],
        "new_versions": 2,
        "proposals": ["a"],
    }
    with writer_lock(config.parent / "state/writer.lock"):
        join = daemon(config.parent / "control.sock", {"ok": True, "result": {"sources": [outcome, 5]}}, heard)
        code, text = run(config, "poll", "--source", "news")
        join()
        (config.parent / "control.sock").unlink()
        with pytest.raises(DaemonUnavailableError):
            run(config, "poll")
    assert heard == [{"command": "poll", "arguments": {"source": "news"}}]
    assert (code, text) == (0, "partial    news\\u001b: 2 new or changed, 1 keys proposed\n           x\\u202e\n")
    assert site.requests == []


def test_somebody_elses_store_is_not_written(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not own the store asks the daemon or is told to start it."""
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    with pytest.raises(DaemonUnavailableError):
        run(config, "poll")


def test_whom_the_store_is_closed_to_has_the_daemon_poll(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may not even look into the state directory asks the daemon, as whoever does not own the store."""

    def closed(path: Path) -> int:
        raise StoreClosedError(str(path))

    monkeypatch.setattr("trust_store.storage.connection.owner_of", closed)
    with pytest.raises(DaemonUnavailableError, match="systemctl start rootwarden"):
        run(config, "poll")


@pytest.mark.parametrize("arguments", [["poll"], ["source"], ["source", "list"], ["source", "show"]])
def test_every_command_has_examples(config: Path, arguments: list[str]) -> None:
    """--help shows examples."""
    result = CliRunner().invoke(group, ["--config", str(config), *arguments, "--help"])
    assert result.exit_code == 0
    assert "Examples:" in result.stdout
    assert isinstance(group, click.Group)
