"""``rootwarden run``: the daemon in the foreground, as systemd starts it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from monitor.cli import Invocation


@click.command()
@click.pass_obj
def command(invocation: Invocation) -> int:
    """Run the daemon: watch the incoming folder, poll vendors, deliver alerts, take decisions.

    \b
    Examples:
      rootwarden --config ./run/rootwarden.toml run      # Ctrl-C stops it
      systemctl start rootwarden
    """
    from monitor.cli.findings import refusals
    from monitor.config import load_monitor_settings
    from monitor.daemon import run_daemon

    config = invocation.config.absolute()
    for refusal in refusals(load_monitor_settings(config), os.environ, invocation.now):
        raise refusal  # before the store is opened, or brought up to date
    return run_daemon(config, now=invocation.now, randomness=invocation.randomness)
