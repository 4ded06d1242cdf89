"""``rootwarden run``: the daemon in the foreground, as systemd starts it."""

from __future__ import annotations

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
    from monitor.daemon import run_daemon

    return run_daemon(invocation.config.absolute(), now=invocation.now, randomness=invocation.randomness)
