"""What makes policy weaker counts only when approved by as many people as the old policy asks: vendor files and the approvers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trust_store.errors import DecisionRefusedError
from trust_store.storage.approvals import Approval
from trust_store.storage.approver_list import APPROVERS, BEREFT_WAIT_DAYS, approve_list, newest
from trust_store.storage.connection import transaction
from trust_store.storage.vendors import AWAITING, approve_snapshot, digest_of, effective, latest, most_approvals
from trust_store.tally import count_on

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from datetime import datetime

    from trust_store.model.vendor import Vendor
    from trust_store.settings import Approvers
    from trust_store.tally import Tally

APPROVAL = "policy.approval"


def person_deciding(connection: sqlite3.Connection, approvers: Approvers, identity: str, file: object) -> str:
    """The person that a proven identity (``uid:1000``, ``token:NAME``, ``login:NAME``) decides as.

    ``approvers`` is the configuration as loaded from ``file``. Raises DecisionRefusedError for an identity that it does not name, or
    that is new there and was not approved by the people of the list before.
    """
    person = approvers.person_of(identity)
    shown = identity.replace("uid:", "uid ", 1)
    if person is None:
        raise DecisionRefusedError(f"{shown} is not named in [approvers] of {file}")
    known = newest(connection)
    if known is not None and known.counting and known.counting.get(identity) != person:
        raise DecisionRefusedError(
            f"{shown} is new as {person!r} in [approvers] of {file} and does not count yet: the people of the list before "
            "approve it with 'rootwarden anchor approve-policy --approvers'"
        )
    return person


def approve_policy(connection: sqlite3.Connection, vendor: Vendor, *, identity: str, at: datetime) -> dict[str, Any]:
    """One person's approval of the vendor file as loaded; refused unless exactly this version was recorded and waits."""
    with transaction(connection):
        awaiting, held = latest(connection, vendor.id), effective(connection, vendor.id)
        if awaiting is None or held is None or awaiting.state != AWAITING or awaiting.digest != digest_of(vendor):
            raise DecisionRefusedError(
                f"no recorded change of vendor {vendor.id!r} waits for approval as the file stands now; "
                "the daemon records changes when it loads the configuration"
            )
        bound = f"{held.version} {awaiting.version} {awaiting.digest}"
        approval = Approval(f"vendor:{vendor.id}", "policy", bound, identity)
        counted = count_on(connection, approval, held.vendor.policy.approvals, kind=APPROVAL, at=at)
        if counted.complete:
            approve_snapshot(connection, awaiting, identity, at)
        return {"vendor": vendor.id, **_told("the vendor file", counted)}


def approve_approvers(
    connection: sqlite3.Connection, vendors: Iterable[Vendor], *, identity: str, at: datetime
) -> dict[str, Any]:
    """One person's approval of ``[approvers]`` as it was recorded when it was loaded last.

    It needs as many people as the strictest vendor asks, and never more than the old list has. Where fewer of the old list are left,
    all who are left have to approve, and none of them before the change has been on record for ``BEREFT_WAIT_DAYS``.
    """
    with transaction(connection):
        awaiting = newest(connection)
        if awaiting is None or not awaiting.awaiting:
            raise DecisionRefusedError(
                "no change of [approvers] waits for approval; the daemon records changes when it loads the configuration"
            )
        needed = min(most_approvals(connection, vendors), len(set(awaiting.counting.values())))
        left = len(set(awaiting.deciding.values()))
        if left < needed and at < awaiting.counts_from:
            raise DecisionRefusedError(
                f"{needed} people of the old list have to approve and {left} are left: they may do so alone once the change has "
                f"been on record for {BEREFT_WAIT_DAYS} days ({awaiting.counts_from:%Y-%m-%d %H:%M} UTC)"
            )
        approval = Approval(APPROVERS, "policy", awaiting.digest, identity)
        counted = count_on(connection, approval, min(needed, left), kind=APPROVAL, at=at)
        if counted.complete:
            approve_list(connection, awaiting, identity, at)
        return {"vendor": None, **_told("the list of approvers", counted)}


def _told(what: str, counted: Tally) -> dict[str, Any]:
    more = f"{what} counts now" if counted.complete else f"{counted.missing} more needed under the old policy"
    return {
        "outcome": "effective" if counted.complete else "recorded",
        "approvals": counted.given,
        "needed": counted.needed,
        "message": f"approval {counted.given} of {counted.needed}: {more}",
    }
