"""Whose approval counts: not a proposer's, not one off the list, none too late or unlogged; by the stricter policy of then and now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trust_store.anchor_ways_setup import DAY, WAITING, approve, standing, waits
from tests.trust_store.store_setup import AT, PHONE, certificate, fingerprint, proposal_of, propose, randomness, vendor
from tests.trust_store.verified_store_setup import store
from trust_store import anchor_management, audit
from trust_store.anchor_rules import Given, Way, count_accepted, count_break_glass
from trust_store.decisions import perform
from trust_store.errors import DecisionRefusedError, StoreUnavailableError
from trust_store.model.trust_anchor import AnchorState, TrustBasis
from trust_store.model.vendor import Contact
from trust_store.storage.approver_list import record_approvers
from trust_store.storage.connection import transaction
from trust_store.storage.vendors import record_vendors

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime

__all__ = ["store"]  # a fixture


def imported(store: sqlite3.Connection, by: str) -> str:
    """A pending anchor that a person proposed."""
    return anchor_management.propose(
        store, proposal_of(certificate("Leaf", ca=False)), actor=by, at=AT, randomness=randomness
    )


def test_the_proposer_approves_only_alone(store: sqlite3.Connection) -> None:
    """Where two people are needed whoever proposed the key is none of them; where policy writes one out he may do both."""
    anchor = imported(store, "ann")
    read: dict[str, Any] = {
        "fingerprint_read": fingerprint_of_leaf(),
        "spoke_with": "Ada",
        "called": PHONE,
        "ticket": "T",
    }
    with pytest.raises(DecisionRefusedError, match=r"ann proposed .* two others must"):
        approve(store, anchor, "ann", **read)
    with pytest.raises(DecisionRefusedError, match="ann proposed"):
        approve(
            store,
            anchor,
            "ann",
            vendor(approvals=1),
            fingerprint_read=read["fingerprint_read"],
            break_glass=True,
            reason="r",
        )
    assert [approve(store, anchor, who, **read)["outcome"] for who in ("bob", "cyd")] == ["recorded", "valid"]


def test_one_who_proposes_may_approve_where_one_is_asked(store: sqlite3.Connection) -> None:
    """Policy that asks for one person lets one person do both."""
    anchor = imported(store, "ann")
    read: dict[str, Any] = {
        "fingerprint_read": fingerprint_of_leaf(),
        "spoke_with": "Ada",
        "called": PHONE,
        "ticket": "T",
    }
    assert approve(store, anchor, "ann", vendor(approvals=1), **read)["outcome"] == "valid"


def fingerprint_of_leaf() -> str:
    """What the vendor reads of the end-entity certificate."""
    import hashlib

    return hashlib.sha256(certificate("Leaf", ca=False)).hexdigest()


def test_an_import_names_its_proposer(store: sqlite3.Connection) -> None:
    """The first audit entry of an imported key is the importer's; what a channel said is the system's."""
    import base64

    data = base64.b64encode(certificate("New root")).decode()
    perform(
        store, "anchor.import", {"vendor": "dten", "data": data}, identity="ann", vendors=(WAITING,), at=AT,
        randomness=randomness,
    )  # fmt: skip
    propose(store, "Second root")
    assert [e["actor"] for e in audit.entries(store)] == ["ann", "system"]


def test_policy_that_was_stricter_then_still_counts(store: sqlite3.Connection) -> None:
    """An approval given when three were needed keeps that count after policy asks for two."""
    anchor = propose(store)
    approve(store, anchor, "ann", vendor(approvals=3))
    assert approve(store, anchor, "bob", vendor(approvals=2))["outcome"] == "recorded"
    assert approve(store, anchor, "cyd", vendor(approvals=2))["outcome"] == "valid"


def test_policy_that_is_stricter_now_counts(store: sqlite3.Connection) -> None:
    """An approval given when two were needed does not keep a third person out now."""
    anchor = propose(store)
    approve(store, anchor, "ann", vendor(approvals=2))
    assert approve(store, anchor, "bob", vendor(approvals=3))["needed"] == 3


def test_a_longer_wait_of_then_or_now_counts(store: sqlite3.Connection) -> None:
    """The wait is the longer of what policy asked when the approval was given and of what it asks now."""
    for then, now in ((30, 7), (7, 30)):
        anchor = propose(store, f"Root {then}")
        read: dict[str, Any] = {"fingerprint_read": fingerprint(f"Root {then}"), "without_call": True, "reason": "r"}
        approve(store, anchor, "ann", vendor(call="or_hold_down", hold_down_days=then), AT, **read)
        today = vendor(call="or_hold_down", hold_down_days=now)
        assert approve(store, anchor, "bob", today, AT + 8 * DAY, **read)["outcome"] == "recorded"
        assert approve(store, anchor, "bob", today, AT + 30 * DAY, **read)["outcome"] == "valid"


def test_a_wait_that_policy_no_longer_takes_does_not_count(store: sqlite3.Connection) -> None:
    """Once policy asks for a call, what was approved without one is not counted."""
    anchor = propose(store)
    waits(store, anchor, "ann", AT)
    assert approve(store, anchor, "bob", vendor())["approvals"] == 1
    assert approve(store, anchor, "ann", vendor())["outcome"] == "valid"


def test_a_call_to_a_number_that_is_off_the_record_does_not_count(store: sqlite3.Connection) -> None:
    """A contact that the team took off its list since is nobody's confirmation."""
    anchor = propose(store)
    approve(store, anchor, "ann", vendor())
    moved = replace(vendor(), contacts=(Contact("Desk", phone="+1 555 0177"),))
    other: dict[str, Any] = {"spoke_with": "Ada", "called": "+1 555 0177", "ticket": "T"}
    assert approve(store, anchor, "bob", moved, **other)["approvals"] == 1
    assert approve(store, anchor, "ann", moved, **other)["outcome"] == "valid"


def test_who_may_no_longer_approve_has_not_approved(store: sqlite3.Connection) -> None:
    """Removing somebody from the list takes his earlier approvals out of the count at once; putting him back puts them in."""
    both = [("uid:1", "ann"), ("uid:2", "bob"), ("uid:3", "cyd")]
    with transaction(store):
        record_approvers(store, both, AT)
    anchor = propose(store)
    approve(store, anchor, "ann")
    with transaction(store):
        record_approvers(store, both[1:], AT)
    assert approve(store, anchor, "bob")["approvals"] == 1
    assert approve(store, anchor, "cyd")["outcome"] == "valid"


def test_a_weakened_call_policy_waits_for_approval(store: sqlite3.Connection) -> None:
    """A vendor file that lets waiting stand for a call counts only once approved under the file that did not."""
    with transaction(store):
        record_vendors(store, (vendor(),), AT, randomness)
        (change, *_) = [c for c in record_vendors(store, (WAITING,), AT, randomness) if c.field == "policy.call"]
    assert change.weakens
    anchor = propose(store)
    with pytest.raises(DecisionRefusedError, match="asks for a call"):
        waits(store, anchor, "ann", AT + 30 * DAY)
    for who in ("ann", "bob"):
        perform(
            store, "policy.approve", {"vendor": "dten"}, identity=who, vendors=(WAITING,), at=AT, randomness=randomness
        )
    assert waits(store, anchor, "ann", AT + 30 * DAY)["outcome"] == "recorded"


def test_a_lapsed_proposal_is_not_decided(store: sqlite3.Connection) -> None:
    """Past its time a proposal takes neither approval nor rules, closed already or not, and the refusal names the way on."""
    anchor = propose(store)
    late = AT + 90 * DAY
    approve(store, anchor, "ann", at=late - DAY)
    for _ in range(2):
        with pytest.raises(DecisionRefusedError, match=r"lapsed: nobody decided within 90 days.*anchor import"):
            approve(store, anchor, "bob", at=late)
        with pytest.raises(DecisionRefusedError, match=r"lapsed.*anchor import"):
            perform(
                store, "anchor.constrain", {"anchor": anchor, "products": ["x"]}, identity="ann", vendors=(WAITING,),
                at=late, randomness=randomness,
            )  # fmt: skip
        anchor_management.lapse_proposals(store, late, 90)
    for command, said in (("reject", {"because": "disowned"}), ("distrust", {"reason": "r"}), ("revoke", {})):
        with pytest.raises(DecisionRefusedError, match=r"lapsed.*anchor import"):
            perform(
                store, f"anchor.{command}", {"anchor": anchor, **said}, identity="ann", vendors=(WAITING,), at=late,
                randomness=randomness,
            )  # fmt: skip
    assert standing(store, anchor)[0] is AnchorState.REJECTED


def test_nothing_is_decided_that_cannot_be_logged(store: sqlite3.Connection) -> None:
    """On a full disk a trust change is refused whole and questions go on; with room again it is made."""
    anchor = propose(store)
    before = [tuple(e) for e in audit.entries(store)]
    pages = store.execute("PRAGMA page_count").fetchone()[0]
    store.execute(f"PRAGMA max_page_count = {pages}")

    def fill() -> None:
        for number in range(200):
            proposal = proposal_of(certificate(f"Filler {number % 3}"), f"v{number}")
            anchor_management.propose(store, proposal, at=AT, randomness=randomness)

    with pytest.raises(StoreUnavailableError):
        fill()
    audit.verify(store)
    for _ in range(3):
        with pytest.raises(StoreUnavailableError):
            approve(store, anchor, "ann", spoke_with="A" * 1900, called=PHONE, ticket="T" * 1900)
    assert standing(store, anchor)[0] is AnchorState.PENDING
    assert [tuple(e) for e in audit.entries(store)][: len(before)] == before
    store.execute(f"PRAGMA max_page_count = {pages * 10}")
    assert approve(store, anchor, "ann")["outcome"] == "recorded"


ONE = st.builds(
    Given,
    st.sampled_from("abcd"),
    st.sampled_from(Way),
    st.integers(1, 4),
    st.one_of(st.none(), st.sampled_from([AT, AT + DAY, AT + 9 * DAY])),
)


@given(
    st.lists(ONE, max_size=8),
    st.integers(1, 4),
    st.sampled_from([AT, AT + 5 * DAY]),
    st.sampled_from([AT, AT + 9 * DAY]),
)
def test_no_count_is_too_generous(said: list[Given], needed: int, counts_from: datetime, at: datetime) -> None:
    """Whatever was given: valid takes enough distinct people for everybody's policy, called only calls, waiting only past time."""
    counted = count_accepted(said, needed=needed, counts_from=counts_from, at=at)
    people = {g.approver for g in said if g.way is not Way.BREAK_GLASS}
    called = {g.approver for g in said if g.way is Way.CALL}
    wanted = max([needed, *(g.needed for g in said if g.way is not Way.BREAK_GLASS)])
    assert counted.needed == wanted
    if counted.basis is TrustBasis.CALLED:
        assert len(called) >= wanted
    elif counted.basis is not None:
        assert (counted.basis, len(people) >= wanted, at >= counts_from) == (TrustBasis.HOLD_DOWN, True, True)
        assert all(g.counts_from is None or at >= g.counts_from for g in said if g.way is Way.HOLD_DOWN)
    else:
        assert len(called) < wanted
        assert len(people) < wanted or counted.waits_until is not None
    glass = count_break_glass(said)
    assert (glass.basis is not None) == (len({g.approver for g in said if g.way is Way.BREAK_GLASS}) >= 2)
