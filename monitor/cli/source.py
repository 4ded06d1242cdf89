"""``rootwarden source``: what is listened to, and how it stands."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from trust_store.terminal import safe

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from escalation.redaction import Redactor
    from monitor.cli import Invocation
    from monitor.config import MonitorSettings, Source

JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def command() -> None:
    """The vendor channels that are read.

    \b
    Examples:
      rootwarden source list
      rootwarden source show forum --json
    """


@command.command("list")
@JSON_OPTION
@click.pass_obj
def list_command(invocation: Invocation, *, as_json: bool) -> int:
    """List every source with its state, when it last answered, failures in a row and when it is due.

    \b
    Examples:
      rootwarden source list
      rootwarden source list --json | jq '.[] | select(.state != "ok")'
    """
    from monitor.config import load_monitor_settings

    settings = load_monitor_settings(invocation.config.absolute())
    with closing(_open(settings)) as connection:
        redactor = _redactor(connection)
        found = [_described(connection, source, invocation.now(), redactor) for source in settings.sources]
    if as_json:
        click.echo(json.dumps(found))
        return 0
    for source in found:
        late = f", {source['failures']} failures in a row: {source['last_error']}" if source["failures"] else ""
        click.echo(
            f"{source['state']:8} {source['name']}  ({source['vendor']}, {source['kind']}, "
            f"answered {source['last_ok_at'] or 'never'}, due {source['next_due_at']}{late})"
        )
    if not found:
        click.echo("no sources: add [[source]] to a vendor file", err=True)
    return 0


@command.command()
@click.argument("name")
@JSON_OPTION
@click.pass_obj
def show(invocation: Invocation, name: str, *, as_json: bool) -> int:
    """Show one source: its clocks, its last error, and the newest of what was read from it.

    \b
    Examples:
      rootwarden source show forum
      rootwarden source show forum --json | jq .documents
    """
    from monitor.cli.poll import choose
    from monitor.config import load_monitor_settings

    settings = load_monitor_settings(invocation.config.absolute())
    (source,) = choose(settings, name)
    with closing(_open(settings)) as connection:
        redactor = _redactor(connection)
        found = {
            **_described(connection, source, invocation.now(), redactor),
            "documents": _documents(connection, source, redactor),
            "key_files": _key_files(connection, source, redactor),
        }
    if as_json:
        click.echo(json.dumps(found))
        return 0
    for key, value in found.items():
        if not isinstance(value, list):
            click.echo(f"{key}: {'-' if value is None else value}")
    for document in found["documents"]:
        click.echo(
            f"document: {document['title'] or document['url']} ({document['parts']} parts, {document['versions']} versions)"
        )
    for file in found["key_files"]:
        click.echo(f"key file: {file['url']} ({file['status']}{': ' + file['detail'] if file['detail'] else ''})")
    return 0


def _open(settings: MonitorSettings) -> sqlite3.Connection:
    from monitor.schema import MIGRATION_SETS
    from trust_store.storage.connection import connect
    from trust_store.storage.migrations import require_schema

    connection = connect(settings.trust.store.database, read_only=True)
    try:
        require_schema(connection, MIGRATION_SETS)
    except BaseException:
        connection.close()
        raise
    return connection


def _described(connection: sqlite3.Connection, source: Source, now: datetime, redactor: Redactor) -> dict[str, Any]:
    from monitor.storage.sources import state_of
    from trust_store.model.identifiers import format_time

    state = state_of(connection, source, now)
    clocks = {
        name: (at := getattr(state, name)) and format_time(at)
        for name in ("next_due_at", "last_attempt_at", "last_ok_at", "last_parsed_at", "last_new_at")
    }
    return {
        "name": safe(source.name, 200),
        "vendor": source.vendor_id,
        "kind": source.kind.value,
        "url": source.url,
        "state": state.status,
        "failures": state.failures,
        "last_error": redactor.said(state.last_error, 2000) if state.last_error else None,
        **clocks,
    }


def _documents(connection: sqlite3.Connection, source: Source, redactor: Redactor) -> list[dict[str, Any]]:
    rows = connection.execute(
        """SELECT d.title, d.url, d.updated_at, count(p.id) AS parts, coalesce(sum(p.version), 0) AS versions,
               count(p.removed_at) AS removed FROM document d LEFT JOIN document_part p ON p.document_id = d.id
           WHERE d.vendor_id = ? AND d.source_url = ? GROUP BY d.id ORDER BY d.updated_at DESC, d.id DESC LIMIT 20""",
        (source.vendor_id, source.url),
    )
    return [_shown(row, redactor) for row in rows]


def _shown(row: sqlite3.Row, redactor: Redactor) -> dict[str, Any]:
    """A row as people may see it: whoever writes a title or an address may spell the key there that a vendor is to read out."""
    said = dict(row)
    for key, value in said.items():
        if key in ("url", "title", "detail") and value:
            said[key] = redactor.url(value) if key == "url" else redactor.said(value)
        elif isinstance(value, str):
            said[key] = safe(value, 500)
    return said


def _redactor(connection: sqlite3.Connection) -> Redactor:
    """What takes out every key that awaits decision."""
    from escalation.redaction import anchor_secrets, redactor_of
    from trust_store import query
    from trust_store.model.trust_anchor import AnchorState

    pending = query.anchors(connection, None, {AnchorState.PENDING})
    return redactor_of(secret for anchor in pending for secret in anchor_secrets(anchor))


def _key_files(connection: sqlite3.Connection, source: Source, redactor: Redactor) -> list[dict[str, Any]]:
    rows = connection.execute(
        """SELECT a.url, a.status, a.detail, a.updated_at FROM attachment a JOIN document_part p ON p.id = a.part_id
           JOIN document d ON d.id = p.document_id WHERE d.vendor_id = ? AND d.source_url = ?
           ORDER BY a.updated_at DESC, a.url LIMIT 50""",
        (source.vendor_id, source.url),
    )
    return [_shown(row, redactor) for row in rows]
