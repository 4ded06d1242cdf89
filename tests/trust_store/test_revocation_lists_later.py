"""Revocation lists made later than the time asked about (RFC 5280 section 6.3.3): they tell of the past and prove nothing current."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509

from tests.trust_store.path_craft import AT, issue
from tests.trust_store.revocation_craft import CA, DAY, LEAF, PATH, ROOT, about_leaf, entry, problems, revocation_list
from trust_store.chain.building import SignatureBudget
from trust_store.chain.revocation import check_path
from trust_store.chain.revocation_material import RevocationSet
from trust_store.model.verdict import Reason

LATER = (AT + DAY, AT + 9 * DAY)
CURRENT = revocation_list(CA)
REVOKED, UNKNOWN = "revoked", "revocation_unknown"
OTHER = issue("somebody", CA)


@pytest.mark.parametrize("policy", ["required", "if_available"])
@pytest.mark.parametrize("reason", [None, "keyCompromise", "superseded", "certificateHold"])
def test_a_later_list_tells_what_was_revoked_by_then(policy: str, reason: str | None) -> None:
    """Revoked at the time asked about or before is revoked, though a list that was current then did not know of it yet."""
    for on in (AT, AT - 5 * DAY):
        later = revocation_list(CA, entry(LEAF, reason, on=on), number=2, dates=LATER)
        for lists in ([later], [CURRENT, later], [later, CURRENT]):
            assert about_leaf(lists, policy=policy)[0] == REVOKED


def test_a_later_list_proves_nothing_current() -> None:
    """What was revoked after the time asked about was not yet; a later list alone leaves it unknown, and replaces no current one."""
    after = revocation_list(CA, entry(LEAF, on=AT + timedelta(seconds=1)), number=2, dates=LATER)
    clean = revocation_list(CA, number=2, dates=LATER)
    for later in (after, clean):
        assert about_leaf([later])[0] == UNKNOWN
        assert about_leaf([CURRENT, later])[0] is None
        held = revocation_list(CA, entry(LEAF, "certificateHold"))
        assert about_leaf([held, later])[0] == REVOKED


def test_since_when_a_later_list_calls_it_invalid() -> None:
    """An invalidity date before the time asked about counts (5.3.2); a soft reason spares what was provably signed before."""
    invalid = x509.InvalidityDate((AT - DAY).replace(tzinfo=None)), False
    dated = entry(LEAF, "keyCompromise", on=AT + DAY / 2, extensions=[invalid])
    assert about_leaf([CURRENT, revocation_list(CA, dated, number=2, dates=LATER)])[0] == REVOKED
    soft = revocation_list(CA, entry(LEAF, "superseded", on=AT - DAY), number=2, dates=LATER)
    assert about_leaf([CURRENT, soft], signed_at=AT - 2 * DAY)[0] is None
    assert about_leaf([CURRENT, soft], signed_at=AT - DAY / 2)[0] == REVOKED


def test_a_later_list_must_be_the_issuers() -> None:
    """Signed by somebody else, with unknown critical parts or about other certificates, a later list revokes nothing."""
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\0"), True
    for later in (
        revocation_list(CA, entry(LEAF), number=2, dates=LATER, signed_with=OTHER.key),
        revocation_list(CA, entry(LEAF), number=2, dates=LATER, extensions=[unknown]),
        revocation_list(CA, entry(OTHER), number=2, dates=LATER),
        revocation_list(ROOT, entry(LEAF), number=2, dates=LATER),
    ):
        assert about_leaf([CURRENT, later])[0] is None


def test_a_later_delta_tells_too() -> None:
    """A revocation in a later delta counts; that it takes a certificate off hold says nothing of the time asked about (5.2.4)."""
    base = x509.DeltaCRLIndicator(1), True
    for reason, expected in (("keyCompromise", REVOKED), ("removeFromCRL", None)):
        delta = revocation_list(CA, entry(LEAF, reason), number=2, dates=LATER, extensions=[base])
        assert about_leaf([CURRENT, delta])[0] == expected


def test_later_lists_about_an_expired_certificate_and_within_the_budget() -> None:
    """A list made after the certificate expired tells of its revocation; where nothing is left to verify it with, that is said."""
    late = (LEAF.certificate.not_valid_after_utc + DAY, LEAF.certificate.not_valid_after_utc + 2 * DAY)
    told = revocation_list(CA, entry(LEAF), number=2, dates=late)
    root = revocation_list(ROOT, dates=(AT - DAY, AT + DAY))
    assert [p.reason for p in problems([root, CURRENT, told])] == [Reason.REVOKED]
    found = check_path(
        tuple(one.decoded for one in PATH),
        RevocationSet.decode([told]),
        policy="if_available",
        at=AT,
        budget=SignatureBudget(0),
    )
    assert Reason.RESOURCE_LIMIT in [p.reason for p in found]
