"""Every documented command, used wrongly: exit 2 (or 4 where it cannot run), one or a few lines on standard error, never 1."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from monitor.cli import COMMANDS
from tests.contracts.packages import CONTENT, Kit

if TYPE_CHECKING:
    from tests.contracts.conftest import Rootwarden

COMMAND = str(Path(sys.executable).with_name("rootwarden"))
SUBCOMMANDS = [
    ("anchor", "list"), ("anchor", "show"), ("anchor", "approve"), ("anchor", "reject"), ("alert", "list"), ("alert", "show"),
    ("audit", "verify"), ("package", "show"), ("path", "validate"), ("script",), ("source",), ("config", "check"),
]  # fmt: skip
WRONG = [
    ("nonsense",), ("--nonsense",), ("--config",), ("check",), ("check", "--nonsense", "x"), ("check", "--at"),
    ("check", "--anchors"), ("check", "--only-anchors"), ("check", "--json"), ("check", "--batch", "x"),
    ("check", "--batch", "--nonsense"), ("package",), ("package", "nonsense"), ("package", "show"), ("package", "show", "12"),
    ("package", "show", "a" * 64), ("package", "show", "g" * 64, "--vendor", "x"), ("package", "show", "a" * 63, "--vendor", "x"),
    ("path",), ("path", "nonsense"), ("path", "validate"), ("path", "validate", "--leaf"), ("path", "validate", "--leaf", "x"),
    ("anchor",), ("anchor", "nonsense"), ("anchor", "show"), ("anchor", "approve"), ("anchor", "approve", "anchor_1"),
    ("anchor", "reject"), ("alert", "nonsense"), ("alert", "show"), ("audit", "nonsense"), ("script", "nonsense"),
    ("source", "nonsense"), ("config", "nonsense"), ("config",), ("analyse", "--nonsense"), ("poll", "--nonsense"),
    ("run", "--nonsense"), ("init", "--nonsense"), ("doctor", "--nonsense"), ("demo", "--nonsense"),
]  # fmt: skip


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_usage_is_exit_2(rootwarden: Rootwarden, arguments: tuple[str, ...]) -> None:
    """A command that does not exist, or lacks what it needs, is a usage error that says so on standard error."""
    code, out, err = rootwarden.run(*arguments)
    assert code == 2
    assert err.strip() or out.strip()
    assert "internal error" not in err


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS), *SUBCOMMANDS], ids=" ".join)
def test_every_command_has_help_with_examples(rootwarden: Rootwarden, command: tuple[str, ...]) -> None:
    """--help works without configuration, on standard output, and every command shows examples."""
    code, out, err = rootwarden.run(*command, "--help")
    assert (code, err) == (0, "")
    assert out.startswith("Usage:")
    assert not command or "Examples:" in out


def test_no_configuration_and_no_anchors_is_a_configuration_error(
    rootwarden: Rootwarden, kit: Kit, tmp_path: Path
) -> None:
    """Without configuration a check needs --only-anchors: exit 2, nothing on standard output, and the way out named."""
    package = tmp_path / "firmware.bin"
    package.write_bytes(CONTENT)
    for arguments in (
        ("check", package),
        ("check", "--anchors", kit.anchors, package),
        ("check", "--vendor", "any", package),
    ):
        code, out, err = rootwarden.run(*arguments)
        assert (code, out) == (2, "")
        assert len(err.splitlines()) == 1
        assert "--only-anchors" in err
    code, out, err = rootwarden.run("package", "show", "a" * 64, "--vendor", "any")
    assert (code, out) == (2, "")


def test_a_configuration_that_is_wrong(rootwarden: Rootwarden, kit: Kit, tmp_path: Path) -> None:
    """A configuration that is no TOML, has an unknown key or is a folder is exit 2 or 4 in one line, never a verdict."""
    package = tmp_path / "firmware.bin"
    package.write_bytes(CONTENT)
    rootwarden.config = tmp_path / "rootwarden.toml"
    for text in ("nonsense", "[stor]\n", '[store]\ndirectry = "x"\n', "[store]\ndirectory = 7\n", "\x00", "[store\n"):
        rootwarden.config.write_text(text)
        code, out, err = rootwarden.run("check", "--vendor", "dten", package)
        assert (code, out) == (2, ""), text
        assert re.search(r"rootwarden\.toml", err), err
        code, _, _ = rootwarden.run("config", "check")
        assert code == 2, text
        code, _ = rootwarden.supplied(kit.anchors, package)
        assert code == 3, "no configuration is needed with --only-anchors"
    rootwarden.config = tmp_path
    code, out, _ = rootwarden.run("check", "--vendor", "dten", package)
    assert code in (2, 4)
    assert out == ""


def test_a_store_that_is_none(rootwarden: Rootwarden, tmp_path: Path) -> None:
    """A store that is missing, empty, noise or a folder cannot be asked: exit 4."""
    package = tmp_path / "firmware.bin"
    package.write_bytes(CONTENT)
    rootwarden.config = tmp_path / "rootwarden.toml"
    (tmp_path / "state").mkdir()
    rootwarden.config.write_text(f'[store]\ndirectory = "{tmp_path / "state"}"\n')
    database = tmp_path / "state" / "rootwarden.db"
    for content in (None, b"", b"noise" * 1000, b"SQLite format 3\0" + b"\0" * 5000):
        if content is not None:
            database.write_bytes(content)
        code, out, err = rootwarden.run("check", "--vendor", "any", package)
        assert (code, out) == (4, ""), (content, err)
        assert len(err.splitlines()) == 1, err
        assert "internal" not in err
        code, out, err = rootwarden.run("package", "show", "a" * 64, "--vendor", "any")
        assert (code, out) == (4, "")
    database.unlink()
    database.mkdir()
    assert rootwarden.run("check", "--vendor", "any", package)[0] == 4


def test_as_a_process() -> None:
    """The same of the installed command, without a terminal."""
    for arguments, code in ((["nonsense"], 2), ([], 2), (["check"], 2), (["--version"], 0), (["--help"], 0)):
        done = subprocess.run([COMMAND, *arguments], capture_output=True, check=False, stdin=subprocess.DEVNULL)
        assert done.returncode == code, (arguments, done.stderr)
        assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("command", [("check", "--batch"), ("path", "validate", "--batch")], ids=" ".join)
def test_a_batch_without_a_line_says_so(rootwarden: Rootwarden, command: tuple[str, ...]) -> None:
    """No question is a usage error that is told: no items were included."""
    code, out, err = rootwarden.run(*command, stdin=b"")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "no question came on standard input" in err


def test_help_of_export_is_laid_out(rootwarden: Rootwarden) -> None:
    """The list of formats, made from the exporters, is indented like the text around it."""
    _, out, _ = rootwarden.run("anchor", "export", "--help")
    assert "\n  Formats:\n    pem " in out
    assert "\n  Write the valid anchors" in out
