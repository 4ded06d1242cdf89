"""Decisions about anchors as they come over the socket, and anchors brought to any state, for the tests of anchors."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from typing import Any

from tests.trust_store.store_setup import AT, PHONE, fingerprint, propose, randomness, vendor
from trust_store import audit, query
from trust_store.decisions import perform
from trust_store.model.trust_anchor import AnchorState

WRONG = "".join(f"{b:02x}" for b in range(32))


def state(store: sqlite3.Connection, anchor_id: str) -> AnchorState:
    """Where the anchor stands."""
    found = query.anchor(store, anchor_id)
    assert found is not None
    return found.state


def approve(
    store: sqlite3.Connection, anchor_id: str, who: str, read: str | None = None, **policy: Any
) -> dict[str, Any]:
    """One person's approval, as it comes over the socket."""
    return decide(
        store, "anchor.approve", who, vendor(**policy), anchor=anchor_id,
        fingerprint_read=fingerprint() if read is None else read, spoke_with="Ada", called=PHONE, ticket="T",
    )  # fmt: skip


def decide(store: sqlite3.Connection, command: str, who: str, of: Any = None, **arguments: Any) -> dict[str, Any]:
    """Any decision."""
    return perform(
        store,
        command,
        arguments,
        identity=who,
        vendors=(of or vendor(),),
        at=AT + timedelta(hours=1),
        randomness=randomness,
    )


def kinds(store: sqlite3.Connection) -> list[str]:
    """Kinds of all audit entries."""
    return [row["kind"] for row in audit.entries(store)]


def bring_to(store: sqlite3.Connection, wanted: AnchorState, name: str = "New root") -> str:
    """An anchor in the state wanted, by allowed steps."""
    anchor_id = propose(store, name)
    direct = (AnchorState.PENDING, AnchorState.REJECTED, AnchorState.DISTRUSTED)
    if wanted not in (*direct, AnchorState.VALID):
        bring = bring_to(store, AnchorState.VALID, "Successor") if wanted is AnchorState.SUPERSEDED else ""
        approve(store, anchor_id, "ann", fingerprint(name), approvals=1)
        go(store, anchor_id, wanted, bring)
    elif wanted is not AnchorState.PENDING:
        go(store, anchor_id, wanted, "", name)
    return anchor_id


def go(store: sqlite3.Connection, anchor_id: str, new: AnchorState, heir: str, name: str = "New root") -> None:
    """One step, with one approval as policy."""
    one = vendor(approvals=1)
    match new:
        case AnchorState.VALID:
            approve(store, anchor_id, "ann", fingerprint(name), approvals=1)
        case AnchorState.REJECTED:
            decide(store, "anchor.reject", "ann", anchor=anchor_id, because="unconfirmed")
        case AnchorState.DISTRUSTED:
            decide(store, "anchor.distrust", "ann", anchor=anchor_id, reason="r")
        case AnchorState.REVOKED:
            decide(store, "anchor.revoke", "ann", anchor=anchor_id)
        case AnchorState.COMPROMISED:
            decide(store, "anchor.compromise", "ann", anchor=anchor_id)
        case AnchorState.SUPERSEDED:
            decide(store, "anchor.supersede", "ann", one, anchor=anchor_id, successor=heir)
        case _:
            decide(store, "anchor.remove", "ann", one, anchor=anchor_id)
