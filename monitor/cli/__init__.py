"""The ``rootwarden`` command: one group that mounts the commands of all three packages by name, importing each only when asked."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trust_store.errors import TrustStoreError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from trust_store.query import EvidenceSource

DEFAULT_CONFIG = Path("/etc/rootwarden/rootwarden.toml")
GARBAGE_THRESHOLD = 20_000
"""New objects between two looks for garbage: most of what a start makes is there to stay, and looking costs a short command dear."""
COMMANDS: dict[str, str] = {
    "alert": "escalation.cli.alert",
    "analyse": "monitor.cli.analyse",
    "anchor": "trust_store.cli.anchor",
    "audit": "trust_store.cli.audit",
    "baseline": "trust_store.cli.baseline",
    "bundle": "trust_store.cli.bundle",
    "check": "trust_store.cli.check",
    "config": "monitor.cli.config",
    "demo": "monitor.cli.demo",
    "doctor": "monitor.cli.doctor",
    "gate": "trust_store.cli.gate",
    "init": "monitor.cli.init",
    "package": "trust_store.cli.package",
    "path": "trust_store.cli.path",
    "poll": "monitor.cli.poll",
    "ratchet": "trust_store.cli.ratchet",
    "run": "monitor.cli.run",
    "script": "escalation.cli.script",
    "source": "monitor.cli.source",
}
"""Command -> module; the module's ``command`` is the click command or group."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """What every command gets as ``click.get_current_context().obj``: where the configuration is, the clock, randomness.

    ``evidence`` makes, of an open store, the source of what vendor channels said; the packages below know only its protocol.
    """

    config: Path
    now: Callable[[], datetime]
    randomness: Callable[[int], bytes]
    evidence: Callable[[sqlite3.Connection], EvidenceSource | None] | None = None


class LazyGroup(click.Group):
    """A group whose commands are imported by name, so that ``check`` pays for no other command."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Every command, alphabetically."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name]).command
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; an interrupt is an abort here already, since click would print an empty line for it."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise click.Abort from None


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), default=DEFAULT_CONFIG, show_default=True,
    envvar="ROOTWARDEN_CONFIG", show_envvar=True, help="Configuration file; vendors.d/*.toml beside it.",
)  # fmt: skip
@click.version_option(package_name="rootwarden")
@click.pass_context
def group(ctx: click.Context, config: Path) -> None:
    """Who signed this upgrade, does its key chain to a root we trust, and whom do we call if not?

    \b
    Examples:
      rootwarden check --vendor dten Full-upgrade-package-dten.zip
      rootwarden alert list
      rootwarden doctor
    """
    ctx.obj = Invocation(config, lambda: datetime.now(UTC), os.urandom, _evidence)


def _evidence(connection: sqlite3.Connection) -> EvidenceSource | None:
    from monitor.storage.shown_evidence import shown_evidence

    return shown_evidence(connection)


def program() -> None:
    """``main`` as the installed command, which has its process to itself."""
    gc.set_threshold(GARBAGE_THRESHOLD)
    try:
        main()
    finally:
        gc.freeze()  # the process ends: to look for garbage in all of it once more would take a tenth of a short command's time


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit with its documented code: an error is one line on stderr and 2 or 4, never 1."""
    os.environ.pop("RUST_BACKTRACE", None)
    code = 4
    with contextlib.suppress(OSError):  # standard error that takes nothing does not change what the code says
        code = _run(arguments)
    if code == 1:
        code = 4
    try:
        if sys.stdout is not None:  # closed by the caller: a command that had something to say ended with 4 already
            sys.stdout.flush()
    except (OSError, ValueError):
        code = 4
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except (OSError, ValueError):  # else the interpreter would try once more at its end, and exit 120
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.exit(code)


def _run(arguments: list[str] | None) -> int:
    try:
        result = group.main(args=arguments, prog_name="rootwarden", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.UsageError as error:
        with contextlib.suppress(OSError):
            error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        return _told("interrupted", 4)
    except TrustStoreError as error:
        return _told(f"rootwarden: {error.diagnostics()}", error.exit_code)
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - the last line of defence; a panic of a Rust library is no Exception
        return _told(f"rootwarden: internal error: {type(error).__name__}: {str(error)[:500]!r}", 4)
    return result if isinstance(result, int) else 0


def _told(line: str, code: int) -> int:
    """One line on standard error, as far as it takes one."""
    with contextlib.suppress(OSError):
        click.echo(line, err=True)
    return code
