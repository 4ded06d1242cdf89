"""Gathers what a forecast is about out of the store: anchors, and of every product the package that was seen last. Writes nothing.

``forecast`` decides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from trust_store import query
from trust_store.errors import MalformedError
from trust_store.forecast import Subject, forecast
from trust_store.model.verdict import ExpectedVendor
from trust_store.storage.fact_signatures import FactsNotSignedError
from trust_store.storage.facts import load_facts
from trust_store.storage.products import latest_products
from trust_store.stored_verdict import stored_view, with_stored_keys

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator
    from datetime import datetime, timedelta

    from trust_store.forecast import Expiry
    from trust_store.model.vendor import Vendor
    from trust_store.storage.products import SeenProduct

MAX_PRODUCTS = 2000


@dataclass(frozen=True, slots=True)
class Forecast:
    """``products`` counts those looked at; ``complete`` is False where there are more."""

    expiries: tuple[Expiry, ...]
    products: int
    complete: bool


def what_ends(
    connection: sqlite3.Connection,
    vendors: Iterable[Vendor],
    vendor_id: str | None,
    *,
    at: datetime,
    horizon: timedelta,
) -> Forecast:
    """What ends after ``at`` (now) and within ``horizon``, of one vendor or of all; raises StoreInconsistentError."""
    known = {vendor.id: vendor for vendor in vendors}
    with query.snapshot(connection):
        seen = latest_products(connection, vendor_id, MAX_PRODUCTS + 1)
        products = seen[:MAX_PRODUCTS]
        anchors = query.anchors(connection, vendor_id)
        found = forecast(anchors, _subjects(connection, products, known, at), at, horizon)
    return Forecast(found, len(products), complete=len(seen) == len(products))


def _subjects(
    connection: sqlite3.Connection, products: Iterable[SeenProduct], vendors: dict[str, Vendor], at: datetime
) -> Iterator[Subject]:
    """One after the other, so that no more than one package's facts are held at a time."""
    for product in products:
        if product.vendor_id is None:  # without a vendor nothing passes, so that nothing ends
            continue
        try:
            facts = load_facts(connection, product.package_sha256)
        except (MalformedError, FactsNotSignedError):
            continue  # they hide no other package's end; a verdict on this one, and 'audit verify', name the row
        if facts is None:
            continue
        facts = with_stored_keys(connection, facts, product.vendor_id)
        view = stored_view(connection, facts, product.vendor_id, vendors.get(product.vendor_id), at=at)
        # Time alone moves no ratchet: what is in the way of a package for that reason is no end of anything.
        view = replace(view, ratchets=())
        yield Subject(product.name, ExpectedVendor(product.vendor_id, "folder"), facts, view)
