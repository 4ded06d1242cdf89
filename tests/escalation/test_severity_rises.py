"""An alert that stands is sent again when it got worse, and never because it is merely the same."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from escalation.decisions import perform
from escalation.digest import NEVER_DEFERRED, waits
from escalation.model import AlertStatus, Severity
from escalation.rules import decide, notice
from escalation.storage.rows import alert, deliveries
from escalation.triage import raise_alert, resolve_below, stands
from tests.escalation.conftest import AT, make_context, make_verdict
from trust_store.model.verdict import Reason

if TYPE_CHECKING:
    import sqlite3

_numbers = itertools.count(1)


def put(store: sqlite3.Connection, severity: Severity, *, kind: str = "mismatch", subject: str = "anchor_1") -> str:
    """Raise an alert of that severity about one matter."""
    draft = notice(kind, severity.value, severity, f"it is {severity}", subject=subject)
    return raise_alert(store, draft, channels=("smtp",), at=AT, randomness=lambda n: next(_numbers).to_bytes(n, "big"))


def test_what_got_worse_is_told_again(store: sqlite3.Connection) -> None:
    """Severity, title and reason follow the worst, with one more message each time it rises; what is less severe changes nothing."""
    first = put(store, Severity.MEDIUM)
    assert put(store, Severity.MEDIUM) == first
    assert len(deliveries(store, first)) == 1
    assert put(store, Severity.CRITICAL) == first
    assert put(store, Severity.HIGH) == first
    found = alert(store, first)
    assert (found.severity, found.title, found.reason) == (Severity.CRITICAL, "it is critical", "critical")
    assert [d.message.severity for d in deliveries(store, first)] == [Severity.MEDIUM, Severity.CRITICAL]
    assert deliveries(store, first)[-1].message.title == "Update: it is critical"


def test_whoever_took_on_less_has_to_look_again(store: sqlite3.Connection) -> None:
    """An acknowledged alert that got worse is open again."""
    first = put(store, Severity.LOW)
    perform(store, "alert.acknowledge", {"alert": first}, identity="ada", at=AT, randomness=bytes)
    put(store, Severity.LOW)
    assert alert(store, first).status is AlertStatus.ACKNOWLEDGED
    put(store, Severity.HIGH)
    assert (alert(store, first).status, alert(store, first).acknowledged_by) == (AlertStatus.OPEN, None)


def test_a_group_of_matters_is_settled_together(store: sqlite3.Connection) -> None:
    """Only what begins so, of the reason asked for, and what stands."""
    ids = [put(store, Severity.LOW, subject=s) for s in ("a:1", "a:2", "b:1")]
    worse = put(store, Severity.HIGH, subject="a:3")
    assert resolve_below(store, "mismatch\n\na:", "done", AT, reason="low") == 2
    assert resolve_below(store, "mismatch\n\na:", "done", AT, reason="low") == 0
    assert [alert(store, i).status for i in (*ids, worse)] == ["resolved", "resolved", "open", "open"]
    assert (stands(store, "mismatch\n\na:3"), stands(store, "mismatch\n\na:1")) == (True, False)


@pytest.mark.parametrize("decided", sorted(NEVER_DEFERRED))
@pytest.mark.parametrize("beside", [True, False])
def test_what_the_team_decided_against_never_waits(decided: Reason, *, beside: bool) -> None:
    """A blocked package or buried key is told at once though content that no signature covers is the reason that goes before."""
    verdict = make_verdict(Reason.UNCOVERED_CONTENT if beside else decided)
    draft = decide(make_context(verdict=replace(verdict, also=(decided.value,) if beside else ())))
    assert not waits(draft)


def test_other_verdicts_wait_and_other_kinds_do_not() -> None:
    """What is only unsigned waits for the digest of an observed vendor; an alert that is no verdict never does."""
    draft = decide(make_context(Reason.UNSIGNED))
    assert waits(draft)
    assert not waits(notice("break_glass", "recorded", Severity.LOW, "t", subject="s"))
