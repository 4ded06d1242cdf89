"""The signed bundle of the store as it stands: gathers what it tells and has the instance key sign it (shell)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from trust_store import query
from trust_store.exchange.bundle import MAX_VALIDITY, TOLD_STATES, Bundle, seal
from trust_store.instance_key import private_key
from trust_store.storage.digest_decisions import EFFECTIVE, of_every_package
from trust_store.storage.vendors import effective_vendor

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from trust_store.model.vendor import Vendor

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

    Raises StoreInconsistentError, and ValueError for a ``validity`` that no bundle may have.
    """
    made = at.replace(minute=0, second=0, microsecond=0)
    with query.snapshot(connection):
        bundle = Bundle(
            store_id=query.store_id(connection) or "",
            revision=query.store_revision(connection),
            created_at=made,
            expires_at=made + min(validity, MAX_VALIDITY),
            anchors=query.anchors(connection, None, TOLD_STATES),
            decisions=tuple(
                stored.decision
                for stored in of_every_package(connection)
                if stored.state == EFFECTIVE and (stored.decision.effective_until or at) >= at
            ),
            vendors=tuple(effective_vendor(connection, vendor) for vendor in vendors),
        )
    key = private_key(database)
    return seal(bundle, key.private.sign, bytes.fromhex(key.public))
