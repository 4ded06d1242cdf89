"""The repository holds what it says: its layout, its documents, its tests' sentences."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import click
import pytest

from monitor.cli import COMMANDS, group
from tests.docs_alerts import KINDS, kinds_in_code
from tests.docs_tables import DOCS, GENERATED

ROOT = Path(__file__).resolve().parents[1]
TOP_LEVEL = {
    ".ci", ".gitignore", "CHANGELOG.md", "Makefile", "README.md", "benchmarks", "docs", "escalation", "monitor", "pyproject.toml",
    "requirements-dev.lock", "requirements.lock", "systemd", "tests", "trust_store",
}  # fmt: skip


def tracked() -> list[Path]:
    """Every file that git knows."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [Path(line) for line in listed.splitlines()]


def test_top_level_is_what_was_agreed() -> None:
    """Nothing stands at the top level but what the layout names."""
    assert {path.parts[0] for path in tracked()} == TOP_LEVEL


@pytest.mark.parametrize("name", sorted(GENERATED))
def test_generated_page_is_up_to_date(name: str) -> None:
    """A generated page is exactly what its generator writes now: python -m tests.docs_tables."""
    assert (DOCS / name).read_text() == GENERATED[name]()


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_documented_and_has_examples(name: str) -> None:
    """Each command stands in the README or the docs, and its help (or that of its subcommands) shows examples."""
    pages = "".join(p.read_text() for p in [ROOT / "README.md", *DOCS.glob("*.md")])
    assert f"rootwarden {name}" in pages or f"make {name}" in pages
    command = group.get_command(click.Context(group), name)
    assert command is not None
    leaves = list(command.commands.values()) if isinstance(command, click.Group) else [command]
    assert [leaf.name for leaf in leaves if "Examples:" not in (leaf.help or "")] == []


def test_every_kind_of_alert_is_documented() -> None:
    """The page on alerts tells each kind that the code raises, and no other."""
    assert kinds_in_code() == set(KINDS)


def test_every_link_in_the_documents_leads_somewhere() -> None:
    """A relative link in README or docs names a file that is there."""
    for page in [ROOT / "README.md", *DOCS.glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def maps() -> dict[Path, str]:
    """Package -> its docstring, of those that draw a map of their modules."""
    found = {
        path: ast.get_docstring(ast.parse((ROOT / path).read_text())) or ""
        for path in tracked()
        if path.name == "__init__.py"
    }
    return {path.parent: text for path, text in found.items() if "Reading order" in text}


def test_every_map_names_modules_that_are_there() -> None:
    """A package's docstring with a reading order names, at the start of a line and after each semicolon, only what stands in it."""
    assert {Path("monitor"), Path("escalation"), Path("trust_store")} <= maps().keys()
    for package, text in maps().items():
        lines = re.findall(r"^ {4}(\w.*)$", text.partition("Reading order")[2], re.MULTILINE)
        columns = [column.split("  ")[0] for line in lines for column in line.split(";  ")]
        named = {name for column in columns for name in column.split(", ")}
        missing = [n for n in named if not (ROOT / package / f"{n}.py").exists() and not (ROOT / package / n).is_dir()]
        assert missing == [], f"{package}: {missing}"


def test_every_test_states_its_rule() -> None:
    """Each test function has a docstring: the one sentence it proves."""
    silent = [
        f"{path}:{node.lineno} {node.name}"
        for path in tracked()
        if path.parts[0] == "tests" and path.suffix == ".py" and (ROOT / path).exists()
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_")
        if not ast.get_docstring(node)
    ]
    assert silent == []


def test_lock_files_hold_hashes_and_no_addresses() -> None:
    """Every locked requirement is pinned with hashes, and no index or file address stands in a lock file."""
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        assert not re.search(r"https?://|file:|--(extra-)?index-url|--find-links", text)
        pinned = re.findall(r"^[a-zA-Z0-9._-]+(?:\[[^\]]+\])?==", text, re.MULTILINE)
        assert pinned
        assert text.count("==") == len(pinned)
        assert text.count("--hash=sha256:") >= len(pinned)


def test_every_dependency_is_justified() -> None:
    """Each dependency in pyproject.toml stands on a line of its own with the reason for it."""
    text = (ROOT / "pyproject.toml").read_text()
    lists = re.findall(r"^(?:dependencies|build|dev) = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in lists for line in block.splitlines()]
    assert lines
    assert [line for line in lines if not re.fullmatch(r'  "[^"]+", +# \S.*', line)] == []


def test_systemd_unit_is_understood() -> None:
    """systemd parses the unit without complaint but for the program, which is not installed where tests run."""
    done = subprocess.run(
        ["systemd-analyze", "verify", str(ROOT / "systemd/rootwarden.service")],
        capture_output=True,
        text=True,
        check=False,
    )
    told = [
        line for line in done.stderr.splitlines() if "rootwarden.service" in line and "is not executable" not in line
    ]
    assert told == []


def test_systemd_unit_is_closed() -> None:
    """systemd rates what the unit leaves open at 2.0 of 10 at most."""
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20"]
    unit = str(ROOT / "systemd/rootwarden.service")
    done = subprocess.run([*command, unit], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-200:] + done.stderr
