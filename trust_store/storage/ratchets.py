"""Ratchets as append-only versions, found from the audit log's side: the newest of one product costs the same in every store.

A ratchet's id follows from its product, so that the log is asked for the very id: a row that was edited, moved to another product, put
back or removed raises StoreInconsistentError and never loosens an answer.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from trust_store.errors import StoreInconsistentError
from trust_store.model.identifiers import format_time, parse_time
from trust_store.model.ratchet import DIMENSIONS, Mark, Ratchet, ratchet_id
from trust_store.quick_dataclass import dataclass
from trust_store.storage.anchors import raise_revision
from trust_store.storage.versions import append_row, require_known, rows_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from datetime import datetime

KIND = "ratchet"
RAISED, LOWERED = "raised", "lowered"
RAISED_ENTRY = f"{KIND}.{RAISED}"
"""Kind of the entry that tells of a raised ratchet: it changes no verdict that was given before."""


@dataclass(frozen=True, slots=True)
class StoredRatchet:
    """One version: ``state`` raised (by ``package_sha256``) or lowered (for ``reason``)."""

    ratchet: Ratchet
    state: str
    package_sha256: str | None
    reason: str
    actor: str
    audit_seq: int = 0


def append_ratchet(
    connection: sqlite3.Connection, stored: StoredRatchet, *, body: dict[str, Any], at: datetime
) -> None:
    """Write one version with its audit entry, in the caller's transaction; it raises the store's revision."""
    ratchet = stored.ratchet
    marks = {
        name: [m.value, m.package_sha256, format_time(m.seen_at)] for name in DIMENSIONS if (m := ratchet.mark(name))
    }
    row = {
        "ratchet_id": ratchet.id,
        "version": ratchet.number,
        "vendor_id": ratchet.vendor_id,
        "kind": ratchet.kind,
        "name": ratchet.name,
        "marks": json.dumps(marks, sort_keys=True),
        "state": stored.state,
        "package_sha256": stored.package_sha256,
        "reason": stored.reason,
        "lowered_at": format_time(ratchet.lowered_at) if ratchet.lowered_at else None,
        "recorded_at": format_time(ratchet.recorded_at),
    }
    said = {
        **body, "vendor": ratchet.vendor_id, "product": [ratchet.kind, ratchet.name], "package": stored.package_sha256,
        "marks": {name: values[0] for name, values in marks.items()},
    }  # fmt: skip
    if stored.reason:
        said["reason"] = stored.reason
    append_row(
        connection, KIND, row, kind=f"{KIND}.{stored.state}", actor=stored.actor, subject=ratchet.id, body=said, at=at
    )
    raise_revision(connection)


def current(connection: sqlite3.Connection, ratchet: str, known_at: datetime | None = None) -> StoredRatchet | None:
    """The newest version of the ratchet of that id (recorded by ``known_at``; None: of all), None where there is none."""
    newest = connection.execute(
        "SELECT max(record_version) FROM audit_log WHERE record_kind = ? AND record_id = ?", (KIND, ratchet)
    ).fetchone()[0]
    there = connection.execute("SELECT max(version) FROM ratchet_version WHERE ratchet_id = ?", (ratchet,)).fetchone()[
        0
    ]
    if newest != there:
        raise StoreInconsistentError(
            f"ratchet_version: {ratchet} is not at version {newest}, where the audit log has it"
        )
    if newest is None:
        return None
    moment = format_time(known_at) if known_at is not None else None
    entries = connection.execute(
        "SELECT * FROM audit_log WHERE record_kind = ? AND record_id = ? AND (? IS NULL OR recorded_at <= ?)"
        " ORDER BY record_version DESC LIMIT 1",
        (KIND, ratchet, moment, moment),
    ).fetchall()
    found = _decoded(connection, entries)
    return found[0] if found else None


def concerning(
    connection: sqlite3.Connection,
    vendor_id: str,
    names: Iterable[tuple[str, str]],
    at: datetime | None,
    known_at: datetime | None = None,
) -> tuple[Ratchet, ...]:
    """What counts for a package of these (kind, name): the newest version as known, and the one of ``at`` where that is another."""
    found: list[Ratchet] = []
    for kind, name in names:
        newest = current(connection, ratchet_id(vendor_id, kind, name), known_at)
        if newest is None:
            continue
        found.append(newest.ratchet)
        if at is not None and at < newest.ratchet.recorded_at and newest.ratchet.number > 1:
            moment = at if known_at is None else min(at, known_at)
            then = current(connection, newest.ratchet.id, moment)
            found += [then.ratchet] if then is not None else []
    return tuple(found)


def history(connection: sqlite3.Connection, ratchet: str) -> tuple[StoredRatchet, ...]:
    """Every version of one ratchet, the oldest first; empty where there is none of this id."""
    entries = connection.execute(
        "SELECT * FROM audit_log WHERE record_kind = ? AND record_id = ? ORDER BY seq", (KIND, ratchet)
    ).fetchall()
    found = _decoded(connection, entries)
    require_known(connection, KIND, "ratchet_id", ratchet, (e["seq"] for e in entries))
    return found


def of_every_product(connection: sqlite3.Connection, vendor_id: str | None = None) -> tuple[StoredRatchet, ...]:
    """Every ratchet in its current version, one vendor's or (None) all, by vendor, kind and name."""
    entries = connection.execute(
        "SELECT * FROM audit_log AS a WHERE record_kind = ? AND (? IS NULL OR vendor_id = ?) AND record_version ="
        " (SELECT max(record_version) FROM audit_log AS b WHERE b.record_kind = a.record_kind AND b.record_id = a.record_id)",
        (KIND, vendor_id, vendor_id),
    ).fetchall()
    found = _decoded(connection, entries)
    return tuple(sorted(found, key=lambda s: (s.ratchet.vendor_id, s.ratchet.kind, s.ratchet.name)))


def _decoded(connection: sqlite3.Connection, entries: list[sqlite3.Row]) -> tuple[StoredRatchet, ...]:
    actors = {int(entry["seq"]): str(entry["actor"]) for entry in entries}
    return tuple(_decode(row, actors[int(row["audit_seq"])]) for row in rows_of(connection, KIND, entries))


def _decode(row: sqlite3.Row, actor: str) -> StoredRatchet:
    try:
        marks = {
            name: Mark(str(value), str(package), parse_time(seen))
            for name, (value, package, seen) in json.loads(row["marks"]).items()
        }
        lowered = row["lowered_at"]
        ratchet = Ratchet(
            row["vendor_id"], row["kind"], row["name"], row["version"], parse_time(row["recorded_at"]),
            lowered_at=parse_time(lowered) if lowered else None,
        ).with_marks(marks)  # fmt: skip
    except (ValueError, TypeError) as error:
        raise StoreInconsistentError(f"ratchet_version: {row['ratchet_id']} cannot be read: {error}") from error
    if ratchet.id != row["ratchet_id"]:
        raise StoreInconsistentError(f"ratchet_version: {row['ratchet_id']} is the id of another product")
    return StoredRatchet(ratchet, row["state"], row["package_sha256"], row["reason"], actor, row["audit_seq"])
