"""Sigstore roots and identities of a store: found without any identifier in the package that leads to them."""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.packages.sigstore_changes import ARTIFACT, WHO
from tests.packages.sigstore_craft import statement
from tests.packages.test_sigstore import INSTANCE, SINCE, facts_of, identity, question, root, stored
from tests.trust_store.store_setup import open_store, randomness
from trust_store import query
from trust_store.model.identifiers import new_id
from trust_store.model.trust_anchor import AnchorKind, AnchorState, TrustAnchor
from trust_store.model.verdict import Reason
from trust_store.storage.anchors import StoredAnchor, append_version, ensure_store_id, proposal_digest
from trust_store.storage.connection import transaction
from trust_store.stored_verdict import with_evidence
from trust_store.verification import verify_package

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from trust_store.model.claim import Evidence
    from trust_store.model.identifiers import Identifier
    from trust_store.model.package_facts import PackageFacts


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """An empty store."""
    with closing(open_store(tmp_path)) as opened:
        yield opened


def keep(connection: sqlite3.Connection, *anchors: TrustAnchor, start: int = 0) -> None:
    """Write anchors as they are."""
    with transaction(connection):
        ensure_store_id(connection, at=SINCE, randomness=randomness)
        for number, anchor in enumerate(anchors, start):
            one = replace(anchor, id=new_id("anchor", SINCE, bytes([number] * 10)))
            kept = StoredAnchor(one, 1, "test", proposal_digest(one))
            append_version(connection, kept, kind=f"anchor.{one.state}", actor="test", body={}, at=SINCE)


def reason(connection: sqlite3.Connection, facts: PackageFacts) -> Reason:
    """What the store says of a package of acme."""
    view = query.trust_view(connection, "acme", facts, None)
    return verify_package(facts, view, question(None, "acme")).reason


def documents() -> dict[str, bytes]:
    """One of each kind that states an identity."""
    digests = {name: hashlib.new(name, ARTIFACT).hexdigest() for name in ("sha256", "sha512")}
    signed = INSTANCE.sign(ARTIFACT, WHO)
    attested = INSTANCE.attest(statement(("pkg:npm/tool@1.0.0", digests)), WHO)
    said = {
        "sigstore": signed.bundle(),
        "cosign-bundle": signed.cosign(),
        "npm-attestation": {"attestations": [{"predicateType": "x", "bundle": attested.bundle()}]},
    }
    return {name: json.dumps(one).encode() for name, one in said.items()}


@pytest.mark.parametrize("kind", sorted(documents()))
def test_the_store_leads_to_root_and_identity(connection: sqlite3.Connection, kind: str) -> None:
    """Every kind of signature that states an identity is judged by the vendor's roots and identities."""
    facts = facts_of(documents()[kind])
    assert [fact.scheme for fact in facts.signatures] == [kind]
    assert reason(connection, facts) is Reason.UNKNOWN_ROOT
    keep(connection, root(), identity(), identity("else@vendor.example"))
    assert reason(connection, facts) is Reason.TRUSTED


def test_another_vendors_root_and_identity_do_not_count(connection: sqlite3.Connection) -> None:
    """What another vendor's anchors vouch for is not this vendor's."""
    keep(connection, root(vendor="other"), identity(vendor="other"))
    assert reason(connection, facts_of(documents()["sigstore"])) is Reason.UNKNOWN_ROOT


@pytest.mark.parametrize("buried", [root, identity])
def test_what_another_vendor_buried_vouches_for_nothing(
    connection: sqlite3.Connection, buried: Callable[..., TrustAnchor]
) -> None:
    """The same trusted root or identity is an anchor of one vendor and a tombstone of another: the tombstone wins."""
    facts = facts_of(documents()["sigstore"])
    keep(connection, root(), identity())
    assert reason(connection, facts) is Reason.TRUSTED
    keep(connection, buried(state=AnchorState.DISTRUSTED, vendor="other"), start=10)
    assert reason(connection, facts) is Reason.DISTRUSTED


def test_a_proposed_identity_is_not_stated(connection: sqlite3.Connection) -> None:
    """Nobody has decided about it yet."""
    keep(connection, root(), identity(state=AnchorState.PENDING))
    assert reason(connection, facts_of(documents()["sigstore"])) is Reason.UNEXPECTED_SIGNER


def test_a_root_of_another_instance_issued_nothing_here(connection: sqlite3.Connection) -> None:
    """The identity is the vendor's, and the certificate is nobody's that is known."""
    other = type(INSTANCE).make("other.example").trusted_root()
    keep(connection, stored(AnchorKind.SIGSTORE_ROOT, json.dumps(other).encode()), identity())
    assert reason(connection, facts_of(documents()["sigstore"])) is Reason.UNKNOWN_ROOT


def test_a_flood_of_proposals_hides_neither_root_nor_tombstone(connection: sqlite3.Connection) -> None:
    """Of many identities those that somebody decided about are looked at first."""
    proposed = [identity(f"someone{n}@vendor.example", state=AnchorState.PENDING) for n in range(100)]
    wide = identity(r"^[a-z]+@vendor\.example$")
    keep(connection, root(), wide, *proposed[:50])
    facts = facts_of(documents()["sigstore"])
    assert reason(connection, facts) is Reason.TRUSTED
    keep(connection, *proposed[50:], identity(state=AnchorState.DISTRUSTED), start=100)
    assert reason(connection, facts) is Reason.DISTRUSTED


def test_channels_are_asked_about_the_keys_of_a_sigstore_signer(connection: sqlite3.Connection) -> None:
    """What is asked about is the certificate, not who issued the identity: that identifies no key."""
    asked: list[Identifier] = []

    class Channels:
        def evidence_for(self, identifiers: Iterable[Identifier]) -> tuple[Evidence, ...]:
            asked.extend(identifiers)
            return ()

    keep(connection, root(), identity())
    facts = facts_of(documents()["sigstore"])
    verdict = verify_package(facts, query.trust_view(connection, "acme", facts, None), question(None, "acme"))
    signer = verdict.signatures[0].signer
    assert signer is not None
    named = dict(signer.identifiers)
    assert with_evidence(verdict, facts, Channels()).evidence_available
    assert {(i.kind.value, i.value) for i in asked} >= {(kind, named[kind]) for kind in ("sha256", "spki_sha256")}
    assert named["oidc_issuer"] not in {i.value for i in asked}
