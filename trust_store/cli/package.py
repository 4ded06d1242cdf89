"""``rootwarden package``: what the store answers about packages it has seen, without their files."""

from __future__ import annotations

import json
import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trust_store import query
from trust_store.cli.check_request import expected_vendor, time_of
from trust_store.cli.deciding import JSON_OPTION, decide, stated
from trust_store.cli.exit_codes import outcome_code
from trust_store.cli.output import write_line
from trust_store.cli.verdict_text import verdict_lines
from trust_store.errors import UsageError
from trust_store.model.identifiers import format_time, normalise_hex
from trust_store.settings import load_trust_settings
from trust_store.storage.digest_decisions import EFFECTIVE, of_every_package
from trust_store.storage.facts import origin_of, sightings
from trust_store.stored_verdict import AskedPlace, verify_stored
from trust_store.terminal import safe
from trust_store.verdict_json import verdict_to_dict

if TYPE_CHECKING:
    from datetime import datetime

    from trust_store.storage.digest_decisions import StoredDecision

SHA256_DIGITS = 64
REASON_CHARACTERS = 300
VENDOR_OPTION = click.option("--vendor", required=True, metavar="ID", help="Whose package it is.")
REASON_OPTION = click.option("--reason", required=True, help="Why, for the log.")


@click.group()
def command() -> None:
    """Packages that have been seen, and decisions about one by its digest.

    \b
    Examples:
      rootwarden package show 9f86d081... --vendor dten
      rootwarden package block 9f86d081... --vendor dten --reason "withdrawn by the vendor, SEC-77"
      rootwarden package allow 9f86d081... --vendor dten --reason "SEC-78" --until 2026-06-01
      rootwarden package decisions --vendor dten
    """


@command.command()
@click.argument("sha256", metavar="SHA256")
@click.option(
    "--vendor", required=True, metavar="ID", help="Whose package it is said to be; 'any' is the explicit opt-out."
)
@click.option("--at", metavar="TIME", help="Ask about this time, as known now; ISO 8601 with zone.")
@click.option("--as-known-at", metavar="TIME", help="Forget what the store recorded after this time.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as one JSON line.")
def show(sha256: str, vendor: str, at: str | None, as_known_at: str | None, *, as_json: bool) -> int:
    """The verdict on a package, from its stored facts; the file is not needed. Exit codes as of 'check'.

    \b
    Examples:
      rootwarden package show 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 --vendor dten
      rootwarden package show 9f86d081... --vendor dten --json | jq -r .outcome
      rootwarden package show 9f86d081... --vendor dten --at 2026-05-03T12:00:00Z --as-known-at 2026-05-04T00:00:00Z
    """
    digest = _digest(sha256)
    requested_at, known_at = time_of(at, "--at"), time_of(as_known_at, "--as-known-at")
    invocation = click.get_current_context().obj
    settings = load_trust_settings(Path(invocation.config))
    with closing(query.open_consistent(settings.store.database)) as connection, query.snapshot(connection):
        seen = sightings(connection, digest)
        expected = expected_vendor(vendor, settings.vendors, seen[0].name if seen else "")
        evidence = invocation.evidence(connection) if invocation.evidence else None
        verdict = verify_stored(
            connection, digest, expected, settings.vendors, at=invocation.now(), requested_at=requested_at,
            known_at=known_at, evidence=evidence, asked=AskedPlace(asker=origin_of(os.geteuid())),
        )  # fmt: skip
    said = verdict_to_dict(verdict)
    write_line(json.dumps(said) if as_json else "\n".join(verdict_lines(said)))
    return outcome_code(verdict.outcome)


@command.command()
@click.argument("sha256", metavar="SHA256")
@VENDOR_OPTION
@REASON_OPTION
@click.option(
    "--until",
    metavar="DATE",
    help="Until when: a day (its first moment in UTC) or ISO 8601 with zone; default for good.",
)
@JSON_OPTION
def block(sha256: str, vendor: str, reason: str, until: str | None, *, as_json: bool) -> int:
    """Block a package by its digest: it fails as withdrawn, whoever signed it. One approver: lowering trust is never slowed.

    \b
    Examples:
      rootwarden package block 9f86d081... --vendor dten --reason "withdrawn by the vendor, SEC-77"
    """
    return _decide("package.block", sha256, vendor, reason, until, as_json=as_json)


@command.command()
@click.argument("sha256", metavar="SHA256")
@VENDOR_OPTION
@REASON_OPTION
@click.option(
    "--until", required=True, metavar="DATE",
    help="Until when, at most 30 days: a day (its first moment in UTC) or ISO 8601 with zone.",
)  # fmt: skip
@JSON_OPTION
def allow(sha256: str, vendor: str, reason: str, until: str, *, as_json: bool) -> int:
    """Let a package through by its digest for at most 30 days; it never overrides evidence against the package.

    The first person who runs this proposes it and approves it; the others that the vendor's policy asks for run the same command.

    \b
    Examples:
      rootwarden package allow 9f86d081... --vendor dten --reason "SEC-78" --until 2026-06-01
    """
    return _decide("package.allow", sha256, vendor, reason, until, as_json=as_json)


@command.command()
@click.argument("decision_id", metavar="ID")
@click.option("--reason", default="", help="Why, for the log.")
@JSON_OPTION
def withdraw(decision_id: str, reason: str, *, as_json: bool) -> int:
    """End a decision: an allowance by one person, a block by as many as the vendor's policy asks.

    \b
    Examples:
      rootwarden package withdraw decision_01J... --reason "the vendor confirmed the package"
    """
    return decide("package.withdraw", stated({"decision": decision_id, "reason": reason}), as_json=as_json)


@command.command()
@click.option("--vendor", metavar="ID", help="Only this vendor's.")
@JSON_OPTION
def decisions(vendor: str | None, *, as_json: bool) -> int:
    """List the decisions about digests, the newest first.

    \b
    Examples:
      rootwarden package decisions
      rootwarden package decisions --vendor dten --json
    """
    invocation = click.get_current_context().obj
    settings = load_trust_settings(Path(invocation.config))
    now = invocation.now()
    with closing(query.open_consistent(settings.store.database)) as connection, query.snapshot(connection):
        found = [_decision_to_dict(stored, now) for stored in of_every_package(connection, vendor)]
    if as_json:
        write_line(json.dumps(found))
        return 0
    for one in found:
        standing = "over" if one["state"] == EFFECTIVE and not one["in_effect"] else one["state"]
        end = f"until {one['effective_until']}" if one["effective_until"] else "for good"
        line = f"{one['id']}  {one['effect']:<5} {standing:<9} {one['vendor']:<12} {one['package']} {end}"
        write_line(f"{line}: {safe(one['reason'], REASON_CHARACTERS)}")
    if not found:
        click.echo("no decisions about packages; 'rootwarden package block|allow' makes one", err=True)
    return 0


def _digest(sha256: str) -> str:
    digest = normalise_hex(sha256) or ""
    if len(digest) != SHA256_DIGITS:
        raise UsageError("a package is named by its SHA-256, 64 hex digits: sha256sum FILE")
    return digest


def _decide(name: str, sha256: str, vendor: str, reason: str, until: str | None, *, as_json: bool) -> int:
    arguments = {"package": _digest(sha256), "vendor": vendor, "reason": reason, "until": until}
    return decide(name, stated(arguments), as_json=as_json)


def _decision_to_dict(stored: StoredDecision, now: datetime) -> dict[str, Any]:
    decision = stored.decision
    ends = decision.effective_until
    return {
        "id": decision.id,
        "package": decision.package_sha256,
        "vendor": decision.vendor_id,
        "effect": decision.effect,
        "state": stored.state,
        "in_effect": stored.state == EFFECTIVE and (ends is None or now < ends),
        "reason": decision.reason,
        "proposed_by": stored.proposed_by,
        "effective_from": format_time(decision.effective_from) if stored.state == EFFECTIVE else None,
        "effective_until": format_time(ends) if ends else None,
        "recorded_at": format_time(stored.recorded_at),
    }
