"""Decisions about one package digest as append-only versions, found from the audit log's side.

Every entry's subject is the package's digest, so that what is asked for a package is answered by the log's index: a row that was
edited, moved to another digest or deleted raises StoreInconsistentError and never changes an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trust_store.errors import StoreInconsistentError
from trust_store.model.identifiers import format_time, parse_time
from trust_store.model.trust_view import BLOCK, DigestDecision
from trust_store.quick_dataclass import dataclass
from trust_store.storage.anchors import raise_revision
from trust_store.storage.versions import append_row, require_known, rows_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping
    from datetime import datetime

KIND = "decision"
PENDING, EFFECTIVE, WITHDRAWN = "pending", "effective", "withdrawn"


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """One version of a digest decision; ``state`` is pending, effective or withdrawn. Times are aware UTC."""

    decision: DigestDecision
    version: int
    state: str
    proposed_by: str
    recorded_at: datetime
    audit_seq: int = 0


def append_decision(
    connection: sqlite3.Connection, stored: StoredDecision, *, actor: str, body: Mapping[str, Any], at: datetime
) -> None:
    """Write one version with its audit entry, in the caller's transaction; a change that counts raises the store's revision."""
    decision = stored.decision
    row = {
        "decision_id": decision.id,
        "version": stored.version,
        "package_sha256": decision.package_sha256,
        "vendor_id": decision.vendor_id,
        "effect": decision.effect,
        "reason": decision.reason,
        "state": stored.state,
        "proposed_by": stored.proposed_by,
        "effective_from": format_time(decision.effective_from),
        "effective_until": format_time(decision.effective_until) if decision.effective_until else None,
        "recorded_at": format_time(stored.recorded_at),
    }
    said = {
        **body, "decision": decision.id, "vendor": decision.vendor_id, "effect": decision.effect, "reason": decision.reason,
        "until": row["effective_until"], "state": stored.state,
    }  # fmt: skip
    append_row(
        connection, KIND, row, kind=f"package.{decision.effect}_{stored.state}", actor=actor,
        subject=decision.package_sha256, body=said, at=at,
    )  # fmt: skip
    if stored.state != PENDING:
        raise_revision(connection)


def in_effect(
    connection: sqlite3.Connection,
    package_sha256: str,
    vendor_id: str | None,
    at: datetime,
    known_at: datetime | None = None,
) -> tuple[DigestDecision, ...]:
    """The decisions that count for this package and vendor at ``at``, as known at ``known_at`` (None: now), blocks first.

    What was withdrawn counts for nothing once that is known; for the rest see ``DigestDecision.counts``.
    """
    found = [
        stored.decision
        for stored in current_of(of_package(connection, package_sha256), known_at)
        if stored.state == EFFECTIVE and stored.decision.counts(vendor_id, at)
    ]
    return tuple(sorted(found, key=lambda d: (d.effect != BLOCK, d.id)))


def of_package(connection: sqlite3.Connection, package_sha256: str) -> tuple[StoredDecision, ...]:
    """Every version of every decision about this digest, as the log is ordered."""
    entries = connection.execute(
        "SELECT * FROM audit_log WHERE subject = ? AND record_kind = ? ORDER BY seq", (package_sha256, KIND)
    ).fetchall()
    found = _decoded(connection, entries)
    require_known(connection, KIND, "package_sha256", package_sha256, (e["seq"] for e in entries))
    return found


def of_every_package(connection: sqlite3.Connection, vendor_id: str | None = None) -> tuple[StoredDecision, ...]:
    """Every decision in its current version, one vendor's or (None) all, the newest first."""
    entries = connection.execute(
        "SELECT * FROM audit_log WHERE record_kind = ? AND (? IS NULL OR vendor_id = ?) ORDER BY seq",
        (KIND, vendor_id, vendor_id),
    ).fetchall()
    return tuple(reversed(current_of(_decoded(connection, entries))))


def current(connection: sqlite3.Connection, decision_id: str) -> StoredDecision | None:
    """The current version of one decision, or None where the log knows none of this id."""
    entries = connection.execute(
        "SELECT * FROM audit_log WHERE record_kind = ? AND record_id = ? ORDER BY seq", (KIND, decision_id)
    ).fetchall()
    found = _decoded(connection, entries)
    require_known(connection, KIND, "decision_id", decision_id, (e["seq"] for e in entries))
    return found[-1] if found else None


def current_of(versions: Iterable[StoredDecision], known_at: datetime | None = None) -> tuple[StoredDecision, ...]:
    """Of each decision the newest version that was recorded by ``known_at`` (None: at all), in the order of the log."""
    newest: dict[str, StoredDecision] = {}
    for stored in versions:
        if known_at is None or stored.recorded_at <= known_at:
            newest.pop(stored.decision.id, None)
            newest[stored.decision.id] = stored
    return tuple(newest.values())


def _decoded(connection: sqlite3.Connection, entries: list[sqlite3.Row]) -> tuple[StoredDecision, ...]:
    return tuple(_decode(row) for row in rows_of(connection, KIND, entries))


def _decode(row: sqlite3.Row) -> StoredDecision:
    try:
        until = row["effective_until"]
        decision = DigestDecision(
            row["decision_id"], row["package_sha256"], row["vendor_id"], row["effect"], row["reason"],
            parse_time(row["effective_from"]), parse_time(until) if until else None,
        )  # fmt: skip
        recorded = parse_time(row["recorded_at"])
    except (ValueError, TypeError) as error:
        raise StoreInconsistentError(
            f"digest_decision_version: {row['decision_id']} cannot be read: {error}"
        ) from error
    return StoredDecision(decision, row["version"], row["state"], row["proposed_by"], recorded, row["audit_seq"])
