"""One bad approver among several: what he proposes, changes, repeats or resurrects never makes a key valid by his word alone."""

from __future__ import annotations

import base64
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.trust_store.store_setup import (
    AT,
    DEDICATED,
    PHONE,
    certificate,
    fingerprint,
    open_store,
    proposal_of,
    propose,
    randomness,
    vendor,
)
from trust_store import anchor_management, audit, query
from trust_store.anchor_narrowing import widened
from trust_store.anchor_rules import disclosed, rules_code
from trust_store.decisions import perform
from trust_store.errors import DecisionRefusedError
from trust_store.model.trust_anchor import AnchorKind, AnchorState, Constraints, SignerRule, TrustAnchor
from trust_store.storage.approver_list import record_approvers
from trust_store.storage.connection import transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from trust_store.model.vendor import Vendor

STRICT = vendor()
WAITING = vendor(call="or_hold_down", hold_down_days=7)
DAY = timedelta(days=1)
CALLED: dict[str, Any] = {"spoke_with": "Ada", "called": PHONE, "ticket": "T"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A store that must verify after every test."""
    with closing(open_store(tmp_path)) as connection:
        yield connection
        audit.verify(connection)


def decide(
    store: sqlite3.Connection, command: str, who: str, of: Vendor = STRICT, at: datetime = AT, **arguments: Any
) -> dict[str, Any]:
    """One decision as it comes over the socket."""
    return perform(store, command, arguments, identity=who, vendors=(of,), at=at, randomness=randomness)


def approve(
    store: sqlite3.Connection, anchor: str, who: str, of: Vendor = STRICT, at: datetime = AT, **said: Any
) -> dict[str, Any]:
    """One approval; a call unless something else is said."""
    how = said or CALLED
    return decide(store, "anchor.approve", who, of, at, anchor=anchor, fingerprint_read=fingerprint(), **how)


def state(store: sqlite3.Connection, anchor: str) -> AnchorState:
    """Where an anchor stands."""
    found = query.anchor(store, anchor)
    assert found is not None
    return found.state


def test_rules_put_back_bring_back_no_approval(store: sqlite3.Connection) -> None:
    """An approval that a change of the rules voided stays void when somebody puts the old rules back."""
    anchor = propose(store)
    approve(store, anchor, "alice")
    decide(store, "anchor.constrain", "alice", anchor=anchor, signer_subject=["O=Dten"])
    decide(store, "anchor.constrain", "mallory", anchor=anchor, dedicated=True)
    told = approve(store, anchor, "mallory")
    assert (told["outcome"], told["approvals"], state(store, anchor)) == ("recorded", 1, AnchorState.PENDING)
    assert approve(store, anchor, "alice")["outcome"] == "valid"


def test_a_broken_glass_is_voided_for_good(store: sqlite3.Connection) -> None:
    """Changing the rules takes an emergency approval back, and rules put back do not revive it."""
    anchor = propose(store)
    glass: dict[str, Any] = {"break_glass": True, "reason": "the plant is down"}
    approve(store, anchor, "alice", **glass)
    decide(store, "anchor.constrain", "alice", anchor=anchor, products=["none-*"])
    decide(store, "anchor.constrain", "mallory", anchor=anchor, clear=["products"])
    assert approve(store, anchor, "mallory", **glass)["outcome"] == "recorded"
    assert state(store, anchor) is AnchorState.PENDING


def test_who_approved_before_rules_came_back_approves_again(store: sqlite3.Connection) -> None:
    """A voided approval does not stand in the way of the same person's new one."""
    anchor = propose(store)
    approve(store, anchor, "alice")
    decide(store, "anchor.constrain", "bob", anchor=anchor, products=["x-*"])
    decide(store, "anchor.constrain", "bob", anchor=anchor, clear=["products"])
    assert approve(store, anchor, "alice")["approvals"] == 1
    with pytest.raises(DecisionRefusedError, match="has approved this already"):
        approve(store, anchor, "alice")


def test_better_authority_in_between_voids_nothing(store: sqlite3.Connection) -> None:
    """A version that changes no rule leaves approvals alone."""
    from trust_store.model.claim import Authority

    said = proposal_of(certificate("New root"), authority=Authority.UNAUTHENTICATED)
    anchor = anchor_management.propose(store, said, signer_rule=DEDICATED, at=AT, randomness=randomness)
    approve(store, anchor, "alice")
    anchor_management.propose(store, proposal_of(certificate("New root")), at=AT, randomness=randomness)
    assert approve(store, anchor, "bob")["outcome"] == "valid"


def test_a_set_stays_void_when_a_members_rules_are_put_back(store: sqlite3.Connection) -> None:
    """A baseline whose member changed is void for good, whatever the member's rules are later."""
    pem = base64.b64encode(_pem(certificate("Set root"))).decode()
    told = decide(store, "baseline.propose", "pat", vendor="dten", data=[pem], dedicated=True)
    read = {"baseline": told["baseline"], "digest_read": told["digest"]}
    decide(store, "baseline.approve", "alice", **read)
    (anchor,) = told["anchors"]
    decide(store, "anchor.constrain", "alice", anchor=anchor, signer_subject=["O=Dten"])
    decide(store, "anchor.constrain", "mallory", anchor=anchor, dedicated=True)
    with pytest.raises(DecisionRefusedError, match="is void"):
        decide(store, "baseline.approve", "mallory", **read)
    assert state(store, anchor) is AnchorState.PENDING


def test_an_approval_of_a_list_is_of_that_change_only(store: sqlite3.Connection) -> None:
    """Approvers written back and changed the same way again need everybody's approval again."""
    old, new = (("uid:1", "alice"), ("uid:2", "bob")), (("uid:1", "alice"), ("uid:2", "bob"), ("uid:3", "mallory"))
    for people in (old, new):
        record(store, people)
    decide(store, "approvers.approve", "alice")
    for people in (old, new):
        record(store, people)
    assert decide(store, "approvers.approve", "bob")["outcome"] == "recorded"


def test_rules_that_were_swapped_after_the_look_are_not_approved(store: sqlite3.Connection) -> None:
    """Whoever names the rules that he looked at approves no others, and whoever does not is told whose rules they are."""
    anchor = propose(store, rule=SignerRule(subject=(("O", "Dten"),)))
    found = query.stored_anchor(store, anchor)
    assert found is not None
    seen = rules_code(found.proposal_digest)
    decide(store, "anchor.constrain", "mallory", anchor=anchor, dedicated=True)
    approve(store, anchor, "mallory")
    with pytest.raises(DecisionRefusedError, match="they were changed since"):
        approve(store, anchor, "bob", **CALLED, rules=seen)
    told = approve(store, anchor, "bob")
    assert "its rules are those that mallory stated on 2026-05-03 12:00 UTC" in told["message"]


def test_rules_as_seen_are_approved(store: sqlite3.Connection) -> None:
    """The code of the rules as they are is accepted, and tells nothing of the key."""
    anchor = propose(store)
    found = query.stored_anchor(store, anchor)
    assert found is not None
    code = rules_code(found.proposal_digest)
    assert approve(store, anchor, "bob", **CALLED, rules=code)["message"].startswith("approval 1 of 2")
    assert disclosed(found.anchor, code) == code


def record(store: sqlite3.Connection, people: tuple[tuple[str, str], ...]) -> None:
    """The configuration is loaded with these approvers."""
    with transaction(store):
        record_approvers(store, people, AT)


def test_an_attribute_under_another_name_is_the_same_attribute() -> None:
    """A further value of a stated attribute widens a rule, however the attribute is written."""
    root = _anchor(SignerRule(subject=(("CN", "Dten Signing"),)))
    for name in ("2.5.4.3", "OID.2.5.4.3", "cn", "oid.2.5.4.3"):
        wider = replace(root, signer_rule=SignerRule(subject=(("CN", "Dten Signing"), (name, "Mallory"))))
        assert widened(root, wider) == ("signer-subject",), name


def test_a_condition_beside_dedicated_cannot_be_dropped() -> None:
    """A condition that stands beside ``dedicated`` holds, so that dropping or changing it widens."""
    root = _anchor(SignerRule(dedicated=True, spki_sha256=("ab" * 32,)))
    assert widened(root, replace(root, signer_rule=DEDICATED)) == ("spki-sha256",)
    assert widened(root, replace(root, signer_rule=SignerRule(eku=("1.2.3",)))) == ("spki-sha256",)
    assert not widened(_anchor(DEDICATED), _anchor(SignerRule(eku=("1.2.3",))))


def _anchor(rule: SignerRule) -> TrustAnchor:
    return TrustAnchor(
        "anchor_1", "dten", AnchorKind.X509, "n", "", b"", AnchorState.VALID, AT, AT, rule, Constraints()
    )


def _pem(der: bytes) -> bytes:
    from cryptography import x509

    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)
