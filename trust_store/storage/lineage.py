"""Which anchor replaced which, as append-only rows with their audit entries, found from the log's side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trust_store.errors import StoreInconsistentError
from trust_store.lineage import Grade, ProofKind
from trust_store.model.identifiers import format_time, parse_time
from trust_store.storage.versions import append_row, require_known, rows_of

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

KIND = "lineage"


@dataclass(frozen=True, slots=True)
class Link:
    """One statement that ``predecessor_id`` was replaced by ``successor_id``; ``number`` counts those about the successor.

    ``grade`` is what it was worth when recorded, ``proof`` what was handed over (of a cryptographic one exactly what verifies).
    """

    successor_id: str
    number: int
    vendor_id: str
    predecessor_id: str
    grade: Grade
    proof_kind: ProofKind
    proof: bytes | None
    reference: str
    recorded_at: datetime
    audit_seq: int = 0


def append_link(connection: sqlite3.Connection, link: Link, *, actor: str, at: datetime) -> None:
    """Write one link with its audit entry, in the caller's transaction. The entry never holds the proof: it contains keys."""
    row = {
        "successor_id": link.successor_id,
        "number": link.number,
        "vendor_id": link.vendor_id,
        "predecessor_id": link.predecessor_id,
        "grade": link.grade.value,
        "proof_kind": link.proof_kind.value,
        "proof": link.proof,
        "reference": link.reference,
        "recorded_at": format_time(link.recorded_at),
    }
    body = {
        "vendor": link.vendor_id, "predecessor": link.predecessor_id, "grade": link.grade.value,
        "proof": link.proof_kind.value,
    }  # fmt: skip
    append_row(connection, KIND, row, kind="lineage.recorded", actor=actor, subject=link.successor_id, body=body, at=at)


def of_successor(connection: sqlite3.Connection, successor_id: str) -> tuple[Link, ...]:
    """Every link that names this successor, the oldest first."""
    entries = connection.execute(
        "SELECT * FROM audit_log WHERE record_kind = ? AND record_id = ? ORDER BY seq", (KIND, successor_id)
    ).fetchall()
    found = tuple(_decode(row) for row in rows_of(connection, KIND, entries))
    require_known(connection, KIND, "successor_id", successor_id, (e["seq"] for e in entries))
    return found


def of_vendor(connection: sqlite3.Connection, vendor_id: str) -> tuple[Link, ...]:
    """Every link between a vendor's anchors, the oldest first."""
    entries = connection.execute(
        "SELECT * FROM audit_log WHERE record_kind = ? AND vendor_id = ? ORDER BY seq", (KIND, vendor_id)
    ).fetchall()
    return tuple(_decode(row) for row in rows_of(connection, KIND, entries))


def _decode(row: sqlite3.Row) -> Link:
    try:
        return Link(
            row["successor_id"], row["number"], row["vendor_id"], row["predecessor_id"], Grade(row["grade"]),
            ProofKind(row["proof_kind"]), row["proof"], row["reference"], parse_time(row["recorded_at"]), row["audit_seq"],
        )  # fmt: skip
    except (ValueError, TypeError) as error:
        raise StoreInconsistentError(f"lineage: {row['successor_id']} cannot be read: {error}") from error
