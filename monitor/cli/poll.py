"""``rootwarden poll``: reads vendor channels now, through the daemon where one runs."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from trust_store.errors import UsageError
from trust_store.terminal import safe

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from typing import TypeVar

    from monitor.cli import Invocation
    from monitor.config import MonitorSettings, Source
    from monitor.pipeline import PollOutcome

    T = TypeVar("T")

DAEMON_SECONDS = 900.0


@click.command()
@click.option("--source", "name", metavar="NAME", help="Only this source; 'rootwarden source list' names them.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object {sources: [...]} instead of text.")
@click.pass_obj
def command(invocation: Invocation, *, name: str | None, as_json: bool) -> int:
    """Read every vendor channel now, whether due or not: new posts and entries, claims, keys (as pending proposals).

    Exit 0 if every source answered, 4 if one failed.

    \b
    Examples:
      rootwarden poll
      rootwarden poll --source forum --json | jq '.sources[].proposals'
    """
    from monitor.config import load_monitor_settings
    from trust_store import client
    from trust_store.storage.writer_lock import WriterBusyError

    settings = load_monitor_settings(invocation.config.absolute())
    chosen = choose(settings, name)
    try:
        outcomes = _poll_here(settings, chosen, invocation)
    except WriterBusyError:
        arguments = {"source": name} if name else {}
        answer = client.request(settings.trust.control.socket, "poll", arguments, DAEMON_SECONDS)
        found = answer.get("sources")
        outcomes = [o for o in found if isinstance(o, dict)] if isinstance(found, list) else []
    if as_json:
        click.echo(json.dumps({"sources": outcomes}))
    else:
        for outcome in outcomes:
            click.echo(outcome_line(outcome))
        if not outcomes:
            click.echo("no sources: add [[source]] to a vendor file", err=True)
    return 4 if any(o.get("status") == "failed" for o in outcomes) else 0


def choose(settings: MonitorSettings, name: str | None) -> tuple[Source, ...]:
    """The source of that name, or all; raises UsageError with the nearest name."""
    if name is None:
        return settings.sources
    source = settings.source(name)
    if source is None:
        import difflib

        near = difflib.get_close_matches(name, [s.name for s in settings.sources], n=1, cutoff=0.3)
        hint = f"did you mean {near[0]!r}?" if near else "'rootwarden source list' names them"
        raise UsageError(f"no source {safe(name, 100)!r}: {hint}")
    return (source,)


def outcome_line(outcome: dict[str, Any]) -> str:
    """One outcome on a line, and a line for each problem."""
    proposals = outcome.get("proposals")
    counts = [
        (outcome.get("new_versions"), "new or changed"),
        (outcome.get("removed"), "removed"),
        (outcome.get("claims"), "claims"),
        (outcome.get("key_files"), "key files"),
        (len(proposals) if isinstance(proposals, list) else 0, "keys proposed"),
    ]
    said = ", ".join(f"{count} {what}" for count, what in counts if count)
    line = f"{safe(str(outcome.get('status')), 20):10} {safe(str(outcome.get('source')), 120)}" + (
        f": {said}" if said else ""
    )
    problems = outcome.get("problems")
    return (
        "\n".join([line, *(f"           {safe(str(p), 400)}" for p in problems)])
        if isinstance(problems, list)
        else line
    )


def _poll_here(settings: MonitorSettings, sources: tuple[Source, ...], invocation: Invocation) -> list[dict[str, Any]]:
    """Poll in this process, as the only writer; raises WriterBusyError where the daemon writes."""
    from monitor.schema import MIGRATION_SETS
    from trust_store import audit, checkpoints
    from trust_store.storage.connection import StoreClosedError, connect, owner_of
    from trust_store.storage.migrations import require_schema
    from trust_store.storage.writer_lock import WriterBusyError, writer_lock

    database = settings.trust.store.database
    try:
        owner = owner_of(database)
    except StoreClosedError as error:
        raise WriterBusyError(str(error)) from error
    if owner != os.geteuid():
        # Somebody else's store: files written by us would shut its owner out, so only the daemon may be asked.
        raise WriterBusyError(f"uid {os.geteuid()} does not own {database}: start the daemon")
    with writer_lock(settings.trust.store.lock), closing(connect(database)) as connection:
        require_schema(connection, MIGRATION_SETS)
        checkpoint_file = database.with_name(checkpoints.CHECKPOINT_NAME)
        checkpoint = checkpoints.read_checkpoint(checkpoint_file)
        audit.verify(connection)
        checkpoints.require_checkpoint(connection, checkpoint)
        try:
            return [o.to_dict() for o in asyncio.run(_poll(settings, sources, connection, invocation))]
        finally:
            checkpoints.keep_checkpoint(connection, checkpoint_file, invocation.now())


async def _poll(
    settings: MonitorSettings, sources: tuple[Source, ...], connection: sqlite3.Connection, invocation: Invocation
) -> tuple[PollOutcome, ...]:
    from importlib.metadata import version

    from rich.console import Console
    from rich.progress import Progress

    from monitor.fetch.http import HTTPFetcher
    from monitor.pipeline import poll_due

    async def run(function: Callable[[sqlite3.Connection], T]) -> T:
        return function(connection)

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task("reading vendor channels", total=len(sources))
        async with HTTPFetcher(settings.polling, version=version("rootwarden")) as fetcher:
            return await poll_due(
                sources,
                fetcher=fetcher,
                storage_run=run,
                settings=settings,
                now=invocation.now,
                randomness=invocation.randomness,
                force=True,
                done=lambda _: progress.advance(bar),
            )
