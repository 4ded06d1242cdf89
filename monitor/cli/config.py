"""``rootwarden config check``: reads the whole configuration as the daemon would."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from monitor.cli import Invocation


@click.group()
def command() -> None:
    """Examine the configuration.

    \b
    Examples:
      rootwarden config check
      rootwarden --config /etc/rootwarden/rootwarden.toml config check
    """


@command.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
@click.pass_obj
def check(invocation: Invocation, *, as_json: bool) -> int:
    """Read every configuration file and say what was found; errors name file, line and the nearest known key (exit 2).

    \b
    Examples:
      rootwarden config check
      rootwarden --config /tmp/new/rootwarden.toml config check --json
    """
    from escalation.config import load_delivery_settings
    from monitor.config import load_monitor_settings

    settings = load_monitor_settings(invocation.config.absolute())
    delivery = load_delivery_settings({"delivery": settings.delivery_tables}, settings.trust.file)
    found = {
        "file": str(settings.trust.file),
        "vendors": [v.id for v in settings.trust.vendors],
        "sources": len(settings.sources),
        "approvers": sorted({person for _, person in settings.trust.approvers.by_identity}),
        "channels": [name for name in ("smtp", "slack") if getattr(delivery, name) is not None],
    }
    if as_json:
        click.echo(json.dumps(found))
        return 0
    click.echo(f"{found['file']}: in order")
    for key in ("vendors", "sources", "approvers", "channels"):
        value = found[key]
        click.echo(f"  {key}: {', '.join(value) if isinstance(value, list) else value}" if value else f"  {key}: none")
    return 0
