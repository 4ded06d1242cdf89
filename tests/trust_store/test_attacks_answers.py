"""What an attacker may try between facts and answer: material that is handed over, facts that are stale, bundles that say less."""

from __future__ import annotations

import hashlib
import os
import tracemalloc
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from tests.trust_store.path_craft import Issued, authority, issue
from tests.trust_store.path_craft import key as private_key
from tests.trust_store.revocation_craft import SIGNS, entry, revocation_list
from tests.trust_store.store_setup import open_store, randomness
from tests.trust_store.test_attacks_revocation import DATES, keep_list
from tests.trust_store.test_attacks_tombstones import AT, CODE, answer, by_bundle, record, signed_by
from tests.trust_store.test_verifier import Reader
from tests.trust_store.verdict_craft import CONTENT
from trust_store.exchange.bundle import BundleRefusedError, open_bundle
from trust_store.model.identifiers import Identifier, IdentifierKind, new_id
from trust_store.model.key_material import KeyMaterial
from trust_store.model.package_facts import SignatureOrigin
from trust_store.model.trust_anchor import AnchorKind, AnchorState
from trust_store.model.trust_view import DigestDecision
from trust_store.model.verdict import ExpectedVendor, Outcome, Reason
from trust_store.storage.connection import transaction
from trust_store.storage.digest_decisions import EFFECTIVE, StoredDecision, append_decision
from trust_store.storage.facts import record_sighting, save_facts
from trust_store.stored_verdict import StoredTrust, verify_stored
from trust_store.verification.package import MAX_JUDGED
from trust_store.verification.supplied import SuppliedMaterial
from trust_store.verifier import CheckRequest, Verifier

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from trust_store.model.verdict import Verdict

DAY = timedelta(days=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """An empty store."""
    with closing(open_store(tmp_path)) as connection:
        yield connection


def handed_over(
    connection: sqlite3.Connection, folder: Path, signer: Issued, *between: Issued, anchors: tuple[Issued, ...] = ()
) -> Verdict:
    """The answer about a file whose signature carries the signer alone, the rest of the chain handed over."""
    options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]
    builder = pkcs7.PKCS7SignatureBuilder().set_data(CONTENT)
    made = builder.add_signer(signer.certificate, signer.key, hashes.SHA256()).sign(Encoding.DER, options)
    (folder / "firmware.bin").write_bytes(CONTENT)
    (folder / "firmware.bin.p7s").write_bytes(made)
    request = CheckRequest(
        folder / "firmware.bin",
        ExpectedVendor("dten", "stated"),
        anchors=SuppliedMaterial(tuple(c.decoded for c in anchors)),
        untrusted=SuppliedMaterial(tuple(c.decoded for c in between)),
    )
    return Verifier(Reader(), now=lambda: AT, source=StoredTrust(connection)).verify(request)


def test_handed_over_intermediates_lead_to_what_the_store_trusts(store: sqlite3.Connection, tmp_path: Path) -> None:
    """The rest of a chain may come with the question: the root it leads to is found in the store."""
    root = authority("Root", private=private_key(301))
    upper = authority("Upper", root, private=private_key(302))
    lower = authority("Lower", upper, private=private_key(303))
    record(store, root)
    signer = issue("Signer", lower, CODE, private=private_key(304))
    assert handed_over(store, tmp_path, signer, lower, upper).outcome is Outcome.PASSED
    assert handed_over(store, tmp_path, signer, lower).outcome is Outcome.INDETERMINATE


@pytest.mark.parametrize("buried", ["upper", "lower", "root"])
@pytest.mark.parametrize("anchored", [False, True])
def test_handed_over_material_goes_around_no_tombstone(
    store: sqlite3.Connection, tmp_path: Path, buried: str, *, anchored: bool
) -> None:
    """A buried key counts for nothing in a chain that is handed over, under whatever name it was buried."""
    root = authority("Root", private=private_key(311))
    upper = authority("Upper", root, private=private_key(312))
    lower = authority("Lower", upper, private=private_key(313))
    keys = {"root": 311, "upper": 312, "lower": 313}
    if not anchored:
        record(store, root)
    record(store, authority("Elsewhere", private=private_key(keys[buried])), AnchorState.DISTRUSTED, "other")
    signer = issue("Signer", lower, CODE, private=private_key(314))
    verdict = handed_over(store, tmp_path, signer, lower, upper, anchors=(root,) if anchored else ())
    assert verdict.reason is Reason.DISTRUSTED


def test_a_buried_key_handed_over_in_another_encoding_stays_buried(store: sqlite3.Connection, tmp_path: Path) -> None:
    """A bare key is one key however its algorithm is written down: what the store buried does not count as an anchor for one check."""
    private = rsa.generate_private_key(65537, 2048)
    signer = issue("Signer", private=private)
    usual = signer.decoded.spki
    bare = usual.replace(bytes.fromhex("300d06092a864886f70d0101010500"), bytes.fromhex("300b06092a864886f70d010101"))
    written = bare[:2] + (len(bare) - 4).to_bytes(2, "big") + bare[4:]
    builder = pkcs7.PKCS7SignatureBuilder().set_data(CONTENT).add_signer(signer.certificate, private, hashes.SHA256())
    options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoCerts]
    (tmp_path / "firmware.bin").write_bytes(CONTENT)
    (tmp_path / "firmware.bin.p7s").write_bytes(builder.sign(Encoding.DER, options))
    key = KeyMaterial(AnchorKind.RAW, "our key", written, (Identifier(IdentifierKind.SHA256, digest_of(written)),))
    request = CheckRequest(
        tmp_path / "firmware.bin", ExpectedVendor("dten", "stated"), anchors=SuppliedMaterial(others=(key,))
    )
    verifier = Verifier(Reader(), now=lambda: AT, source=StoredTrust(store))
    assert verifier.verify(request).outcome is Outcome.PASSED
    record(store, signer, AnchorState.DISTRUSTED, "other", bare=True)
    assert verifier.verify(request).reason is Reason.DISTRUSTED


def digest_of(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def test_handed_over_issuers_have_their_lists_read(store: sqlite3.Connection, tmp_path: Path) -> None:
    """What the store knows to be revoked is revoked, also where the issuer's certificate came with the question."""
    root = authority("Root", None, SIGNS, private=private_key(321))
    lower = authority("Lower", root, SIGNS, private=private_key(322))
    record(store, root)
    signer = issue("Signer", lower, CODE, private=private_key(323))
    assert handed_over(store, tmp_path, signer, lower).outcome is Outcome.PASSED
    keep_list(store, lower, revocation_list(lower, entry(signer, "keyCompromise", on=AT - DAY), dates=DATES))
    assert handed_over(store, tmp_path, signer, lower).reason is Reason.REVOKED


def test_stale_facts_are_let_through_by_no_allowance(
    store: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Facts of an older reader say nothing: an allowance lets pass what lacks evidence, not what nobody has looked at."""
    signer = issue("Signer", authority("Root", private=private_key(331)), CODE, private=private_key(332))
    facts = signed_by(signer)
    allowed = DigestDecision(
        new_id("decision", AT, os.urandom(10)), facts.sha256, "dten", "allow", "SEC-1", AT - DAY, AT + DAY
    )
    with transaction(store):
        save_facts(store, facts, origin="intake", at=AT, randomness=randomness)
        record_sighting(store, facts.sha256, "firmware.bin", None, "dten", "intake", AT)
        append_decision(store, StoredDecision(allowed, 1, EFFECTIVE, "ada", AT - DAY), actor="ada", body={}, at=AT)
    expected = ExpectedVendor("dten", "stated")
    assert verify_stored(store, facts.sha256, expected, (), at=AT).outcome is Outcome.PASSED
    monkeypatch.setattr("trust_store.storage.facts._readers", lambda readers: readers or {"detached": 999})
    monkeypatch.setattr("trust_store.storage.facts._registry", lambda _: "another")
    stale = verify_stored(store, facts.sha256, expected, (), at=AT)
    assert stale.reason is Reason.UNREADABLE
    assert stale.needs_file


def test_a_bundle_knows_what_its_store_knows_to_be_revoked(store: sqlite3.Connection, tmp_path: Path) -> None:
    """A machine that asks the bundle refuses what the store refuses for a revocation list that it keeps."""
    root = authority("Root", None, SIGNS, private=private_key(341))
    record(store, root)
    signer = issue("Signer", root, CODE, private=private_key(342))
    facts = signed_by(signer)
    assert answer(store, facts).outcome is by_bundle(store, tmp_path, facts).outcome is Outcome.PASSED
    keep_list(store, root, revocation_list(root, entry(signer, "keyCompromise", on=AT - DAY), dates=DATES))
    assert answer(store, facts).reason is Reason.REVOKED
    assert by_bundle(store, tmp_path, facts).reason is Reason.REVOKED


def test_a_signature_of_a_buried_key_is_not_hidden_by_its_cost(
    store: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An embedded signature by a distrusted key fails the package beside a good one, however dear its paths are to walk."""
    monkeypatch.setattr("trust_store.verification.judging.SIGNATURE_CHECKS", 2)
    root = authority("Root", private=private_key(351))
    upper = authority("Upper", authority("Nobody", private=private_key(352)), private=private_key(353))
    record(store, root)
    bad = issue("Buried", upper, CODE, private=private_key(354))
    record(store, authority("Elsewhere", private=private_key(354)), AnchorState.DISTRUSTED, "other")
    maze = [authority("Upper", private=private_key(370 + number)) for number in range(6)]
    good = signed_by(issue("Signer", root, CODE, private=private_key(355)))
    facts = replace(good, signatures=(*good.signatures, *signed_by(bad, upper, *maze).signatures))
    facts = replace(
        facts, signatures=tuple(replace(s, origin=SignatureOrigin.EMBEDDED, file=None) for s in facts.signatures)
    )
    verdict = answer(store, facts)
    assert verdict.signatures[1].reason is Reason.RESOURCE_LIMIT
    assert verdict.reason is Reason.DISTRUSTED


def test_more_signatures_than_are_judged_never_pass(store: sqlite3.Connection) -> None:
    """What is past the limit might have spoken against the package: it is told, and nothing passes."""
    root = authority("Root", private=private_key(361))
    record(store, root)
    facts = signed_by(issue("Signer", root, CODE, private=private_key(362)))
    many = replace(facts, signatures=facts.signatures * MAX_JUDGED)
    assert answer(store, many).outcome is Outcome.PASSED
    assert (
        answer(store, replace(many, signatures=(*many.signatures, *facts.signatures))).reason is Reason.RESOURCE_LIMIT
    )


def test_an_answer_lasts_no_longer_than_the_lists_it_rests_on(store: sqlite3.Connection) -> None:
    """Whoever keeps a passed verdict until its end asks again when a list has run out."""
    root = authority("Root", None, SIGNS, private=private_key(381))
    record(store, root)
    facts = signed_by(issue("Signer", root, CODE, private=private_key(382)))
    soon = AT + timedelta(minutes=10)
    keep_list(store, root, revocation_list(root, dates=(AT - DAY, soon)))
    verdict = answer(store, facts)
    assert (verdict.outcome, verdict.valid_until) == (Outcome.PASSED, soon)


def test_a_file_that_unfolds_is_no_bundle() -> None:
    """A file that is all brackets or numbers is refused before it takes memory: no known key signed what is in it."""
    for filling in (b"[],", b"{},", b"1,"):
        data = b'{"payload": [' + filling * 2_000_000 + b"1]}"
        tracemalloc.start()
        with pytest.raises(BundleRefusedError) as refused:
            open_bundle(data, [bytes(32)], at=AT, least_revision=lambda _: 0)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert refused.value.reason == "malformed"
        assert peak < 1_000_000
