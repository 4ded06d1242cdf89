"""What an anchor's state does to older and newer signatures, by what is proven of their time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest

from tests.trust_store.verdict_chain import OLD, Chain, claimed, leaf
from tests.trust_store.verdict_craft import AT, DTEN, anchor, ask
from trust_store.model.trust_anchor import AnchorState, SignerRule, TrustAnchor
from trust_store.model.trust_view import TrustView
from trust_store.model.vendor import Vendor, VendorPolicy
from trust_store.model.verdict import ExpectedVendor, Outcome, Reason, Verdict
from trust_store.verification import Question, verify_package
from trust_store.verification import x509 as judging
from trust_store.verification.anchor_state import SOFT_CAUSES, state_findings

DAY = timedelta(days=1)
CHANGED = AT - 10 * DAY
"""When every anchor of these tests changed its state."""


@pytest.fixture(scope="module")
def chain() -> Chain:
    """Root, issuing CA, signer."""
    return Chain.of()


@pytest.fixture
def proven(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Lets a signature be proven at a time, as a trusted timestamp does."""

    def prove(at: datetime) -> None:
        time = SimpleNamespace(at=at, proven=True, timestamped_at=at, findings=())
        monkeypatch.setattr(judging, "validation_time", lambda *_, **__: time)

    return prove


STATES = [
    (AnchorState.SUPERSEDED, None, Reason.TRUSTED, Reason.REVOKED),
    *((AnchorState.REVOKED, cause, Reason.TRUSTED, Reason.REVOKED) for cause in sorted(SOFT_CAUSES)),
    (AnchorState.REVOKED, None, Reason.REVOKED, Reason.REVOKED),
    (AnchorState.REVOKED, "unspecified", Reason.REVOKED, Reason.REVOKED),
    (AnchorState.REVOKED, "key-compromise", Reason.REVOKED, Reason.REVOKED),
    (AnchorState.COMPROMISED, "key-compromise", Reason.TRUSTED, Reason.COMPROMISED),
    (AnchorState.DISTRUSTED, None, Reason.DISTRUSTED, Reason.DISTRUSTED),
    (AnchorState.DISTRUSTED, "superseded", Reason.DISTRUSTED, Reason.DISTRUSTED),
    (AnchorState.REJECTED, "disowned", Reason.DISTRUSTED, Reason.DISTRUSTED),
    (AnchorState.REJECTED, "unconfirmed", Reason.UNKNOWN_ROOT, Reason.UNKNOWN_ROOT),
    (AnchorState.REMOVED, "superseded", Reason.UNKNOWN_ROOT, Reason.UNKNOWN_ROOT),
    (AnchorState.PENDING, None, Reason.UNKNOWN_ROOT, Reason.UNKNOWN_ROOT),
]


@pytest.mark.parametrize(("state", "cause", "before", "after"), STATES, ids=str)
def test_a_proven_time_before_and_after_the_change(  # type: ignore[no-untyped-def]
    chain: Chain, proven, state: AnchorState, cause: str | None, before: Reason, after: Reason
) -> None:
    """Superseded, softly revoked and compromised keys keep what is provably older; nothing else does, and nothing newer."""
    changed = anchor(chain.root.der, state, cause=cause, effective_from=CHANGED)
    assert ask(chain.facts(), changed).reason is after
    proven(CHANGED - DAY)
    assert ask(chain.facts(), changed).reason is before
    proven(CHANGED)
    assert ask(chain.facts(), changed).reason is after


@pytest.mark.parametrize("policy", [None, VendorPolicy(claimed_time="accept")])
def test_a_claim_rescues_nothing_withdrawn(chain: Chain, policy: VendorPolicy | None) -> None:
    """What the signer claims, and our own sighting, never rescue a revoked or compromised key."""
    facts = claimed(chain.facts(), CHANGED - DAY)
    for state, reason in (
        (AnchorState.SUPERSEDED, Reason.REVOKED),
        (AnchorState.REVOKED, Reason.REVOKED),
        (AnchorState.COMPROMISED, Reason.COMPROMISED),
    ):
        changed = anchor(chain.root.der, state, cause="superseded", effective_from=CHANGED)
        assert ask(facts, changed, policy=policy).reason is reason
        view = TrustView(anchors=(changed,))
        seen = Question(DTEN, AT, AT, "now", "firmware.bin", first_seen_at=CHANGED - DAY)
        assert verify_package(facts, view, seen).reason is reason


def test_a_proven_time_spares_the_signers_own_tombstone_only_before_it(chain: Chain, proven) -> None:  # type: ignore[no-untyped-def]
    """A compromised signing key keeps what a timestamp proves older than the compromise; a distrusted one keeps nothing."""
    root = anchor(chain.root.der)
    for state, reason in ((AnchorState.COMPROMISED, Reason.TRUSTED), (AnchorState.DISTRUSTED, Reason.DISTRUSTED)):
        for holder in (chain.signer, chain.middle):
            buried = anchor(holder.der, state, effective_from=CHANGED, vendor_id="acme")
            proven(CHANGED - DAY)
            assert ask(chain.facts(), root, buried).reason is reason
            proven(CHANGED + DAY)
            assert ask(chain.facts(), root, buried).reason.value == state.value
    # Two tombstones of one key: the earlier date counts.
    twice = [
        anchor(chain.signer.der, AnchorState.COMPROMISED, effective_from=CHANGED - n * DAY, id=f"a{n}") for n in (0, 5)
    ]
    proven(CHANGED - DAY)
    assert ask(chain.facts(), root, *twice).reason is Reason.COMPROMISED


def test_a_spared_tombstone_of_another_vendor_is_no_anchor(chain: Chain, proven) -> None:  # type: ignore[no-untyped-def]
    """A timestamp before another vendor's compromise takes the tombstone away, and gives no trust in its place."""
    foreign = anchor(chain.root.der, AnchorState.COMPROMISED, effective_from=CHANGED, vendor_id="acme")
    proven(CHANGED - DAY)
    assert ask(chain.facts(), foreign).reason is Reason.UNKNOWN_ROOT
    assert ask(chain.facts(), replace(foreign, vendor_id="dten")).reason is Reason.TRUSTED


def test_an_anchor_that_does_not_count_hides_none_above_it(chain: Chain) -> None:
    """Of several anchors on one path the first that passes decides; a decision against a key below it still counts."""
    root, facts = anchor(chain.root.der), chain.facts()
    narrow = SignerRule(subject=(("O", "Else"),))
    for holder in (chain.middle, chain.signer):
        near = anchor(holder.der, signer_rule=narrow)
        assert ask(facts, near).reason is Reason.UNEXPECTED_SIGNER
        assert ask(facts, near, root).signatures[0].anchor == (root.id, root.name)
        for state in (AnchorState.SUPERSEDED, AnchorState.REVOKED):
            withdrawn = anchor(holder.der, state, cause="superseded", effective_from=CHANGED)
            assert ask(facts, withdrawn, root).reason is Reason.REVOKED
            assert ask(facts, withdrawn, near, root).reason is Reason.REVOKED
            assert ask(facts, withdrawn, root, at=CHANGED - DAY, time_basis="requested").reason is Reason.TRUSTED
            other = anchor(holder.der, state, cause="superseded", vendor_id="acme")
            assert ask(facts, other, root).reason is Reason.TRUSTED


def test_anchors_in_a_row_are_tried_one_after_another_and_not_for_ever(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last of several anchors on a path is reached; beyond the limits the answer says that not all was tried."""
    facts, narrow = chain.facts(), SignerRule(subject=(("O", "Else"),))
    row = [anchor(holder.der, signer_rule=narrow) for holder in (chain.signer, chain.middle)]
    assert ask(facts, *row, anchor(chain.root.der)).reason is Reason.TRUSTED
    monkeypatch.setattr(judging, "MAX_OUTCOMES", 1)
    verdict = ask(facts, *row, anchor(chain.root.der))
    assert (verdict.reason, verdict.also) == (Reason.RESOURCE_LIMIT, ("unexpected_signer",))


def test_constraints_count_at_the_proven_time(chain: Chain, proven) -> None:  # type: ignore[no-untyped-def]
    """The validation time is the proven one: a certificate that expired since is good, one that came later is not."""
    expired = Chain(chain.root, chain.middle, leaf(chain.middle, dates=(OLD, AT - DAY)))
    held = anchor(chain.root.der)
    assert ask(expired.facts(), held).reason is Reason.EXPIRED
    proven(AT - 2 * DAY)
    verdict = ask(expired.facts(), held)
    assert (verdict.reason, verdict.validation_time) == (Reason.TRUSTED, AT - 2 * DAY)
    proven(AT - 500 * DAY)
    assert ask(expired.facts(), held).reason is Reason.NOT_YET_VALID


def _seen(facts_of: Chain, held: TrustAnchor, first: datetime | None, policy: VendorPolicy | None = None) -> Verdict:
    vendor = Vendor("dten", "DTEN", policy=policy) if policy else None
    question = Question(DTEN, AT, AT, "now", "firmware.bin", first_seen_at=first)
    return verify_package(claimed(facts_of.facts(), None), TrustView(anchors=(held,), vendor=vendor), question)


def test_our_own_sighting_before_expiry(chain: Chain) -> None:
    """A package seen before the key expired passes afterwards; one seen later, before the key, or in the future does not."""
    expired = Chain(chain.root, chain.middle, leaf(chain.middle, dates=(AT - 50 * DAY, AT - DAY)))
    held = anchor(chain.root.der)
    for first, reason in (
        (None, Reason.EXPIRED),
        (AT - 2 * DAY, Reason.TRUSTED),
        (AT - DAY + timedelta(seconds=1), Reason.EXPIRED),
        (AT - 60 * DAY, Reason.EXPIRED),
        (AT + DAY, Reason.EXPIRED),
    ):
        assert _seen(expired, held, first).reason is reason
    rule = replace(held, signer_rule=SignerRule(subject=(("O", "Else"),)))
    assert _seen(expired, rule, AT - 2 * DAY).reason is Reason.UNEXPECTED_SIGNER


def test_sentences_name_anchor_and_date(chain: Chain) -> None:
    """A refusal says which anchor, what it is recorded as, and since when."""
    for state in (AnchorState.SUPERSEDED, AnchorState.REVOKED, AnchorState.COMPROMISED, AnchorState.DISTRUSTED):
        (finding,) = state_findings(anchor(chain.root.der, state, effective_from=CHANGED), AT, None)
        assert "'test anchor'" in finding.detail
        assert state.value in finding.detail
        assert "2026-11-15T12:00:00" in finding.detail
    assert state_findings(anchor(chain.root.der), AT, None) == []


def test_unstated_vendor_and_tombstones(chain: Chain) -> None:
    """A tombstone counts whoever's package it is said to be."""
    buried = anchor(chain.root.der, AnchorState.DISTRUSTED)
    for vendor in (ExpectedVendor(None, "none"), ExpectedVendor("any", "any"), ExpectedVendor("acme", "stated")):
        verdict = ask(chain.facts(), buried, vendor=vendor)
        assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, Reason.DISTRUSTED)


def test_a_clock_that_was_set_back_undoes_no_decision(chain: Chain) -> None:
    """Now is after every decision on record: only a question about another time is answered as of before it."""
    held = anchor(chain.root.der, AnchorState.SUPERSEDED, effective_from=AT + DAY)
    assert ask(chain.facts(), held).reason is Reason.REVOKED
    assert ask(chain.facts(), held, time_basis="requested").reason is Reason.TRUSTED
