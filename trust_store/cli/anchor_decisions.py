"""``rootwarden anchor approve``, ``reject`` and the other decisions by people; ``anchor`` mounts them."""

from __future__ import annotations

from typing import Any

import click

from trust_store.cli.anchor_preview import preview
from trust_store.cli.deciding import JSON_OPTION, decide, stated
from trust_store.errors import DecisionRefusedError, UsageError
from trust_store.model.identifiers import normalise_hex

_ONLY_DIGITS = "only the digits belong into --fingerprint-read, without what stands before them (sha256 Fingerprint=)"
REASON_OPTION = click.option("--reason", default="", metavar="TEXT", help="Why, for the log.")
TICKET_OPTION = click.option("--ticket", default="", metavar="T", help="Where it is written down.")
DRY_RUN_OPTION = click.option("--dry-run", is_flag=True, help="Decide nothing; list the packages that it would flip.")


@click.command()
@click.argument("anchor_id", metavar="ID")
@click.option("--fingerprint-read", default="", metavar="TEXT", help="What the vendor read out, all of it; needed.")
@click.option("--spoke-with", default="", metavar="NAME", help="Who read it out.")
@click.option("--called", default="", metavar="CONTACT", help="A configured contact: its name, phone, mail or portal.")
@click.option("--ticket", default="", metavar="T", help="Where the call is written down.")
@click.option("--without-call", is_flag=True, help="No call was made: it takes effect after the vendor's hold-down.")
@click.option("--break-glass", is_flag=True, help="Emergency: two people, no call, no wait; everybody is alerted.")
@click.option("--reason", default="", metavar="TEXT", help="Why there was no call, for the log.")
@click.option("--rules", default="", metavar="CODE", help="The rules that you looked at, as 'anchor show' names them.")
@DRY_RUN_OPTION
@JSON_OPTION
def approve(anchor_id: str, *, dry_run: bool, as_json: bool, **said: Any) -> int:
    """Approve a pending anchor after a call. You decide as your Unix user; the store compares the fingerprint.

    Whoever imported the key is none of two who approve it. Without a call the fingerprint still comes from another channel than
    the key; that is open only where the vendor's policy says call = "or_hold_down", and is confirmed again once the wait is over.
    --break-glass needs two people whatever policy says, and never brings back a key that was disowned or distrusted. With --rules
    you approve the rules that you saw: where somebody changed them since, you are told and nothing is approved.

    \b
    Examples:
      rootwarden anchor approve anchor_01J... --dry-run
      rootwarden anchor approve anchor_01J... --fingerprint-read "AB:CD:..." \\
          --spoke-with "Ada, product security" --called "+1 555 0100" --ticket SEC-42
      rootwarden anchor approve anchor_01J... --fingerprint-read "AB:CD:..." \\
          --without-call --reason "printed in the manual, page 3"
      rootwarden anchor approve anchor_01J... --fingerprint-read "AB:CD:..." \\
          --break-glass --reason "plant 2 is down until the fix is in"
    """
    if dry_run:
        return preview(anchor_id, "valid", as_json=as_json)
    if not said["fingerprint_read"]:
        raise UsageError("type what the vendor read out: --fingerprint-read is missing")
    if not said["without_call"] and not said["break_glass"]:
        missing = [o for o in ("spoke_with", "called", "ticket") if not said[o]]
        if missing:
            raise UsageError(
                f"after a call say who, where and under which ticket: --{missing[0].replace('_', '-')} is missing "
                "(without one: --without-call or --break-glass, with --reason)"
            )
    try:
        return decide("anchor.approve", {"anchor": anchor_id, **stated(said)}, as_json=as_json)
    except DecisionRefusedError as refused:
        if refused.kind == "incomplete" and normalise_hex(said["fingerprint_read"]) is None:
            raise DecisionRefusedError(f"{refused}; {_ONLY_DIGITS}", kind=refused.kind) from refused
        raise


@click.command()
@click.argument("anchor_id", metavar="ID")
@click.option(
    "--because", required=True, type=click.Choice(["disowned", "unconfirmed"]), help="disowned buries the key."
)
@click.option("--spoke-with", default="", metavar="NAME", help="Who said so.")
@click.option("--called", default="", metavar="CONTACT", help="Where.")
@TICKET_OPTION
@DRY_RUN_OPTION
@JSON_OPTION
def reject(anchor_id: str, because: str, *, dry_run: bool, as_json: bool, **call: str) -> int:
    """Reject a pending anchor: the vendor disowned it (packages under it fail from now on), or nobody could confirm it.

    \b
    Examples:
      rootwarden anchor reject anchor_01J... --because disowned --spoke-with Ada --called "+1 555 0100" --ticket SEC-42
      rootwarden anchor reject anchor_01J... --because unconfirmed
    """
    if dry_run:
        return preview(anchor_id, "distrusted" if because == "disowned" else "rejected", as_json=as_json)
    return decide("anchor.reject", {"anchor": anchor_id, "because": because, **call}, as_json=as_json)


@click.command()
@click.argument("anchor_id", metavar="ID")
@click.option("--reason", required=True, help="Why, for the log.")
@click.option(
    "--effective-from", metavar="TIME", help="Since when, ISO 8601 with zone, not in the future; default now."
)
@DRY_RUN_OPTION
@JSON_OPTION
def distrust(anchor_id: str, *, dry_run: bool, as_json: bool, **said: Any) -> int:
    """Distrust an anchor at once: every package under it fails, whenever it was signed. The time is for the record.

    For a key that is bad only from some day on see 'anchor constrain --distrust-after' and 'anchor revoke'.

    \b
    Examples:
      rootwarden anchor distrust anchor_01J... --reason "used by somebody else"
      rootwarden anchor distrust anchor_01J... --reason "sold with the company" --effective-from 2026-03-01T00:00:00Z
    """
    if dry_run:
        return preview(anchor_id, "distrusted", effective_from=said["effective_from"], as_json=as_json)
    return decide("anchor.distrust", {"anchor": anchor_id, **stated(said)}, as_json=as_json)


@click.command()
@click.argument("anchor_id", metavar="ID")
@click.option(
    "--because", default="unspecified", show_default=True, help="A CRL reason; key-compromise makes it compromised.",
    type=click.Choice(["unspecified", "affiliation-changed", "superseded", "cessation-of-operation", "key-compromise"]),
)  # fmt: skip
@click.option(
    "--effective-from", metavar="TIME", help="Since when, ISO 8601 with zone, not in the future; default now."
)
@REASON_OPTION
@TICKET_OPTION
@DRY_RUN_OPTION
@JSON_OPTION
def revoke(anchor_id: str, because: str, *, dry_run: bool, as_json: bool, **said: Any) -> int:
    """Revoke an anchor at once. One approver: lowering trust is never slowed.

    What --because names decides what becomes of older signatures; --reason is for people.

    \b
    Examples:
      rootwarden anchor revoke anchor_01J... --dry-run
      rootwarden anchor revoke anchor_01J... --reason "retired with the plant" --ticket SEC-79
      rootwarden anchor revoke anchor_01J... --because key-compromise --effective-from 2026-03-01T00:00:00Z
    """
    if dry_run:
        state = "compromised" if because == "key-compromise" else "revoked"
        return preview(anchor_id, state, because=because, effective_from=said["effective_from"], as_json=as_json)
    return decide("anchor.revoke", {"anchor": anchor_id, "because": because, **stated(said)}, as_json=as_json)


@click.command()
@click.argument("anchor_id", metavar="ID")
@click.option("--successor", required=True, metavar="ID", help="The valid anchor that takes its place.")
@REASON_OPTION
@TICKET_OPTION
@DRY_RUN_OPTION
@JSON_OPTION
def supersede(anchor_id: str, successor: str, *, dry_run: bool, as_json: bool, **said: str) -> int:
    """Supersede a valid anchor by another; needs as many people as the vendor's policy asks.

    \b
    Examples:
      rootwarden anchor supersede anchor_01J... --successor anchor_01K... --reason "rotated in May" --ticket SEC-80
    """
    if dry_run:
        return preview(anchor_id, "superseded", as_json=as_json)
    return decide("anchor.supersede", {"anchor": anchor_id, "successor": successor, **stated(said)}, as_json=as_json)


@click.command()
@click.argument("anchor_id", metavar="ID")
@REASON_OPTION
@TICKET_OPTION
@DRY_RUN_OPTION
@JSON_OPTION
def remove(anchor_id: str, *, dry_run: bool, as_json: bool, **said: str) -> int:
    """Remove a valid or superseded anchor; needs as many people as the vendor's policy asks.

    \b
    Examples:
      rootwarden anchor remove anchor_01J... --reason "product retired"
    """
    if dry_run:
        return preview(anchor_id, "removed", as_json=as_json)
    return decide("anchor.remove", {"anchor": anchor_id, **stated(said)}, as_json=as_json)


@click.command("approve-policy")
@click.argument("vendor", required=False)
@click.option("--approvers", is_flag=True, help="Approve the list of approvers instead of a vendor's file.")
@JSON_OPTION
def approve_policy(vendor: str | None, *, approvers: bool, as_json: bool) -> int:
    """Approve a change of a vendor's file, or of [approvers], that weakens policy; until then the old policy counts.

    \b
    Examples:
      rootwarden anchor approve-policy dten
      rootwarden anchor approve-policy --approvers
    """
    if approvers == (vendor is not None):
        raise UsageError("either a vendor's id, or --approvers for the list of approvers")
    if approvers:
        return decide("approvers.approve", {}, as_json=as_json)
    return decide("policy.approve", {"vendor": vendor}, as_json=as_json)
