"""The commented configuration that ``init --starter`` writes is complete, right, and where commands find it."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from importlib import resources
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from monitor.cli import group
from monitor.config import load_monitor_settings
from tests.docs_tables import SECTIONS, field_docs, written
from trust_store.storage.writer_lock import WriterBusyError, writer_lock

if TYPE_CHECKING:
    from pathlib import Path

FILES = ("rootwarden.toml.txt", "vendor.toml.txt")
_COMMENTED = re.compile(r"^# (\[\[?[a-z.]+\]\]?$|[a-z_]+ = )")
EXAMPLES = ("[delivery.smtp]", "[delivery.slack]", "[[vendor.contact]]", "[[source]]")
"""Sections that are shown with examples, since they have keys without a default."""


def tables(text: str) -> dict[str, dict[str, Any]]:
    """The sections of a TOML text by the names that docs/settings.md gives them."""
    found: dict[str, dict[str, Any]] = {}
    for name, kind in SECTIONS:
        at: Any = tomllib.loads(text)
        for part in name.strip("[]").split("."):
            at = at.get(part, {}) if isinstance(at, dict) else {}
        table = at[0] if isinstance(at, list) else at
        if table:
            found[name] = {k: v for k, v in table.items() if k in {f.name for f in written(kind)}}
    return found


def starter(*, uncommented: bool) -> dict[str, dict[str, Any]]:
    """The sections of both files, as they are or with every key that is commented out but the approvers."""
    found: dict[str, dict[str, Any]] = {}
    for name in FILES:
        text = resources.files("monitor.starter").joinpath(name).read_text()
        if uncommented:
            text = "".join(_COMMENTED.sub(r"\1", line) for line in text.splitlines(keepends=True))
        found |= tables(text)
    return found


@pytest.mark.parametrize(("section", "kind"), SECTIONS)
def test_every_key_is_shown(section: str, kind: type) -> None:
    """The starter shows each key of each section, commented out or not, and no other."""
    assert set(starter(uncommented=True)[section]) == {f.name for f in written(kind)}


@pytest.mark.parametrize(("section", "kind"), [s for s in SECTIONS if s[0] not in EXAMPLES])
def test_what_is_commented_out_is_the_default(section: str, kind: type) -> None:
    """A key that is commented out shows what the program does without it."""
    live = starter(uncommented=False).get(section, {})
    shown = {k: v for k, v in starter(uncommented=True)[section].items() if k not in live}
    defaults = {
        f.name: list(f.default) if isinstance(f.default, tuple) else f.default for f in dataclasses.fields(kind)
    }
    assert shown == {name: defaults[name] for name in shown}


@pytest.mark.parametrize(("section", "kind"), SECTIONS)
def test_every_setting_says_what_it_means(section: str, kind: type) -> None:
    """Each key of each section has a sentence, from which docs/settings.md is made."""
    assert [f"{section} {f.name}" for f in written(kind) if not field_docs(kind).get(f.name, "").endswith(".")] == []


def test_init_writes_it_and_says_how_commands_find_it(tmp_path: Path) -> None:
    """What init wrote is in order, and the line to copy names the very file."""
    config = tmp_path / "a b/rootwarden.toml"
    result = CliRunner().invoke(group, ["--config", str(config), "init", "--starter"], standalone_mode=False)
    assert result.exception is None
    assert f"export ROOTWARDEN_CONFIG='{config}'" in result.stderr
    assert [v.id for v in load_monitor_settings(config).trust.vendors] == ["example"]


def test_init_beside_a_daemon_says_that_there_is_nothing_to_do(tmp_path: Path) -> None:
    """While somebody writes to the store the command ends with 4, and says why and what to do for a new schema."""
    config = tmp_path / "rootwarden.toml"
    runner = CliRunner()
    assert runner.invoke(group, ["--config", str(config), "init", "--starter"], standalone_mode=False).exception is None
    with writer_lock(load_monitor_settings(config).trust.store.lock):
        refused = runner.invoke(group, ["--config", str(config), "init"], standalone_mode=False).exception
    assert isinstance(refused, WriterBusyError)
    assert refused.exit_code == 4
    assert all(told in str(refused) for told in ("a daemon runs", "nothing to create", "systemctl restart"))


def test_help_names_the_variable_and_shows_examples() -> None:
    """The program's own help says what names the configuration, and how it is asked."""
    told = CliRunner().invoke(group, ["--help"]).stdout
    assert "ROOTWARDEN_CONFIG" in told
    assert "rootwarden check --vendor" in told
