"""Who may approve, as versions in the audit log: what the configuration said when it was loaded, and what was approved of it.

An identity (``uid:1000``, ``token:NAME``, ``login:NAME``) counts for its person only while the configuration names it *and* the list
that counts has it: removing somebody takes effect at once, adding somebody when the people of the old list approve. The first list
ever seen that names anybody counts as it is: there is nobody to ask.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from trust_store.errors import StoreInconsistentError
from trust_store.model.identifiers import parse_time
from trust_store.storage import audit_log
from trust_store.storage.anchors import raise_revision
from trust_store.storage.vendors import VendorChange

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping
    from datetime import datetime

APPROVERS = "approvers"
RECORDED, APPROVED = "approvers.recorded", "approvers.effective"
BEREFT_WAIT_DAYS = 7
"""How long a changed list waits where fewer people remain of the old one than have to approve it."""
_KINDS = (RECORDED, APPROVED)


@dataclass(frozen=True, slots=True)
class ApproverList:
    """The newest version: ``loaded`` is what the configuration said, ``counting`` what was approved; identity -> person."""

    seq: int
    recorded_at: datetime
    loaded: Mapping[str, str]
    counting: Mapping[str, str]

    @property
    def deciding(self) -> dict[str, str]:
        """The identities that may decide: named by the configuration for the very person for whom they were approved."""
        return {i: person for i, person in self.loaded.items() if self.counting.get(i) == person}

    @property
    def awaiting(self) -> bool:
        """Whether what the configuration says is not the list that counts; approving makes a removal final as well."""
        return dict(self.counting) != dict(self.loaded)

    @property
    def digest(self) -> str:
        """SHA-256 of both lists and of which change it was: what an approval is bound to; the same change made again is another one."""
        said = json.dumps([self.seq, self.loaded, self.counting], sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(b"rootwarden/approvers/1\0" + said.encode()).hexdigest()

    @property
    def counts_from(self) -> datetime:
        """The earliest time at which the remaining people may approve where too few remain."""
        return self.recorded_at + timedelta(days=BEREFT_WAIT_DAYS)


def record_approvers(
    connection: sqlite3.Connection, identities: Iterable[tuple[str, str]], at: datetime
) -> VendorChange | None:
    """Record who may approve, as (identity, person), inside the caller's transaction; returns the change since the last time, if any.

    The first sight is no change and counts. A new identity, or one that stands for another person, weakens: it is logged for an
    alert, and counts only once approved (``policy_approval``). One that is gone stops counting at once.
    """
    now, last = dict(identities), newest(connection)
    if last is not None and dict(last.loaded) == now:
        return None
    counting = dict(last.counting) if last is not None and last.counting else now
    body = {"approvers": now, "counting": counting, "previous": dict(last.loaded) if last else {}}
    audit_log.append(connection, RECORDED, "configuration", APPROVERS, body, at)
    raise_revision(connection)
    if last is None:
        return None
    return VendorChange("", APPROVERS, dict(last.loaded), now, weakens=not now.items() <= counting.items())


def approve_list(connection: sqlite3.Connection, awaiting: ApproverList, actor: str, at: datetime) -> None:
    """Make the list as loaded the one that counts; the caller has counted the approvals."""
    body = {"approvers": dict(awaiting.loaded), "counting": dict(awaiting.loaded), "previous": dict(awaiting.counting)}
    audit_log.append(connection, APPROVED, actor, APPROVERS, body, at)
    raise_revision(connection)


def newest(connection: sqlite3.Connection) -> ApproverList | None:
    """The newest version, its entry checked; None where no list was ever recorded."""
    row = connection.execute(
        "SELECT * FROM audit_log WHERE subject = ? AND kind IN (?, ?) ORDER BY seq DESC LIMIT 1", (APPROVERS, *_KINDS)
    ).fetchone()
    if row is None:
        return None
    audit_log.signatures_of(connection).require(row)
    try:
        body = json.loads(row["body"])
        return ApproverList(row["seq"], parse_time(row["recorded_at"]), dict(body["approvers"]), dict(body["counting"]))
    except (ValueError, TypeError, KeyError) as error:
        raise StoreInconsistentError(f"audit_log: entry {row['seq']} about the approvers cannot be read") from error


def still_counts(connection: sqlite3.Connection, person: str) -> bool:
    """Whether what ``person`` approved earlier counts now: nobody's does who may not decide any more."""
    found = newest(connection)
    return found is None or person in found.deciding.values()
