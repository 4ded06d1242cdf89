"""``rootwarden config check``: reads the whole configuration as the daemon would."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

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
    """Read every configuration file, and what a start needs besides; errors name file, line and the nearest known key (exit 2).

    Warnings tell what the daemon would start with and people would miss. A secret that only systemd hands over is not looked at.

    \b
    Examples:
      rootwarden config check
      rootwarden --config /tmp/new/rootwarden.toml config check --json
    """
    from monitor.cli.findings import configuration_findings
    from monitor.config import load_monitor_settings

    settings = load_monitor_settings(invocation.config.absolute())
    findings = list(configuration_findings(settings, os.environ, invocation.now))
    wrong = [f.what for f in findings if f.level == "error"]
    if wrong:
        click.echo("\n".join(f"rootwarden: {what}" for what in wrong), err=True)
        return 2
    warnings = [f for f in findings if f.level == "warning"]
    found: dict[str, Any] = {
        "file": str(settings.trust.file),
        "vendors": [v.id for v in settings.trust.vendors],
        "sources": len(settings.sources),
        "approvers": sorted({person for _, person in settings.trust.approvers.by_identity}),
        "channels": [name for name in ("smtp", "slack") if name in settings.delivery_tables],
    }
    if as_json:
        click.echo(json.dumps({**found, "warnings": [f.what for f in warnings]}))
        return 0
    click.echo(f"{found['file']}: " + (f"in order, {len(warnings)} warning(s)" if warnings else "in order"))
    for key in ("vendors", "sources", "approvers", "channels"):
        value = found[key]
        click.echo(f"  {key}: {', '.join(value) if isinstance(value, list) else value}" if value else f"  {key}: none")
    for finding in warnings:
        click.echo(f"warning: {finding.what}: {finding.advice}")
    return 0
