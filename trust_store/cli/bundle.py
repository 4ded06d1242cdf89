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
from trust_store.cli.deciding import JSON_OPTION
from trust_store.cli.files import read_capped, write_whole
from trust_store.client_memory import least_revision, memory_folder, remember_bundle
from trust_store.errors import DaemonUnavailableError, MalformedError, StoreUnavailableError, UsageError
from trust_store.exchange.bundle import MAX_BUNDLE_BYTES, MAX_VALIDITY, Bundle, open_bundle
from trust_store.instance_key import public_key_in
from trust_store.model.identifiers import format_time
from trust_store.settings import load_trust_settings
from trust_store.terminal import safe

TIMEOUT_SECONDS = 60.0
MAX_KEY_BYTES = 4096


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
    bundle = opened(file, keys)
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


def opened(file: Path, keys: tuple[Path, ...]) -> Bundle:
    """The bundle in ``file``, if it is good; raises UsageError for files that cannot be read, BundleRefusedError else."""
    if not keys:
        raise UsageError(
            "--bundle needs --bundle-key FILE: the public instance key (instance.pub), fetched another way"
        )
    known = tuple(_public_key(key) for key in keys)
    folder, now = memory_folder(), click.get_current_context().obj.now()
    bundle = open_bundle(
        read_capped(file, MAX_BUNDLE_BYTES), known, at=now, least_revision=lambda store: least_revision(folder, store)
    )
    remember_bundle(folder, bundle.store_id, bundle.revision, known[0].hex())
    return bundle


def _public_key(path: Path) -> bytes:
    try:
        return public_key_in(read_capped(path, MAX_KEY_BYTES))
    except MalformedError as error:
        raise UsageError(f"{safe(str(path), 300)} holds {error}") from error
