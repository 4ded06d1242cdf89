"""Path questions: which path's reason is told, and what unreadable, missing or doubled material means."""

from __future__ import annotations

from datetime import timedelta

from tests.trust_store.path_craft import AT, FROM, ask, authority, issue, key
from trust_store.chain.question import PathQuestion, answer
from trust_store.chain.validation import ValidationParameters
from trust_store.model.verdict import Reason

ROOT = authority("root")
INT = authority("int", ROOT)


def test_the_path_that_came_furthest_gives_the_reason_and_a_good_one_wins() -> None:
    """Of two paths the good one is taken; of two bad ones the reason of the one that more checks held for."""
    private = key(3)
    expired = authority("mid", ROOT, private=private, dates=(FROM, FROM + timedelta(days=1)))
    other = authority("root 2")
    good = authority("mid", other, private=private)
    leaf = issue("leaf", good)
    assert ask(leaf, [expired, good], [ROOT, other]).reason is Reason.TRUSTED
    worse = authority("mid", other, private=private, dates=(FROM, FROM + timedelta(days=1)))
    assert ask(leaf, [worse, expired], [ROOT, other]).reason is Reason.EXPIRED


def test_unusable_intermediates_do_not_stop_a_good_path_and_explain_a_missing_one() -> None:
    """Garbage beside the right intermediate is left out; an issuer that cannot be read is malformed, not unknown."""
    parameters = ValidationParameters(at=AT)
    leaf = issue("leaf", INT)
    garbage = (b"", b"junk", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert answer(PathQuestion(leaf.der, (ROOT.der,), parameters, (*garbage, INT.der))).reason is Reason.TRUSTED
    assert answer(PathQuestion(leaf.der, (ROOT.der,), parameters, garbage)).reason is Reason.UNKNOWN_ROOT
    broken = INT.der.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020109"))
    found = answer(PathQuestion(leaf.der, (ROOT.der,), parameters, (broken,)))
    assert (found.reason, "cannot be read" in found.detail) == (Reason.MALFORMED, True)


def test_leaf_and_anchor_must_be_readable_and_the_leaf_alone() -> None:
    """A leaf or anchor that is no certificate is malformed; so are two leaves, of which nobody could say which was judged."""
    parameters = ValidationParameters(at=AT)
    for leaf, anchor in ((b"junk", ROOT.der), (INT.der, b"junk"), ((INT.pem * 2).encode(), ROOT.der)):
        assert answer(PathQuestion(leaf, (anchor,), parameters)).reason is Reason.MALFORMED
    big = answer(PathQuestion(b"\x30" * 70_000, (ROOT.der,), parameters))
    assert big.reason is Reason.RESOURCE_LIMIT


def test_without_anchors_nothing_is_trusted() -> None:
    """No anchor at all is unknown_root, whatever the certificates say of each other."""
    assert ask(ROOT, [ROOT], []).reason is Reason.UNKNOWN_ROOT
