"""``rootwarden script``: the call sheet and the runnable escalation script of an alert."""

from __future__ import annotations

import json

import click

from escalation.cli.reading import open_store
from escalation.errors import AlertNotFoundError
from escalation.storage import rows
from trust_store.model.identifiers import format_time
from trust_store.terminal import safe


@click.group(name="script")
def command() -> None:
    """Escalation scripts: everything needed to settle an alert in one call.

    \b
    Examples:
      rootwarden script list
      rootwarden script show alert_01J... --sheet
      rootwarden script show alert_01J... > escalation.sh && sh escalation.sh --go
    """


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_scripts(*, as_json: bool) -> int:
    """List the unresolved alerts that have a script.

    \b
    Examples:
      rootwarden script list
    """
    with open_store() as connection:
        found = [(a, rows.script(connection, a.id)) for a in rows.alerts(connection)]
    for alert, made in found:
        if made is None or not made.script:
            continue
        if as_json:
            click.echo(json.dumps({"alert": alert.id, "title": alert.title, "opened_at": format_time(alert.opened_at)}))
        else:
            click.echo(f"{alert.id}  {safe(alert.title, 200)}")
    return 0


@command.command("show")
@click.argument("alert_id", metavar="ALERT")
@click.option("--sheet", is_flag=True, help="The call sheet to read, in place of the script to run.")
@click.option("--json", "as_json", is_flag=True, help="Both, as one JSON object.")
def show(alert_id: str, *, sheet: bool, as_json: bool) -> int:
    """Print the script of an alert, or its call sheet.

    \b
    Examples:
      rootwarden script show alert_01J... --sheet
      rootwarden script show alert_01J... > escalation.sh
    """
    with open_store() as connection:
        rows.alert(connection, alert_id)
        made = rows.script(connection, alert_id)
    if made is None or (not made.script and not sheet and not as_json):
        raise AlertNotFoundError(
            f"{alert_id} has no script to run; '--sheet' or 'rootwarden alert show' tells what it is about"
        )
    if as_json:
        click.echo(json.dumps({"alert": alert_id, "sheet": made.sheet, "script": made.script}))
    else:
        click.echo(made.sheet if sheet else made.script, nl=False)
    return 0
