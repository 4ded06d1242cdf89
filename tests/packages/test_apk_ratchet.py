"""What apksigner's packages show, in the order in which a product's ratchet takes them."""

from __future__ import annotations

import itertools
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from tests.trust_store.package_craft import read
from tests.trust_store.store_setup import open_store, randomness
from tests.trust_store.verdict_craft import AT, anchor, ask, der
from trust_store import query
from trust_store.model.verdict import Outcome, Reason
from trust_store.ratchets import raise_by
from trust_store.storage.anchors import ensure_store_id
from trust_store.storage.connection import transaction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trust_store.model.package_facts import PackageFacts
    from trust_store.model.verdict import Verdict

FIXTURES = Path(__file__).parent / "fixtures/apk"
ASCENDING = ("unsigned", "v1", "v2", "v3")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """An empty store."""
    with closing(open_store(tmp_path)) as connection:
        yield connection


def facts_of(name: str) -> PackageFacts:
    """One of the fixtures."""
    return read((FIXTURES / f"{name}.apk").read_bytes())


def taken(store: sqlite3.Connection, name: str, *anchors: str, called: str = "app.apk") -> Verdict:
    """The verdict on a fixture in a file of that name, which then raises the ratchets if it passes."""
    facts = facts_of(name)
    certificates = [x509.load_pem_x509_certificate((FIXTURES / f"{a}.pem").read_bytes()) for a in anchors or ("root",)]
    held = query.trust_view(store, "dten", facts, None, at=AT, name=called).ratchets
    verdict = ask(facts, *(anchor(der(c)) for c in certificates), name=called, ratchets=held)
    with transaction(store):
        ensure_store_id(store, at=AT, randomness=randomness)
        raise_by(store, facts, verdict, first_seen_at=AT, at=AT)
    return verdict


@pytest.mark.parametrize(("weaker", "stronger"), list(itertools.combinations(ASCENDING, 2)))
def test_an_older_scheme_after_a_newer_one_is_a_downgrade(
    store: sqlite3.Connection, weaker: str, stronger: str
) -> None:
    """v3, v2, v1 and no signature, each after any stronger one; the stronger one itself still passes."""
    assert taken(store, stronger).reason is Reason.TRUSTED
    verdict = taken(store, weaker)
    assert (verdict.outcome, verdict.reason) == (Outcome.INDETERMINATE, Reason.DOWNGRADE)
    assert f"apk-{stronger} in package {facts_of(stronger).sha256[:12]}..." in verdict.summary
    assert taken(store, stronger).reason is Reason.TRUSTED


def test_the_manifest_names_the_product_whatever_the_file_is_called(store: sqlite3.Connection) -> None:
    """The package's own name, which its signature covers, leads to its ratchet under another file name as well."""
    facts = facts_of("v3")
    assert facts.product is not None
    taken(store, "v3")
    assert taken(store, "v2", called="else.apk").reason is Reason.DOWNGRADE
    assert taken(store, "unsigned", called="else.apk").reason is Reason.UNSIGNED  # nothing signed says what it is


def test_newer_schemes_one_after_the_other_pass(store: sqlite3.Connection) -> None:
    """What is signed better each time is no downgrade."""
    assert [taken(store, name).reason for name in ASCENDING[1:]] == [Reason.TRUSTED] * 3


def test_one_signer_after_two_is_a_downgrade(store: sqlite3.Connection) -> None:
    """Both keys are valid anchors; that one of them no longer signs is told."""
    assert taken(store, "two-signers", "root", "two").reason is Reason.TRUSTED
    verdict = taken(store, "v2", "root", "two")
    assert (verdict.reason, "1 signing key(s) now, 2 signing key(s) in package" in verdict.summary) == (
        Reason.DOWNGRADE,
        True,
    )


def test_another_key_under_a_valid_anchor_is_none(store: sqlite3.Connection) -> None:
    """A package by the vendor's new key shows as much as those by the old one."""
    assert taken(store, "v3").reason is Reason.TRUSTED
    assert taken(store, "rotated", "new").reason is Reason.TRUSTED
