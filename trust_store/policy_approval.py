"""A vendor file that weakens policy counts only when approved by as many people as the old policy asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trust_store.errors import DecisionRefusedError
from trust_store.storage.approvals import Approval, approvers, record_approval
from trust_store.storage.connection import transaction
from trust_store.storage.vendors import AWAITING, approve_snapshot, digest_of, effective, latest

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

    from trust_store.model.vendor import Vendor


def approve_policy(connection: sqlite3.Connection, vendor: Vendor, *, identity: str, at: datetime) -> dict[str, Any]:
    """One person's approval of the vendor file as loaded; refused unless exactly this version was recorded and waits."""
    with transaction(connection):
        awaiting, held = latest(connection, vendor.id), effective(connection, vendor.id)
        if awaiting is None or held is None or awaiting.state != AWAITING or awaiting.digest != digest_of(vendor):
            raise DecisionRefusedError(
                f"no recorded change of vendor {vendor.id!r} waits for approval as the file stands now; "
                "the daemon records changes when it loads the configuration"
            )
        subject, needed = f"vendor:{vendor.id}", held.vendor.policy.approvals
        bound = f"{held.version} {awaiting.version} {awaiting.digest}"
        before = approvers(connection, subject, "policy", bound)
        if identity in before:
            raise DecisionRefusedError(f"{identity} has approved this already; another person is needed")
        record_approval(connection, Approval(subject, "policy", bound, identity), kind="policy.approval", at=at)
        given = len(before) + 1
        done = given >= needed
        if done:
            approve_snapshot(connection, awaiting, identity, at)
        told = "the vendor file counts now" if done else f"{needed - given} more needed under the old policy"
        return {
            "vendor": vendor.id,
            "outcome": "effective" if done else "recorded",
            "approvals": given,
            "needed": needed,
            "message": f"approval {given} of {needed}: {told}",
        }
