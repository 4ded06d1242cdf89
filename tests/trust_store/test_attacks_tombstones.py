"""What a vendor, a flood of proposals or a single approver may try so that a buried key counts again: nothing of it does."""

from __future__ import annotations

import itertools
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.trust_store.package_craft import read
from tests.trust_store.path_craft import Issued, authority, issue
from tests.trust_store.path_craft import key as private_key
from tests.trust_store.store_craft import BEGIN
from tests.trust_store.store_setup import open_store, randomness
from tests.trust_store.verdict_craft import CONTENT, beside
from trust_store import anchor_management, bundles, query
from trust_store.bundled_trust import BundledTrust
from trust_store.decode.x509 import load_certificate
from trust_store.exchange.bundle import open_bundle
from trust_store.instance_key import public_key
from trust_store.model.identifiers import new_id
from trust_store.model.trust_anchor import AnchorKind, AnchorState, Constraints, SignerRule, TrustAnchor
from trust_store.model.verdict import ExpectedVendor, Outcome, Reason
from trust_store.storage import related
from trust_store.storage.anchors import StoredAnchor, append_version, ensure_store_id, proposal_digest
from trust_store.storage.connection import transaction
from trust_store.stored_verdict import StoredTrust, with_stored_keys
from trust_store.verification import Question

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from trust_store.model.package_facts import PackageFacts
    from trust_store.model.verdict import Verdict

AT = BEGIN + timedelta(days=20)
CODE = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False)
_numbers = itertools.count(1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """An empty store."""
    with closing(open_store(tmp_path)) as connection:
        yield connection


def record(
    connection: sqlite3.Connection,
    issued: Issued,
    state: AnchorState = AnchorState.VALID,
    vendor: str = "dten",
    *,
    day: int = 0,
    rule: SignerRule | None = None,
    bare: bool = False,
    constraints: Constraints | None = None,
) -> str:
    """The certificate, or its name and key alone (``bare``), as an anchor in that state, as the program writes it."""
    parsed = load_certificate(issued.der)
    at = BEGIN + timedelta(days=day)
    anchor = TrustAnchor(
        id=new_id("anchor", at, next(_numbers).to_bytes(10, "big")),
        vendor_id=vendor,
        kind=AnchorKind.SPKI if bare else AnchorKind.X509,
        name=parsed.subject,
        key_sha256=parsed.spki_sha256 if bare else parsed.sha256,
        material=parsed.spki if bare else issued.der,
        state=state,
        recorded_at=at,
        effective_from=at,
        signer_rule=rule or SignerRule(dedicated=True),
        constraints=constraints or Constraints(),
        identifiers=() if bare else parsed.identifiers,
    )
    stored = StoredAnchor(anchor, 1, "test", proposal_digest(anchor))
    with transaction(connection):
        ensure_store_id(connection, at=at, randomness=randomness)
        append_version(connection, stored, kind=f"anchor.{state}", actor="test", body={}, at=at)
    return anchor.id


def signed_by(signer: Issued, *carried: Issued) -> PackageFacts:
    """A file with a CMS signature beside it that carries the signer's certificate and others."""
    builder = (
        pkcs7.PKCS7SignatureBuilder().set_data(CONTENT).add_signer(signer.certificate, signer.key, hashes.SHA256())
    )
    for certificate in carried:
        builder = builder.add_certificate(certificate.certificate)
    options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]
    return read(CONTENT, beside(builder.sign(Encoding.DER, options)))


def answer(connection: sqlite3.Connection, facts: PackageFacts, vendor: str = "dten") -> Verdict:
    """The store's verdict."""
    source = StoredTrust(connection)
    tried = with_stored_keys(connection, facts, vendor)
    view = source.view(tried, vendor, at=AT, known_at=None)
    question = Question(ExpectedVendor(vendor, "stated"), AT, AT, "now", "firmware.bin")
    return source.judge(tried, view, question, None)


def by_bundle(connection: sqlite3.Connection, folder: Path, facts: PackageFacts, vendor: str = "dten") -> Verdict:
    """The verdict of the signed bundle of the same store."""
    database = folder / "rootwarden.db"
    sealed = bundles.sealed_bundle(connection, database, (), at=AT)
    bundle = open_bundle(sealed, [bytes.fromhex(public_key(database))], at=AT, least_revision=lambda _: 0)
    source = BundledTrust(bundle)
    view = source.view(facts, vendor, at=AT, known_at=None)
    question = Question(ExpectedVendor(vendor, "stated"), AT, AT, "now", "firmware.bin")
    return source.judge(facts, view, question, None)


@pytest.mark.parametrize("carries_more", [False, True])
def test_a_flood_of_proposals_hides_no_tombstone(
    store: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, *, carries_more: bool
) -> None:
    """A root whose key another vendor's people buried counts for nobody, however many proposals bear its name."""
    monkeypatch.setattr(related, "MAX_ANCHORS", 8)
    root = authority("Root", private=private_key(101))
    record(store, root)
    record(store, authority("Another name", private=private_key(101)), AnchorState.COMPROMISED, "other", day=1)
    for _ in range(12):
        record(store, authority("Root", private=private_key(102)), AnchorState.PENDING, day=2)
    leaf = issue("Signer", root, CODE, private=private_key(103))
    more = [issue(f"More {n}", root, CODE, private=private_key(103)) for n in range(3)] if carries_more else []
    verdict = answer(store, signed_by(leaf, *more))
    assert verdict.outcome is Outcome.FAILED, verdict
    assert verdict.reason is Reason.COMPROMISED


def test_a_flood_hides_no_tombstone_on_a_key_between(
    store: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proposed intermediate on a buried key leads nowhere, though the view is full before its key is looked up."""
    monkeypatch.setattr(related, "MAX_ANCHORS", 8)
    root = authority("Root", private=private_key(111))
    between = authority("Between", root, private=private_key(112))
    record(store, root)
    record(store, authority("Elsewhere", private=private_key(112)), AnchorState.DISTRUSTED, "other")
    record(store, between, AnchorState.PENDING)
    for _ in range(12):
        record(store, authority("Between", private=private_key(113)), AnchorState.PENDING, day=2)
    leaf = issue("Signer", between, CODE, private=private_key(114))
    beside_it = issue("Sibling", root, CODE, private=private_key(115))
    assert answer(store, signed_by(leaf, beside_it)).outcome is not Outcome.PASSED


def test_naming_what_an_issuer_is_like_never_makes_anything_pass(
    store: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anchors that are looked up to be named beside a missing issuer are for people to read, not to end paths at."""
    monkeypatch.setattr(related, "MAX_ROUNDS", 1)
    root = authority("Root", private=private_key(121))
    between = authority("Between", root, private=private_key(122))
    record(store, root)
    record(store, between, AnchorState.PENDING)
    record(store, authority("Elsewhere", private=private_key(121)), AnchorState.DISTRUSTED, "other")
    leaf = issue("Signer", between, CODE, private=private_key(123))
    assert answer(store, signed_by(leaf)).outcome is not Outcome.PASSED


@pytest.mark.parametrize("of", ["other", "dten"])
def test_narrowing_the_rules_of_an_anchor_lifts_no_tombstone(
    store: sqlite3.Connection, tmp_path: Path, of: str
) -> None:
    """One person may narrow a valid anchor's rules; a tombstone on its key, recorded before that, stands all the same."""
    root = authority("Root", private=private_key(131))
    standing = record(store, root)
    record(store, authority("Elsewhere", private=private_key(131)), AnchorState.COMPROMISED, of, day=1)
    facts = signed_by(issue("Signer", root, CODE, private=private_key(132)))
    assert answer(store, facts).reason is Reason.COMPROMISED
    anchor_management.constrain(
        store, standing, identity="mallory", at=AT, limits={"valid_until": AT + timedelta(days=900)}
    )
    assert answer(store, facts).reason is Reason.COMPROMISED
    assert by_bundle(store, tmp_path, facts).reason is Reason.COMPROMISED


def test_approval_over_a_tombstone_counts_and_its_narrowing_keeps_it(store: sqlite3.Connection, tmp_path: Path) -> None:
    """What people accepted again after the burial counts, before and after its rules were narrowed; the bundle agrees."""
    root = authority("Root", private=private_key(141))
    record(store, authority("Elsewhere", private=private_key(141)), AnchorState.DISTRUSTED, "dten")
    again = record(store, root, day=2)
    facts = signed_by(issue("Signer", root, CODE, private=private_key(142)))
    assert answer(store, facts).outcome is Outcome.PASSED
    anchor_management.constrain(store, again, identity="ada", at=AT, limits={"products": ("firmware*",)})
    assert answer(store, facts).outcome is Outcome.PASSED
    assert by_bundle(store, tmp_path, facts).outcome is Outcome.PASSED


def test_a_proposal_that_was_older_than_the_tombstone_and_approved_later_counts(store: sqlite3.Connection) -> None:
    """It is the approval that has to come after the burial, not the first sighting of the key."""
    root = authority("Root", private=private_key(151))
    pending = record(store, root, AnchorState.PENDING)
    record(store, authority("Elsewhere", private=private_key(151)), AnchorState.DISTRUSTED, "dten", day=1)
    facts = signed_by(issue("Signer", root, CODE, private=private_key(152)))
    stored = query.stored_anchor(store, pending)
    assert stored is not None
    valid = replace(stored.anchor, state=AnchorState.VALID, recorded_at=AT)
    with transaction(store):
        append_version(
            store, replace(stored, anchor=valid, version=2), kind="anchor.valid", actor="test", body={}, at=AT
        )
    assert answer(store, facts).outcome is Outcome.PASSED
