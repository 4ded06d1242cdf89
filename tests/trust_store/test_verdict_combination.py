from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trust_store.model.package_facts import Problem, SideFile, SignatureFact, SignatureOrigin
from trust_store.model.verdict import FAILED_REASONS, PRECEDENCE, Outcome, Reason, SignatureVerdict, outcome_of
from trust_store.verification.combine import combine, worst_first
from trust_store.verification.question import Finding, JudgedSignature, detail_of, ordered

EMBEDDED, GIVEN, FOUND = SignatureOrigin.EMBEDDED, SignatureOrigin.GIVEN, SignatureOrigin.FOUND
UNREAD = frozenset({Reason.MALFORMED, Reason.UNSUPPORTED_FORMAT, Reason.RESOURCE_LIMIT, Reason.UNREADABLE})


@dataclass(frozen=True)
class Kind:
    """A signature as far as the combination looks at it."""

    origin: SignatureOrigin
    reason: Reason
    known: bool = False
    key: str = "k"
    file: str = "f"

    def judged(self) -> JudgedSignature:
        """The judged signature of this kind."""
        problem = Problem(self.reason, "cannot be read") if self.reason in UNREAD else None
        file = None if self.origin is EMBEDDED else SideFile(self.file, "0" * 64)
        integrity = "broken" if self.reason is Reason.INVALID_SIGNATURE else "unchecked" if problem else "intact"
        verdict = SignatureVerdict(
            "cms", file, integrity, None, (), None, None, None, None, self.reason, known_key=self.known
        )
        return JudgedSignature(SignatureFact("cms", self.origin, file, problem), verdict, None if problem else self.key)


def answer(*kinds: Kind, required: int = 1) -> Reason:
    """The first reason, or trusted."""
    reasons = combine([kind.judged() for kind in kinds], required).reasons
    return reasons[0] if reasons else Reason.TRUSTED


REASONS = [
    Reason.TRUSTED,
    Reason.UNKNOWN_ROOT,
    Reason.INVALID_SIGNATURE,
    Reason.DISTRUSTED,
    Reason.REVOKED,
    Reason.MALFORMED,
    Reason.EXPIRED,
]
KINDS = [
    Kind(origin, reason, known)
    for origin, reason, known in itertools.product(SignatureOrigin, REASONS, (False, True))
    if not known or reason is Reason.INVALID_SIGNATURE
]


def test_no_signature_is_unsigned() -> None:
    """A package without any signature is unsigned."""
    assert answer() is Reason.UNSIGNED


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_one_signature_decides_alone(kind: Kind) -> None:
    """The only signature's reason is the package's, wherever it stands."""
    assert answer(kind) is kind.reason


@pytest.mark.parametrize(("first", "second"), list(itertools.product(KINDS, KINDS)), ids=str)
def test_two_signatures_truth_table(first: Kind, second: Kind) -> None:
    """Every pair gives what the contract says of embedded, given and found signatures."""
    other = Kind(second.origin, second.reason, second.known, "k2", "f2")
    assert (answer(first, other) is Reason.TRUSTED) is _may_pass(first, other)


def _may_pass(*kinds: Kind) -> bool:
    """The contract's sentences, written down a second time and differently."""
    by = {origin: [k for k in kinds if k.origin is origin] for origin in SignatureOrigin}
    good = {origin: [k for k in group if k.reason is Reason.TRUSTED] for origin, group in by.items()}
    embedded_ok = all(k.reason not in FAILED_REASONS for k in by[EMBEDDED])
    # found ones: a broken one fails the package beside an embedded signature, else only one by a known key
    damaged = (Reason.INVALID_SIGNATURE, Reason.MALFORMED)
    found_ok = not any(k.known or (by[EMBEDDED] and k.reason in damaged) for k in by[FOUND])
    if by[GIVEN]:
        return len(good[GIVEN]) == len(by[GIVEN]) and embedded_ok and found_ok
    if by[EMBEDDED]:
        return bool(good[EMBEDDED]) and embedded_ok and found_ok
    return bool(good[FOUND]) and found_ok


@given(st.lists(st.sampled_from(KINDS), max_size=6), st.integers(1, 3))
def test_nothing_passes_without_a_passing_signature(kinds: list[Kind], required: int) -> None:
    """Whatever the signatures are, fewer passing keys than asked for never pass."""
    keyed = [Kind(k.origin, k.reason, k.known, f"key{n}", f"file{n}") for n, k in enumerate(kinds)]
    passing = sum(k.reason is Reason.TRUSTED for k in keyed)
    if answer(*keyed, required=required) is Reason.TRUSTED:
        assert passing >= required


def test_two_signatures_by_one_key_count_once() -> None:
    """Policy asks for distinct keys, not for signatures."""
    same = [Kind(FOUND, Reason.TRUSTED, key="a", file=f"f{n}") for n in range(2)]
    assert answer(*same, required=2) is Reason.UNSIGNED
    assert answer(same[0], Kind(FOUND, Reason.TRUSTED, key="b"), required=2) is Reason.TRUSTED


def test_given_file_with_alternatives_verifies_by_one_of_them() -> None:
    """In one given file a good signature suffices beside one by a key nobody knows, not beside a broken one by a known key."""
    good = Kind(GIVEN, Reason.TRUSTED, file="both")
    assert answer(good, Kind(GIVEN, Reason.UNKNOWN_ROOT, file="both")) is Reason.TRUSTED
    assert answer(good, Kind(GIVEN, Reason.INVALID_SIGNATURE, known=True, file="both")) is Reason.INVALID_SIGNATURE


def test_noise_beside_a_package_does_not_hide_what_a_signature_says() -> None:
    """A file that is no signature says nothing where there is one; alone it decides."""
    noise = Kind(FOUND, Reason.UNSUPPORTED_FORMAT)
    assert answer(noise, Kind(FOUND, Reason.UNKNOWN_ROOT, file="other")) is Reason.UNKNOWN_ROOT
    assert answer(noise) is Reason.UNSUPPORTED_FORMAT


def test_evidence_against_comes_before_evidence_lacking() -> None:
    """Of several signatures that do not pass a failed one decides, so that noise cannot soften the answer."""
    assert answer(Kind(FOUND, Reason.DISTRUSTED), Kind(FOUND, Reason.UNKNOWN_ROOT, file="o")) is Reason.DISTRUSTED
    for reasons in itertools.combinations(PRECEDENCE[:-1], 2):
        first = worst_first(reasons)[0]
        assert outcome_of(first) is Outcome.FAILED or all(outcome_of(r) is not Outcome.FAILED for r in reasons)


@pytest.mark.parametrize("pair", list(itertools.combinations(PRECEDENCE[:-1], 2)), ids=str)
def test_one_signature_reasons_stand_in_the_order_of_precedence(pair: tuple[Reason, Reason]) -> None:
    """The first reason that applies is the reason, whatever order they were found in."""
    findings = [Finding(reason, reason.value) for reason in pair]
    assert ordered(findings) == ordered(findings[::-1]) == pair
    assert detail_of(findings[::-1]) == f"{pair[0]}; {pair[1]}"
