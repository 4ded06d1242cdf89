"""What the store holds a vendor's file and the approvers to: a weaker policy waits for approval, and a changed record is found."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.trust_store.store_setup import (
    AT,
    DEDICATED,
    call,
    certificate,
    package,
    proposal_of,
    propose,
    randomness,
    vendor,
)
from tests.trust_store.verified_store_setup import store
from trust_store import anchor_approval, anchor_management, audit, query
from trust_store.decisions import perform
from trust_store.errors import DecisionRefusedError, StoreInconsistentError
from trust_store.model.vendor import Contact
from trust_store.storage import vendors
from trust_store.storage.approver_list import record_approvers
from trust_store.storage.connection import transaction
from trust_store.storage.vendors import AWAITING, EFFECTIVE, VendorChange, effective_vendor, latest, record_vendors

if TYPE_CHECKING:
    from trust_store.model.vendor import Vendor

__all__ = ["store"]  # a fixture


def record(store: sqlite3.Connection, *vendors: Vendor) -> list[tuple[str, bool]]:
    """Record vendor files and return (field, weakens) of the changes."""
    with transaction(store):
        return [(c.field, c.weakens) for c in record_vendors(store, vendors, AT, randomness)]


def test_a_vendor_seen_first_or_unchanged_is_no_change(store: sqlite3.Connection) -> None:
    """The first sight of a file counts at once; loading it again writes nothing."""
    assert (record(store, vendor()), record(store, vendor())) == ([], [])
    assert [row["kind"] for row in audit.entries(store)] == ["vendor.effective"]


def test_a_version_recorded_with_a_field_that_is_gone_is_read(
    store: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A policy that an earlier program recorded is read without what nothing uses any more; the file loaded anew is no change."""
    encode = vendors._encode

    def as_before(vendor: Vendor) -> str:
        said = json.loads(encode(vendor))
        said["policy"]["rotation_grace_days"] = 7
        return json.dumps(said, sort_keys=True)

    with monkeypatch.context() as patch:
        patch.setattr(vendors, "_encode", as_before)
        record(store, vendor())
    assert effective_vendor(store, vendor()) == vendor()
    assert record(store, vendor()) == []
    held = latest(store, "dten")
    assert held is not None
    assert (held.vendor, held.state) == (vendor(), EFFECTIVE)


def test_a_stricter_policy_counts_at_once(store: sqlite3.Connection) -> None:
    """More approvals need nobody's approval; old and new value are in the log."""
    record(store, vendor())
    assert record(store, vendor(approvals=3)) == [("policy.approvals", False)]
    assert effective_vendor(store, vendor(approvals=3)).policy.approvals == 3
    assert '"new": 3, "old": 2' in audit.entries(store)[-1]["body"]


@pytest.mark.parametrize(
    "weaker",
    [
        vendor(approvals=1),
        replace(vendor(), contacts=(*vendor().contacts, Contact("New", phone="+1 555 6666"))),
        replace(vendor(), policy=replace(vendor().policy, claimed_time="accept")),
    ],
)
def test_a_weaker_policy_waits_for_approval_under_the_old(store: sqlite3.Connection, weaker: Vendor) -> None:
    """Fewer people, a new number to call or self-claimed time count only when the old number of people approved."""
    record(store, vendor())
    assert [w for _, w in record(store, weaker)] == [True]
    held = effective_vendor(store, weaker)
    assert (held.policy, held.contacts) == (vendor().policy, vendor().contacts)
    assert query.trust_view(store, "dten", package(), weaker).vendor == held

    def approve_policy(who: str) -> str:
        return str(
            perform(
                store,
                "policy.approve",
                {"vendor": "dten"},
                identity=who,
                vendors=(weaker,),
                at=AT,
                randomness=randomness,
            )["outcome"]
        )

    assert approve_policy("ann") == "recorded"
    with pytest.raises(DecisionRefusedError, match="already"):
        approve_policy("ann")
    assert (approve_policy("bob"), effective_vendor(store, weaker)) == ("effective", weaker)
    with pytest.raises(DecisionRefusedError, match="waits for approval"):
        approve_policy("cyd")


def test_accepting_older_versions_again_waits_for_approval(store: sqlite3.Connection) -> None:
    """Refusing them counts at once, as what is stricter does; going back to accepting them does not."""
    record(store, vendor())
    assert record(store, vendor(rollback="refuse")) == [("policy.rollback", False)]
    assert record(store, vendor()) == [("policy.rollback", True)]
    assert effective_vendor(store, vendor()).policy.rollback == "refuse"
    with pytest.raises(ValueError, match="rollback is"):
        vendor(rollback="ask")


def test_a_weakened_file_decides_nothing_yet(store: sqlite3.Connection) -> None:
    """One person cannot lower the number of people in the file and then approve alone, nor call a number added just now."""
    record(store, vendor())
    weak = replace(vendor(approvals=1), contacts=(*vendor().contacts, Contact("New", phone="+1 555 6666")))
    anchor_id = propose(store)
    for recorded in (False, True):
        if recorded:
            record(store, weak)
        with pytest.raises(
            DecisionRefusedError, match="configured but not in force yet: rootwarden anchor approve-policy dten"
        ):
            anchor_approval.approve(store, anchor_id, call(called="+1 555 6666"), identity="ann", vendor=weak, at=AT)
    made = anchor_approval.approve(store, anchor_id, call(), identity="ann", vendor=weak, at=AT)
    assert (made.outcome, made.needed) == ("recorded", 2)


def test_taking_the_file_away_and_back_weakens_nothing(store: sqlite3.Connection) -> None:
    """A vendor that is gone keeps its last policy: coming back weaker is a weakening; coming back the same is logged."""
    record(store, vendor())
    assert record(store) == [("file", False)]
    assert record(store) == []
    assert record(store, vendor(approvals=1)) == [("policy.approvals", True), ("file", False)]
    found = latest(store, "dten")
    assert found is not None
    assert found.state == AWAITING
    record(store, vendor())
    found = latest(store, "dten")
    assert found is not None
    assert found.state == EFFECTIVE


def test_a_changed_snapshot_is_found(store: sqlite3.Connection) -> None:
    """A recorded policy cannot be lowered in the table, and the newest that counts cannot be taken out."""
    record(store, vendor())
    record(store, vendor(approvals=3))
    store.execute("DROP TRIGGER vendor_snapshot_no_update")
    store.execute("DROP TRIGGER vendor_snapshot_no_delete")
    for statement in (
        "UPDATE vendor_snapshot SET content = replace(content, '\"approvals\": 3', '\"approvals\": 1')",
        "DELETE FROM vendor_snapshot WHERE version = 2",
    ):
        store.execute("BEGIN")
        store.execute(statement)
        with pytest.raises(StoreInconsistentError):
            effective_vendor(store, vendor(approvals=1))
        store.execute("ROLLBACK")


def test_a_removed_approval_row_is_found_when_counting(store: sqlite3.Connection) -> None:
    """Approvals are counted only if every one of them is what the log recorded."""
    anchor_id = anchor_management.propose(
        store, proposal_of(certificate("New root")), signer_rule=DEDICATED, at=AT, randomness=randomness
    )
    anchor_approval.approve(store, anchor_id, call(), identity="ann", vendor=vendor(), at=AT)
    for verb in ("update", "delete"):
        store.execute(f"DROP TRIGGER approval_no_{verb}")
    for statement in ("UPDATE approval SET approver = 'bob'", "DELETE FROM approval"):
        store.execute("BEGIN")
        store.execute(statement)
        with pytest.raises(StoreInconsistentError):
            anchor_approval.approve(store, anchor_id, call(), identity="cyd", vendor=vendor(), at=AT)
        store.execute("ROLLBACK")


def test_who_may_approve_is_on_record(store: sqlite3.Connection) -> None:
    """The first list is recorded, the same again is not, and a new person is a change that weakens; one fewer is not."""

    def record_people(*people: tuple[str, str]) -> VendorChange | None:
        with transaction(store):
            return record_approvers(store, people, AT)

    told = [
        record_people(("uid:1", "ann")),
        record_people(("uid:1", "ann")),
        record_people(("uid:1", "ann"), ("uid:2", "bob")),
        record_people(),
    ]
    assert [c and (c.field, c.new, c.weakens) for c in told] == [
        None,
        None,
        ("approvers", {"uid:1": "ann", "uid:2": "bob"}, True),
        ("approvers", {}, False),
    ]
    assert len(audit.entries(store)) == 3
