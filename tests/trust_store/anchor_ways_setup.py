"""Approvals by a call, by waiting and in an emergency, for the tests of how anchors become valid."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.trust_store.store_setup import AT, PHONE, fingerprint, randomness, vendor
from trust_store import query
from trust_store.decisions import perform
from trust_store.model.trust_anchor import AnchorState, TrustBasis

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from trust_store.model.vendor import Vendor

WAITING = vendor(call="or_hold_down", hold_down_days=7)
DAY = timedelta(days=1)


def approve(
    store: sqlite3.Connection, anchor: str, who: str, of: Vendor = WAITING, at: datetime = AT, **said: Any
) -> dict[str, Any]:
    """One approval as it comes over the socket; a call unless something else is said."""
    how = said or {"spoke_with": "Ada", "called": PHONE, "ticket": "T"}
    arguments = {"anchor": anchor, "fingerprint_read": fingerprint(), **how}
    return perform(store, "anchor.approve", arguments, identity=who, vendors=(of,), at=at, randomness=randomness)


def waits(store: sqlite3.Connection, anchor: str, who: str, at: datetime, of: Vendor = WAITING) -> dict[str, Any]:
    """An approval without a call."""
    return approve(store, anchor, who, of, at, without_call=True, reason="printed in the manual")


def breaks(store: sqlite3.Connection, anchor: str, who: str, of: Vendor = WAITING) -> dict[str, Any]:
    """An approval in an emergency."""
    return approve(store, anchor, who, of, break_glass=True, reason="the plant is down")


def standing(store: sqlite3.Connection, anchor: str) -> tuple[AnchorState, TrustBasis]:
    """State and how it came about."""
    found = query.anchor(store, anchor)
    assert found is not None
    return found.state, found.basis
