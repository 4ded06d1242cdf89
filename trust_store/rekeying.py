"""Replaces an instance key that was lost: only then, only over a log that the lost key had signed, and on record.

A key that is still there is never replaced here, and a log with a changed row is never adopted: both are incidents.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from trust_store import audit, instance_key
from trust_store.errors import DecisionRefusedError, StoreInconsistentError, StoreUnavailableError
from trust_store.storage.connection import transaction
from trust_store.storage.fact_signatures import sign_again
from trust_store.storage.head import signed_by, start_rekeyed_head

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime
    from pathlib import Path


def rekey(
    connection: sqlite3.Connection,
    database: Path,
    *,
    identity: str,
    reason: str,
    at: datetime,
    former: str | None = None,
) -> str:
    """Give the store a new instance key and return its public half in hex; the caller holds the writer's lock.

    ``former`` is the public half of the lost key in hex, needed where ``instance.pub`` is lost too. Raises DecisionRefusedError
    where the key is not lost or no reason is given, StoreInconsistentError where the lost key did not sign this log, or a fact set.
    Fact sets are signed again, one verification and one write each.
    """
    if not reason.strip():
        raise DecisionRefusedError("say why the key is replaced: --reason TEXT")
    audit.verify(connection, signed=False)
    waiting = instance_key.next_key(database)
    if waiting is not None and signed_by(connection, waiting.public):
        return instance_key.promote_next(database).public  # the last attempt was cut off after its commit
    if _usable(database):
        raise DecisionRefusedError(
            f"{database.with_name(instance_key.KEY_NAME)} is there and can be used; a key is replaced only when it is lost"
        )
    lost = _former(database, former)
    if not signed_by(connection, lost):
        raise StoreInconsistentError(
            "the log was not signed by the lost key, so it was changed by somebody else: restore a backup, do not rekey"
        )
    key = instance_key.create_next(database)
    body = {"former_key": lost, "key": key.public, "reason": reason.strip()[:1000]}
    with transaction(connection):
        start_rekeyed_head(connection, key)
        sign_again(connection, lost, key)
        audit.append(connection, audit.REKEYED, identity, "instance", body, at)
    return instance_key.promote_next(database).public


def _usable(database: Path) -> bool:
    try:
        instance_key.private_key(database)
    except (StoreInconsistentError, StoreUnavailableError):
        return False
    return True


def _former(database: Path, said: str | None) -> str:
    """The public half of the lost key: that of the file, which a stated one must equal."""
    kept: str | None = said
    with contextlib.suppress(StoreInconsistentError):
        kept = instance_key.public_key(database)
    if kept is None:
        raise DecisionRefusedError(
            f"{database.with_name(instance_key.PUBLIC_NAME)} is missing too: restore it, or name the public half with --former-key; "
            "a client's memory of the store ends with it"
        )
    if said is not None and said != kept:
        raise DecisionRefusedError(f"--former-key is not what {database.with_name(instance_key.PUBLIC_NAME)} says")
    return kept
