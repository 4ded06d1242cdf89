"""Since when this program knows a package together with the very signatures that are judged."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from trust_store.model.identifiers import parse_time
from trust_store.model.package_facts import SignatureOrigin
from trust_store.storage import fact_signatures

if TYPE_CHECKING:
    from datetime import datetime

    from trust_store.model.package_facts import PackageFacts

MAX_FACT_SETS = 1000


def first_seen(connection: sqlite3.Connection, facts: PackageFacts) -> datetime | None:
    """When these facts' package was first read with every side file that signs it now; None if it never was.

    The package's digest alone says nothing about a signature beside it: such a file may have been made later. Only what this
    instance signed counts, so that nobody who writes the database dates a package back.
    """
    sides = {
        signature.file.sha256
        for signature in facts.signatures
        if signature.file and signature.origin is not SignatureOrigin.EMBEDDED
    }
    rows = connection.execute(
        f"SELECT {fact_signatures.COLUMNS} FROM fact_set WHERE package_sha256 = ? ORDER BY recorded_at LIMIT ?",  # noqa: S608 - own names
        (facts.sha256, MAX_FACT_SETS),
    )
    try:
        fitting = [row for row in rows if sides <= set(str(row["material"]).split(","))]
    except sqlite3.OperationalError:  # text that is no text any more: nothing about this package can be believed
        return None
    if not fitting:
        return None
    signatures = fact_signatures.of_store(connection)
    return next((parse_time(row["recorded_at"]) for row in fitting if signatures.hold(row)), None)
