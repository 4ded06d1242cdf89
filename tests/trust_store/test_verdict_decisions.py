"""Decisions about one package digest, and what a verdict says it rests on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.trust_store.package_craft import archive, read
from tests.trust_store.verdict_chain import Chain
from tests.trust_store.verdict_craft import AT, CONTENT, DTEN, anchor, ask, beside
from trust_store.cli.verdict_text import verdict_lines
from trust_store.model.package_facts import PackageFacts
from trust_store.model.trust_anchor import AnchorState, Constraints, TrustBasis
from trust_store.model.trust_view import DigestDecision, TrustView
from trust_store.model.verdict import ExpectedVendor, Outcome, Reason, Verdict
from trust_store.verdict_json import verdict_to_dict
from trust_store.verification import Question, verify_package
from trust_store.verification.question import ExpectedIdentity

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def chain() -> Chain:
    """Root, issuing CA, signer."""
    return Chain.of()


@pytest.fixture(scope="module")
def facts(chain: Chain) -> PackageFacts:
    """A package that the chain signed."""
    return chain.facts()


def _decision(facts: PackageFacts, effect: str = "allow", **fields: Any) -> DigestDecision:
    values: dict[str, Any] = {
        "id": "decision_1", "package_sha256": facts.sha256, "vendor_id": "dten", "effect": effect,
        "reason": "called <b>DTEN</b>\x1b[0m", "effective_from": AT - DAY, "effective_until": AT + DAY,
    }  # fmt: skip
    return DigestDecision(**(values | fields))


def _asked(facts: PackageFacts, decision: DigestDecision, *anchors: Any, **question: Any) -> Verdict:
    values: dict[str, Any] = {"vendor": DTEN, "at": AT, "checked_at": AT, "time_basis": "now", "name": "firmware.bin"}
    return verify_package(facts, TrustView(anchors=anchors, decisions=(decision,)), Question(**(values | question)))


def test_allow_fills_a_lack_of_evidence(facts: PackageFacts) -> None:
    """An unknown root passes by decision; the answer says so, for how long, and what would be without it."""
    verdict = _asked(facts, _decision(facts))
    assert (verdict.outcome, verdict.reason, verdict.also) == (Outcome.PASSED, Reason.TRUSTED, ("unknown_root",))
    assert (verdict.basis.trust, verdict.basis.decision) == ("digest_decision", "decision_1")
    assert verdict.signatures[0].reason is Reason.UNKNOWN_ROOT
    assert "until 2026-11-26T12:00:00.000000Z by decision decision_1" in verdict.summary
    assert "Without it: The signature is intact" in verdict.summary
    assert "\x1b" not in verdict.summary
    assert verdict.advice == ()


def test_the_ends_of_an_allowance(facts: PackageFacts) -> None:
    """It counts from its first moment on, for 30 days to the second."""
    whole = _decision(facts, effective_from=AT, effective_until=AT + 30 * DAY)
    assert _asked(facts, whole).outcome is Outcome.PASSED


def test_what_already_passes_needs_no_decision(chain: Chain, facts: PackageFacts) -> None:
    """A package that an anchor vouches for rests on the anchor, decision or not."""
    verdict = _asked(facts, _decision(facts), anchor(chain.root.der, basis=TrustBasis.CALLED))
    assert (verdict.basis.trust, verdict.basis.decision, verdict.also) == ("store", "called", ())


@pytest.mark.parametrize(
    "change",
    [
        {"package_sha256": "0" * 64},
        {"package_sha256": ""},
        {"vendor_id": "acme"},
        {"vendor_id": "any"},
        {"effect": "ALLOW"},
        {"effect": ""},
        {"effective_from": AT + timedelta(seconds=1)},
        {"effective_until": AT},
        {"effective_until": AT - DAY},
        {"effective_until": None},
        {"effective_from": AT - DAY, "effective_until": AT + 29 * DAY + timedelta(seconds=1)},
    ],
    ids=str,
)
def test_a_decision_that_does_not_fit_allows_nothing(facts: PackageFacts, change: dict[str, Any]) -> None:
    """Another digest, another vendor, another time, no end or one too far off: the package stays as it is."""
    verdict = _asked(facts, _decision(facts, **change))
    assert (verdict.reason, verdict.basis.trust, verdict.basis.decision) == (Reason.UNKNOWN_ROOT, "store", None)


@pytest.mark.parametrize(
    "question",
    [
        {"require_anchor": True},
        {"vendor": ExpectedVendor(None, "none")},
        {"vendor": ExpectedVendor("any", "any")},
        {"vendor": ExpectedVendor("acme", "stated")},
        {"identity": ExpectedIdentity("somebody@example.org", None)},
        {"at": AT - 2 * DAY, "time_basis": "requested"},
        {"at": AT + 2 * DAY, "time_basis": "requested"},
    ],
    ids=str,
)
def test_questions_that_an_allowance_does_not_answer(facts: PackageFacts, question: dict[str, Any]) -> None:
    """An anchor that is required, a vendor that is not stated, a demand that is not met, a time outside: never passed."""
    assert _asked(facts, _decision(facts), **question).outcome is Outcome.INDETERMINATE


def test_allow_never_overrides_evidence_against(chain: Chain, facts: PackageFacts) -> None:
    """Failed stays failed: content changed, a buried or withdrawn key, a path that is invalid, uncovered content."""
    broken = read(CONTENT + b"!", beside(chain.sign()))
    cases = [
        (broken, (anchor(chain.root.der),), Reason.INVALID_SIGNATURE),
        (broken, (), Reason.INVALID_SIGNATURE),
        *((facts, (anchor(chain.root.der, state),), Reason(state.value)) for state in (
            AnchorState.COMPROMISED, AnchorState.DISTRUSTED, AnchorState.REVOKED)),
        (read(archive({"a": b"1" * 100})[:-10]), (), Reason.MALFORMED),
    ]  # fmt: skip
    for seen, anchors, reason in cases:
        verdict = _asked(seen, _decision(seen), *anchors)
        assert (verdict.reason, verdict.basis.trust) == (reason, "store")
        assert verdict.outcome is not Outcome.PASSED


def test_allow_lets_what_lacks_evidence_pass(chain: Chain, facts: PackageFacts) -> None:
    """Unsigned, unsupported, out of scope: nothing speaks against it, and people decided."""
    unsigned = read(archive({"a": b"1"}))
    assert _asked(unsigned, _decision(unsigned)).outcome is Outcome.PASSED
    tls = anchor(chain.root.der, constraints=Constraints(purposes=("tls",)))
    verdict = _asked(facts, _decision(facts), tls)
    assert (verdict.outcome, verdict.also) == (Outcome.PASSED, ("out_of_scope",))
    nothing = PackageFacts("", 0, None, 0)
    assert _asked(nothing, _decision(nothing, package_sha256="")).outcome is not Outcome.PASSED


@pytest.mark.parametrize("question", [{}, {"require_anchor": True}, {"vendor": ExpectedVendor(None, "none")}], ids=str)
def test_block_withdraws(chain: Chain, facts: PackageFacts, question: dict[str, Any]) -> None:
    """A blocked digest fails whoever signed it, and the answer names the decision."""
    verdict = _asked(facts, _decision(facts, "block", effective_until=None), anchor(chain.root.der), **question)
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, Reason.WITHDRAWN)
    assert verdict.basis.decision == "decision_1"
    assert "decision_1" in verdict.summary


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"vendor_id": "any"}, Reason.WITHDRAWN),
        ({"vendor_id": "acme"}, Reason.TRUSTED),
        ({"package_sha256": "0" * 64}, Reason.TRUSTED),
        ({"effective_from": AT + DAY}, Reason.WITHDRAWN),
        ({"effective_until": AT}, Reason.TRUSTED),
    ],
    ids=str,
)
def test_which_block_counts(chain: Chain, facts: PackageFacts, change: dict[str, Any], reason: Reason) -> None:
    """One of this vendor or of all, about this digest, before its end; a clock that was set back lifts none."""
    assert _asked(facts, _decision(facts, "block", **change), anchor(chain.root.der)).reason is reason


def test_block_counts_for_questions_about_the_past(chain: Chain, facts: PackageFacts) -> None:
    """A package blocked now is blocked whatever time is asked about, and one blocked then was."""
    held = anchor(chain.root.der)
    for start, end in ((AT - DAY, None), (AT - 9 * DAY, AT - 5 * DAY)):
        block = _decision(facts, "block", effective_from=start, effective_until=end)
        asked = _asked(facts, block, held, at=AT - 7 * DAY, time_basis="requested")
        assert asked.reason is Reason.WITHDRAWN


def test_block_goes_before_allow(facts: PackageFacts) -> None:
    """Of two decisions the one that lowers trust counts."""
    view = TrustView(decisions=(_decision(facts), _decision(facts, "block", id="decision_2")))
    verdict = verify_package(facts, view, Question(DTEN, AT, AT, "now", "firmware.bin"))
    assert (verdict.reason, verdict.basis.decision) == (Reason.WITHDRAWN, "decision_2")


def test_withdrawn_and_worse(chain: Chain, facts: PackageFacts) -> None:
    """A compromised or distrusted key and a revoked one are told before the block, a weak path after it."""
    for state in (AnchorState.COMPROMISED, AnchorState.DISTRUSTED, AnchorState.REVOKED):
        verdict = _asked(facts, _decision(facts, "block"), anchor(chain.root.der, state))
        assert (verdict.reason.value, verdict.also) == (state.value, ("withdrawn",))
    verdict = _asked(facts, _decision(facts, "block"))
    assert (verdict.reason, verdict.also) == (Reason.WITHDRAWN, ("unknown_root",))


def test_an_answer_by_decision_ends_with_it(facts: PackageFacts) -> None:
    """The answer stands no longer than the decision, and not beyond one that begins."""
    soon = AT + timedelta(minutes=5)
    assert _asked(facts, _decision(facts, effective_until=soon)).valid_until == soon
    assert _asked(facts, _decision(facts, "block", effective_from=soon)).valid_until == soon
    assert _asked(facts, _decision(facts, effective_until=soon, package_sha256="0" * 64)).valid_until > soon


@pytest.mark.parametrize("basis", TrustBasis)
def test_the_basis_of_an_anchor_is_told(chain: Chain, facts: PackageFacts, basis: TrustBasis) -> None:
    """The verdict says how its anchor became valid; the screen says in one sentence what is weaker than a call."""
    verdict = ask(facts, anchor(chain.root.der, basis=basis))
    expected = None if basis is TrustBasis.NONE else basis.value
    assert verdict_to_dict(verdict)["basis"]["decision"] == expected
    weaker = [line for line in verdict_lines(verdict_to_dict(verdict)) if line.startswith("  basis ")]
    assert len(weaker) == (basis in (TrustBasis.BASELINE, TrustBasis.HOLD_DOWN, TrustBasis.BREAK_GLASS))
    assert all("weaker" in line for line in weaker)
    assert not [line for line in verdict_lines(verdict_to_dict(ask(facts))) if line.startswith("  basis ")]
