"""From one state of an anchor to another: the table's transitions and no others, and tombstones that only more people lift."""

from __future__ import annotations

import hashlib
import sqlite3

import pytest

from tests.trust_store.anchor_decisions_setup import WRONG, approve, bring_to, decide, go, kinds, state
from tests.trust_store.store_setup import (
    AT,
    DEDICATED,
    PHONE,
    certificate,
    package,
    proposal_of,
    propose,
    randomness,
    vendor,
)
from tests.trust_store.verified_store_setup import store
from trust_store import anchor_approval, anchor_management, query
from trust_store.errors import DecisionRefusedError, UsageError
from trust_store.model.trust_anchor import TRANSITIONS, AnchorState

__all__ = ["store"]  # a fixture


def test_disowned_buries_the_key(store: sqlite3.Connection) -> None:
    """'That key is not ours' leaves a tombstone with its cause; approval over it is refused for ever."""
    anchor_id = propose(store)
    decide(store, "anchor.reject", "ann", anchor=anchor_id, because="disowned", spoke_with="Ada", called=PHONE)
    found = query.anchor(store, anchor_id)
    assert found is not None
    assert (found.state, found.cause) == (AnchorState.DISTRUSTED, "disowned")
    with pytest.raises(DecisionRefusedError, match="distrusted cannot become valid"):
        approve(store, anchor_id, "ann", approvals=1)


def test_unconfirmed_stays_open_for_another_try(store: sqlite3.Connection) -> None:
    """An unconfirmed key is rejected; hearing of it again is a new pending anchor that names the old one."""
    first = propose(store)
    decide(store, "anchor.reject", "ann", anchor=first, because="unconfirmed")
    second = propose(store)
    found = query.anchor(store, second)
    assert found is not None
    assert (state(store, first), found.state, found.previous) == (AnchorState.REJECTED, AnchorState.PENDING, first)
    assert approve(store, second, "ann", approvals=1)["needed"] == 1


@pytest.mark.parametrize("elsewhere", ["dten", "other"])
@pytest.mark.parametrize("reissued", [False, True])
def test_over_a_tombstone_one_more_person(store: sqlite3.Connection, elsewhere: str, *, reissued: bool) -> None:
    """A key that was disowned, by any vendor and under any certificate, needs policy's people plus one."""
    buried = propose(store, vendor_id=elsewhere)
    decide(store, "anchor.reject", "ann", anchor=buried, because="disowned")
    der = certificate("Re-issued", "New root") if reissued else certificate("New root")
    again = anchor_management.propose(store, proposal_of(der), signer_rule=DEDICATED, at=AT, randomness=randomness)
    read = hashlib.sha256(der).hexdigest()
    found = query.anchor(store, again)
    assert found is not None
    assert (again != buried, found.state, found.previous) == (True, AnchorState.PENDING, buried)
    outcomes = [approve(store, again, who, read)["outcome"] for who in ("ann", "bob", "cyd")]
    assert outcomes == ["recorded", "recorded", "valid"]


def test_a_tombstone_counts_until_overruled(store: sqlite3.Connection) -> None:
    """A tombstone is in the view beside a pending re-proposal, is out once the key was approved over it, and back when lowered."""
    buried = propose(store)
    decide(store, "anchor.reject", "ann", anchor=buried, because="disowned")
    again = propose(store)
    facts = package(certificate("New root"))
    seen = {a.id: a.state.value for a in query.trust_view(store, "dten", facts, None).anchors}
    assert seen == {buried: "distrusted", again: "pending"}
    for who in ("ann", "bob", "cyd"):
        approve(store, again, who)
    assert {a.id for a in query.trust_view(store, "dten", facts, None).anchors} == {again}
    decide(store, "anchor.distrust", "ann", anchor=again, reason="stolen")
    assert {a.id for a in query.trust_view(store, "dten", facts, None).anchors} == {buried, again}


def test_another_vendors_approval_lifts_no_tombstone(store: sqlite3.Connection) -> None:
    """What one vendor approves over another's tombstone counts for its own packages only."""
    buried = propose(store, vendor_id="other")
    decide(store, "anchor.reject", "ann", anchor=buried, because="disowned")
    again = propose(store)
    for who in ("ann", "bob", "cyd"):
        approve(store, again, who)
    facts = package(certificate("New root"))
    assert {a.id for a in query.trust_view(store, "dten", facts, None).anchors} == {again}
    assert {a.id for a in query.trust_view(store, "third", facts, None).anchors} == {buried}
    assert {a.id for a in query.trust_view(store, None, facts, None).anchors} == {buried}


@pytest.mark.parametrize("old", [None, *AnchorState])
@pytest.mark.parametrize("new", list(AnchorState))
def test_every_transition_not_listed_is_refused(
    store: sqlite3.Connection, old: AnchorState | None, new: AnchorState
) -> None:
    """The table is the whole truth: what it lists happens, everything else is refused and leaves no trace."""
    if old is None:
        assert (old, AnchorState.PENDING) in TRANSITIONS
        return
    anchor_id = bring_to(store, old)
    assert state(store, anchor_id) is old
    before = len(kinds(store))
    heir = bring_to(store, AnchorState.VALID, "Heir") if new is AnchorState.SUPERSEDED else ""
    before = len(kinds(store))
    if (old, new) in TRANSITIONS:
        go(store, anchor_id, new, heir)
        assert state(store, anchor_id) is new
    elif new is not AnchorState.PENDING:
        with pytest.raises(DecisionRefusedError):
            go(store, anchor_id, new, heir)
        assert (state(store, anchor_id), len(kinds(store))) == (old, before)


def test_retiring_needs_policys_people(store: sqlite3.Connection) -> None:
    """Superseding and removing wait for the second person, and each change is approved by itself."""
    anchor_id, heir = bring_to(store, AnchorState.VALID), bring_to(store, AnchorState.VALID, "Heir")
    assert decide(store, "anchor.remove", "ann", anchor=anchor_id)["outcome"] == "recorded"
    assert decide(store, "anchor.supersede", "bob", anchor=anchor_id, successor=heir)["outcome"] == "recorded"
    assert decide(store, "anchor.supersede", "ann", anchor=anchor_id, successor=heir)["outcome"] == "superseded"
    assert decide(store, "anchor.remove", "ann", anchor=anchor_id)["outcome"] == "recorded"


@pytest.mark.parametrize("successor", ["", "itself", "anchor_none", "pending", "foreign"])
def test_a_successor_is_another_valid_anchor_of_the_vendor(store: sqlite3.Connection, successor: str) -> None:
    """Nothing is superseded by itself, by what is not valid, or by another vendor's anchor."""
    anchor_id = bring_to(store, AnchorState.VALID)
    heirs = {"itself": anchor_id, "pending": propose(store, "Heir"), "foreign": propose(store, "Heir", "other")}
    with pytest.raises((DecisionRefusedError, UsageError)):
        decide(store, "anchor.supersede", "ann", anchor=anchor_id, successor=heirs.get(successor, successor))


def test_a_revocation_says_since_when_and_why(store: sqlite3.Connection) -> None:
    """Cause and the time from which it counts are kept; a key compromise makes the anchor compromised."""
    anchor_id = bring_to(store, AnchorState.VALID)
    decide(
        store, "anchor.revoke", "ann", anchor=anchor_id, because="key-compromise", effective_from="2026-03-01T00:00:00Z"
    )
    found = query.anchor(store, anchor_id)
    assert found is not None
    assert (found.state, found.cause) == (AnchorState.COMPROMISED, "key-compromise")
    assert found.effective_from == AT.replace(month=3, day=1, hour=0)


def test_a_withdrawal_is_never_in_the_future(store: sqlite3.Connection) -> None:
    """Taking trust away does not wait, and its reason is one of the known ones."""
    anchor_id = bring_to(store, AnchorState.VALID)
    with pytest.raises(DecisionRefusedError, match="does not wait"):
        decide(store, "anchor.revoke", "ann", anchor=anchor_id, effective_from="2030-01-01T00:00:00Z")
    with pytest.raises(UsageError, match="because"):
        decide(store, "anchor.revoke", "ann", anchor=anchor_id, because="mood")
    with pytest.raises(DecisionRefusedError, match="rejection is because"):
        decide(store, "anchor.reject", "ann", anchor=anchor_id, because="mood")
    with pytest.raises(DecisionRefusedError):
        anchor_approval.lower(store, anchor_id, AnchorState.VALID, identity="a", cause="", at=AT)
    with pytest.raises(DecisionRefusedError):
        anchor_approval.retire(store, anchor_id, AnchorState.VALID, identity="a", vendor=vendor(), at=AT)


def test_a_key_can_be_buried_unheard_of_or_standing(store: sqlite3.Connection) -> None:
    """Entombing records a new tombstone, or distrusts the anchor of that key that stands."""
    der = certificate("New root")

    def entomb() -> str:
        return anchor_management.entomb(
            store, proposal_of(der), identity="ann", reason="stolen", at=AT, randomness=randomness
        )

    first = entomb()
    again = propose(store)
    assert (entomb(), state(store, first), state(store, again)) == (
        again,
        AnchorState.DISTRUSTED,
        AnchorState.DISTRUSTED,
    )


def test_revision_rises_with_every_change(store: sqlite3.Connection) -> None:
    """Each anchor version raises the store's revision; a refused reading does not."""
    seen = [query.store_revision(store)]
    anchor_id = propose(store)
    seen.append(query.store_revision(store))
    with pytest.raises(DecisionRefusedError):
        approve(store, anchor_id, "ann", WRONG)
    seen.append(query.store_revision(store))
    approve(store, anchor_id, "ann", approvals=1)
    seen.append(query.store_revision(store))
    assert seen == [0, 1, 1, 2]
    assert query.store_id(store) is not None
