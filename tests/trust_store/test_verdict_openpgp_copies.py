"""A revoked OpenPGP key fails whichever copy tells of it: supplied, handed over, proposed, or another vendor's."""

from __future__ import annotations

import hashlib
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.trust_store.check_command_setup import Run, here, only, pki, run
from tests.trust_store.openpgp_craft import packet
from tests.trust_store.openpgp_tools import Gpg
from tests.trust_store.package_craft import read
from tests.trust_store.store_setup import open_store, randomness
from tests.trust_store.verdict_craft import AT, CONTENT, anchor, ask, beside
from trust_store import anchor_management, query
from trust_store.bundled_trust import BundledTrust
from trust_store.decode.openpgp import load_keys
from trust_store.exchange.bundle import Bundle
from trust_store.model.claim import Authority, Proposal
from trust_store.model.trust_anchor import AnchorKind, AnchorState
from trust_store.model.verdict import ExpectedVendor, Outcome, Reason
from trust_store.signatures.protocol import CandidateKey
from trust_store.storage.connection import transaction
from trust_store.storage.related import MAX_COPIES
from trust_store.verification import Question, verify_package

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from trust_store.model.package_facts import PackageFacts

__all__ = ["here", "pki", "run"]  # fixtures


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    """A GnuPG home."""
    with Gpg() as home:
        yield home


@pytest.fixture(scope="module", params=[0, 1], ids=["no reason", "compromised"])
def copies(request: pytest.FixtureRequest, gpg: Gpg) -> tuple[bytes, bytes, bytes, Reason]:
    """A key as it was and as it is now, revoked; a signature that it made while it counted; what the revoked copy alone gives."""
    fingerprint = gpg.make_key(f"Release {request.param} <r@dten.example>", "ed25519")
    old, signature = gpg.export(fingerprint), gpg.sign(fingerprint, data=CONTENT)
    reason = (Reason.REVOKED, Reason.COMPROMISED)[request.param]
    return old, gpg.revoke(fingerprint, request.param), signature, reason


def _facts(signature: bytes, *keys: bytes) -> PackageFacts:
    tried = tuple(CandidateKey("openpgp", key) for key in keys)
    return read(CONTENT, beside(signature, name="firmware.bin.asc"), keys=tried)


Copies = tuple[bytes, bytes, bytes, Reason]


def test_a_revoked_copy_at_hand_fails_the_check(run: Run, here: Path, copies: Copies) -> None:
    """`check` fails with old and revoked copy in either role and order, and passes with the old one alone."""
    old, now, signature, reason = copies
    for name, data in (("old.asc", old), ("now.asc", now), ("note.txt", CONTENT), ("note.txt.sig", signature)):
        (here / name).write_bytes(data)
    asked = ("check", "--json", "--only-anchors", "--signature", "note.txt.sig")
    assert run(*asked, "--anchors", "old.asc", "note.txt")[0] == 0
    for first, second in (
        (("--anchors", "old.asc"), ("--anchors", "now.asc")),
        (("--anchors", "now.asc"), ("--anchors", "old.asc")),
        (("--anchors", "old.asc"), ("--untrusted", "now.asc")),
        (("--anchors", "now.asc"), ("--untrusted", "old.asc")),
        (("--anchors", "now.asc"), ()),
    ):
        code, out, _ = run(*asked, *first, *second, "note.txt")
        assert (code, only(out)["reason"]) == (10, reason.value)


@pytest.mark.parametrize("state", AnchorState)
@pytest.mark.parametrize("vendor_id", ["dten", "acme"])
def test_a_copy_of_any_standing_tells(copies: Copies, state: AnchorState, vendor_id: str) -> None:
    """An anchor on the revoked copy takes trust away in every state, whoever's it is; on the clean copy it gives none."""
    old, now, signature, reason = copies
    facts = _facts(signature, old, now)
    told = ask(facts, anchor(old), anchor(now, state, vendor_id=vendor_id))
    assert told.outcome is Outcome.FAILED
    assert reason in (told.reason, *map(Reason, told.also)) or state in (
        AnchorState.COMPROMISED,
        AnchorState.DISTRUSTED,
    )
    assert ask(facts, anchor(now), anchor(old, state, vendor_id=vendor_id)).outcome is Outcome.FAILED


def test_a_name_that_somebody_proposed_is_not_shown_for_a_known_key(gpg: Gpg) -> None:
    """The signer is called as in the anchor's copy, not as in one that anybody proposed."""
    fingerprint = gpg.make_key("Real <r@dten.example>", "ed25519")
    old, signature = gpg.export(fingerprint), gpg.sign(fingerprint, data=CONTENT)
    gpg.run("--quick-add-uid", fingerprint, "Other <o@dten.example>", at="20240301T000000")
    facts = _facts(signature, old)
    known = anchor(old, id="anchor_z")
    told = ask(facts, anchor(gpg.export(fingerprint), AnchorState.PENDING, id="anchor_a"), known)
    assert told.reason is Reason.TRUSTED
    assert told.signatures[0].signer is not None
    assert told.signatures[0].signer.name == "Real <r@dten.example>"


def _propose(store: sqlite3.Connection, material: bytes, vendor_id: str, at: datetime) -> None:
    key = load_keys(material)[0]
    digest = hashlib.sha256(material).hexdigest()
    proposal = Proposal(
        vendor_id, AnchorKind.OPENPGP, key.name, digest, material, key.identifiers, Authority.UNAUTHENTICATED, "u"
    )
    anchor_management.propose(store, proposal, at=at, randomness=randomness)


@pytest.mark.parametrize("vendor_id", ["dten", "acme"])
def test_a_proposal_in_the_store_tells(tmp_path: Path, copies: Copies, vendor_id: str) -> None:
    """A pending proposal of any vendor with the revoked copy takes trust away, but not as of before it was recorded."""
    old, now, signature, reason = copies
    facts = _facts(signature, old)
    before = AT - timedelta(days=5)
    with closing(open_store(tmp_path)) as store:
        _propose(store, now, vendor_id, AT - timedelta(days=3))
        for known_at, expected in ((None, reason), (before, Reason.TRUSTED), (AT, reason)):
            view = query.trust_view(store, "dten", facts, None, at=AT, known_at=known_at)
            trusting = ask(facts, *view.anchors, anchor(old), untrusted_keys=view.untrusted_keys)
            assert trusting.reason is expected


def test_a_flood_of_proposals_hides_no_revoked_copy(tmp_path: Path, copies: Copies) -> None:
    """However many copies are proposed later, the view still holds the one that tells, and at most so many of the others."""
    old, now, signature, reason = copies
    facts = _facts(signature, old)
    with closing(open_store(tmp_path)) as store, transaction(store):
        _propose(store, now, "acme", AT - timedelta(days=3))
        for number in range(MAX_COPIES + 4):
            _propose(store, old + packet(2, b"\x04\x20" + number.to_bytes(4, "big")), "acme", AT - timedelta(days=2))
        view = query.trust_view(store, "dten", facts, None, at=AT)
        assert len(view.untrusted_keys) == MAX_COPIES
        assert ask(facts, anchor(old), untrusted_keys=view.untrusted_keys).reason is reason


def test_another_vendors_copy_in_a_bundle_tells(copies: Copies) -> None:
    """A bundle's copy of the key, whoever's anchor it is, takes trust away on machines without the store."""
    old, now, signature, reason = copies
    facts = _facts(signature, old)
    question = Question(ExpectedVendor("dten", "stated"), AT, AT, "now", "firmware.bin")
    made = datetime(2026, 11, 1, tzinfo=UTC)
    for others, expected in (((), Reason.TRUSTED), ((anchor(now, vendor_id="acme"),), reason)):
        bundle = Bundle("store_01", 7, made, made + timedelta(days=40), (anchor(old), *others), (), ())
        source = BundledTrust(bundle)
        view = source.view(facts, "dten", at=AT, known_at=None)
        assert verify_package(facts, view, question).reason is expected


def test_a_broken_signature_by_a_revoked_key_says_both(copies: Copies) -> None:
    """Content that does not match is invalid_signature; that the key is revoked, or buried, stands beside it."""
    old, now, signature, reason = copies
    tried = (CandidateKey("openpgp", old), CandidateKey("openpgp", now))
    facts = read(CONTENT + b"!", beside(signature, name="firmware.bin.asc"), keys=tried)
    for held in ((anchor(now),), (anchor(old), anchor(now, AnchorState.PENDING)), ()):
        told = ask(facts, *held, untrusted_keys=() if held else load_keys(now))
        assert (told.reason, told.signatures[0].also) == (Reason.INVALID_SIGNATURE, (reason,))
    assert ask(facts, anchor(old)).also == ()
    buried = ask(facts, anchor(old, AnchorState.DISTRUSTED))
    assert (buried.reason, buried.also) == (Reason.INVALID_SIGNATURE, ("distrusted",))


def test_a_revoked_key_that_nobody_trusts_says_both(copies: Copies) -> None:
    """Under a key that is no anchor a signature is of unknown root, and what the key says against itself stands in its place."""
    old, now, signature, reason = copies
    facts = _facts(signature, old, now)
    for held in ((), (anchor(now, AnchorState.PENDING),), (anchor(now, vendor_id="acme"),)):
        told = ask(facts, *held, untrusted_keys=load_keys(old) + load_keys(now))
        assert (told.outcome, told.reason, told.also) == (Outcome.FAILED, reason, ("unknown_root",))
    assert ask(facts, untrusted_keys=load_keys(old)).also == ()


def test_an_expired_key_that_nobody_trusts_says_both(gpg: Gpg) -> None:
    """Under a key that is no anchor and has expired a signature is of unknown root, and expired beside it; broken, it says so too."""
    fingerprint = gpg.make_key("Short <s@dten.example>", "ed25519", expire="60d")
    key, signature = gpg.export(fingerprint), gpg.sign(fingerprint, data=CONTENT)
    told = ask(_facts(signature, key), untrusted_keys=load_keys(key))
    assert (told.outcome, told.reason, told.also) == (Outcome.INDETERMINATE, Reason.UNKNOWN_ROOT, ("expired",))
    broken = read(CONTENT + b"!", beside(signature, name="firmware.bin.asc"), keys=(CandidateKey("openpgp", key),))
    told = ask(broken, anchor(key))
    assert (told.reason, told.also) == (Reason.INVALID_SIGNATURE, ("expired",))
