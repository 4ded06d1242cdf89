"""``rootwarden alert``: what is open, what it is about, and saying that one has it or that it is settled."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from escalation.cli.reading import open_store
from escalation.model import Alert, AlertStatus, Delivery
from escalation.storage import rows
from trust_store.model.identifiers import format_time
from trust_store.terminal import safe

if TYPE_CHECKING:
    from datetime import datetime


@click.group(name="alert")
def command() -> None:
    """Alerts: list, show, acknowledge, resolve.

    \b
    Examples:
      rootwarden alert list
      rootwarden alert show alert_01J...
      rootwarden alert acknowledge alert_01J...
      rootwarden alert resolve alert_01J... --because "vendor re-issued the package, case 4711"
    """


@command.command("list")
@click.option("--all", "everything", is_flag=True, help="Resolved ones too.")
@click.option(
    "--limit", default=200, show_default=True, type=click.IntRange(1, 10_000), help="At most that many of each status."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_alerts(*, everything: bool, limit: int, as_json: bool) -> int:
    """List the alerts that are not resolved, newest first.

    \b
    Examples:
      rootwarden alert list
      rootwarden alert list --all --json
    """
    with open_store() as connection:
        found = rows.alerts(connection, limit=limit)
        if everything:
            found += rows.alerts(connection, status=AlertStatus.RESOLVED, limit=limit)
    for alert in found:
        if as_json:
            click.echo(json.dumps(alert_to_dict(alert)))
        else:
            times = f" (seen {alert.repeat_count + 1} times)" if alert.repeat_count else ""
            click.echo(
                f"{alert.id}  {alert.status:<12}  {alert.severity:<8}  {format_time(alert.opened_at)[:19]}Z  "
                f"{safe(alert.title, 200)}{times}"
            )
    if not found and not as_json:
        click.echo("No open alerts.", err=True)
    return 0


@command.command("show")
@click.argument("alert_id", metavar="ALERT")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(alert_id: str, *, as_json: bool) -> int:
    """Show one alert and how its deliveries stand.

    \b
    Examples:
      rootwarden alert show alert_01J...
    """
    with open_store() as connection:
        alert = rows.alert(connection, alert_id)
        sent = rows.deliveries(connection, alert_id)
    if as_json:
        click.echo(json.dumps({**alert_to_dict(alert), "deliveries": [_delivery(d) for d in sent]}))
        return 0
    click.echo(f"{safe(alert.title, 400)}\n{safe(alert.summary, 1000)}")
    for line in alert.lines:
        click.echo(f"- {safe(line, 500)}")
    click.echo(f"{alert.id}: {alert.status}, {alert.severity}, opened {format_time(alert.opened_at)}")
    if alert.acknowledged_by:
        click.echo(f"acknowledged by {safe(alert.acknowledged_by, 100)}")
    if alert.resolution:
        click.echo(f"resolved: {safe(alert.resolution, 600)}")
    for delivery in sent:
        error = f": {safe(delivery.last_error, 300)}" if delivery.last_error else ""
        click.echo(f"{delivery.channel}: {delivery.state}, {delivery.attempts} failed attempts{error}")
    click.echo(f"The call sheet: rootwarden script show {alert.id} --sheet")
    return 0


@command.command("acknowledge")
@click.argument("alert_id", metavar="ALERT")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def acknowledge(alert_id: str, *, as_json: bool) -> int:
    """Say that you have it. The alert stays unresolved.

    \b
    Examples:
      rootwarden alert acknowledge alert_01J...
    """
    return _decide("alert.acknowledge", {"alert": alert_id}, as_json=as_json)


@command.command("resolve")
@click.argument("alert_id", metavar="ALERT")
@click.option("--because", required=True, help="Why the matter is settled; recorded with your name.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def resolve(alert_id: str, because: str, *, as_json: bool) -> int:
    """Close an alert. This trusts nothing: a package that did not pass still does not.

    \b
    Examples:
      rootwarden alert resolve alert_01J... --because "not our package, deleted"
    """
    return _decide("alert.resolve", {"alert": alert_id, "because": because}, as_json=as_json)


def alert_to_dict(alert: Alert) -> dict[str, Any]:
    """The JSON form of an alert; all keys always present, unknown ones null."""
    return {
        "id": alert.id,
        "kind": alert.kind,
        "reason": alert.reason,
        "severity": alert.severity.value,
        "status": alert.status.value,
        "vendor": alert.vendor_id,
        "package_sha256": alert.package_sha256,
        "title": alert.title,
        "summary": alert.summary,
        "lines": list(alert.lines),
        "opened_at": format_time(alert.opened_at),
        "updated_at": format_time(alert.updated_at),
        "acknowledged_by": alert.acknowledged_by,
        "resolved_at": _time(alert.resolved_at),
        "resolution": alert.resolution,
        "repeat_count": alert.repeat_count,
    }


def _delivery(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "channel": delivery.channel,
        "state": delivery.state.value,
        "attempts": delivery.attempts,
        "next_attempt_at": format_time(delivery.next_attempt_at),
        "sent_at": _time(delivery.sent_at),
        "last_error": delivery.last_error,
        "possible_repeat_of": delivery.possible_repeat_of,
    }


def _time(at: datetime | None) -> str | None:
    return format_time(at) if at else None


def _decide(name: str, arguments: dict[str, Any], *, as_json: bool) -> int:
    from escalation.cli.deciding import decide

    result = decide(name, arguments)
    told = f"{safe(str(result.get('alert')), 60)}: {safe(str(result.get('status')), 30)} by {safe(str(result.get('by')), 100)}"
    click.echo(json.dumps(result) if as_json else told)
    return 0
