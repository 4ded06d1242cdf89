from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.simulator.vendor_pki import VendorPKI
from tests.trust_store.package_craft import read
from tests.trust_store.verdict_craft import AT, CONTENT, anchor, ask, beside, der, signed
from trust_store.cli.verdict_text import verdict_lines
from trust_store.model.claim import Authority, Evidence
from trust_store.model.package_facts import Coverage, Problem, Uncovered
from trust_store.model.trust_anchor import AnchorState
from trust_store.model.verdict import PRECEDENCE, ExpectedVendor, MissingIssuer, Reason, Verdict
from trust_store.verdict_json import verdict_to_dict
from trust_store.verification.question import Question
from trust_store.verification.wording import advice_for, summary_of

ESCAPE = "\x1b[31m\u202e\u2028evil"


@pytest.fixture(scope="module")
def pki() -> VendorPKI:
    """The vendor's keys."""
    return VendorPKI.generate("DTEN", AT)


@pytest.fixture(scope="module")
def unknown(pki: VendorPKI) -> Verdict:
    """A verdict of unknown_root with evidence of which every text is hostile."""
    said = Evidence(ESCAPE, "https://forum.example/" + ESCAPE, AT, ESCAPE, Authority.UNAUTHENTICATED, ESCAPE)
    bare = Evidence("rotated", None, None, None, Authority.STAFF, "the root is new")
    return replace(ask(signed(pki)), evidence=(said, bare), evidence_available=True)


def test_hostile_text_does_not_reach_the_terminal(unknown: Verdict) -> None:
    """Control and direction characters in names, posts and details are shown as escapes."""
    signature = replace(
        unknown.signatures[0],
        signer=replace(unknown.signatures[0].signer, name=ESCAPE),  # type: ignore[type-var]
        missing_issuer=MissingIssuer(ESCAPE, "ab", same_name_new_key=True),
        claimed_at=AT,
    )
    hostile = replace(
        unknown,
        name=ESCAPE,
        path="/incoming/" + ESCAPE,
        signatures=(signature,) * 25,
        coverage=Coverage(1, (Uncovered(member=ESCAPE), Uncovered(1, 2))),
        vendor=ExpectedVendor(None, "none", ESCAPE),
    )
    text = "\n".join(verdict_lines(verdict_to_dict(hostile)))
    assert not {"\x1b", "\u202e", "\u2028"} & set(text)
    assert "5 more signatures" in text
    assert "another key" in text
    assert "bytes 1 to 2" in text
    assert "said by" in text


def test_silence_of_the_channels_is_told(unknown: Verdict) -> None:
    """Where channels were asked and said nothing, that is a line of its own; where nobody was asked it is not."""
    assert any("no vendor channel" in line for line in verdict_lines(verdict_to_dict(replace(unknown, evidence=()))))
    unasked = replace(unknown, evidence=(), evidence_available=False)
    assert not any("no vendor channel" in line for line in verdict_lines(verdict_to_dict(unasked)))


def test_evidence_and_members_in_json(unknown: Verdict) -> None:
    """Evidence has its five facts and the authority's word; members are verdicts of the same shape."""
    answer = verdict_to_dict(replace(unknown, members=(unknown,), coverage=Coverage(3, (Uncovered(1, 2, inert=True),))))
    assert set(answer["evidence"][0]) == {"claim", "url", "published", "author", "authority", "excerpt"}
    assert answer["evidence"][0]["authority"] == "unauthenticated"
    assert answer["evidence"][1]["published"] is None
    assert set(answer["members"][0]) == set(answer)
    assert answer["coverage"] == {"covered_bytes": 3, "uncovered": [{"start": 1, "end": 2, "inert": True}]}
    assert json.loads(json.dumps(answer)) == answer


@pytest.mark.parametrize("reason", PRECEDENCE, ids=str)
def test_every_reason_has_a_sentence_and_a_next_action(pki: VendorPKI, reason: Reason) -> None:
    """Nobody is left without words: one sentence for each reason, and what to do unless it passed."""
    facts = signed(pki)
    question = Question(ExpectedVendor("dten", "stated"), AT, AT, "now", "firmware.bin")
    summary = summary_of([reason], facts, None, 1)
    assert summary.endswith(".")
    assert "{" not in summary
    assert bool(advice_for(reason, facts, None, question, vendor_counts=True)) is (reason is not Reason.TRUSTED)


def test_summaries_name_signer_and_root(pki: VendorPKI) -> None:
    """The sentence names who signed, which anchor vouches, which root is missing, or what the reader's problem was."""
    passed = ask(signed(pki), anchor(der(pki.root), name="DTEN root 2026"))
    assert "DTEN Upgrade Signing" in passed.summary
    assert "DTEN root 2026" in passed.summary
    buried = ask(signed(pki), anchor(der(pki.root), AnchorState.DISTRUSTED))
    assert "DTEN Upgrade Signing" in buried.summary
    torn = ask(replace(signed(pki), problem=Problem(Reason.MALFORMED, "cut \x1bshort")))
    assert "cut \\u001bshort" in torn.summary
    new_key = ask(signed(pki), anchor(der(VendorPKI.generate("DTEN", AT).root)))
    assert "another key" in new_key.summary
    strange = ask(read(CONTENT, beside(b"no signature", name="firmware.bin.sig")))
    assert strange.reason is Reason.UNSUPPORTED_FORMAT
    assert strange.advice == ("see which kinds of signature are read: docs/formats.md",)


def test_advice_without_a_vendor(pki: VendorPKI) -> None:
    """Where nobody said whose package it is, the advice says how to, with the suggestion if there is one."""
    suggested = ask(signed(pki), vendor=ExpectedVendor(None, "none", "dten"))
    assert suggested.advice[-1] == "say whose package it is: --vendor dten (suggested by its name)"
    assert ask(signed(pki), vendor=ExpectedVendor(None, "none")).advice[-1] == "say whose package it is: --vendor ID"


def test_as_of_another_time(pki: VendorPKI) -> None:
    """A requested time is shown."""
    verdict = ask(signed(pki), at=AT - timedelta(days=1), time_basis="requested")
    assert any("as of      2026-11-24" in line for line in verdict_lines(verdict_to_dict(verdict)))
