"""``rootwarden package``: what the store answers about packages it has seen, without their files."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import click

from trust_store import query
from trust_store.cli.check_answers import verdict_code
from trust_store.cli.check_request import expected_vendor
from trust_store.cli.output import write_line
from trust_store.cli.verdict_text import verdict_lines
from trust_store.errors import UsageError
from trust_store.model.identifiers import normalise_hex
from trust_store.settings import load_trust_settings
from trust_store.storage.facts import sightings
from trust_store.verdict_json import verdict_to_dict
from trust_store.verifier import verify_stored

SHA256_DIGITS = 64


@click.group()
def command() -> None:
    """Packages that have been seen.

    \b
    Examples:
      rootwarden package show 9f86d081... --vendor dten
    """


@command.command()
@click.argument("sha256", metavar="SHA256")
@click.option(
    "--vendor", required=True, metavar="ID", help="Whose package it is said to be; 'any' is the explicit opt-out."
)
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as one JSON line.")
def show(sha256: str, vendor: str, *, as_json: bool) -> int:
    """The verdict on a package as of now, from its stored facts; the file is not needed. Exit codes as of 'check'.

    \b
    Examples:
      rootwarden package show 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 --vendor dten
      rootwarden package show 9f86d081... --vendor dten --json | jq -r .outcome
    """
    digest = normalise_hex(sha256) or ""
    if len(digest) != SHA256_DIGITS:
        raise UsageError("a package is named by its SHA-256, 64 hex digits: sha256sum FILE")
    invocation = click.get_current_context().obj
    settings = load_trust_settings(Path(invocation.config))
    with closing(query.open_consistent(settings.store.database)) as connection, query.snapshot(connection):
        seen = sightings(connection, digest)
        expected = expected_vendor(vendor, settings, seen[0].name if seen else "")
        evidence = invocation.evidence(connection) if invocation.evidence else None
        verdict = verify_stored(connection, digest, expected, settings.vendors, at=invocation.now(), evidence=evidence)
    write_line(json.dumps(verdict_to_dict(verdict)) if as_json else "\n".join(verdict_lines(verdict)))
    return verdict_code(verdict)
