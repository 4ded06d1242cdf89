"""``rootwarden baseline``: sets of keys that the team relied on before it had a store, approved as one."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from trust_store import query
from trust_store.anchor_rules import disclosed
from trust_store.baselines import require_baseline
from trust_store.cli.deciding import JSON_OPTION, decide, stated
from trust_store.cli.output import write_line
from trust_store.model.identifiers import format_time
from trust_store.settings import load_trust_settings
from trust_store.storage.baselines import of_every_vendor
from trust_store.terminal import safe

if TYPE_CHECKING:
    import sqlite3

    from trust_store.model.trust_anchor import TrustAnchor
    from trust_store.storage.baselines import StoredBaseline

NAME_CHARACTERS = 100
GROUP = 4


@click.group()
def command() -> None:
    """Sets of keys proposed as one: day one, without a call for each key.

    'anchor import --baseline' proposes one. Its keys are marked "baseline" in every verdict, which is weaker than "called".

    \b
    Examples:
      rootwarden anchor import --baseline roots.pem --vendor dten --dedicated
      rootwarden baseline show baseline_01J...
      rootwarden baseline approve baseline_01J... --digest-read "3f2a 91c0 ..."
    """


@command.command("list")
@click.option("--vendor", metavar="ID", help="Only this vendor's.")
@JSON_OPTION
def list_command(vendor: str | None, *, as_json: bool) -> int:
    """List baselines, the newest first.

    \b
    Examples:
      rootwarden baseline list
      rootwarden baseline list --vendor dten --json
    """
    settings = load_trust_settings(click.get_current_context().obj.config)
    with closing(query.open_consistent(settings.store.database)) as connection, query.snapshot(connection):
        found = of_every_vendor(connection, vendor)
    if as_json:
        write_line(json.dumps([_to_dict(b) for b in found]))
        return 0
    for baseline in found:
        size, by = len(baseline.members), safe(baseline.proposed_by, NAME_CHARACTERS)
        write_line(f"{baseline.id}  {baseline.state:<9} {baseline.vendor_id:<12} {size} key(s), proposed by {by}")
    if not found:
        click.echo("no baselines; 'rootwarden anchor import --baseline FILE --vendor ID' proposes one", err=True)
    return 0


@command.command()
@click.argument("baseline_id", metavar="ID")
@JSON_OPTION
def show(baseline_id: str, *, as_json: bool) -> int:
    """Show a set with its digest, which an approver reads from the screen of the colleague who proposed it, and its keys.

    \b
    Examples:
      rootwarden baseline show baseline_01J...
      rootwarden baseline show baseline_01J... --json
    """
    settings = load_trust_settings(click.get_current_context().obj.config)
    with closing(query.open_consistent(settings.store.database)) as connection, query.snapshot(connection):
        baseline = require_baseline(connection, baseline_id)
        members = _members(connection, baseline)
    if as_json:
        told = [
            {
                "id": a.id,
                "kind": a.kind.value,
                "name": disclosed(a, a.name),
                "state": a.state.value,
                "basis": a.basis.value,
            }
            for a in members
        ]
        write_line(json.dumps({**_to_dict(baseline), "keys": told}))
        return 0
    digest = baseline.digest
    grouped = " ".join(digest[i : i + GROUP] for i in range(0, len(digest), GROUP))
    lines = [
        f"{'id':<12} {baseline.id}",
        f"{'vendor':<12} {baseline.vendor_id}",
        f"{'state':<12} {baseline.state}",
        f"{'proposed by':<12} {safe(baseline.proposed_by, NAME_CHARACTERS)}, {format_time(baseline.recorded_at)}",
        f"{'digest':<12} {grouped}",
        f"{'keys':<12} {len(members)}",
        *(
            f"  {a.id}  {a.state.value:<10} {a.kind.value:<8} {safe(disclosed(a, a.name), NAME_CHARACTERS)}"
            for a in members
        ),
    ]
    write_line("\n".join(lines))
    return 0


@command.command()
@click.argument("baseline_id", metavar="ID")
@click.option(
    "--digest-read",
    required=True,
    metavar="TEXT",
    help="The set's digest as your colleague's screen shows it, all of it.",
)
@JSON_OPTION
def approve(baseline_id: str, digest_read: str, *, as_json: bool) -> int:
    """Approve a set. With the last approval that the vendor's policy asks every key in it is valid, marked "baseline".

    A key that changed, was decided or buried since makes the whole set void. Who proposed it approves it only where policy
    asks for one person.

    \b
    Examples:
      rootwarden baseline approve baseline_01J... --digest-read "3f2a 91c0 ..."
    """
    return decide("baseline.approve", {"baseline": baseline_id, "digest_read": digest_read}, as_json=as_json)


@command.command()
@click.argument("baseline_id", metavar="ID")
@click.option("--reason", default="", help="Why, for the log.")
@JSON_OPTION
def reject(baseline_id: str, reason: str, *, as_json: bool) -> int:
    """Reject a set; its keys stay pending, to be decided one by one or to lapse.

    \b
    Examples:
      rootwarden baseline reject baseline_01J... --reason "an old bundle"
    """
    return decide("baseline.reject", stated({"baseline": baseline_id, "reason": reason}), as_json=as_json)


def _to_dict(baseline: StoredBaseline) -> dict[str, Any]:
    return {
        "id": baseline.id,
        "vendor": baseline.vendor_id,
        "state": baseline.state,
        "digest": baseline.digest,
        "proposed_by": baseline.proposed_by,
        "recorded_at": format_time(baseline.recorded_at),
        "anchors": [m.anchor_id for m in baseline.members],
    }


def _members(connection: sqlite3.Connection, baseline: StoredBaseline) -> list[TrustAnchor]:
    """The keys as they stand now."""
    found = (query.anchor(connection, member.anchor_id) for member in baseline.members)
    return [anchor for anchor in found if anchor is not None]
