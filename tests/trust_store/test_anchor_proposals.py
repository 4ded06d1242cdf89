"""Proposals and their rules: what is taken in, what is refused, what voids approvals, and when a proposal lapses."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.trust_store.anchor_decisions_setup import approve, decide, kinds, state
from tests.trust_store.store_setup import AT, DEDICATED, certificate, openpgp_proposal, proposal_of, propose, randomness
from tests.trust_store.verified_store_setup import store
from trust_store import anchor_management, query
from trust_store.errors import DecisionRefusedError, MalformedError, ResourceLimitError, UsageError
from trust_store.model.claim import Authority
from trust_store.model.trust_anchor import AnchorState, Constraints, SignerRule

__all__ = ["store"]  # a fixture


def test_changed_rules_void_approvals(store: sqlite3.Connection) -> None:
    """An approval is bound to the rules it was given for: after a change everybody is asked again."""
    anchor_id = propose(store)
    approve(store, anchor_id, "ann")
    told = decide(store, "anchor.constrain", "ann", anchor=anchor_id, signer_subject=["o=Example Inc"])
    assert "1 earlier approval(s) are void" in told["message"]
    assert approve(store, anchor_id, "bob")["outcome"] == "recorded"
    assert approve(store, anchor_id, "ann")["outcome"] == "valid"
    found = query.anchor(store, anchor_id)
    assert found is not None
    assert found.signer_rule == SignerRule(subject=(("O", "Example Inc"),))


def test_rules_change_only_while_pending(store: sqlite3.Connection) -> None:
    """A decided anchor's rules are fixed, the same rules again change nothing, and no rules at all are a wrong question."""
    anchor_id = propose(store)
    with pytest.raises(DecisionRefusedError, match="exactly these rules"):
        decide(store, "anchor.constrain", "ann", anchor=anchor_id, dedicated=True)
    with pytest.raises(UsageError, match="nothing to constrain"):
        decide(store, "anchor.constrain", "ann", anchor=anchor_id)
    decide(store, "anchor.reject", "ann", anchor=anchor_id, because="unconfirmed")
    with pytest.raises(DecisionRefusedError, match="its rules are fixed"):
        decide(store, "anchor.constrain", "ann", anchor=anchor_id, follow_rotation=True)


def test_limits_of_an_anchor_are_kept(store: sqlite3.Connection) -> None:
    """Products, formats, times and pins come back as they were stated."""
    anchor_id = propose(store)
    decide(
        store, "anchor.constrain", "ann", anchor=anchor_id, signer_spki=["AB:" * 31 + "AB"], products=["x"], formats=["zip"],
        valid_from="2026-01-01T00:00:00Z", valid_until="2027-01-01T00:00:00+00:00", follow_rotation=True,
    )  # fmt: skip
    found = query.anchor(store, anchor_id)
    assert found is not None
    assert (found.signer_rule.spki_sha256, found.follow_rotation) == (("ab" * 32,), True)
    assert (found.constraints.products, found.constraints.formats) == (("x",), ("zip",))
    assert (found.constraints.valid_until, found.constraints.max_path_length) == (AT.replace(2027, 1, 1, 0), None)


@pytest.mark.parametrize(
    "arguments",
    [
        {"signer_subject": ["no value"]},
        {"signer_spki": ["abcd"]},
        {"dedicated": True, "signer_subject": ["O=x"]},
        {"dedicated": "yes"},
        {"signer_subject": "O=x"},
        {"signer_subject": ["O=x"] * 101},
        {"valid_from": "2026-01-01"},
        {"valid_from": "2027-01-01T00:00:00Z", "valid_until": "2026-01-01T00:00:00Z"},
        {"colour": "red"},
        {"anchor": 7},
        {"anchor": ""},
        {"anchor": "x" * 3000},
    ],
)
def test_wrong_arguments_are_usage_errors(store: sqlite3.Connection, arguments: dict[str, Any]) -> None:
    """Arguments come from another process: wrong types, sizes, names and values are refused and nothing is written."""
    anchor_id = propose(store)
    before = kinds(store)
    with pytest.raises(UsageError):
        decide(store, "anchor.constrain", "ann", **{"anchor": anchor_id, "follow_rotation": True, **arguments})
    assert kinds(store) == before


def test_the_same_key_twice_is_one_anchor(store: sqlite3.Connection) -> None:
    """Hearing of an open key again makes nothing new; of another vendor it is another anchor."""
    anchor_id = propose(store)
    assert propose(store) == anchor_id
    assert propose(store, vendor_id="other") != anchor_id
    approve(store, anchor_id, "ann", approvals=1)
    assert propose(store) == anchor_id


def test_better_authority_is_kept_and_voids_nothing(store: sqlite3.Connection) -> None:
    """When the vendor itself says what a stranger said before, the proposal stands on the vendor's word, approvals intact."""
    der = certificate("New root")
    stranger = proposal_of(der, authority=Authority.UNAUTHENTICATED)
    anchor_id = anchor_management.propose(store, stranger, signer_rule=DEDICATED, at=AT, randomness=randomness)
    approve(store, anchor_id, "ann")
    anchor_management.propose(store, proposal_of(der, authority=Authority.VENDOR_SITE), at=AT, randomness=randomness)
    found = query.anchor(store, anchor_id)
    assert found is not None
    assert found.authority == "vendor_site"
    assert approve(store, anchor_id, "bob")["outcome"] == "valid"


def test_a_signer_rule_is_suggested_once_and_never_dedicated(store: sqlite3.Connection) -> None:
    """A suggestion fills a gap before anybody approved; it never says dedicated and never replaces a rule."""
    anchor_id = propose(store, rule=None)
    rule = SignerRule(subject=(("O", "Example"),))
    suggest, free = anchor_management.propose_narrowest, Constraints()
    assert [
        suggest(store, anchor_id, DEDICATED, free, at=AT),
        suggest(store, anchor_id, SignerRule(), free, at=AT),
        suggest(store, "anchor_none", rule, free, at=AT),
        suggest(store, anchor_id, rule, free, at=AT),
        suggest(store, anchor_id, SignerRule(subject=(("O", "Other"),)), free, at=AT),
    ] == [False, False, False, True, False]


def test_no_rule_is_suggested_after_an_approval(store: sqlite3.Connection) -> None:
    """An approved proposal is not changed behind the approver's back."""
    leaf = certificate("Leaf", ca=False)
    anchor_id = anchor_management.propose(store, proposal_of(leaf), at=AT, randomness=randomness)
    approve(store, anchor_id, "ann", hashlib.sha256(leaf).hexdigest())
    rule, limits = SignerRule(subject=(("O", "E"),)), Constraints(formats=("zip",))
    assert not anchor_management.propose_narrowest(store, anchor_id, rule, limits, at=AT)


def test_proposals_lapse(store: sqlite3.Connection) -> None:
    """A proposal that nobody decided in time is rejected as lapsed; a younger one stays."""
    old = propose(store, "Old", at=AT - timedelta(days=90))
    young = propose(store, "Young", at=AT - timedelta(days=89))
    other = propose(store, "Old", "other", at=AT - timedelta(days=99))
    assert anchor_management.lapse_proposals(store, AT, 90, "dten") == (old,)
    assert anchor_management.lapse_proposals(store, AT, 90) == (other,)
    assert (state(store, old), state(store, young)) == (AnchorState.REJECTED, AnchorState.PENDING)


def test_unsound_proposals_are_refused(store: sqlite3.Connection) -> None:
    """Material that is not what it is said to be, names no vendor, several keys, or is too large, never reaches the store."""
    good = proposal_of(certificate("New root"))
    pgp = openpgp_proposal("ab" * 20)
    bad = [
        replace(good, key_sha256="00" * 32),
        replace(good, material=b""),
        replace(good, vendor_id="any"),
        replace(good, vendor_id=""),
        replace(pgp, identifiers=pgp.identifiers + openpgp_proposal("cd" * 20).identifiers),
        replace(pgp, identifiers=()),
    ]
    for proposal in bad:
        with pytest.raises(MalformedError):
            anchor_management.propose(store, proposal, at=AT, randomness=randomness)
    with pytest.raises(ResourceLimitError):
        anchor_management.propose(store, replace(good, material=b"x" * 5_000_000), at=AT, randomness=randomness)
    assert kinds(store) == []


def test_constraints_survive_the_store() -> None:
    """Every constraint reads back as it was written."""
    from trust_store.storage.anchors import decode_constraints, encode_constraints

    full = Constraints(
        ("p",), ("f",), ("code", "x"), AT, AT + timedelta(days=1), AT, 3, (("dns", "a.example"),), (("dn", "O=b"),), 3072,
        ("sha256",), "required",
    )  # fmt: skip
    assert decode_constraints(encode_constraints(full)) == full
    assert decode_constraints(encode_constraints(Constraints())) == Constraints()


@pytest.mark.parametrize("data", [None, 7, "???", "A" * 800_000, "bm8gIGtleQ=="])
def test_an_import_is_checked_before_it_is_read(store: sqlite3.Connection, data: Any) -> None:
    """Import data that is no base64, too large, or no key is a usage error and leaves nothing."""
    with pytest.raises(UsageError):
        decide(store, "anchor.import", "ann", vendor="dten", data=data)
    assert kinds(store) == []
