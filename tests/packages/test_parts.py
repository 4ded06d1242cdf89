from __future__ import annotations

import pytest

from trust_store.model.package_facts import SideFile, SignatureFact, SignatureOrigin, SignatureRole
from trust_store.model.verdict import Reason, SignatureVerdict
from trust_store.verification.combine import combine
from trust_store.verification.question import JudgedSignature

GOOD, STRANGE, BROKEN = Reason.TRUSTED, Reason.UNKNOWN_ROOT, Reason.INVALID_SIGNATURE
EMBEDDED, GIVEN = SignatureOrigin.EMBEDDED, SignatureOrigin.GIVEN


def judged(
    part: str | None,
    reason: Reason,
    key: str = "k",
    origin: SignatureOrigin = EMBEDDED,
    role: SignatureRole = SignatureRole.ALTERNATIVE,
) -> JudgedSignature:
    """A signature as far as the combination looks at it."""
    file = None if origin is EMBEDDED else SideFile("f", "0" * 64)
    integrity = "broken" if reason is BROKEN else "intact"
    verdict = SignatureVerdict("cms", file, integrity, None, (), None, None, None, None, reason)
    return JudgedSignature(SignatureFact("cms", origin, file, part=part, role=role), verdict, key)


@pytest.mark.parametrize(
    ("signatures", "required", "reason"),
    [
        ([judged("a", GOOD), judged("b", GOOD)], 1, None),
        ([judged("a", GOOD), judged("b", STRANGE)], 1, STRANGE),
        ([judged("a", GOOD), judged("b", STRANGE), judged("b", GOOD)], 1, None),
        ([judged("a", GOOD), judged("b", BROKEN), judged("b", GOOD)], 1, BROKEN),
        ([judged("a", GOOD, "1"), judged("a", GOOD, "2"), judged("b", GOOD, "1")], 2, Reason.UNSIGNED),
        ([judged(p, GOOD, k) for p in "ab" for k in "12"], 2, None),
        ([judged("a", GOOD, "1"), judged("b", GOOD, "1"), judged(None, GOOD, "2", GIVEN)], 2, None),
        ([judged("a", STRANGE), judged(None, GOOD, "2", GIVEN)], 1, STRANGE),
        ([judged("a", GOOD), judged("b", GOOD, role=SignatureRole.REPORTED)], 1, None),
    ],
)
def test_each_part_needs_a_good_signature(
    signatures: list[JudgedSignature], required: int, reason: Reason | None
) -> None:
    """Where parts of a package are signed apart, each needs a good signature, by as many keys as are asked for; no other part lends one."""
    assert next(iter(combine(signatures, required).reasons), None) is reason


WEAK, REPORTED, REQUIRED = Reason.WEAK_ALGORITHM, SignatureRole.REPORTED, SignatureRole.REQUIRED


@pytest.mark.parametrize(
    ("signatures", "reason"),
    [
        ([judged(None, WEAK), judged(None, GOOD)], None),
        ([judged(None, WEAK)], WEAK),
        ([judged(None, WEAK), judged(None, STRANGE)], WEAK),
        ([judged(None, GOOD, role=REPORTED)], Reason.UNSIGNED),
        ([judged(None, GOOD), judged(None, WEAK, role=REPORTED)], None),
        ([judged(None, GOOD), judged(None, STRANGE, role=REPORTED)], None),
        ([judged(None, GOOD), judged(None, BROKEN, role=REPORTED)], BROKEN),
        ([judged(None, GOOD), judged(None, Reason.REVOKED, role=REPORTED)], Reason.REVOKED),
        ([judged(None, STRANGE), judged(None, GOOD, role=REPORTED)], STRANGE),
        ([judged(None, GOOD, role=REQUIRED), judged(None, STRANGE, role=REQUIRED)], STRANGE),
        ([judged(None, GOOD, role=REQUIRED), judged(None, WEAK, role=REQUIRED)], WEAK),
        ([judged(None, GOOD, role=REQUIRED), judged(None, STRANGE)], None),
        ([judged(None, GOOD), judged(None, STRANGE, role=REQUIRED)], STRANGE),
    ],
)
def test_a_signature_does_what_its_role_allows(signatures: list[JudgedSignature], reason: Reason | None) -> None:
    """One good alternative suffices, each required one must be good, a reported one may fail a package and never passes it."""
    assert next(iter(combine(signatures, 1).reasons), None) is reason
