"""``rootwarden bundle``: what this store trusts, signed, for machines that cannot ask it."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path

import click

from trust_store import query, query_client
from trust_store.bundles import sealed_bundle
from trust_store.cli.bundle_file import open_bundle_file
from trust_store.cli.deciding import JSON_OPTION
from trust_store.cli.files import write_whole
from trust_store.errors import DaemonUnavailableError, StoreUnavailableError
from trust_store.exchange.bundle import MAX_VALIDITY
from trust_store.model.identifiers import format_time
from trust_store.settings import load_trust_settings
from trust_store.terminal import safe

TIMEOUT_SECONDS = 60.0


@click.group()
def command() -> None:
    """The signed bundle: anchors, tombstones and decisions of one revision, for 'rootwarden check --bundle'.

    \b
    Examples:
      rootwarden bundle create --out trust.bundle
      rootwarden bundle show trust.bundle --key instance.pub
      rootwarden check --bundle trust.bundle --bundle-key instance.pub --vendor dten upgrade.zip
    """


@command.command()
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The file to write.")
@click.option(
    "--days", type=click.IntRange(1, MAX_VALIDITY.days), default=7, show_default=True, help="How long it is valid."
)
@JSON_OPTION
def create(out: Path, days: int, *, as_json: bool) -> int:
    """Write the bundle of the store as it stands, signed by the instance key.

    \b
    Examples:
      rootwarden bundle create --out trust.bundle
      rootwarden bundle create --out /srv/www/trust.bundle --days 2
    """
    invocation = click.get_current_context().obj
    settings = load_trust_settings(invocation.config)
    database = settings.store.database
    try:
        asked = {"days": str(days)}
        answer = query_client.get(settings.api.socket, "/v1/bundle", asked, database=database, timeout=TIMEOUT_SECONDS)
        if answer.status != HTTPStatus.OK:
            raise StoreUnavailableError(f"the daemon refused: {safe(answer.body.decode(errors='replace'), 500)}")
        data = answer.body
    except DaemonUnavailableError:
        with closing(query.open_consistent(database)) as connection:
            validity = timedelta(days=days)
            data = sealed_bundle(connection, database, settings.vendors, at=invocation.now(), validity=validity)
    write_whole(out, data)
    click.echo(
        json.dumps({"file": str(out), "bytes": len(data)}) if as_json else f"{safe(str(out), 500)}: {len(data)} bytes"
    )
    return 0


@command.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--key", "keys", multiple=True, required=True, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Public instance key (instance.pub) that must have signed it.",
)  # fmt: skip
@JSON_OPTION
def show(file: Path, keys: tuple[Path, ...], *, as_json: bool) -> int:
    """Verify a bundle and tell what is in it; exit 4 with the reason where it must not be used.

    \b
    Examples:
      rootwarden bundle show trust.bundle --key instance.pub
    """
    bundle = open_bundle_file(file, keys, click.get_current_context().obj.now())
    told = {
        "store_id": bundle.store_id,
        "revision": bundle.revision,
        "created_at": format_time(bundle.created_at),
        "expires_at": format_time(bundle.expires_at),
        "vendors": [vendor.id for vendor in bundle.vendors],
        "anchors": {
            state: sum(a.state == state for a in bundle.anchors) for state in sorted({a.state for a in bundle.anchors})
        },
        "decisions": len(bundle.decisions),
    }
    if as_json:
        click.echo(json.dumps(told))
        return 0
    for name, value in told.items():
        click.echo(f"{name.replace('_', ' '):<12} {safe(value if isinstance(value, str) else json.dumps(value), 500)}")
    return 0
