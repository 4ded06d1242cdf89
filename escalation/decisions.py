"""The two decisions about an alert itself: acknowledged and resolved. The daemon's control socket and the in-process way call this.

Neither makes anything trusted. ``identity`` is the person the caller proved to be; it is recorded, never taken from an argument.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from escalation.storage.rows import alert
from trust_store.errors import DecisionRefusedError
from trust_store.model.identifiers import format_time
from trust_store.storage.connection import transaction
from trust_store.terminal import safe

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from datetime import datetime

COMMANDS = ("alert.acknowledge", "alert.resolve")
MAX_NOTE = 500


def perform(
    connection: sqlite3.Connection,
    command: str,
    arguments: dict[str, Any],
    *,
    identity: str,
    at: datetime,
    randomness: Callable[[int], bytes],  # noqa: ARG001 - one shape for all packages' decisions
) -> dict[str, Any]:
    """Carry out ``command``; return the alert's id and status. Raises DecisionRefusedError and AlertNotFoundError.

    ``alert.acknowledge``: ``alert``. ``alert.resolve``: ``alert``, ``because`` (why the matter is settled, required).
    """
    if not identity:
        raise DecisionRefusedError("only an identified person decides about an alert")
    allowed = {"alert.acknowledge": {"alert"}, "alert.resolve": {"alert", "because"}}.get(command)
    if allowed is None:
        raise DecisionRefusedError(f"unknown command {safe(command, 40)!r}")
    if unknown := set(arguments) - allowed:
        raise DecisionRefusedError(f"unknown argument {safe(str(min(unknown)), 40)!r} of {command}")
    alert_id = _text(arguments, "alert")
    with transaction(connection):
        found = alert(connection, alert_id)
        if found.status.value == "resolved":
            raise DecisionRefusedError(f"{alert_id} is resolved already: {found.resolution}")
        if command == "alert.acknowledge":
            connection.execute(
                "UPDATE alert SET status = 'acknowledged', acknowledged_at = ?, acknowledged_by = ?, updated_at = ?"
                " WHERE id = ?",
                [format_time(at), identity, format_time(at), alert_id],
            )
            return {"alert": alert_id, "status": "acknowledged", "by": identity}
        resolution = f"{identity}: {_text(arguments, 'because')}"
        connection.execute(
            "UPDATE alert SET status = 'resolved', resolved_at = ?, updated_at = ?, resolution = ? WHERE id = ?",
            [format_time(at), format_time(at), resolution, alert_id],
        )
        return {"alert": alert_id, "status": "resolved", "by": identity}


def _text(arguments: dict[str, Any], name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str) or not value.strip():
        raise DecisionRefusedError(f"{name!r} must be given")
    return safe(value.strip(), MAX_NOTE)
