"""Who makes a key trusted, how, and what never does: calls, whole fingerprints, enough people, and nothing of it given away before."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from dataclasses import replace
from typing import Any

import pytest

from tests.trust_store.anchor_decisions_setup import WRONG, approve, decide, kinds, state
from tests.trust_store.store_setup import (
    AT,
    PHONE,
    call,
    certificate,
    fingerprint,
    openpgp_proposal,
    proposal_of,
    propose,
    randomness,
    vendor,
)
from tests.trust_store.verified_store_setup import store
from trust_store import anchor_approval, anchor_management, audit, query
from trust_store.anchor_rules import WITHHELD, disclosed
from trust_store.decisions import perform
from trust_store.errors import DecisionRefusedError, UsageError
from trust_store.model.trust_anchor import AnchorState
from trust_store.storage.connection import transaction

__all__ = ["store"]  # a fixture


def test_two_people_make_an_anchor_valid(store: sqlite3.Connection) -> None:
    """A pending anchor becomes valid with the last distinct approval that policy asks, not before."""
    anchor_id = propose(store)
    first = approve(store, anchor_id, "ann")
    assert (first["outcome"], first["approvals"], first["needed"], state(store, anchor_id)) == (
        "recorded", 1, 2, AnchorState.PENDING,
    )  # fmt: skip
    second = approve(store, anchor_id, "bob")
    assert (second["outcome"], second["state"], state(store, anchor_id)) == ("valid", "valid", AnchorState.VALID)
    assert kinds(store) == ["anchor.proposed", "anchor.approval", "anchor.approval", "anchor.valid"]


def test_nobody_approves_twice(store: sqlite3.Connection) -> None:
    """The same person's second approval is refused and counts for nothing."""
    anchor_id = propose(store)
    approve(store, anchor_id, "ann")
    with pytest.raises(DecisionRefusedError, match="ann has approved this already"):
        approve(store, anchor_id, "ann")
    assert state(store, anchor_id) is AnchorState.PENDING


def test_one_approval_must_be_written_out(store: sqlite3.Connection) -> None:
    """A vendor whose policy says one approval needs one, and silence means two."""
    assert vendor().policy.approvals == 2
    anchor_id = propose(store)
    assert approve(store, anchor_id, "ann", approvals=1)["outcome"] == "valid"


def test_another_fingerprint_is_recorded_and_refused(store: sqlite3.Connection) -> None:
    """A whole fingerprint that is not the key's stays on record, raises kind mismatch, and the anchor stays pending."""
    anchor_id = propose(store)
    with pytest.raises(DecisionRefusedError) as refused:
        approve(store, anchor_id, "ann", WRONG, approvals=1)
    assert (refused.value.kind, refused.value.exit_code) == ("mismatch", 2)
    assert state(store, anchor_id) is AnchorState.PENDING
    assert kinds(store)[-1] == "anchor.fingerprint_mismatch"


@pytest.mark.parametrize(
    "read",
    [
        fingerprint()[:-1],
        fingerprint()[:47],
        fingerprint() + ":AB",
        hashlib.sha1(certificate("New root"), usedforsecurity=False).hexdigest(),
        hashlib.md5(certificate("New root"), usedforsecurity=False).hexdigest(),
        "",
        "yes, that is the one",
        fingerprint().replace(":", ";"),
        "\ud800",
    ],
    ids=["one digit short", "half", "one octet too many", "sha-1", "md5", "empty", "words", "semicolons", "surrogate"],
)
def test_part_of_a_fingerprint_or_another_digest_never_counts(store: sqlite3.Connection, read: str) -> None:
    """Anything but the whole SHA-256 is incomplete: recorded, refused, pending."""
    anchor_id = propose(store)
    with pytest.raises(DecisionRefusedError) as refused:
        approve(store, anchor_id, "ann", read, approvals=1)
    assert (refused.value.kind, state(store, anchor_id)) == ("incomplete", AnchorState.PENDING)


@pytest.mark.parametrize("mark", ["", " ", ":", "-", "\u200b", "\n"])
def test_separators_do_not_matter(store: sqlite3.Connection, mark: str) -> None:
    """Upper or lower case, colons, blanks, dashes and zero-width marks are all the same fingerprint."""
    anchor_id = propose(store)
    assert approve(store, anchor_id, "ann", fingerprint().replace(":", mark), approvals=1)["state"] == "valid"


@pytest.mark.parametrize("digits", [40, 64])
def test_openpgp_fingerprints_are_read_whole(store: sqlite3.Connection, digits: int) -> None:
    """An OpenPGP key is approved by its primary fingerprint; its key id is no reading."""
    whole = ("0123456789abcdef" * 4)[:digits]
    anchor_id = anchor_management.propose(store, openpgp_proposal(whole), at=AT, randomness=randomness)
    with pytest.raises(DecisionRefusedError) as refused:
        approve(store, anchor_id, "ann", whole[-16:], approvals=1)
    assert refused.value.kind == "incomplete"
    assert approve(store, anchor_id, "ann", whole.upper(), approvals=1)["state"] == "valid"


@pytest.mark.parametrize("called", ["", "+1 555 0199", PHONE + " ", "product security", "@dten.example"])
def test_only_a_configured_contact_can_be_called(store: sqlite3.Connection, called: str) -> None:
    """A number or name that the team did not record itself confirms nothing."""
    anchor_id = propose(store)
    with pytest.raises(DecisionRefusedError, match="none of the contacts"):
        anchor_approval.approve(
            store, anchor_id, call(called=called), identity="ann", vendor=vendor(approvals=1), at=AT
        )


@pytest.mark.parametrize("called", ["Product security", PHONE, "security@dten.example"])
def test_a_contact_is_named_by_any_of_its_ways(store: sqlite3.Connection, called: str) -> None:
    """Name, phone and mail of a contact all name it."""
    anchor_id = propose(store)
    made = anchor_approval.approve(
        store, anchor_id, call(called=called), identity="ann", vendor=vendor(approvals=1), at=AT
    )
    assert made.state is AnchorState.VALID


def test_a_call_has_a_partner_and_a_ticket(store: sqlite3.Connection) -> None:
    """Blank names and tickets are refused."""
    anchor_id = propose(store)
    for blank in ({"spoke_with": " "}, {"ticket": "\t"}):
        with pytest.raises(DecisionRefusedError, match="ticket"):
            anchor_approval.approve(
                store, anchor_id, replace(call(), **blank), identity="ann", vendor=vendor(approvals=1), at=AT
            )


def test_an_unconfigured_vendor_cannot_be_decided(store: sqlite3.Connection) -> None:
    """Without the vendor's own contacts and policy there is no approval."""
    anchor_id = propose(store, vendor_id="gone")
    with pytest.raises(DecisionRefusedError, match="not configured"):
        approve(store, anchor_id, "ann", approvals=1)


def test_a_ca_without_signer_rule_stays_pending(store: sqlite3.Connection) -> None:
    """A known root is not a known signer: the error names the command that states whose signatures count."""
    anchor_id = propose(store, rule=None)
    with pytest.raises(DecisionRefusedError, match=r"anchor constrain .*--dedicated.*--signer-subject.*--signer-spki"):
        approve(store, anchor_id, "ann", approvals=1)
    decide(store, "anchor.constrain", "ann", anchor=anchor_id, dedicated=True)
    assert approve(store, anchor_id, "ann", approvals=1)["state"] == "valid"


def test_an_end_entity_needs_no_signer_rule(store: sqlite3.Connection) -> None:
    """A certificate that cannot issue identifies its signer by itself."""
    leaf = certificate("Leaf", ca=False)
    anchor_id = anchor_management.propose(store, proposal_of(leaf), at=AT, randomness=randomness)
    assert approve(store, anchor_id, "ann", hashlib.sha256(leaf).hexdigest(), approvals=1)["state"] == "valid"


def test_a_decision_has_an_author_and_its_own_transaction(store: sqlite3.Connection) -> None:
    """Nobody decides nothing, unknown decisions and anchors are refused, and no outer transaction can undo a record."""
    anchor_id = propose(store)
    with pytest.raises(DecisionRefusedError, match="nobody decides"):
        decide(store, "anchor.reject", "", anchor=anchor_id, because="unconfirmed")
    with pytest.raises(UsageError, match="unknown decision"):
        decide(store, "anchor.bless", "ann")
    with pytest.raises(DecisionRefusedError, match="there is no anchor"):
        decide(store, "anchor.reject", "ann", anchor="anchor_none", because="unconfirmed")
    with transaction(store), pytest.raises(ValueError, match="its own transaction"):
        decide(store, "anchor.reject", "ann", anchor=anchor_id, because="unconfirmed")


def test_an_alert_commits_with_the_decision_or_not_at_all(store: sqlite3.Connection) -> None:
    """What is done within the decision's transaction sees a mismatch too, and its failure undoes the decision."""
    anchor_id = propose(store)
    arguments = {"anchor": anchor_id, "fingerprint_read": WRONG, "spoke_with": "A", "called": PHONE, "ticket": "T"}
    seen: list[str] = []

    def note(connection: sqlite3.Connection, result: Any) -> None:
        assert connection.in_transaction
        seen.append(result["outcome"])
        if len(seen) > 1:
            raise RuntimeError("the alert could not be written")

    def run(error: type[Exception]) -> None:
        with pytest.raises(error):
            perform(
                store, "anchor.approve", arguments, identity="ann", vendors=(vendor(),), at=AT, randomness=randomness,
                within=note,
            )  # fmt: skip

    run(DecisionRefusedError)
    entries = len(kinds(store))
    run(RuntimeError)
    assert (seen, len(kinds(store))) == (["mismatch", "mismatch"], entries)


def test_nothing_shows_the_fingerprint_of_a_key_awaiting_decision(store: sqlite3.Connection) -> None:
    """Results, refusals and the whole audit log hold no eight digits in a row of any identifier of a pending key."""
    anchor_id = propose(store, rule=None)
    shown: list[str] = []
    for read in (WRONG, fingerprint()[:-2], fingerprint()):
        with pytest.raises(DecisionRefusedError) as refused:
            approve(store, anchor_id, "ann", read)
        shown.append(str(refused.value))
    shown.append(json.dumps(decide(store, "anchor.constrain", "ann", anchor=anchor_id, dedicated=True)))
    shown.append(json.dumps(approve(store, anchor_id, "ann")))
    columns = ("kind", "actor", "subject", "body")
    shown += [str(row[c]) for row in audit.entries(store) for c in columns]
    found = query.anchor(store, anchor_id)
    assert found is not None
    values = [i.value for i in found.identifiers if i.kind.value != "subject"]
    parts = {v[i : i + 8] for v in values for i in range(len(v) - 7)}
    text = " ".join(shown).lower().replace(":", "")
    assert [part for part in parts if part in text] == []


def test_text_that_gives_a_pending_key_away_is_withheld(store: sqlite3.Connection) -> None:
    """A name or URL with part of the fingerprint in it is withheld until the decision, however it is spaced."""
    whole = "0123456789abcdef0123456789abcdef01234567"
    anchor_id = anchor_management.propose(
        store, openpgp_proposal(whole, "0x" + whole.upper()), at=AT, randomness=randomness
    )
    found = query.anchor(store, anchor_id)
    assert found is not None
    assert disclosed(found, found.name) == WITHHELD
    assert disclosed(found, "https://keys.example/?search=89 AB:CD-EF") == WITHHELD
    assert disclosed(found, "Vendor release key") == "Vendor release key"
    assert disclosed(replace(found, state=AnchorState.VALID), found.name) == found.name


def test_a_policy_of_an_unknown_vendor_is_not_approved(store: sqlite3.Connection) -> None:
    """Only a configured vendor's file can be approved."""
    with pytest.raises(DecisionRefusedError, match="not configured"):
        decide(store, "policy.approve", "ann", vendor="nobody")
