"""Has a decision about an alert made: by the daemon over its control socket, else in process under the writer's lock."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import click

from escalation import decisions
from escalation.cli.reading import settings_of
from escalation.storage.schema import MIGRATIONS
from trust_store import client
from trust_store.errors import DaemonUnavailableError, DecisionRefusedError, StoreUnavailableError
from trust_store.policy_approval import person_deciding
from trust_store.storage.connection import connect
from trust_store.storage.migrations import require_schema
from trust_store.storage.schema import MIGRATIONS as TRUST_MIGRATIONS

if TYPE_CHECKING:
    from trust_store.settings import TrustSettings


def decide(command: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The daemon's answer, or our own where none runs; raises DecisionRefusedError, StoreUnavailableError and others."""
    settings = settings_of()
    try:
        return client.request(settings.control.socket, command, arguments, client.REQUEST_TIMEOUT_SECONDS)
    except DaemonUnavailableError:
        # A daemon that runs but does not answer holds the lock, so nothing is done behind its back.
        return _in_process(settings, command, arguments)


def _in_process(settings: TrustSettings, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Decide as the effective uid, which must own the store and be named in ``[approvers]``."""
    invocation, uid, database = click.get_current_context().obj, os.geteuid(), settings.store.database
    try:
        owner = database.stat().st_uid
    except OSError as error:
        raise StoreUnavailableError(f"cannot open the store {database}: {error.strerror}") from error
    if owner != uid:
        raise DecisionRefusedError(f"uid {uid} does not own {database} and no daemon answers: start the daemon")
    with client.exclusive(settings.store.lock), contextlib.closing(connect(database)) as connection:
        require_schema(connection, (TRUST_MIGRATIONS, MIGRATIONS))
        person = person_deciding(connection, settings.approvers, f"uid:{uid}", settings.file)
        return decisions.perform(
            connection, command, arguments, identity=person, at=invocation.now(), randomness=invocation.randomness
        )
