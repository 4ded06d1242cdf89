"""``rootwarden ratchet``: what was seen of each product, which packages are held to from then on, and lowering it."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trust_store import query
from trust_store.cli.deciding import JSON_OPTION, decide, stated
from trust_store.cli.output import write_line
from trust_store.errors import UsageError
from trust_store.model.identifiers import format_time
from trust_store.model.ratchet import DIMENSIONS
from trust_store.settings import load_trust_settings
from trust_store.storage.ratchets import LOWERED, history, of_every_product
from trust_store.terminal import safe

if TYPE_CHECKING:
    from trust_store.model.ratchet import Ratchet
    from trust_store.storage.ratchets import StoredRatchet

NAME_CHARACTERS, VALUE_CHARACTERS, REASON_CHARACTERS = 120, 80, 300


@click.group()
def command() -> None:
    """What each product's packages are held to: the strongest signing, and the newest version, that was seen of it.

    A package that shows less is indeterminate: downgrade, or rollback where the vendor's policy refuses older versions. Ratchets are
    raised by what passes in the incoming folders, and lowered by people.

    \b
    Examples:
      rootwarden ratchet list --vendor dten
      rootwarden ratchet show ratchet_7Z...
      rootwarden ratchet lower ratchet_7Z... --to signers=1 --reason "one signer from 6.0 on, SEC-81"
    """


@command.command("list")
@click.option("--vendor", metavar="ID", help="Only this vendor's.")
@JSON_OPTION
def list_(vendor: str | None, *, as_json: bool) -> int:
    """List what every product is held to; a file name's numbers are written #.

    \b
    Examples:
      rootwarden ratchet list
      rootwarden ratchet list --vendor dten --json | jq -r '.[].id'
    """
    settings = load_trust_settings(Path(click.get_current_context().obj.config))
    with closing(query.open_consistent(settings.store.database)) as connection, query.snapshot(connection):
        found = of_every_product(connection, vendor)
    if as_json:
        write_line(json.dumps([_to_dict(stored) for stored in found]))
        return 0
    for stored in found:
        one = stored.ratchet
        write_line(f"{one.id}  {one.vendor_id:<12} {one.kind:<7} {safe(one.name, NAME_CHARACTERS)}: {_held(one)}")
    if not found:
        click.echo("no ratchets: nothing has passed in the incoming folders yet", err=True)
    return 0


@command.command()
@click.argument("ratchet_id", metavar="ID")
@JSON_OPTION
def show(ratchet_id: str, *, as_json: bool) -> int:
    """Show one ratchet with its history: which package raised it when, who lowered it and why.

    \b
    Examples:
      rootwarden ratchet show ratchet_7Z...
      rootwarden ratchet show ratchet_7Z... --json
    """
    settings = load_trust_settings(Path(click.get_current_context().obj.config))
    with closing(query.open_consistent(settings.store.database)) as connection, query.snapshot(connection):
        versions = history(connection, ratchet_id)
    if not versions:
        raise UsageError(f"there is no ratchet {ratchet_id[:64]!r}; 'rootwarden ratchet list' shows them")
    if as_json:
        write_line(json.dumps(_to_dict(versions[-1]) | {"history": [_to_dict(stored) for stored in versions]}))
        return 0
    newest = versions[-1].ratchet
    write_line(f"{newest.id}  {newest.vendor_id}, {newest.kind} {safe(newest.name, NAME_CHARACTERS)}")
    for name in DIMENSIONS:
        if (mark := newest.mark(name)) is not None:
            write_line(
                f"  {name:<8} {safe(mark.value, VALUE_CHARACTERS)}, in {mark.package_sha256} on {format_time(mark.seen_at)}"
            )
    for stored in versions:
        write_line(f"  {format_time(stored.ratchet.recorded_at)} {_what(stored)}: {_held(stored.ratchet)}")
    return 0


@command.command()
@click.argument("ratchet_id", metavar="ID")
@click.option("--reason", required=True, help="Why, for the log.")
@click.option(
    "--to", multiple=True, metavar="DIMENSION=VALUE",
    help="What is enough from now on: scheme=NAME (unsigned: none), digest=NAME, signers=N, version=V. Without it everything is forgotten.",
)  # fmt: skip
@JSON_OPTION
def lower(ratchet_id: str, reason: str, to: tuple[str, ...], *, as_json: bool) -> int:
    """Lower a ratchet, so that packages that show less pass again if their signatures do.

    As many people as the vendor's policy asks for accepting a key run the same command, with the same --to. What passes later raises it
    again; what was seen before does not.

    \b
    Examples:
      rootwarden ratchet lower ratchet_7Z... --to signers=1 --reason "one signer from 6.0 on, SEC-81"
      rootwarden ratchet lower ratchet_7Z... --to scheme=apk-v2 --to digest=sha256 --reason "SEC-82"
      rootwarden ratchet lower ratchet_7Z... --reason "another product of that name, SEC-83"
    """
    return decide("ratchet.lower", stated({"ratchet": ratchet_id, "reason": reason, "to": to}), as_json=as_json)


def _held(ratchet: Ratchet) -> str:
    said = [
        f"{name} {safe(mark.value, VALUE_CHARACTERS)}"
        for name in DIMENSIONS
        if (mark := ratchet.mark(name)) is not None
    ]
    return ", ".join(said) or "nothing"


def _what(stored: StoredRatchet) -> str:
    if stored.state == LOWERED:
        return f"lowered, last by {safe(stored.actor, NAME_CHARACTERS)} ({safe(stored.reason, REASON_CHARACTERS)})"
    return f"raised by package {stored.package_sha256}"


def _to_dict(stored: StoredRatchet) -> dict[str, Any]:
    ratchet = stored.ratchet
    return {
        "id": ratchet.id,
        "vendor": ratchet.vendor_id,
        "kind": ratchet.kind,
        "name": ratchet.name,
        "number": ratchet.number,
        "state": stored.state,
        "marks": {
            name: {"value": mark.value, "package": mark.package_sha256, "seen_at": format_time(mark.seen_at)}
            for name in DIMENSIONS
            if (mark := ratchet.mark(name)) is not None
        },
        "package": stored.package_sha256,
        "reason": stored.reason or None,
        "actor": stored.actor,
        "recorded_at": format_time(ratchet.recorded_at),
        "lowered_at": format_time(ratchet.lowered_at) if ratchet.lowered_at else None,
    }
