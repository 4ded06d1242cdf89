"""``rootwarden audit``: the log of every decision, and the proof that nothing in it or derived from it was changed."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from trust_store import audit, checkpoints
from trust_store.query import snapshot
from trust_store.settings import load_trust_settings
from trust_store.storage.connection import connect
from trust_store.storage.migrations import require_schema
from trust_store.storage.schema import MIGRATIONS
from trust_store.terminal import safe

if TYPE_CHECKING:
    import sqlite3

JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def command() -> None:
    """The hash-chained log of decisions.

    \b
    Examples:
      rootwarden audit verify
      rootwarden audit show --limit 20
    """


@command.command()
@JSON_OPTION
def verify(*, as_json: bool) -> int:
    """Walk the whole log and compare the tables with it; exit 4 and the name of the first bad row if anything differs.

    \b
    Examples:
      rootwarden audit verify
      rootwarden audit verify --json
    """
    settings = load_trust_settings(click.get_current_context().obj.config)
    checkpoint = checkpoints.read_checkpoint(settings.store.database.with_name(checkpoints.CHECKPOINT_NAME))
    with closing(connect(settings.store.database, read_only=True)) as connection, snapshot(connection):
        require_schema(connection, (MIGRATIONS,))
        newest = audit.verify(connection)
        checkpoints.require_checkpoint(connection, checkpoint)
    if as_json:
        seen = checkpoint.head.seq if checkpoint else None
        click.echo(json.dumps({"ok": True, "entries": newest.seq, "head": newest.hash, "checkpoint": seen}))
    else:
        outside = f", outside checkpoint at {checkpoint.head.seq}" if checkpoint else ", no outside checkpoint"
        click.echo(f"audit log intact: {newest.seq} entries, head {newest.hash}{outside}")
    return 0


@command.command()
@click.option("--after", type=click.IntRange(min=0), help="Only entries later than this number.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="At most so many.")
@JSON_OPTION
def show(after: int | None, limit: int, *, as_json: bool) -> int:
    """Show entries, the oldest first; the newest ones where --after is not said.

    \b
    Examples:
      rootwarden audit show --limit 20
      rootwarden audit show --after 100 --json
    """
    settings = load_trust_settings(click.get_current_context().obj.config)
    with closing(connect(settings.store.database, read_only=True)) as connection, snapshot(connection):
        require_schema(connection, (MIGRATIONS,))
        start = max(0, audit.head(connection).seq - limit) if after is None else after
        entries = [_to_dict(row) for row in audit.entries(connection, after=start, limit=limit)]
    if as_json:
        for entry in entries:
            click.echo(json.dumps(entry))
        return 0
    for entry in entries:
        body = safe(json.dumps(entry["body"], ensure_ascii=False, sort_keys=True), 400)
        head = f"{entry['seq']:>6}  {entry['recorded_at']}  {safe(entry['kind'], 40):<28}"
        click.echo(f"{head} {safe(entry['actor'], 40):<16} {safe(entry['subject'], 60)}  {body}")
    return 0


def _to_dict(row: sqlite3.Row) -> dict[str, Any]:
    """An entry as JSON; it holds no fingerprint of a key."""
    return {
        "seq": row["seq"],
        "recorded_at": row["recorded_at"],
        "kind": row["kind"],
        "actor": row["actor"],
        "subject": row["subject"],
        "body": json.loads(row["body"]),
        "previous_hash": row["previous_hash"],
        "hash": row["hash"],
    }
