"""Revocation lists and OCSP responses kept fresh by the daemon, as rows by issuer. Unverified: whoever uses one checks its signature."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trust_store.errors import ResourceLimitError
from trust_store.model.identifiers import format_time
from trust_store.model.trust_view import RevocationMaterial

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from datetime import datetime

CRL, OCSP = "crl", "ocsp"
MAX_MATERIAL_BYTES = 32 * 1024 * 1024
NEWEST = 4
"""So many of each kind are handed out for an issuer: complete list, delta, and what overlaps them."""


@dataclass(frozen=True, slots=True)
class FetchedMaterial:
    """One list (``crl``, RFC 5280 section 5) or response (``ocsp``, RFC 6960), DER. ``issuer_sha256``: the issuer's certificate.

    ``this_update`` and ``next_update`` are what it says of itself.
    """

    kind: str
    issuer_sha256: str
    url: str
    material: bytes
    this_update: datetime
    next_update: datetime | None
    fetched_at: datetime


def save(connection: sqlite3.Connection, fetched: FetchedMaterial) -> str:
    """Keep it, inside the caller's transaction; the same bytes again only count as fetched anew. Returns its SHA-256.

    Raises ResourceLimitError for more than 32 MiB.
    """
    if len(fetched.material) > MAX_MATERIAL_BYTES:
        raise ResourceLimitError(f"revocation material of {len(fetched.material)} bytes")
    digest = hashlib.sha256(fetched.material).hexdigest()
    connection.execute(
        "INSERT INTO revocation_material VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (sha256) DO UPDATE SET fetched_at = excluded.fetched_at, url = excluded.url",
        (
            digest, fetched.kind, fetched.issuer_sha256, fetched.url, fetched.material, format_time(fetched.this_update),
            format_time(fetched.next_update) if fetched.next_update else None, format_time(fetched.fetched_at),
        ),
    )  # fmt: skip
    return digest


def load(
    connection: sqlite3.Connection, issuers: Iterable[str], *, known_at: datetime | None = None
) -> RevocationMaterial:
    """The newest material for these issuers (SHA-256 of their certificates), as fetched by ``known_at`` (None: at all)."""
    moment = None if known_at is None else format_time(known_at)
    found: dict[str, list[bytes]] = {CRL: [], OCSP: []}
    for issuer in sorted(set(issuers)):
        for kind, kept in found.items():
            rows = connection.execute(
                "SELECT material FROM revocation_material WHERE issuer_sha256 = ? AND kind = ?"
                " AND (? IS NULL OR fetched_at <= ?) ORDER BY this_update DESC, sha256 LIMIT ?",
                (issuer, kind, moment, moment, NEWEST),
            )
            kept += [bytes(row[0]) for row in rows]
    return RevocationMaterial(crls=tuple(found[CRL]), ocsp=tuple(found[OCSP]))


def expired(connection: sqlite3.Connection, before: datetime) -> int:
    """Forget, inside the caller's transaction, what said to be updated before that time; returns how many rows went."""
    return connection.execute("DELETE FROM revocation_material WHERE next_update < ?", (format_time(before),)).rowcount
