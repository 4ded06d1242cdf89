"""``rootwarden doctor``: everything that would keep this installation from doing its work, each with what to do about it."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from monitor.cli.findings import Finding, configuration_findings
from trust_store.errors import TrustStoreError
from trust_store.model.identifiers import parse_time
from trust_store.terminal import safe

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from datetime import datetime

    from monitor.cli import Invocation
    from monitor.config import MonitorSettings
    from trust_store.settings import TrustSettings


FAILURES = 3
"""Polls in a row that failed before a source is told of."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON line per finding.")
@click.pass_obj
def command(invocation: Invocation, *, as_json: bool) -> int:
    """Examine configuration, store, policy, sandbox and daemon; exit 0 without errors, 2 with configuration errors, else 4.

    \b
    Examples:
      rootwarden doctor
      rootwarden doctor --json | jq 'select(.level != "ok")'
    """
    from monitor.config import load_monitor_settings

    try:
        settings = load_monitor_settings(invocation.config.absolute())
    except TrustStoreError as error:
        _tell(Finding("error", error.diagnostics(), "correct it, then: rootwarden config check"), as_json=as_json)
        return error.exit_code
    findings = [Finding("ok", f"configuration {settings.trust.file}")]
    findings += configuration_findings(settings, os.environ, invocation.now)
    wrong = any(f.level == "error" for f in findings)
    findings += examine(settings, invocation.now())
    for finding in findings:
        _tell(finding, as_json=as_json)
    return 2 if wrong else 4 if any(f.level == "error" for f in findings) else 0


def examine(settings: MonitorSettings, now: datetime) -> Iterator[Finding]:
    """Every finding about an installation with these settings, its configuration apart; reads only."""
    yield from _store(settings, now)
    yield from _daemon(settings)
    yield from _sandbox()


def _store(settings: MonitorSettings, now: datetime) -> Iterator[Finding]:
    from monitor.schema import MIGRATION_SETS
    from trust_store import audit
    from trust_store.storage.connection import StoreClosedError, connect
    from trust_store.storage.migrations import require_schema

    database = settings.trust.store.database
    try:
        with closing(connect(database, read_only=True)) as connection:
            require_schema(connection, MIGRATION_SETS)
            audit.verify(connection)
            waiting = [*_waiting(settings, connection), *_silent(settings, connection, now)]
    except StoreClosedError as error:
        yield Finding("error", error.diagnostics(), "the store was not examined: sudo rootwarden doctor")
        return
    except TrustStoreError as error:
        yield Finding(
            "error", error.diagnostics(), "'rootwarden init' creates a store; an inconsistent one needs its backup"
        )
        return
    mode, owner = database.stat().st_mode & 0o777, database.stat().st_uid
    if mode & 0o077:
        yield Finding("error", f"{database} is readable by others ({mode:o})", f"chmod 0600 {database}")
    yield Finding("ok", f"store {database} of {_user(owner)}, audit log and anchors agree")
    yield from waiting
    yield from _instance(settings.trust, owner)


def _waiting(settings: MonitorSettings, connection: sqlite3.Connection) -> Iterator[Finding]:
    """Changes of policy that count once people of the old policy approve them."""
    from trust_store.storage.approver_list import newest
    from trust_store.storage.vendors import AWAITING, latest

    for vendor in settings.trust.vendors:
        known = latest(connection, vendor.id)
        if known is not None and known.state == AWAITING:
            yield Finding(
                "warning",
                f"vendor {vendor.id}: its file was changed to a weaker policy, which does not count yet",
                f"rootwarden anchor approve-policy {vendor.id}, by the people that the old policy asks for",
            )
    people = newest(connection)
    if people is not None and people.awaiting:
        yield Finding(
            "warning",
            "[approvers] was changed, and whoever is new there does not count yet",
            "rootwarden anchor approve-policy --approvers, by people of the list before",
        )


def _silent(settings: MonitorSettings, connection: sqlite3.Connection, now: datetime) -> Iterator[Finding]:
    """Sources that do not answer."""
    from monitor.storage.sources import state_of

    for source in settings.sources:
        failures = state_of(connection, source, now).failures
        if failures >= FAILURES:
            name = safe(source.name, 200)
            yield Finding(
                "warning", f"source {name} failed {failures} times in a row", f"rootwarden source show '{name}'"
            )


def _instance(trust: TrustSettings, owner: int) -> Iterator[Finding]:
    """The key that signs the log, and this user's memory of stores."""
    from trust_store import instance_key
    from trust_store.cli.audit_instance import handed_key
    from trust_store.remembered import memory_folder, why_not_kept

    database = trust.store.database
    try:
        signed = database.with_name(instance_key.PUBLIC_NAME).exists()
        if signed and os.geteuid() in (0, owner) and not handed_key(trust).exists():
            instance_key.private_key(database)
    except TrustStoreError as error:
        yield Finding(
            "warning",
            f"no decision can be signed: {error.diagnostics()}",
            "restore the backup of the key; where it is lost, stop the daemon, then: rootwarden audit rekey",
        )
    missing = why_not_kept(memory_folder())
    if missing is not None:
        yield Finding(
            "warning",
            f"this user does not remember how new the store was: {missing}",
            "set XDG_STATE_HOME, else only the checkpoint beside the database tells a restored one",
        )


def _daemon(settings: MonitorSettings) -> Iterator[Finding]:
    from trust_store import client

    path = settings.trust.control.socket
    try:
        told = client.request(path, "ping", {}, timeout=5.0)
        loaded_at = parse_time(str(told.get("loaded_at"))).timestamp()
    except TrustStoreError as error:
        yield Finding("warning", error.diagnostics(), "rootwarden config check, then: systemctl status rootwarden")
        return
    except ValueError:
        yield Finding("warning", f"what answers on {path} is no daemon of this version", "systemctl restart rootwarden")
        return
    yield Finding("ok", f"the daemon answers on {path}")
    folder = settings.trust.file.parent / "vendors.d"
    for file in (settings.trust.file, folder, *sorted(folder.glob("*.toml"))):
        if file.exists() and file.stat().st_mtime > loaded_at:
            yield Finding(
                "warning",
                f"{file} was changed since the daemon loaded it: nothing of that counts yet",
                "systemctl restart rootwarden",
            )


def _sandbox() -> Iterator[Finding]:
    # In a process of its own: a filter once set stays.
    code = "import sys; from trust_store.formats.isolation import isolate; sys.exit(0 if isolate((0, 1, 2), cpu_seconds=10) else 3)"
    tried = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)  # noqa: S603 - our own words
    if tried.returncode == 0:
        yield Finding("ok", "package readers run without sockets, programs and files (seccomp)")
    else:
        yield Finding(
            "warning",
            "no seccomp filter can be set here: package readers run under resource limits only",
            "use Linux >= 5.4",
        )


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _tell(finding: Finding, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(asdict(finding)))
        return
    advice = f"\n         {finding.advice}" if finding.advice else ""
    click.echo(f"{finding.level:8} {finding.what}{advice}")
