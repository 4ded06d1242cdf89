"""Since when this program knows a package together with the very signatures that are judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.model.identifiers import parse_time

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from trust_store.model.package_facts import PackageFacts

MAX_FACT_SETS = 1000


def first_seen(connection: sqlite3.Connection, facts: PackageFacts) -> datetime | None:
    """When these facts' package was first read with every side file that signs it now; None if it never was.

    The package's digest alone says nothing about a signature beside it: such a file may have been made later.
    """
    sides = {signature.file.sha256 for signature in facts.signatures if signature.file is not None}
    rows = connection.execute(
        "SELECT material, recorded_at FROM fact_set WHERE package_sha256 = ? ORDER BY recorded_at LIMIT ?",
        (facts.sha256, MAX_FACT_SETS),
    )
    return next((parse_time(row["recorded_at"]) for row in rows if sides <= set(row["material"].split(","))), None)
