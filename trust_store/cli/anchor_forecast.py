"""``rootwarden anchor forecast``: what stops verifying when, and why, if nobody does anything."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import timedelta

import click

from trust_store import query
from trust_store.cli.check_request import expected_vendor
from trust_store.cli.deciding import JSON_OPTION
from trust_store.forecast import Expiry, text_of
from trust_store.forecaster import Forecast, what_ends
from trust_store.model.identifiers import format_time
from trust_store.settings import load_trust_settings
from trust_store.terminal import safe

DEFAULT_DAYS = 180
MAX_DAYS = 36_500
LINE_CHARACTERS = 400


@click.command("forecast")
@click.option("--vendor", metavar="ID", help="Only this vendor's anchors and packages.")
@click.option(
    "--days", type=click.IntRange(1, MAX_DAYS), default=DEFAULT_DAYS, show_default=True, help="How far to look ahead."
)
@JSON_OPTION
def command(vendor: str | None, days: int, *, as_json: bool) -> int:
    """Tell what ends within so many days: anchors, keys, limits somebody set, and packages that will not pass any more.

    Of every product the package seen last is asked about, as if somebody met it for the first time then; with a timestamp that is
    proven it passes longer than its signer's certificate. Revocation lists are taken to be kept current.

    \b
    Examples:
      rootwarden anchor forecast
      rootwarden anchor forecast --vendor dten --days 365
      rootwarden anchor forecast --days 30 --json
    """
    invocation = click.get_current_context().obj
    settings = load_trust_settings(invocation.config)
    if vendor is not None:
        expected_vendor(vendor, settings.vendors, "")
    at = invocation.now()
    with closing(query.open_consistent(settings.store.database)) as connection:
        found = what_ends(connection, settings.vendors, vendor, at=at, horizon=timedelta(days=days))
    if as_json:
        document = {
            "at": format_time(at), "until": format_time(at + timedelta(days=days)), "products": found.products,
            "complete": found.complete, "expiries": [_to_dict(expiry) for expiry in found.expiries],
        }  # fmt: skip
        click.echo(json.dumps(document))
    else:
        click.echo("\n".join(_lines(found, days)))
    return 0


def _to_dict(expiry: Expiry) -> dict[str, str | None]:
    return {
        "at": format_time(expiry.at), "what": expiry.what, "why": expiry.why, "vendor": expiry.vendor,
        "product": expiry.product, "anchor": expiry.anchor_id,
    }  # fmt: skip


def _lines(found: Forecast, days: int) -> list[str]:
    lines = [safe(text_of(expiry), LINE_CHARACTERS) for expiry in found.expiries]
    asked = f"products asked about: {found.products}" + ("" if found.complete else ", and there are more")
    ends = f"Ends within {days} days: {len(lines)}" if lines else f"Nothing ends within {days} days"
    return [*lines, f"{ends}; {asked}"]
