"""``rootwarden anchor``: what is trusted, what awaits decision, and the decisions themselves."""

from __future__ import annotations

import json
from contextlib import closing
from importlib import import_module

import click

from trust_store import query
from trust_store.anchor_listing import anchor_to_dict, awaiting_among
from trust_store.anchor_rules import rules_code
from trust_store.cli.anchor_text import anchor_lines, summary_line
from trust_store.cli.deciding import JSON_OPTION
from trust_store.errors import UsageError
from trust_store.model.identifiers import format_time
from trust_store.model.trust_anchor import AnchorState
from trust_store.settings import load_trust_settings
from trust_store.storage.approvals import acceptances
from trust_store.storage.related import awaiting_decision
from trust_store.terminal import safe

ELSEWHERE = {
    "approve": ("anchor_decisions", "approve"),
    "approve-policy": ("anchor_decisions", "approve_policy"),
    "constrain": ("anchor_constrain", "command"),
    "distrust": ("anchor_decisions", "distrust"),
    "export": ("anchor_export", "command"),
    "forecast": ("anchor_forecast", "command"),
    "import": ("anchor_import", "command"),
    "lineage": ("anchor_lineage", "lineage"),
    "link": ("anchor_lineage", "link"),
    "preview": ("anchor_preview", "command"),
    "reject": ("anchor_decisions", "reject"),
    "remove": ("anchor_decisions", "remove"),
    "revoke": ("anchor_decisions", "revoke"),
    "supersede": ("anchor_decisions", "supersede"),
}
"""Command -> module of this package and name in it: imported when asked for, so that a list imports no exporter."""


class _Commands(click.Group):
    """The commands of this module and, by name, those of the modules beside it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *ELSEWHERE})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module, name = ELSEWHERE[cmd_name]
        found: click.Command = getattr(import_module(f"trust_store.cli.{module}"), name)
        return found


@click.group(cls=_Commands)
def command() -> None:
    """Trust anchors: list them, decide about them.

    \b
    Examples:
      rootwarden anchor list --state pending
      rootwarden anchor approve anchor_01J... --fingerprint-read "AB:CD:..." \\
          --spoke-with "Ada, product security" --called "+1 555 0100" --ticket SEC-42
      rootwarden anchor reject anchor_01J... --because disowned
    """


@command.command("list")
@click.option("--vendor", help="Only this vendor's.")
@click.option(
    "--state", "states", multiple=True, type=click.Choice([s.value for s in AnchorState]), help="Only these states."
)
@JSON_OPTION
def list_command(vendor: str | None, states: tuple[str, ...], *, as_json: bool) -> int:
    """List anchors, the newest first. Fingerprints of keys that await decision are withheld.

    \b
    Examples:
      rootwarden anchor list --vendor dten
      rootwarden anchor list --state pending --state valid --json
    """
    settings = load_trust_settings(click.get_current_context().obj.config)
    wanted = [AnchorState(s) for s in states] or None
    with closing(query.open_consistent(settings.store.database)) as connection:
        found, awaiting = query.anchors(connection, vendor, wanted), awaiting_decision(connection)
    if as_json:
        click.echo(json.dumps([anchor_to_dict(a, awaiting=awaiting) for a in found]))
        return 0
    for anchor in found:
        click.echo(summary_line(anchor, awaiting))
    if not found:
        click.echo("no anchors; 'rootwarden anchor import FILE --vendor ID' or a source proposes them", err=True)
    return 0


@command.command()
@click.argument("anchor_id", metavar="ID")
@JSON_OPTION
def show(anchor_id: str, *, as_json: bool) -> int:
    """Show one anchor with its rules and who approved it. The fingerprint of a key that awaits decision is withheld.

    \b
    Examples:
      rootwarden anchor show anchor_01J...
      rootwarden anchor show anchor_01J... --json
    """
    settings = load_trust_settings(click.get_current_context().obj.config)
    with closing(query.open_consistent(settings.store.database)) as connection:
        stored = query.stored_anchor(connection, anchor_id)
        if stored is None:
            raise UsageError(f"there is no anchor {safe(anchor_id, 64)!r}; 'rootwarden anchor list' shows them")
        given = acceptances(connection, stored)
        awaiting = awaiting_among(query.anchors_with(connection, stored.anchor.identifiers))
    told = [
        {"person": a.approver, "way": a.way, "at": format_time(a.recorded_at) if a.recorded_at else None} for a in given
    ]
    if as_json:
        shown = anchor_to_dict(stored.anchor, reference=stored.reference, awaiting=awaiting)
        click.echo(json.dumps({**shown, "rules": rules_code(stored.proposal_digest), "approvals": told}))
    else:
        lines = anchor_lines(stored.anchor, reference=stored.reference, awaiting=awaiting)
        lines.append(f"{'rules':<24} {rules_code(stored.proposal_digest)}")
        lines += [f"{'approved by':<24} {safe(str(a['person']), 100)} ({a['way']}, {a['at']})" for a in told]
        click.echo("\n".join(lines))
    return 0
