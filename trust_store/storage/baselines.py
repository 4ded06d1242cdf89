"""Baselines as append-only versions: one proposal for a set of pending anchors, bound to one digest, found from the log's side."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trust_store.errors import StoreInconsistentError
from trust_store.model.identifiers import format_time, parse_time
from trust_store.storage.versions import append_row, require_known, rows_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping
    from datetime import datetime

KIND = "baseline"
PENDING, APPROVED, REJECTED = "pending", "approved", "rejected"


@dataclass(frozen=True, slots=True, order=True)
class Member:
    """One key of a set as it was proposed: ``proposal_digest`` covers the material and every rule (``storage.anchors``)."""

    kind: str
    key_sha256: str
    proposal_digest: str
    anchor_id: str


@dataclass(frozen=True, slots=True)
class StoredBaseline:
    """One version of a baseline; ``state`` is pending, approved or rejected."""

    id: str
    version: int
    vendor_id: str
    digest: str
    members: tuple[Member, ...]
    state: str
    proposed_by: str
    recorded_at: datetime
    audit_seq: int = 0


def baseline_digest(vendor_id: str, members: Iterable[Member]) -> str:
    """SHA-256, lower-case hex, over the vendor and the sorted (kind, key digest, proposal digest) of the members."""
    bound = sorted((m.kind, m.key_sha256, m.proposal_digest) for m in members)
    said = json.dumps([vendor_id, bound], ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(b"rootwarden/baseline/1\0" + said.encode()).hexdigest()


def append_baseline(
    connection: sqlite3.Connection, stored: StoredBaseline, *, actor: str, body: Mapping[str, Any], at: datetime
) -> None:
    """Write one version with its audit entry, in the caller's transaction. The body never holds a key or its fingerprint."""
    row = {
        "baseline_id": stored.id,
        "version": stored.version,
        "vendor_id": stored.vendor_id,
        "digest": stored.digest,
        "members": json.dumps([[m.kind, m.key_sha256, m.proposal_digest, m.anchor_id] for m in stored.members]),
        "state": stored.state,
        "proposed_by": stored.proposed_by,
        "recorded_at": format_time(stored.recorded_at),
    }
    said = {**body, "vendor": stored.vendor_id, "members": len(stored.members), "digest": stored.digest}
    append_row(connection, KIND, row, kind=f"baseline.{stored.state}", actor=actor, subject=stored.id, body=said, at=at)


def current(connection: sqlite3.Connection, baseline_id: str) -> StoredBaseline | None:
    """The current version of one baseline, checked against the log, or None where the log knows none of this id."""
    entries = connection.execute(
        "SELECT * FROM audit_log WHERE record_kind = ? AND record_id = ? ORDER BY seq", (KIND, baseline_id)
    ).fetchall()
    found = _decoded(connection, entries)
    require_known(connection, KIND, "baseline_id", baseline_id, (e["seq"] for e in entries))
    return found[-1] if found else None


def of_every_vendor(connection: sqlite3.Connection, vendor_id: str | None = None) -> tuple[StoredBaseline, ...]:
    """Every baseline in its current version, one vendor's or (None) all, the newest first."""
    entries = connection.execute(
        "SELECT * FROM audit_log WHERE record_kind = ? AND (? IS NULL OR vendor_id = ?) ORDER BY seq",
        (KIND, vendor_id, vendor_id),
    ).fetchall()
    newest = {found.id: found for found in _decoded(connection, entries)}
    return tuple(sorted(newest.values(), key=lambda b: b.audit_seq, reverse=True))


def _decoded(connection: sqlite3.Connection, entries: list[sqlite3.Row]) -> tuple[StoredBaseline, ...]:
    return tuple(_decode(row) for row in rows_of(connection, KIND, entries))


def _decode(row: sqlite3.Row) -> StoredBaseline:
    try:
        members = tuple(Member(str(k), str(s), str(p), str(a)) for k, s, p, a in json.loads(row["members"]))
        recorded = parse_time(row["recorded_at"])
    except (ValueError, TypeError, RecursionError) as error:
        raise StoreInconsistentError(f"baseline_version: {row['baseline_id']} cannot be read: {error}") from error
    return StoredBaseline(
        row["baseline_id"], row["version"], row["vendor_id"], row["digest"], members, row["state"],
        row["proposed_by"], recorded, row["audit_seq"],
    )  # fmt: skip
