"""The ways around a call: waiting takes the time policy sets, an emergency takes two people, and both the whole fingerprint."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.trust_store.anchor_ways_setup import DAY, WAITING, approve, breaks, standing, waits
from tests.trust_store.store_setup import AT, PHONE, call, propose, randomness, vendor
from tests.trust_store.verified_store_setup import store
from trust_store import anchor_approval, audit
from trust_store.anchor_rules import Way
from trust_store.decisions import perform
from trust_store.errors import DecisionRefusedError, UsageError
from trust_store.model.trust_anchor import AnchorState, TrustBasis

if TYPE_CHECKING:
    import sqlite3

__all__ = ["store"]  # a fixture


def test_a_call_needs_no_wait(store: sqlite3.Connection) -> None:
    """With every call made the anchor is valid at once and its basis is the call, whatever the hold-down."""
    anchor = propose(store)
    approve(store, anchor, "ann")
    assert approve(store, anchor, "bob")["outcome"] == "valid"
    assert standing(store, anchor) == (AnchorState.VALID, TrustBasis.CALLED)


def test_without_a_call_only_where_policy_says_so(store: sqlite3.Connection) -> None:
    """Where policy asks for a call, waiting is refused, the refusal names the setting, and nothing is recorded."""
    anchor = propose(store)
    with pytest.raises(DecisionRefusedError, match="or_hold_down"):
        waits(store, anchor, "ann", AT + 30 * DAY, vendor(hold_down_days=7))
    assert [e["kind"] for e in audit.entries(store)] == ["anchor.proposed"]


def test_an_early_approval_is_recorded_and_confirmed_later(store: sqlite3.Connection) -> None:
    """Approvals before the time are kept, the time alone changes nothing, and the same person's word after it completes them."""
    anchor = propose(store)
    assert waits(store, anchor, "ann", AT)["outcome"] == "recorded"
    told = waits(store, anchor, "bob", AT + 6 * DAY)
    assert (told["outcome"], told["approvals"], told["needed"]) == ("recorded", 2, 2)
    assert "2026-05-10 12:00 UTC" in told["message"]
    with pytest.raises(DecisionRefusedError, match=r"approved this already.*2026-05-10 12:00"):
        waits(store, anchor, "bob", AT + 7 * DAY - timedelta(microseconds=1))
    assert standing(store, anchor) == (AnchorState.PENDING, TrustBasis.NONE)
    assert waits(store, anchor, "bob", AT + 7 * DAY)["outcome"] == "valid"
    assert standing(store, anchor) == (AnchorState.VALID, TrustBasis.HOLD_DOWN)


def test_one_who_waited_makes_it_weaker(store: sqlite3.Connection) -> None:
    """One call and one wait are a hold-down: nothing before the time, and the basis says so."""
    anchor = propose(store)
    approve(store, anchor, "ann")
    assert waits(store, anchor, "bob", AT + 2 * DAY)["outcome"] == "recorded"
    assert waits(store, anchor, "ann", AT + 8 * DAY)["outcome"] == "valid"
    assert standing(store, anchor) == (AnchorState.VALID, TrustBasis.HOLD_DOWN)


def test_a_call_made_after_all_ends_the_wait(store: sqlite3.Connection) -> None:
    """Whoever waited may call: once enough people have called nobody waits any more."""
    anchor = propose(store)
    waits(store, anchor, "ann", AT)
    waits(store, anchor, "bob", AT)
    assert approve(store, anchor, "ann")["outcome"] == "recorded"
    assert approve(store, anchor, "bob")["outcome"] == "valid"
    assert standing(store, anchor) == (AnchorState.VALID, TrustBasis.CALLED)


def test_one_person_never_is_two(store: sqlite3.Connection) -> None:
    """Calling, waiting and confirming are one person's word however often: the second person is still lacking."""
    anchor = propose(store)
    waits(store, anchor, "ann", AT)
    approve(store, anchor, "ann")
    assert waits(store, anchor, "ann", AT + 9 * DAY)["outcome"] == "recorded"
    with pytest.raises(DecisionRefusedError, match="another person"):
        waits(store, anchor, "ann", AT + 9 * DAY)
    with pytest.raises(DecisionRefusedError, match="another person"):
        approve(store, anchor, "ann")
    assert standing(store, anchor)[0] is AnchorState.PENDING


@pytest.mark.parametrize("said", [{"reason": "r", "called": PHONE}, {"reason": " "}, {}])
@pytest.mark.parametrize("way", ["without_call", "break_glass"])
def test_no_call_has_a_reason_and_no_call(store: sqlite3.Connection, way: str, said: dict[str, Any]) -> None:
    """Without a call a reason is given and no contact is named."""
    anchor = propose(store)
    with pytest.raises(DecisionRefusedError):
        approve(store, anchor, "ann", **{way: True, **said})


def test_the_two_ways_exclude_each_other(store: sqlite3.Connection) -> None:
    """Waiting and not waiting at once is a wrong question."""
    with pytest.raises(UsageError, match="either"):
        approve(store, propose(store), "ann", without_call=True, break_glass=True, reason="r")


@pytest.mark.parametrize("policy", [1, 2, 3])
def test_breaking_the_glass_takes_two(store: sqlite3.Connection, policy: int) -> None:
    """Two people, never one and never more, whatever policy asks and without any contact; each time everybody is alerted."""
    lonely = replace(vendor(approvals=policy), contacts=())
    anchor = propose(store)
    first = breaks(store, anchor, "ann", lonely)
    assert (first["outcome"], first["needed"], first["alert"]) == ("recorded", 2, "break_glass")
    with pytest.raises(DecisionRefusedError, match="another person"):
        breaks(store, anchor, "ann", lonely)
    second = breaks(store, anchor, "bob", lonely)
    assert (second["outcome"], second["alert"]) == ("valid", "break_glass")
    assert standing(store, anchor) == (AnchorState.VALID, TrustBasis.BREAK_GLASS)


def test_broken_glass_counts_for_nothing_else(store: sqlite3.Connection) -> None:
    """One emergency and one call are neither two emergencies nor two calls."""
    anchor = propose(store)
    breaks(store, anchor, "ann")
    told = approve(store, anchor, "bob")
    assert (told["outcome"], told["approvals"], told["alert"]) == ("recorded", 1, None)


def test_the_fingerprint_is_typed_in_every_way(store: sqlite3.Connection) -> None:
    """Neither waiting nor an emergency does without the whole fingerprint; a mismatch is recorded all the same."""
    anchor = propose(store)
    for way in ("without_call", "break_glass"):
        said: dict[str, Any] = {way: True, "reason": "r", "fingerprint_read": "00" * 32}
        with pytest.raises(DecisionRefusedError) as refused:
            approve(store, anchor, "ann", **said)
        assert refused.value.kind == "mismatch"


def test_no_emergency_brings_a_buried_key_back(store: sqlite3.Connection) -> None:
    """Over a tombstone the glass cannot be broken; calls by one person more can."""
    buried = propose(store)
    perform(
        store, "anchor.reject", {"anchor": buried, "because": "disowned"}, identity="ann", vendors=(WAITING,), at=AT,
        randomness=randomness,
    )  # fmt: skip
    again = propose(store)
    with pytest.raises(DecisionRefusedError, match="disowned, distrusted or compromised"):
        breaks(store, again, "ann")
    assert [approve(store, again, who)["outcome"] for who in ("ann", "bob", "cyd")] == ["recorded", "recorded", "valid"]


def test_the_shell_takes_a_way_directly(store: sqlite3.Connection) -> None:
    """The function behind the command has the same rules."""
    anchor = propose(store)
    made = anchor_approval.approve(
        store, anchor, replace(call(), spoke_with="", called="", ticket=""), identity="ann", vendor=WAITING,
        at=AT, way=Way.HOLD_DOWN, reason="r",
    )  # fmt: skip
    assert made.outcome == "recorded"
