"""What a package shows less of than its product did before: a downgrade or a rollback, and never a pass."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.simulator.vendor_pki import VendorPKI
from tests.trust_store.package_craft import archive, read
from tests.trust_store.verdict_craft import AT, CONTENT, DTEN, anchor, ask, beside, der, issue, signed
from trust_store.model.package_facts import PackageFacts, Problem, Product, SignatureFact, SignatureOrigin
from trust_store.model.ratchet import (
    DIMENSIONS,
    FILE,
    PRODUCT,
    UNSIGNED,
    Mark,
    Ratchet,
    Strength,
    file_pattern,
    names_of,
)
from trust_store.model.trust_view import DigestDecision, TrustView
from trust_store.model.vendor import Vendor, VendorPolicy
from trust_store.model.verdict import Outcome, Reason, Verdict
from trust_store.verification import Question, verify_package
from trust_store.verification.ratchet import regressions
from trust_store.verification.strength import DIGEST_RANKS, SCHEME_RANKS, rank

DAY = timedelta(days=1)
SEEN = AT - 10 * DAY
OTHER = "0b" * 32
REFUSE = VendorPolicy(rollback="refuse")


@pytest.fixture(scope="module")
def pki() -> VendorPKI:
    """The vendor."""
    return VendorPKI.generate("DTEN", AT)


def marks(
    kind: str = FILE, name: str = "firmware.bin", *, at: datetime = SEEN, package: str = OTHER, **values: str
) -> Ratchet:
    """A ratchet with these marks."""
    return Ratchet("dten", kind, name, 1, at).with_marks({k: Mark(v, package, at) for k, v in values.items()})


def two_signers(pki: VendorPKI) -> PackageFacts:
    """The content signed by two signers of the vendor."""
    other = issue(pki)
    return read(CONTENT, beside(pki.sign(CONTENT)), beside(other.sign(CONTENT), name="firmware.bin.sig"))


def judged(facts: PackageFacts, pki: VendorPKI, *ratchets: Ratchet, **more: Any) -> Verdict:
    """The verdict under the vendor's root."""
    return ask(facts, anchor(der(pki.root)), ratchets=ratchets, **more)


def test_what_shows_as_much_passes(pki: VendorPKI) -> None:
    """The same scheme, digest and number of signers is no regression, nor is more of each."""
    facts = signed(pki)
    assert judged(facts, pki, marks(scheme="cms", digest="sha256", signers="1")).reason is Reason.TRUSTED
    assert judged(two_signers(pki), pki, marks(scheme="jar", digest="sha224", signers="1")).reason is Reason.TRUSTED
    assert judged(facts, pki, marks()).reason is Reason.TRUSTED


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"scheme": "apk-v3"}, "signed by cms now, signed by apk-v3"),
        ({"digest": "sha512"}, "digest sha256 now, digest sha512"),
        ({"signers": "2"}, "1 signing key(s) now, 2 signing key(s)"),
    ],
)
def test_less_of_anything_is_a_downgrade(pki: VendorPKI, values: dict[str, str], words: str) -> None:
    """A weaker scheme, a shorter digest or fewer signers: indeterminate, with what was seen, when, where, and how to lower it."""
    held = marks(**values)
    verdict = judged(signed(pki), pki, held)
    assert (verdict.outcome, verdict.reason, verdict.also) == (Outcome.INDETERMINATE, Reason.DOWNGRADE, ())
    assert words in verdict.summary
    assert "in package 0b0b0b0b0b0b... seen on 2026-11-15 12:00 UTC" in verdict.summary
    assert any(f"rootwarden ratchet lower {held.id} --to {next(iter(values))}=" in line for line in verdict.advice)


def test_a_new_key_under_a_valid_anchor_is_no_regression(pki: VendorPKI) -> None:
    """Who signs is the anchors' matter: another signer of the same number counts as much."""
    assert judged(signed(issue(pki)), pki, marks(scheme="cms", digest="sha256", signers="1")).reason is Reason.TRUSTED


@pytest.mark.parametrize("data", [archive({"a": b"1"}), b"\x00firmware of no format"])
def test_unsigned_where_signed_was_seen_is_a_downgrade(pki: VendorPKI, data: bytes) -> None:
    """Without its signature, and even without its format, a package is a downgrade and not merely unsigned."""
    facts = read(data)
    before = judged(facts, pki)
    verdict = judged(facts, pki, marks(scheme="cms", digest="sha256", signers="2"))
    assert (verdict.outcome, verdict.reason, verdict.also) == (
        Outcome.INDETERMINATE,
        Reason.DOWNGRADE,
        (before.reason.value,),
    )
    assert "no signature that counts now, signed by cms in package" in verdict.summary
    assert any(line.endswith("--to scheme=unsigned --reason TEXT") for line in verdict.advice)


def test_evidence_against_comes_first(pki: VendorPKI) -> None:
    """A broken signature is told as such, whatever was seen before; the ratchet rescues nothing."""
    broken = read(CONTENT + b"!", beside(pki.sign(CONTENT)))
    assert judged(broken, pki, marks(scheme="apk-v3")).reason is Reason.INVALID_SIGNATURE


def test_signatures_that_do_not_count_are_not_compared(pki: VendorPKI) -> None:
    """Where the root is not known nothing is said of a downgrade: the call is about the key."""
    verdict = ask(signed(pki), ratchets=(marks(scheme="apk-v3"),))
    assert (verdict.reason, verdict.also, verdict.strength) == (Reason.UNKNOWN_ROOT, (), None)


def test_the_package_that_set_the_mark_is_no_regression(pki: VendorPKI) -> None:
    """Not even where it is shown without one of its signatures: its own bytes are what was accepted."""
    facts = signed(pki)
    assert judged(facts, pki, marks(package=facts.sha256, signers="2")).reason is Reason.TRUSTED
    alone = read(archive({"a": b"1"}))
    assert judged(alone, pki, marks(package=alone.sha256, scheme="cms")).reason is Reason.UNSIGNED


def test_what_was_seen_before_the_mark_stays_passed(pki: VendorPKI) -> None:
    """How a package was signed when it came is no regression later; one that came with the mark or after it is."""
    facts = signed(pki)

    def seen(at: datetime | None, now: datetime = AT) -> Reason:
        view = TrustView(anchors=(anchor(der(pki.root)),), ratchets=(marks(signers="2"),))
        question = Question(DTEN, now, now, "now", "firmware.bin", first_seen_at=at)
        return verify_package(facts, view, question).reason

    assert seen(SEEN - timedelta(seconds=1)) is Reason.TRUSTED
    assert seen(SEEN) is Reason.DOWNGRADE
    assert seen(SEEN + DAY) is Reason.DOWNGRADE
    assert seen(None) is Reason.DOWNGRADE
    assert seen(SEEN - DAY, SEEN) is Reason.TRUSTED
    set_back = SEEN - DAY
    assert seen(set_back, set_back) is Reason.DOWNGRADE  # by a clock that is behind the mark nothing came before it


def test_a_past_question_knows_the_marks_of_its_time(pki: VendorPKI) -> None:
    """About a moment before the mark there was none; for now no mark is too new, so that a clock set back loosens nothing."""
    held = marks(signers="2")
    before, after = SEEN - timedelta(seconds=1), SEEN + DAY
    assert judged(signed(pki), pki, held, at=SEEN, time_basis="requested").reason is Reason.DOWNGRADE
    assert judged(signed(pki), pki, held, at=before, time_basis="requested").reason is Reason.TRUSTED
    assert judged(signed(pki), pki, held, at=after, time_basis="requested").reason is Reason.DOWNGRADE
    assert judged(signed(pki), pki, held, at=before).reason is Reason.DOWNGRADE


def test_of_two_versions_the_one_of_the_time_counts(pki: VendorPKI) -> None:
    """A ratchet that people lowered since held packages then."""
    held = marks(signers="2")
    loosened = replace(held.with_marks({"signers": None}), number=2, recorded_at=SEEN + DAY, lowered_at=SEEN + DAY)
    assert judged(signed(pki), pki, held, loosened).reason is Reason.TRUSTED
    assert judged(signed(pki), pki, loosened, held).reason is Reason.TRUSTED
    assert judged(signed(pki), pki, held, loosened, at=SEEN + DAY, time_basis="requested").reason is Reason.TRUSTED
    tightened = replace(held, number=3, recorded_at=SEEN + 2 * DAY)
    set_back = SEEN - DAY
    assert judged(signed(pki), pki, loosened, tightened, at=set_back).reason is Reason.DOWNGRADE
    then = SEEN + timedelta(hours=1)
    assert judged(signed(pki), pki, held, loosened, at=then, time_basis="requested").reason is Reason.DOWNGRADE


def test_an_allowance_fills_this_lack_too(pki: VendorPKI) -> None:
    """People may let one downgraded package through by its digest; the answer says what would be without it."""
    facts = signed(pki)
    allowed = DigestDecision("decision_1", facts.sha256, "dten", "allow", "SEC-1", AT - DAY, AT + DAY)
    verdict = judged(facts, pki, marks(signers="2"), decisions=(allowed,))
    assert (verdict.reason, verdict.also) == (Reason.TRUSTED, ("downgrade",))
    assert "Without it: The package is signed in a weaker way" in verdict.summary


def versioned(pki: VendorPKI, version: str | None) -> PackageFacts:
    """A signed package that states its product."""
    return replace(signed(pki), product=Product("tool", version))


@pytest.mark.parametrize(
    ("version", "policy", "expected"),
    [
        ("5.9", REFUSE, Reason.ROLLBACK), ("6.0", REFUSE, Reason.TRUSTED), ("6.0.1", REFUSE, Reason.TRUSTED),
        ("6.0~rc1", REFUSE, Reason.ROLLBACK), (None, REFUSE, Reason.ROLLBACK), ("5.9", VendorPolicy(), Reason.TRUSTED),
        ("5.9", None, Reason.TRUSTED),
    ],
)  # fmt: skip
def test_an_older_version_is_a_rollback_where_policy_says_so(
    pki: VendorPKI, version: str | None, policy: VendorPolicy | None, expected: Reason
) -> None:
    """Only by the version that signed metadata states, and only where the vendor's policy refuses older ones."""
    held = marks(PRODUCT, "tool", version="6.0")
    verdict = judged(versioned(pki, version), pki, held, policy=policy)
    assert verdict.reason is expected
    if version is None:
        named = marks(PRODUCT, "tool", version="alpha")
        assert judged(versioned(pki, version), pki, named, policy=policy).reason is Reason.ROLLBACK
        assert judged(versioned(pki, "beta"), pki, named, policy=policy).reason is Reason.TRUSTED
    if expected is Reason.ROLLBACK:
        assert verdict.outcome is Outcome.INDETERMINATE
        assert "version 6.0 in package 0b0b0b0b0b0b..." in verdict.summary


def test_an_older_version_stays_older_whenever_it_was_seen(pki: VendorPKI) -> None:
    """To be shown an old genuine package again is the attack: that it was seen before is no excuse, unless it set the mark."""
    facts = versioned(pki, "5.9")
    vendor = Vendor("dten", "DTEN", policy=REFUSE)
    question = Question(DTEN, AT, AT, "now", "tool.bin", first_seen_at=SEEN - DAY)

    def asked(held: Ratchet) -> Reason:
        return verify_package(
            facts, TrustView((anchor(der(pki.root)),), vendor=vendor, ratchets=(held,)), question
        ).reason

    assert asked(marks(PRODUCT, "tool", version="6.0")) is Reason.ROLLBACK
    assert asked(marks(PRODUCT, "tool", version="6.0", package=facts.sha256)) is Reason.TRUSTED


def test_a_command_in_the_advice_is_quoted(pki: VendorPKI) -> None:
    """A version is the vendor's text: pasted into a shell it stays one word."""
    facts = versioned(pki, "5.9; rm -rf '/'")
    verdict = judged(facts, pki, marks(PRODUCT, "tool", version="6.0"), policy=REFUSE)
    assert any("""--to 'version=5.9; rm -rf '"'"'/'"'"''""" in line for line in verdict.advice)


SCHEMES = st.sampled_from([*SCHEME_RANKS, "cms", "openpgp"])
DIGESTS = st.sampled_from(["", *DIGEST_RANKS])
STRENGTHS = st.builds(
    Strength, SCHEMES, DIGESTS, st.integers(0, 4), st.sampled_from([None, "1.0", "1.1", "2.0~rc1", "2.0"])
)


def ratchet_of(held: Strength, kind: str) -> Ratchet:
    """The marks that a package of this strength would set."""
    values = {"scheme": held.scheme, "digest": held.digest, "signers": str(held.signers), "version": held.version}
    return marks(kind, **{k: v for k, v in values.items() if v})


@given(STRENGTHS, STRENGTHS, STRENGTHS, st.sampled_from([FILE, PRODUCT]))
def test_the_order_is_monotone(held: Strength, less: Strength, more: Strength, kind: str) -> None:
    """What shows at least as much of everything as something that is no regression is none either."""
    view = TrustView(vendor=Vendor("dten", "DTEN", policy=REFUSE), ratchets=(ratchet_of(held, kind),))
    question = Question(DTEN, AT, AT, "now", "firmware.bin")
    facts = PackageFacts("aa" * 32, 1, "x", 1)

    def lost(shown: Strength) -> bool:
        return bool(regressions(view, facts, question, shown))

    def values(shown: Strength) -> dict[str, str | None]:
        return {"scheme": shown.scheme, "digest": shown.digest, "signers": str(shown.signers), "version": shown.version}

    low, high = values(less), values(more)
    at_least = all(
        (high[d] is not None or low[d] is None) and (low[d] is None or rank(d, str(high[d])) >= rank(d, str(low[d])))
        for d in DIMENSIONS
    )
    if at_least and not lost(less):
        assert not lost(more)
    assert not (held.scheme != UNSIGNED and (held.version or kind == FILE) and lost(held))


@given(st.lists(st.tuples(STRENGTHS, st.sampled_from([FILE, PRODUCT])), max_size=3), st.booleans(), st.booleans())
def test_a_ratchet_makes_nothing_pass(held: list[tuple[Strength, str]], rooted: bool, bare: bool) -> None:  # noqa: FBT001
    """Whatever marks there are, what would not pass without them does not pass with them, and no reason goes away."""
    facts = BARE if bare else SIGNED
    anchors = (ROOT,) if rooted else ()
    without = ask(facts, *anchors, policy=REFUSE)
    under = ask(facts, *anchors, policy=REFUSE, ratchets=tuple(ratchet_of(*one) for one in held))
    assert {without.reason, *without.also} - {Reason.TRUSTED} <= {under.reason, *under.also}
    assert under.outcome is not Outcome.PASSED or without.outcome is Outcome.PASSED
    assert (without.outcome is Outcome.FAILED) == (under.outcome is Outcome.FAILED)


_PKI = VendorPKI.generate("DTEN", AT)
SIGNED, BARE, ROOT = (
    replace(signed(_PKI), product=Product("tool", "1.1")),
    read(archive({"a": b"1"})),
    anchor(der(_PKI.root)),
)


def test_a_digest_that_nobody_knows_counts_as_none(pki: VendorPKI) -> None:
    """An algorithm that is not in the table is less than any that is."""
    facts = signed(pki)
    odd = replace(facts, signatures=tuple(replace(s, digest_algorithm="whirlpool") for s in facts.signatures))
    view = TrustView(ratchets=(marks(digest="sha224"),))
    lost = regressions(view, odd, Question(DTEN, AT, AT, "now", "f"), Strength("cms", "", 1))
    assert [(one.dimension, one.now) for one in lost] == [("digest", "")]


def test_of_parts_signed_apart_the_weakest_tells(pki: VendorPKI) -> None:
    """A package whose parts are signed apart shows the fewest keys and the shortest digest of them; what is over all counts for each."""
    one, other = two_signers(pki).signatures

    def shown(*signatures: SignatureFact) -> Strength | None:
        parts = tuple(replace(s, origin=SignatureOrigin.EMBEDDED, file=None) for s in signatures)
        return judged(replace(two_signers(pki), signatures=parts), pki).strength

    assert shown(replace(one, part="a"), replace(other, part="b")) == Strength("cms", "sha256", 1)
    assert shown(one, replace(one, part="a"), replace(other, part="b")) == Strength("cms", "sha256", 1)
    assert shown(one, replace(other, part="a"), replace(other, part="b")) == Strength("cms", "sha256", 2)
    assert shown(one, other) == Strength("cms", "sha256", 2)


def test_what_cannot_be_read_says_nothing(pki: VendorPKI) -> None:
    """A file that is malformed or could not be read is no downgrade."""
    facts = PackageFacts("aa" * 32, 1, "zip", 1, problem=Problem(Reason.MALFORMED, "cut short"))
    assert judged(facts, pki, marks(scheme="cms")).also == ()


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (
            ("app-1.2.3.apk", "App-1.10.apk", "app-v2.apk", "app-2.0-rc1.apk", "app-2.0_beta2.apk", "app-7.apk"),
            "app-#.apk",
        ),
        (("tool_1.2~rc1_amd64.deb", "tool_1:1.3+b2_amd64.deb"), "tool_#_amd#.deb"),
        (("fw-20260503.bin", "fw-3fa9c1d2.bin"), "fw-#.bin"),
        (("Full-upgrade-package-dten.zip",), "full-upgrade-package-dten.zip"),
    ],
)
def test_file_names_of_one_product_have_one_pattern(names: tuple[str, ...], pattern: str) -> None:
    """Numbers, versions and commits are no part of what a product's files are called."""
    assert {file_pattern(name) for name in names} == {pattern}


@given(st.text(max_size=600))
def test_a_pattern_is_made_of_any_name(name: str) -> None:
    """Nothing is raised, no digit of an ASCII name is left, and a name without a name has no ratchet."""
    assert not any(c in "0123456789" for c in file_pattern(name))
    assert [kind for kind, _ in names_of(None, name)] == ([FILE] if name else [])
    assert names_of(Product("", "1"), "") == ()
