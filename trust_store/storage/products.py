"""Which products have been seen: of every vendor and file name the package that was seen last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class SeenProduct:
    """``vendor_id`` None where nobody said whose it is."""

    vendor_id: str | None
    name: str
    package_sha256: str


def latest_products(connection: sqlite3.Connection, vendor_id: str | None, limit: int) -> tuple[SeenProduct, ...]:
    """Up to ``limit`` products, those seen last first; all vendors' where none is named."""
    rows = connection.execute(
        """SELECT vendor_id, name, package_sha256 FROM (
             SELECT vendor_id, name, package_sha256, last_seen_at, row_number() OVER (
               PARTITION BY vendor_id, name ORDER BY last_seen_at DESC, package_sha256) AS place
             FROM sighting WHERE ? OR vendor_id = ?) AS seen
           WHERE place = 1 ORDER BY last_seen_at DESC, vendor_id, name LIMIT ?""",
        (vendor_id is None, vendor_id or "", limit),
    )
    return tuple(SeenProduct(row["vendor_id"] or None, row["name"], row["package_sha256"]) for row in rows)
