"""``rootwarden anchor preview`` and ``--dry-run``: which packages a decision would flip. Reads the store, writes nothing, asks nobody."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict

import click

from trust_store import query
from trust_store.blast_radius import BlastRadius, Change, blast_radius
from trust_store.cli.deciding import JSON_OPTION
from trust_store.errors import UsageError
from trust_store.model.identifiers import parse_time
from trust_store.model.trust_anchor import AnchorState
from trust_store.settings import load_trust_settings
from trust_store.terminal import safe

NAME_CHARACTERS = 80
STATES = [s.value for s in AnchorState if s is not AnchorState.PENDING]


@click.command()
@click.argument("anchor_id", metavar="ID")
@click.option("--to", "state", required=True, type=click.Choice(STATES), help="The state that it would get.")
@click.option("--because", default=None, metavar="CAUSE", help="A CRL reason such as superseded, as for 'revoke'.")
@click.option("--effective-from", default=None, metavar="TIME", help="Since when, ISO 8601 with zone; default now.")
@JSON_OPTION
def command(anchor_id: str, state: str, because: str | None, effective_from: str | None, *, as_json: bool) -> int:
    """List exactly the stored packages whose verdict a decision about an anchor would change. Nothing is decided.

    \b
    Examples:
      rootwarden anchor preview anchor_01J... --to valid
      rootwarden anchor preview anchor_01J... --to revoked --because superseded --json
    """
    return preview(anchor_id, state, because=because, effective_from=effective_from, as_json=as_json)


def preview(
    anchor_id: str, state: str, *, as_json: bool, because: str | None = None, effective_from: str | None = None
) -> int:
    """Print what the decision would flip; the exit code is 0 whatever it is. Raises DecisionRefusedError for one that cannot be made."""
    invocation = click.get_current_context().obj
    settings = load_trust_settings(invocation.config)
    try:
        since = parse_time(effective_from) if effective_from else None
    except (ValueError, OverflowError) as error:
        raise UsageError(f"--effective-from {safe(str(effective_from), 60)!r} is no time: {error}") from error
    change = Change(anchor_id, AnchorState(state), because, since)
    with closing(query.open_consistent(settings.store.database)) as connection:
        found = blast_radius(connection, change, settings.vendors, invocation.now())
    if as_json:
        click.echo(
            json.dumps(
                {
                    "anchor": anchor_id, "to": state, "looked_at": found.looked_at, "complete": found.complete,
                    "flips": [asdict(flip) for flip in found.flips],
                }
            )
        )  # fmt: skip
    else:
        click.echo("\n".join(_lines(anchor_id, state, found)))
    return 0


def _lines(anchor_id: str, state: str, found: BlastRadius) -> list[str]:
    lines = [
        f"{flip.package_sha256}  {' / '.join(flip.before)} -> {' / '.join(flip.after)}"
        f"  {safe(flip.vendor, 60) or '(no vendor)'}  {safe(flip.name, NAME_CHARACTERS)}"
        for flip in found.flips
    ]
    more = "" if found.complete else "; there are more than are looked at"
    lines.append(
        f"{safe(anchor_id, 64)} to {state}: {len(found.flips)} of {found.looked_at} packages would change{more}"
    )
    return lines
