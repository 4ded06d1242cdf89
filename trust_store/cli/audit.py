"""``rootwarden audit``: the log of every decision, and the proof that nothing in it or derived from it was changed."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from trust_store import audit, checkpoints, client_memory
from trust_store.anchor_rules import disclosed
from trust_store.cli.audit_instance import accept_restored, rekey_command
from trust_store.cli.files import read_capped
from trust_store.errors import MalformedError, StoreInconsistentError, StoreUnavailableError, UsageError
from trust_store.model.trust_anchor import AnchorState
from trust_store.query import snapshot
from trust_store.remembered import memory_folder
from trust_store.settings import load_trust_settings
from trust_store.storage.anchors import current_of
from trust_store.storage.connection import connect
from trust_store.storage.fact_signatures import require_all
from trust_store.storage.migrations import require_schema
from trust_store.storage.schema import MIGRATIONS
from trust_store.terminal import safe

if TYPE_CHECKING:
    import sqlite3

    from trust_store.checkpoints import Checkpoint
    from trust_store.model.trust_anchor import TrustAnchor

JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def command() -> None:
    """The hash-chained, signed log of decisions.

    \b
    Examples:
      rootwarden audit verify
      rootwarden audit show --limit 20
      rootwarden audit checkpoint >> /mnt/elsewhere/checkpoints
    """


@command.command()
@click.option(
    "--checkpoint", "given", multiple=True, metavar="FILE|LINE",
    help="Also check every checkpoint in this file (a mail, an export of the journal), or this line.",
)  # fmt: skip
@JSON_OPTION
def verify(given: tuple[str, ...], *, as_json: bool) -> int:
    """Walk the whole log, verify who signed it and compare the tables with it; exit 4 and the name of the first bad row otherwise.

    The facts read from packages are in no log; the signature of each is verified too, at 0.1 ms a fact set (a million take minutes).

    \b
    Examples:
      rootwarden audit verify
      rootwarden audit verify --json
      journalctl -u rootwarden -o cat > journal.txt; rootwarden audit verify --checkpoint journal.txt
    """
    settings = load_trust_settings(click.get_current_context().obj.config)
    database, folder = settings.store.database, memory_folder()
    outside = [said for text in given for said in _given(text)]
    kept = checkpoints.read_checkpoint(database.with_name(checkpoints.CHECKPOINT_NAME))
    with closing(connect(database, read_only=True)) as connection:
        with snapshot(connection):
            require_schema(connection, (MIGRATIONS,))
            known = client_memory.recall(connection, folder)
        with snapshot(connection):
            newest = audit.verify(connection)
            for said in (kept, *outside):
                checkpoints.require_checkpoint(connection, said)
            client_memory.require_not_older(connection, folder, known)
            facts = require_all(connection, told=_tell_progress)
    if as_json:
        answer = {"ok": True, "entries": newest.seq, "head": newest.hash, "revision": newest.revision}
        answer["fact_sets"] = facts
        seen = {"checkpoint": kept.head.seq if kept else None, "checkpoints": len(outside)}
        click.echo(json.dumps({**answer, **seen}))
        return 0
    beside = f", outside checkpoint at {kept.head.seq}" if kept else ", no outside checkpoint"
    more = f", {facts} fact set(s) signed"
    more += f", {len(outside)} given checkpoint(s) contained" if outside else ""
    click.echo(f"audit log intact: {newest.seq} entries, head {newest.hash}{beside}{more}")
    return 0


@command.command()
@JSON_OPTION
def checkpoint(*, as_json: bool) -> int:
    """Print one signed line about the log as it is, to be kept where nobody who writes to this machine reaches it.

    \b
    Examples:
      rootwarden audit checkpoint >> /mnt/elsewhere/checkpoints
      rootwarden audit checkpoint --json | jq -r .line
    """
    invocation = click.get_current_context().obj
    database = load_trust_settings(invocation.config).store.database
    with closing(connect(database, read_only=True)) as connection, snapshot(connection):
        require_schema(connection, (MIGRATIONS,))
        newest = audit.require_signed_head(connection)
        try:
            made = checkpoints.checkpoint(connection, invocation.now())
        except (StoreInconsistentError, StoreUnavailableError):
            # The private key is the daemon's alone: what it wrote last serves, if it is about this very log.
            made = checkpoints.read_checkpoint(database.with_name(checkpoints.CHECKPOINT_NAME))
            if made is None or made.head != newest:
                raise
            checkpoints.require_checkpoint(connection, made)
    if made is None:
        raise UsageError("the log is empty: there is nothing to hold on to yet")
    click.echo(json.dumps(_checkpoint_dict(made)) if as_json else made.line)
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
        rows = audit.entries(connection, after=start, limit=limit)
        pending = _pending(connection, {str(row["subject"]) for row in rows})
        entries = [_to_dict(row, pending.get(row["subject"])) for row in rows]
        for entry in entries:
            click.echo(json.dumps(entry) if as_json else _entry_line(entry))
        # Whoever looks into a forged log is to see it, and to be told that it is one.
        audit.require_signed_head(connection)
    return 0


command.add_command(accept_restored)
command.add_command(rekey_command)


def _tell_progress(done: int, of: int) -> None:
    """Many fact sets take a while: how far it is goes to standard error."""
    click.echo(f"{done} of {of} fact sets checked", err=True)


def _entry_line(entry: dict[str, Any]) -> str:
    body = safe(json.dumps(entry["body"], ensure_ascii=False, sort_keys=True), 400)
    head = f"{entry['seq']:>6}  {entry['recorded_at']}  {safe(entry['kind'], 40):<28}"
    return f"{head} {safe(entry['actor'], 40):<16} {safe(entry['subject'], 60)}  {body}"


def _given(text: str) -> tuple[Checkpoint, ...]:
    """The checkpoints that an option names: a line itself, or a file with any number of them."""
    try:
        if not text.lstrip().startswith("rootwarden-checkpoint/"):
            text = read_capped(text, checkpoints.MAX_TEXT_BYTES).decode("utf-8", "replace")
        return checkpoints.parse_all(text)
    except UsageError as error:
        raise UsageError(f"--checkpoint: {error}") from error
    except MalformedError as error:
        raise UsageError(f"--checkpoint: {error}") from error


def _checkpoint_dict(said: Checkpoint) -> dict[str, Any]:
    return {
        "line": said.line,
        "store": said.store,
        "entries": said.head.seq,
        "head": said.head.hash,
        "revision": said.head.revision,
    }


def _pending(connection: sqlite3.Connection, subjects: set[str]) -> dict[str, TrustAnchor]:
    """Of the anchors that entries are about, those whose key awaits decision; none from a store whose rows were changed."""
    try:
        found = current_of(connection, (s for s in subjects if s.startswith("anchor_")))
    except StoreInconsistentError:
        return {}  # the log itself is to be seen then: what is wrong with it is told at the end
    return {s.anchor.id: s.anchor for s in found if s.anchor.state is AnchorState.PENDING}


def _to_dict(row: sqlite3.Row, pending: TrustAnchor | None) -> dict[str, Any]:
    """An entry as JSON; it holds no fingerprint of a key that awaits decision, whatever people wrote beside their calls."""
    body = json.loads(row["body"])
    if pending is not None:
        body = {key: disclosed(pending, said) if isinstance(said, str) else said for key, said in body.items()}
    return {
        "seq": row["seq"],
        "recorded_at": row["recorded_at"],
        "kind": row["kind"],
        "actor": row["actor"],
        "subject": row["subject"],
        "body": body,
        "previous_hash": row["previous_hash"],
        "hash": row["hash"],
    }
