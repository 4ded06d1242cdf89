"""What the store answers about keys: which count for whose packages, which are tried first, and how they are found."""

from __future__ import annotations

import sqlite3
from datetime import timedelta

from tests.trust_store.store_setup import (
    AT,
    call,
    certificate,
    openpgp_proposal,
    package,
    proposal_of,
    propose,
    randomness,
    vendor,
)
from tests.trust_store.verified_store_setup import store
from trust_store import anchor_approval, anchor_management, query
from trust_store.model.claim import Authority
from trust_store.model.identifiers import Identifier, IdentifierKind
from trust_store.model.package_facts import SignerHint
from trust_store.model.trust_anchor import AnchorState
from trust_store.storage.connection import transaction

__all__ = ["store"]  # a fixture


def test_anchors_of_other_vendors_never_count(store: sqlite3.Connection) -> None:
    """A view holds the expected vendor's anchors; `any` holds every vendor's, no vendor nobody's."""
    own, other = propose(store), propose(store, "Other root", "other")
    facts = package(certificate("New root"), certificate("Other root"))
    seen = {
        asked: {a.id for a in query.trust_view(store, asked, facts, None).anchors}
        for asked in ("dten", "other", "any", "nobody", None)
    }
    assert seen == {"dten": {own}, "other": {other}, "any": {own, other}, "nobody": set(), None: set()}


def test_any_vendors_tombstone_counts_for_everybody(store: sqlite3.Connection) -> None:
    """A key that somebody's vendor disowned is in the view of every package that carries it, and of no other package."""
    buried = propose(store, vendor_id="other")
    anchor_approval.reject(store, buried, "disowned", identity="ann", at=AT)
    carried = query.trust_view(store, "dten", package(certificate("New root")), None)
    reissued = query.trust_view(store, "dten", package(certificate("Re-issued", "New root")), None)
    unrelated = query.trust_view(store, "dten", package(certificate("Else"), b"no certificate"), None)
    assert [[a.id for a in v.anchors] for v in (carried, reissued, unrelated)] == [[buried], [buried], []]


def test_pending_material_helps_and_is_not_trusted(store: sqlite3.Connection) -> None:
    """A pending certificate is offered for path building, and its anchor stays pending in the view."""
    propose(store)
    anchor_management.propose(store, openpgp_proposal("ab" * 20), at=AT, randomness=randomness)
    view = query.trust_view(store, "dten", package(certificate("New root")), vendor())
    assert [c.der for c in view.untrusted] == [certificate("New root")]
    assert (view.untrusted_keys, view.trust, view.vendor) == ((), "store", vendor())
    assert {a.state for a in view.anchors} == {AnchorState.PENDING}
    assert (view.store_revision, view.store_id) == (2, query.store_id(store))


def test_candidates_put_hints_then_standing_then_authority_first(store: sqlite3.Connection) -> None:
    """What a hint points at comes first, then valid keys, then tombstones, then pending ones of authenticated channels."""
    stranger = proposal_of(certificate("Stranger"), authority=Authority.UNAUTHENTICATED)
    anchor_management.propose(store, stranger, at=AT + timedelta(days=1), randomness=randomness)
    propose(store, "Staff")
    buried = propose(store, "Buried", "other")
    anchor_approval.reject(store, buried, "disowned", identity="ann", at=AT)
    valid = propose(store)
    anchor_approval.approve(store, valid, call(), identity="ann", vendor=vendor(approvals=1), at=AT)
    names = ("New root", "Buried", "Staff", "Stranger")
    assert [c.material for c in query.candidates(store, "dten")] == [certificate(n) for n in names]
    hinted = query.candidates(store, "dten", [SignerHint(subject_key_identifier=_ski("Stranger"))])
    assert hinted[0].material == certificate("Stranger")
    assert {c.material for c in query.candidates(store, None, [_identifier("Staff")])} == {
        certificate("Staff"), certificate("Buried"),
    }  # fmt: skip


def _ski(name: str) -> str:
    found = {i.kind: i.value for i in proposal_of(certificate(name)).identifiers}
    return found[IdentifierKind.SUBJECT_KEY_IDENTIFIER]


def _identifier(name: str) -> Identifier:
    return next(i for i in proposal_of(certificate(name)).identifiers if i.kind is IdentifierKind.SPKI_SHA256)


def test_at_most_64_candidates(store: sqlite3.Connection) -> None:
    """However many keys were proposed, a signature is tried with 64; OpenPGP hints find theirs among them."""
    for number in range(80):
        anchor_management.propose(store, openpgp_proposal(f"{number:040x}"), at=AT, randomness=randomness)
    found = query.candidates(store, "dten", [SignerHint(openpgp=f"{7:040x}", key_id=f"{7:016x}")])
    assert (len(found), found[0].kind, found[0].material) == (64, "openpgp", b"key " + f"{7:040x}".encode())


def test_anchors_are_found_by_any_identifier(store: sqlite3.Connection) -> None:
    """A look-up by fingerprint, key digest, key identifier or subject finds the anchor whatever its vendor and state."""
    anchor_id = propose(store)
    for identifier in proposal_of(certificate("New root")).identifiers:
        assert [a.id for a in query.anchors_with(store, [identifier])] == [anchor_id]
    assert query.anchors_with(store, [Identifier(IdentifierKind.SHA256, "00" * 32)]) == ()


def test_anchors_can_be_asked_by_vendor_and_state(store: sqlite3.Connection) -> None:
    """Lists are the newest first and hold what was asked for."""
    old, new = propose(store, "Old"), propose(store, "New", at=AT + timedelta(days=1))
    other = propose(store, "Other", "other")
    assert [a.id for a in query.anchors(store, "dten")] == [new, old]
    assert {a.id for a in query.anchors(store)} == {old, new, other}
    assert query.anchors(store, "dten", [AnchorState.VALID]) == ()
    assert query.anchor(store, "anchor_none") is None


def test_questions_join_an_open_transaction(store: sqlite3.Connection) -> None:
    """Inside a transaction a question sees what the transaction wrote."""
    with transaction(store):
        anchor_id = propose(store)
        assert query.anchor(store, anchor_id) is not None
