"""``rootwarden doctor``: everything that would keep this installation from doing its work, each with what to do about it."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import click

from trust_store.errors import TrustStoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from monitor.cli import Invocation
    from monitor.config import MonitorSettings


@dataclass(frozen=True, slots=True)
class Finding:
    """One examined thing: ``level`` is ok, warning or error; ``advice`` names the next action."""

    level: str
    what: str
    advice: str = ""


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
        _tell(Finding("error", error.diagnostics(), "correct the file, then: rootwarden config check"), as_json=as_json)
        return error.exit_code
    findings = [Finding("ok", f"configuration {settings.trust.file}"), *examine(settings)]
    for finding in findings:
        _tell(finding, as_json=as_json)
    return 4 if any(f.level == "error" for f in findings) else 0


def examine(settings: MonitorSettings) -> Iterator[Finding]:
    """Every finding about an installation with these settings; reads only."""
    yield from _policy(settings)
    yield from _store(settings)
    yield from _daemon(settings)
    yield from _sandbox()


def _policy(settings: MonitorSettings) -> Iterator[Finding]:
    people = {person for _, person in settings.trust.approvers.by_identity}
    if not people:
        yield Finding("warning", "[approvers] names nobody: no key can be decided", "add people to [approvers]")
    for uid, person in settings.trust.approvers.by_uid:
        if uid == 0:
            yield Finding("warning", f"root decides as {person!r}", "let people decide under their own users")
        elif _owner(settings.trust.store.database) == uid:
            yield Finding(
                "warning", f"the service's own user decides as {person!r}", "let people decide under their own users"
            )
    if not settings.trust.vendors:
        yield Finding("warning", "no vendor file", f"add one to {settings.trust.file.parent}/vendors.d")
    for vendor in settings.trust.vendors:
        if not vendor.contacts:
            yield Finding(
                "warning", f"vendor {vendor.id}: no contact to call", "add [[vendor.contact]] from your own records"
            )
        if len(people) < vendor.policy.approvals:
            yield Finding(
                "warning",
                f"vendor {vendor.id} needs {vendor.policy.approvals} approvers and [approvers] names {len(people)}",
                "name more people, or write [vendor.policy] approvals out",
            )
        if not any(source.vendor_id == vendor.id for source in settings.sources):
            yield Finding(
                "warning", f"vendor {vendor.id}: no source is read", "add [[source]]: silence is a fault, not peace"
            )
    if not settings.delivery_tables:
        yield Finding(
            "warning", "no delivery channel: alerts stay in the store", "add [delivery.smtp] or [delivery.slack]"
        )


def _owner(database: Path) -> int | None:
    """Whose the store is; None where there is none yet, or its folder is closed to whoever asks."""
    try:
        return database.stat().st_uid
    except OSError:
        return None


def _store(settings: MonitorSettings) -> Iterator[Finding]:
    from monitor.schema import MIGRATION_SETS
    from trust_store import audit
    from trust_store.storage.connection import connect
    from trust_store.storage.migrations import require_schema

    database = settings.trust.store.database
    try:
        connection = connect(database, read_only=True)
        try:
            require_schema(connection, MIGRATION_SETS)
            audit.verify(connection)
        finally:
            connection.close()
    except TrustStoreError as error:
        yield Finding(
            "error", error.diagnostics(), "'rootwarden init' creates a store; an inconsistent one needs its backup"
        )
        return
    mode, owner = database.stat().st_mode & 0o777, database.stat().st_uid
    if mode & 0o077:
        yield Finding("error", f"{database} is readable by others ({mode:o})", f"chmod 0600 {database}")
    yield Finding("ok", f"store {database} of {_user(owner)}, audit log and anchors agree")
    yield from _instance(database)


def _instance(database: Path) -> Iterator[Finding]:
    """The key that signs the log, and this user's memory of stores."""
    from trust_store import instance_key
    from trust_store.remembered import memory_folder, why_not_kept

    try:
        if _owner(database) == os.geteuid() and database.with_name(instance_key.PUBLIC_NAME).exists():
            instance_key.private_key(database)
    except TrustStoreError as error:
        yield Finding(
            "warning", f"no decision can be signed from here: {error.diagnostics()}", "restore the backup of the key"
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

    try:
        client.request(settings.trust.control.socket, "ping", {}, timeout=5.0)
        yield Finding("ok", f"the daemon answers on {settings.trust.control.socket}")
    except TrustStoreError as error:
        yield Finding("warning", f"the daemon does not answer: {error.diagnostics()}", "systemctl start rootwarden")


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
