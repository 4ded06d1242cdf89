"""``rootwarden anchor``: what is trusted, what awaits decision, and the decisions themselves."""

from __future__ import annotations

import base64
import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trust_store import client, query
from trust_store.cli.anchor_text import anchor_lines, anchor_to_dict, summary_line
from trust_store.decisions import MAX_IMPORT_BYTES
from trust_store.errors import UsageError
from trust_store.model.trust_anchor import AnchorState
from trust_store.settings import load_trust_settings
from trust_store.terminal import safe

if TYPE_CHECKING:
    from collections.abc import Callable

JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
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
        found = query.anchors(connection, vendor, wanted)
    if as_json:
        click.echo(json.dumps([anchor_to_dict(a) for a in found]))
        return 0
    for anchor in found:
        click.echo(summary_line(anchor))
    if not found:
        click.echo("no anchors; 'rootwarden anchor import FILE --vendor ID' or a source proposes them", err=True)
    return 0


@command.command()
@click.argument("anchor_id", metavar="ID")
@JSON_OPTION
def show(anchor_id: str, *, as_json: bool) -> int:
    """Show one anchor with its rules. The fingerprint of a key that awaits decision is withheld.

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
    if as_json:
        click.echo(json.dumps(anchor_to_dict(stored.anchor, reference=stored.reference)))
    else:
        click.echo("\n".join(anchor_lines(stored.anchor, reference=stored.reference)))
    return 0


@command.command()
@click.argument("anchor_id", metavar="ID")
@click.option("--fingerprint-read", required=True, metavar="TEXT", help="What the vendor read out, all of it.")
@click.option("--spoke-with", required=True, metavar="NAME", help="Who read it out.")
@click.option(
    "--called", required=True, metavar="CONTACT", help="A configured contact: its name, phone, mail or portal."
)
@click.option("--ticket", required=True, metavar="T", help="Where the call is written down.")
@JSON_OPTION
def approve(anchor_id: str, *, as_json: bool, **call: str) -> int:
    """Approve a pending anchor after a call. You decide as your Unix user; the store compares the fingerprint.

    \b
    Examples:
      rootwarden anchor approve anchor_01J... --fingerprint-read "AB:CD:..." \\
          --spoke-with "Ada, product security" --called "+1 555 0100" --ticket SEC-42
    """
    return _decide("anchor.approve", {"anchor": anchor_id, **call}, as_json=as_json)


@command.command()
@click.argument("anchor_id", metavar="ID")
@click.option(
    "--because", required=True, type=click.Choice(["disowned", "unconfirmed"]), help="disowned buries the key."
)
@click.option("--spoke-with", default="", metavar="NAME", help="Who said so.")
@click.option("--called", default="", metavar="CONTACT", help="Where.")
@click.option("--ticket", default="", metavar="T", help="Where it is written down.")
@JSON_OPTION
def reject(anchor_id: str, because: str, *, as_json: bool, **call: str) -> int:
    """Reject a pending anchor: the vendor disowned it (packages under it fail from now on), or nobody could confirm it.

    \b
    Examples:
      rootwarden anchor reject anchor_01J... --because disowned --spoke-with Ada --called "+1 555 0100" --ticket SEC-42
      rootwarden anchor reject anchor_01J... --because unconfirmed
    """
    return _decide("anchor.reject", {"anchor": anchor_id, "because": because, **call}, as_json=as_json)


@command.command()
@click.argument("anchor_id", metavar="ID")
@click.option("--dedicated", is_flag=True, help="This CA issues for this vendor only.")
@click.option(
    "--signer-subject", multiple=True, metavar="ATTRIBUTE=VALUE", help="Exact subject attribute; all must hold."
)
@click.option("--signer-spki", multiple=True, metavar="SHA256", help="Pin of an allowed signer's public key.")
@click.option("--product", "products", multiple=True, help="Only for these products.")
@click.option("--format", "formats", multiple=True, help="Only for these package formats.")
@click.option("--valid-from", metavar="TIME", help="ISO 8601 with zone.")
@click.option("--valid-until", metavar="TIME", help="ISO 8601 with zone.")
@click.option("--follow-rotation/--no-follow-rotation", default=None, help="Accept old-signs-new proofs.")
@JSON_OPTION
def constrain(anchor_id: str, *, as_json: bool, **rules: Any) -> int:
    """State under which rules a pending anchor would be accepted. Approvals given before are void.

    \b
    Examples:
      rootwarden anchor constrain anchor_01J... --dedicated
      rootwarden anchor constrain anchor_01J... --signer-subject "O=Example Inc" --signer-subject "OU=Firmware"
    """
    arguments = {k: list(v) if isinstance(v, tuple) else v for k, v in rules.items() if v not in (None, (), False)}
    if rules["follow_rotation"] is not None:
        arguments["follow_rotation"] = rules["follow_rotation"]
    return _decide("anchor.constrain", {"anchor": anchor_id, **arguments}, as_json=as_json)


@command.command()
@click.argument("anchor_id", metavar="ID")
@click.option("--reason", required=True, help="Why, for the log.")
@JSON_OPTION
def distrust(anchor_id: str, reason: str, *, as_json: bool) -> int:
    """Distrust an anchor at once: every package under it fails, whenever it was signed.

    \b
    Examples:
      rootwarden anchor distrust anchor_01J... --reason "used by somebody else"
    """
    return _decide("anchor.distrust", {"anchor": anchor_id, "reason": reason}, as_json=as_json)


@command.command()
@click.argument("anchor_id", metavar="ID")
@click.option(
    "--because", default="unspecified", show_default=True, help="A CRL reason; key-compromise makes it compromised.",
    type=click.Choice(["unspecified", "affiliation-changed", "superseded", "cessation-of-operation", "key-compromise"]),
)  # fmt: skip
@click.option(
    "--effective-from", metavar="TIME", help="Since when, ISO 8601 with zone, not in the future; default now."
)
@JSON_OPTION
def revoke(anchor_id: str, because: str, effective_from: str | None, *, as_json: bool) -> int:
    """Revoke an anchor at once. One approver: lowering trust is never slowed.

    \b
    Examples:
      rootwarden anchor revoke anchor_01J...
      rootwarden anchor revoke anchor_01J... --because key-compromise --effective-from 2026-03-01T00:00:00Z
    """
    arguments = {"anchor": anchor_id, "because": because}
    if effective_from:
        arguments["effective_from"] = effective_from
    return _decide("anchor.revoke", arguments, as_json=as_json)


@command.command()
@click.argument("anchor_id", metavar="ID")
@click.option("--successor", required=True, metavar="ID", help="The valid anchor that takes its place.")
@JSON_OPTION
def supersede(anchor_id: str, successor: str, *, as_json: bool) -> int:
    """Supersede a valid anchor by another; needs as many people as the vendor's policy asks.

    \b
    Examples:
      rootwarden anchor supersede anchor_01J... --successor anchor_01K...
    """
    return _decide("anchor.supersede", {"anchor": anchor_id, "successor": successor}, as_json=as_json)


@command.command()
@click.argument("anchor_id", metavar="ID")
@click.option("--reason", default="", help="Why, for the log.")
@JSON_OPTION
def remove(anchor_id: str, reason: str, *, as_json: bool) -> int:
    """Remove a valid or superseded anchor; needs as many people as the vendor's policy asks.

    \b
    Examples:
      rootwarden anchor remove anchor_01J... --reason "product retired"
    """
    return _decide("anchor.remove", {"anchor": anchor_id, "reason": reason}, as_json=as_json)


@command.command("approve-policy")
@click.argument("vendor")
@JSON_OPTION
def approve_policy(vendor: str, *, as_json: bool) -> int:
    """Approve a change of a vendor's file that weakens its policy; until then the old policy counts.

    \b
    Examples:
      rootwarden anchor approve-policy dten
    """
    return _decide("policy.approve", {"vendor": vendor}, as_json=as_json)


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--vendor", required=True, help="Whose keys these are said to be.")
@click.option("--distrust", "bury", is_flag=True, help="Record them as distrusted at once.")
@JSON_OPTION
def import_command(file: Path, vendor: str, *, bury: bool, as_json: bool) -> int:
    """Propose the certificates or OpenPGP keys of FILE as pending anchors; nothing trusts them yet.

    \b
    Examples:
      rootwarden anchor import vendor-root.pem --vendor dten
      rootwarden anchor import stolen-key.asc --vendor dten --distrust
    """
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_IMPORT_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    if len(data) > MAX_IMPORT_BYTES:
        raise UsageError(f"{file} is larger than {MAX_IMPORT_BYTES} bytes: import the keys it holds one by one")
    arguments = {"vendor": vendor, "data": base64.b64encode(data).decode(), "distrust": bury}
    return _decide("anchor.import", arguments, as_json=as_json, told=_imported)


def _imported(result: dict[str, Any]) -> str:
    return "\n".join([str(result["message"]), *(str(a) for a in result["anchors"])])


def _message(result: dict[str, Any]) -> str:
    return str(result["message"])


def _decide(
    name: str,
    arguments: dict[str, Any],
    *,
    as_json: bool,
    told: Callable[[dict[str, Any]], str] = _message,
) -> int:
    """Have the decision made and tell what came of it; a refusal is raised and ends in exit 2."""
    invocation = click.get_current_context().obj
    settings = load_trust_settings(invocation.config)
    result = client.decide(settings, name, arguments, now=invocation.now, randomness=invocation.randomness)
    click.echo(json.dumps(result) if as_json else "\n".join(safe(line) for line in told(result).splitlines()))
    return 0
