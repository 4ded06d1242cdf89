"""The signed bundle of the store as it stands: gathers what it tells and has the instance key sign it (shell)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from trust_store import query
from trust_store.exchange.bundle import MAX_VALIDITY, TOLD_STATES, Bundle, seal
from trust_store.instance_key import private_key
from trust_store.storage import anchors as rows
from trust_store.storage import revocation_material
from trust_store.storage.digest_decisions import EFFECTIVE, of_every_package
from trust_store.storage.ratchets import of_every_product
from trust_store.storage.tombstones import STATES as TOMBSTONE_STATES
from trust_store.storage.vendors import effective_vendor

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from trust_store.model.vendor import Vendor
    from trust_store.storage.anchors import StoredAnchor

DEFAULT_VALIDITY = timedelta(days=7)


def sealed_bundle(
    connection: sqlite3.Connection,
    database: Path,
    vendors: Iterable[Vendor],
    *,
    at: datetime,
    validity: timedelta = DEFAULT_VALIDITY,
) -> bytes:
    """The bundle of this revision, made at the full hour before ``at`` so that an hour's requests get the same bytes.

    Raises StoreInconsistentError, and what ``seal`` raises.
    """
    made = at.replace(minute=0, second=0, microsecond=0)
    with query.snapshot(connection):
        stored = rows.of_every_vendor(connection)
        bundle = Bundle(
            store_id=query.store_id(connection) or "",
            revision=query.store_revision(connection),
            created_at=made,
            expires_at=made + min(validity, MAX_VALIDITY),
            anchors=tuple(s.anchor for s in stored if s.anchor.state in TOLD_STATES),
            decisions=tuple(
                decided.decision
                for decided in of_every_package(connection)
                if decided.state == EFFECTIVE and (decided.decision.effective_until or at) >= at
            ),
            vendors=tuple(effective_vendor(connection, vendor) for vendor in vendors),
            lifted=_lifted(connection, stored),
            revocation=revocation_material.newest(connection),
            ratchets=tuple(s.ratchet for s in of_every_product(connection)),
        )
    key = private_key(database)
    return seal(bundle, key.private.sign, bytes.fromhex(key.public))


def _lifted(connection: sqlite3.Connection, stored: tuple[StoredAnchor, ...]) -> tuple[tuple[str, str], ...]:
    """(Tombstone, vendor) wherever the same key was approved later: for that vendor, or for all where it is the tombstone's own."""
    tombstones = [s for s in stored if s.anchor.state in TOMBSTONE_STATES]
    approved = query.approvals_over(connection, stored) if tombstones else ()
    return tuple(
        (tombstone.anchor.id, anchor.vendor_id)
        for tombstone in tombstones
        for anchor, since in approved
        if query.lifts(anchor, since, tombstone)
    )
