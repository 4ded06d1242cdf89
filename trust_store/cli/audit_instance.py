"""``rootwarden audit rekey`` and ``accept-restored``: what an operator says after the key was lost, or a backup was restored."""

from __future__ import annotations

import json
import os
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import click

from trust_store import audit, checkpoints, client_memory, instance_key
from trust_store.errors import DecisionRefusedError, StoreInconsistentError, UsageError
from trust_store.query import snapshot
from trust_store.remembered import memory_folder
from trust_store.settings import load_trust_settings
from trust_store.storage.connection import connect, owner_of
from trust_store.storage.migrations import require_schema
from trust_store.storage.schema import MIGRATIONS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from trust_store.settings import TrustSettings


@click.command("accept-restored")
@click.option(
    "--revision", type=click.IntRange(min=0), required=True, help="The revision that the restored store is at."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def accept_restored(revision: int, *, as_json: bool) -> int:
    """Take a store as it is now, although it is older than what this user has seen of it, or signed by another key.

    For after a backup was restored, or the instance key replaced, on purpose. The whole log is verified first. Run as root or the
    store's owner, with the daemon stopped, it also replaces the checkpoint beside the database. Decisions made since are gone.

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
    if os.geteuid() in (0, owner_of(database)):
        with _as_owner(database), exclusive(settings.store.lock), closing(connect(database)) as connection:
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
    """Replace an instance key that was lost: as root or the store's owner, with the daemon stopped. It trusts no key of a vendor.

    Whoever has the store's files could put another key there unseen; so it goes on record under that user (as the approver where
    [approvers] names one), and the daemon alerts about it. Refused while the key is there, and over a log that the lost key did not
    sign. Every client then has to be told once: rootwarden audit accept-restored.

    \b
    Examples:
      rootwarden audit rekey --reason "disk failure, the backup had no instance.key (SEC-77)"
    """
    from trust_store.client import exclusive
    from trust_store.rekeying import rekey

    invocation = click.get_current_context().obj
    settings = load_trust_settings(invocation.config)
    database, uid = settings.store.database, os.geteuid()
    if uid not in (0, owner_of(database)):
        raise DecisionRefusedError(f"uid {uid} does not own {database}: a key is replaced by root or the store's owner")
    if handed_key(settings).exists():
        raise DecisionRefusedError(
            f"{handed_key(settings)} is there, which systemd hands to the daemon; a key is replaced only when it is lost "
            "(take the file away where it cannot be used)"
        )
    with _as_owner(database), exclusive(settings.store.lock), closing(connect(database)) as connection:
        require_schema(connection, (MIGRATIONS,))
        made = rekey(
            connection, database, identity=_who(connection, settings, uid), reason=reason, at=invocation.now(), former=former_key
        )  # fmt: skip
    if as_json:
        click.echo(json.dumps({"outcome": "rekeyed", "key": made}))
        return 0
    click.echo(f"the instance key was replaced, its public half is {made}")
    click.echo("tell each client once: rootwarden audit accept-restored --revision N")
    return 0


def handed_key(settings: TrustSettings) -> Path:
    """Where the key is kept if not beside the database: in the folder whose files the unit hands over as credentials."""
    return settings.file.absolute().parent / "credentials" / instance_key.CREDENTIALS[0]


def _who(connection: sqlite3.Connection, settings: TrustSettings, uid: int) -> str:
    """The approver that this user decides as, else the user itself: not a decision about trust, it need not be an approver's."""
    from trust_store.policy_approval import person_deciding

    try:
        return person_deciding(connection, settings.approvers, f"uid:{uid}", settings.file)
    except DecisionRefusedError:
        return f"uid:{uid}"


@contextmanager
def _as_owner(database: Path) -> Iterator[None]:
    """Root writes as the store's owner: what it made in its own name the daemon could not open."""
    owner = database.stat()
    if os.geteuid() == owner.st_uid:
        yield
        return
    groups, group = os.getgroups(), os.getegid()
    os.setgroups([])
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


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
