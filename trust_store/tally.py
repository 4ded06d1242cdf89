"""Counting the people who approved one thing: each once, only those who may still approve, by the stricter policy of then and now."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from trust_store.errors import DecisionRefusedError
from trust_store.storage.approvals import Approval, approvals, record_approval

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Tally:
    """``given`` distinct people of the ``needed`` ones have approved."""

    given: int
    needed: int

    @property
    def complete(self) -> bool:
        """Whether enough people have approved."""
        return self.given >= self.needed

    @property
    def missing(self) -> int:
        """How many more people are needed."""
        return max(0, self.needed - self.given)


def count_on(connection: sqlite3.Connection, approval: Approval, needed: int, *, kind: str, at: datetime) -> Tally:
    """Record an approval, in the caller's transaction, and count; raises DecisionRefusedError for a person's second one.

    ``needed`` is what policy asks now; an approval that was given when it asked more keeps that count.
    """
    before = approvals(connection, approval.subject, approval.transition, approval.digest)
    if any(earlier.approver == approval.approver for earlier in before):
        raise DecisionRefusedError(f"{approval.approver} has approved this already; another person is needed")
    record_approval(connection, replace(approval, needed=needed), kind=kind, at=at)
    people = {earlier.approver for earlier in before} | {approval.approver}
    return Tally(len(people), max([needed, *(earlier.needed for earlier in before)]))
