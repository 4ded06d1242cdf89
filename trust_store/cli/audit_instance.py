"""``rootwarden audit rekey`` and ``accept-restored``: what an operator says after the key was lost, or a backup was restored."""

from __future__ import annotations

import json
import os
from contextlib import closing
from typing import TYPE_CHECKING

import click

from trust_store import audit, checkpoints, client_memory
from trust_store.errors import DecisionRefusedError, StoreInconsistentError, UsageError
from trust_store.query import snapshot
from trust_store.remembered import memory_folder
from trust_store.settings import load_trust_settings
from trust_store.storage.connection import connect, owner_of
from trust_store.storage.migrations import require_schema
from trust_store.storage.schema import MIGRATIONS

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime
    from pathlib import Path


@click.command("accept-restored")
@click.option(
    "--revision", type=click.IntRange(min=0), required=True, help="The revision that the restored store is at."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def accept_restored(revision: int, *, as_json: bool) -> int:
    """Take a store as it is now, although it is older than what this user has seen of it, or signed by another key.

    For after a backup was restored, or the instance key replaced, on purpose. The whole log is verified first. Run as the store's
    owner, with the daemon stopped, it also replaces the checkpoint beside the database. Decisions made since are gone.

    \b
    Examples:
      rootwarden audit accept-restored --revision 12
    """
    from trust_store.client import exclusive

    invocation = click.get_current_context().obj
    settings = load_trust_settings(invocation.config)
    database = settings.store.database
    with closing(connect(database, read_only=True)) as connection, snapshot(connection):
        require_schema(connection, (MIGRATIONS,))
        newest = audit.verify(connection)
        if newest.revision != revision:
            raise UsageError(
                f"the store is at revision {newest.revision}, not {revision}: look again at what was restored"
            )
        remembered = client_memory.accept(connection, memory_folder())
    beside = database.with_name(checkpoints.CHECKPOINT_NAME)
    replaced = False
    if owner_of(database) == os.geteuid():
        with exclusive(settings.store.lock), closing(connect(database)) as connection:
            replaced = _replace_checkpoint(connection, beside, invocation.now())
    if as_json:
        click.echo(json.dumps({"revision": revision, "remembered": remembered is not None, "checkpoint": replaced}))
        return 0
    click.echo(
        f"revision {revision} "
        + ("is remembered" if remembered else "is accepted; this user keeps no memory of stores")
    )
    if replaced:
        click.echo(f"{beside} was replaced")
    return 0


@click.command("rekey")
@click.option("--reason", required=True, metavar="TEXT", help="Why: it goes on record.")
@click.option("--former-key", metavar="HEX", help="The lost key's public half, where instance.pub is lost too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def rekey_command(reason: str, former_key: str | None, *, as_json: bool) -> int:
    """Replace an instance key that was lost. It needs an approver who owns the store, goes on record, and the daemon alerts about it.

    Refused while the key is there, and over a log that the lost key did not sign. Every client then has to be told once:
    rootwarden audit accept-restored.

    \b
    Examples:
      rootwarden audit rekey --reason "disk failure, the backup had no instance.key (SEC-77)"
    """
    from trust_store.client import exclusive
    from trust_store.policy_approval import person_deciding
    from trust_store.rekeying import rekey

    invocation = click.get_current_context().obj
    settings = load_trust_settings(invocation.config)
    database, uid = settings.store.database, os.geteuid()
    if owner_of(database) != uid:
        raise DecisionRefusedError(f"uid {uid} does not own {database}: a key is replaced by the store's owner")
    with exclusive(settings.store.lock), closing(connect(database)) as connection:
        require_schema(connection, (MIGRATIONS,))
        person = person_deciding(connection, settings.approvers, f"uid:{uid}", settings.file)
        made = rekey(
            connection, database, identity=person, reason=reason, at=invocation.now(), former=former_key
        )  # fmt: skip
    if as_json:
        click.echo(json.dumps({"outcome": "rekeyed", "key": made}))
        return 0
    click.echo(f"the instance key was replaced, its public half is {made}")
    click.echo("tell each client once: rootwarden audit accept-restored --revision N")
    return 0


def _replace_checkpoint(connection: sqlite3.Connection, beside: Path, at: datetime) -> bool:
    """Write the checkpoint anew where the one that is there no longer fits; whether it was."""
    try:
        checkpoints.require_checkpoint(connection, checkpoints.read_checkpoint(beside))
    except StoreInconsistentError:
        made = checkpoints.checkpoint(connection, at)
        if made is None:
            beside.unlink(missing_ok=True)
        else:
            checkpoints.write_checkpoint(beside, made)
        return True
    return False
