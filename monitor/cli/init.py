"""``rootwarden init``: creates the store, and with ``--starter`` a commented configuration to begin with."""

from __future__ import annotations

import shlex
from importlib import resources
from typing import TYPE_CHECKING

import click

from trust_store.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.cli import Invocation


@click.command()
@click.option("--starter", is_flag=True, help="Write a commented configuration and an example vendor file first.")
@click.option("--if-missing", is_flag=True, help="Leave an existing configuration as it is instead of refusing.")
@click.pass_obj
def command(invocation: Invocation, *, starter: bool, if_missing: bool) -> int:
    """Create the trust store, or bring its schema up to date.

    \b
    Examples:
      rootwarden --config ./run/rootwarden.toml init --starter
      rootwarden init
    """
    from monitor.cli import DEFAULT_CONFIG
    from monitor.config import load_monitor_settings
    from monitor.schema import open_store
    from trust_store.storage.writer_lock import WriterBusyError, writer_lock

    config = invocation.config.absolute()
    if starter:
        _write_starter(config, keep=if_missing)
    settings = load_monitor_settings(config)
    settings.trust.store.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with writer_lock(settings.trust.store.lock):
            open_store(settings.trust.store).close()
    except WriterBusyError as error:
        raise WriterBusyError(
            "a daemon runs on this store, or another command writes to it: there is nothing to create. To bring its schema up to "
            "date stop the daemon and start the new one: systemctl restart rootwarden"
        ) from error
    settings.intake.directory.mkdir(mode=0o2770, parents=True, exist_ok=True)
    for vendor in settings.trust.vendors:
        (settings.intake.directory / vendor.id).mkdir(mode=0o2770, exist_ok=True)
    click.echo(f"store ready: {settings.trust.store.database}", err=True)
    click.echo(f"packages go into {settings.intake.directory}/<vendor>/", err=True)
    if config != DEFAULT_CONFIG:
        click.echo(f"for commands that find it: export ROOTWARDEN_CONFIG={shlex.quote(str(config))}", err=True)
    return 0


def _write_starter(config: Path, *, keep: bool) -> None:
    """Write the starter files; an existing configuration is kept with ``keep``, else refused."""
    if config.exists():
        if keep:
            return
        raise UsageError(f"{config} exists already; remove it, or use --if-missing to keep it")
    vendors = config.parent / "vendors.d"
    vendors.mkdir(parents=True, exist_ok=True)
    starter = resources.files("monitor.starter")
    config.write_text(starter.joinpath("rootwarden.toml.txt").read_text())
    (vendors / "example.toml").write_text(starter.joinpath("vendor.toml.txt").read_text())
    click.echo(f"wrote {config} and {vendors}/example.toml: edit both, then 'rootwarden config check'", err=True)
