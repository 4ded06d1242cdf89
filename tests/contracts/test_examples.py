"""Every example of every command's help, and of the manual, runs: substituted by an explicit table, on a prepared installation."""

from __future__ import annotations

import re
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import click
import pytest

from monitor.cli import group
from tests import docs_http_api
from tests.contracts.example_cases import CASES, NOT_RUN, SUBSTITUTIONS
from tests.contracts.example_place import PREPARATIONS, ExamplePlace, run_example
from tests.simulator.vendor_site import VendorSite
from tests.test_repository import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.contracts.packages import Kit

pytestmark = pytest.mark.enable_socket
_BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^ {4}rootwarden .*\n)+", re.MULTILINE)
_COMMENT = re.compile(r"\s{2,}#\s.*$", re.MULTILINE)


def commands(command: click.Command, context: click.Context) -> Iterator[click.Command]:
    """A command and everything below it."""
    yield command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(below, click.Context(below, info_name=name, parent=context))


def examples_of(text: str) -> list[str]:
    """The examples of one help text, each on one line."""
    _, found, block = text.partition("Examples:\n")
    return lines_of(block.split("\n\n")[0]) if found else []


def lines_of(block: str) -> list[str]:
    """Commands of a block: continued lines joined, comments gone."""
    joined = re.sub(r"\\\n\s*", "", _COMMENT.sub("", block))
    return [line.strip() for line in joined.splitlines() if line.strip()]


def of_help() -> list[str]:
    """All examples of the help."""
    return [e for c in commands(group, click.Context(group)) for e in examples_of(c.help or "")]


def of_manual() -> list[str]:
    """All commands of this program in the manual's blocks."""
    found: list[str] = []
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = page.read_text()
        for block in (*_BLOCK.findall(text), *_INDENTED.findall(text)):
            found += [line for line in lines_of(block) if line.startswith("rootwarden ")]
    return found


@pytest.fixture(scope="module")
def prepared(kit: Kit) -> Iterator[ExamplePlace]:
    """The installation, made once; short of name, since a socket's path is limited."""
    with tempfile.TemporaryDirectory(prefix="rootwarden-ex-") as folder, VendorSite() as site:
        yield ExamplePlace.make(Path(folder), kit, site)


@pytest.fixture
def place(prepared: ExamplePlace, monkeypatch: pytest.MonkeyPatch) -> Iterator[ExamplePlace]:
    """The installation as it was made, as the working folder."""
    prepared.restore()
    monkeypatch.chdir(prepared.folder)
    monkeypatch.setenv("ROOTWARDEN_CONFIG", str(prepared.installed.config))
    yield prepared
    mock.patch.stopall()
    prepared.installed.stop()


def substituted(text: str, place: ExamplePlace, anchor: str) -> str:
    """An example with real ids and places in it."""
    now = datetime.now(UTC)
    times = {"now": now.isoformat(), "soon": f"{now + timedelta(days=7):%Y-%m-%d}"}
    values = place.ids | times | {"folder": str(place.folder)}
    for old, new in (*SUBSTITUTIONS, ("anchor_01J...", f"{{{anchor}}}")):
        text = text.replace(old, re.sub(r"\{(\w+)\}", lambda m: values.get(m[1], m[0]), new))
    return text


def test_every_example_is_in_the_table() -> None:
    """An example of help or manual that no case names fails here, and so does a case that no text shows any more."""
    shown = set(of_help()) | set(of_manual())
    assert sorted(shown - set(CASES) - set(NOT_RUN)) == []
    assert sorted((set(CASES) | set(NOT_RUN)) - shown) == []


def test_every_exit_code_but_0_is_explained() -> None:
    """Whoever shows an example that does not succeed says why."""
    assert [text for text, case in CASES.items() if case.code and not case.why] == []


@pytest.mark.parametrize("example", CASES)
def test_example_runs(example: str, place: ExamplePlace) -> None:
    """The example answers with its exit code, and never with a traceback or an internal error."""
    case = CASES[example]
    if case.prepare:
        PREPARATIONS[case.prepare](place)
    command = substituted(example, place, case.anchor)
    left = [word for word in re.findall(r"\S*\.\.\.\S*", command) if "..." in word]
    assert left == [], "a placeholder that nothing stands for"
    answers = case.answers.format(**place.ids) if case.answers else ""
    code, out, err = run_example(place, command, answers)
    assert code == case.code, f"{command}\nexit {code}\n{out[-2000:]}\n{err[-2000:]}"
    assert case.says in out + err
    assert "Traceback" not in out + err
    assert "internal error" not in err


def test_http_examples_run(place: ExamplePlace) -> None:
    """Each example of the HTTP API's page is answered by a running daemon, and by no problem document."""
    place.installed.start()
    for operation, examples in docs_http_api.EXAMPLES.items():
        for example in examples:
            command = substituted(example.replace("curl ", "curl --fail-with-body "), place, "valid")
            code, out, err = run_example(place, command, "")
            assert code == 0, f"{operation}: {command}\n{out[-1000:]}{err[-500:]}"
    assert Path("trust.bundle").stat().st_size > 0


def unused(names: Iterable[str]) -> list[str]:
    """Substitutions that no example needs."""
    texts = "\n".join([*CASES, *NOT_RUN, *(p.read_text() for p in sorted((ROOT / "docs").glob("*.md")))])
    return [name for name in names if name not in texts]


def test_no_substitution_is_left_over() -> None:
    """Every placeholder of the table stands in some example."""
    assert unused(old for old, _ in SUBSTITUTIONS) == []


def named_commands() -> list[tuple[str, str]]:
    """(where, command) of every command that the manual's running text and the program's own messages name."""
    found = [
        (page.name, span)
        for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
        for span in re.findall(r"`(rootwarden [^`]+)`", page.read_text())
    ]
    for package in ("trust_store", "escalation", "monitor"):
        for module in sorted((ROOT / package).rglob("*.py")):
            for span in re.findall(r"'(rootwarden [a-z][^'\n]*)'", module.read_text()):
                found.append((module.name, span))
    return found


def unknown_part(span: str) -> str | None:
    """The first command or option of a span that the program does not have."""
    command: click.Command = group
    words = span.replace("{", " ").split()[1:]
    while words:
        word = words.pop(0)
        if word == "--":
            break
        if isinstance(command, click.Group) and not word.startswith("-"):
            below = [command.get_command(click.Context(command), name) for name in word.split("|")]
            if None in below or below[0] is None:
                return word
            command = below[0]
        elif word.startswith("--"):
            known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
            option = re.split(r"[=,;.:)]", word)[0]
            if option not in known:
                return option
            if command is group and words:
                words.pop(0)
    return None


def test_every_command_that_is_named_exists() -> None:
    """Running text of the manual, and every message of the program, names commands and options that are there."""
    named = named_commands()
    assert len(named) > 50
    assert [f"{where}: {span}: {part}" for where, span in named if (part := unknown_part(span))] == []
