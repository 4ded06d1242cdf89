"""The decision tables and the digest of one row's content, as the audit log records it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class RecordTable:
    """A decision table: ``content`` are all its columns but ``audit_seq``."""

    name: str
    id_column: str
    version_column: str
    content: tuple[str, ...]


RECORD_TABLES = {
    "anchor": RecordTable(
        "anchor_version",
        "anchor_id",
        "version",
        (
            "anchor_id", "version", "vendor_id", "kind", "name", "key_sha256", "material", "identifiers", "state",
            "constraints", "signer_rule", "follow_rotation", "authority", "reference", "cause", "previous", "successor",
            "basis", "proposal_digest", "recorded_at", "effective_from", "effective_until",
        ),
    ),
    "approval": RecordTable(
        "approval",
        "subject",
        "number",
        (
            "subject", "number", "transition", "proposal_digest", "approver", "spoke_with", "called", "ticket",
            "algorithm", "way", "reason", "needed", "counts_from", "recorded_at",
        ),
    ),
    "vendor": RecordTable(
        "vendor_snapshot",
        "vendor_id",
        "version",
        ("vendor_id", "version", "digest", "content", "state", "recorded_at"),
    ),
    "decision": RecordTable(
        "digest_decision_version",
        "decision_id",
        "version",
        (
            "decision_id", "version", "package_sha256", "vendor_id", "effect", "reason", "state", "proposed_by",
            "effective_from", "effective_until", "recorded_at",
        ),
    ),
    "baseline": RecordTable(
        "baseline_version",
        "baseline_id",
        "version",
        ("baseline_id", "version", "vendor_id", "digest", "members", "state", "proposed_by", "recorded_at"),
    ),
    "lineage": RecordTable(
        "lineage",
        "successor_id",
        "number",
        (
            "successor_id", "number", "vendor_id", "predecessor_id", "grade", "proof_kind", "proof", "reference",
            "recorded_at",
        ),
    ),
    "ratchet": RecordTable(
        "ratchet_version",
        "ratchet_id",
        "version",
        (
            "ratchet_id", "version", "vendor_id", "kind", "name", "marks", "state", "package_sha256", "reason", "lowered_at",
            "recorded_at",
        ),
    ),
}  # fmt: skip
"""Kind of record -> its table."""


def content_digest(table: RecordTable, row: sqlite3.Row | Mapping[str, Any]) -> str:
    """SHA-256 over a canonical encoding of a row's content; a BLOB enters as the digest of its bytes."""
    values = [_plain(row[column]) for column in table.content]
    encoded = json.dumps([table.name, values], ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(b"rootwarden/record/1\0" + encoded.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """What JSON can hold, never the same for two different values."""
    return ["blob", hashlib.sha256(value).hexdigest()] if isinstance(value, bytes) else value
