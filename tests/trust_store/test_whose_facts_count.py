"""Nobody's uploads decide what somebody else is told: neither other side files, nor another name, nor another vendor's keys."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.trust_store.path_craft import authority, issue
from tests.trust_store.path_craft import key as private_key
from tests.trust_store.store_setup import open_store, randomness, vendor
from tests.trust_store.test_attacks_tombstones import AT, CODE, record, signed_by
from trust_store.model.package_facts import KeyCheck
from trust_store.model.trust_anchor import Constraints
from trust_store.model.verdict import ExpectedVendor, Reason
from trust_store.storage.connection import transaction
from trust_store.storage.facts import INTAKE, all_facts, load_facts, origin_of, record_sighting, save_facts
from trust_store.stored_verdict import AskedPlace, verify_stored

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from trust_store.model.package_facts import PackageFacts
    from trust_store.model.verdict import Verdict

DTEN = ExpectedVendor("dten", "stated")
ANN, EVE = origin_of(61001), origin_of(61003)
ROOT = authority("Root", private=private_key(501))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A store that trusts one root."""
    with closing(open_store(tmp_path)) as connection:
        record(connection, ROOT)
        yield connection


@pytest.fixture(scope="module")
def good() -> PackageFacts:
    """Facts of a package read with its signature."""
    return signed_by(issue("Signer", ROOT, CODE, private=private_key(502)))


@pytest.fixture(scope="module")
def broken(good: PackageFacts) -> PackageFacts:
    """The same bytes read with another side file, whose signature is over something else."""
    (signature,) = good.signatures
    spoilt = replace(signature, content_matches=False)
    return replace(good, material=("66" * 32,), signatures=(spoilt,))


def save(connection: sqlite3.Connection, facts: PackageFacts, origin: str, name: str = "firmware.bin") -> None:
    """What the daemon does with what it read for somebody."""
    with transaction(connection):
        record_sighting(connection, facts.sha256, name, f"/somewhere/{name}", "dten", origin, AT)
        save_facts(connection, facts, origin=origin, at=AT, randomness=randomness)


def ask(connection: sqlite3.Connection, facts: PackageFacts, asker: str | None = None) -> Verdict:
    """The stored verdict, for somebody who names only the digest."""
    return verify_stored(connection, facts.sha256, DTEN, (vendor(),), at=AT, asked=AskedPlace(asker=asker))


@pytest.mark.parametrize("later", ["good", "broken"])
def test_what_the_intake_read_stands(
    store: sqlite3.Connection, good: PackageFacts, broken: PackageFacts, later: str
) -> None:
    """A later upload with better or worse side files changes nothing about what lay in the folder."""
    first, second = (broken, good) if later == "good" else (good, broken)
    save(store, first, INTAKE)
    before = ask(store, good)
    save(store, second, EVE)
    assert ask(store, good) == before
    assert before.reason is (Reason.INVALID_SIGNATURE if later == "good" else Reason.TRUSTED)


def test_without_the_intake_everybody_has_his_own(
    store: sqlite3.Connection, good: PackageFacts, broken: PackageFacts
) -> None:
    """Who sent the package is told about what he sent; who sent nothing is asked for the file where uploads differ."""
    save(store, good, ANN)
    assert ask(store, good).reason is Reason.TRUSTED
    save(store, broken, EVE)
    assert ask(store, good, ANN).reason is Reason.TRUSTED
    assert ask(store, good, EVE).reason is Reason.INVALID_SIGNATURE
    other = ask(store, good, origin_of(0))
    assert (other.reason, other.needs_file) == (Reason.UNREADABLE, True)
    assert "different signature files" in other.summary


def test_what_the_intake_reads_too_becomes_the_intakes(
    store: sqlite3.Connection, good: PackageFacts, broken: PackageFacts
) -> None:
    """Somebody who sends a package before it arrives does not keep it his own."""
    save(store, good, EVE)
    save(store, broken, ANN)
    save(store, good, INTAKE)
    assert ask(store, good).reason is Reason.TRUSTED


def test_a_strangers_name_fits_no_limit(good: PackageFacts, tmp_path: Path) -> None:
    """Products are limits on names: the name under which another user sent the bytes satisfies none, one's own and the intake's do."""
    with closing(open_store(tmp_path)) as limited:
        record(limited, ROOT, constraints=Constraints(products=("camera-*.zip",)))
        save(limited, good, INTAKE, "switch.zip")
        save(limited, good, EVE, "camera-1.zip")
        assert ask(limited, good).reason is Reason.OUT_OF_SCOPE
        limited.execute("DELETE FROM sighting WHERE origin = ?", (INTAKE,))
        other, own = ask(limited, good, ANN), ask(limited, good, EVE)
        assert (other.reason, other.name, other.path) == (Reason.OUT_OF_SCOPE, "", None)
        assert (own.reason, own.name) == (Reason.TRUSTED, "camera-1.zip")


def test_keys_once_tried_stay_tried(store: sqlite3.Connection, good: PackageFacts) -> None:
    """The same set read again under other keys, and another name of the side file, forgets nothing that was found out about the first."""
    (signature,) = good.signatures
    assert signature.file is not None
    first = KeyCheck("11" * 32, "11" * 32, holds=True, second_opinion=True)
    unasked, second = replace(first, second_opinion=None), KeyCheck("22" * 32, "22" * 32, holds=False)
    save(store, replace(good, signatures=(replace(signature, key_checks=(first,)),)), ANN)
    renamed = replace(signature.file, name="other.p7s")
    save(store, replace(good, signatures=(replace(signature, file=renamed, key_checks=(unasked, second)),)), EVE)
    found = load_facts(store, good.sha256, good.material)
    assert found is not None
    assert found.signatures[0].key_checks == (first, second)


def test_a_changed_signature_inherits_no_check(store: sqlite3.Connection, good: PackageFacts) -> None:
    """What is not the same signature to the last byte has to be tried anew."""
    (signature,) = good.signatures
    held = replace(signature, key_checks=(KeyCheck("11" * 32, "11" * 32, holds=True),))
    save(store, replace(good, signatures=(held,)), ANN)
    other = replace(signature, signature=signature.signature[::-1], key_checks=())
    save(store, replace(good, signatures=(other,)), ANN)
    found = load_facts(store, good.sha256, good.material)
    assert found is not None
    assert found.signatures[0].key_checks == ()


def test_every_set_is_there_for_whoever_wants_all(
    store: sqlite3.Connection, good: PackageFacts, broken: PackageFacts
) -> None:
    """Where revocation lists are published is taken from all sets, up to a number: another upload hides none of them."""
    save(store, good, ANN)
    save(store, broken, EVE)
    assert {facts.material for facts in all_facts(store, good.sha256, 5)} == {good.material, broken.material}
    assert len(list(all_facts(store, good.sha256, 1))) == 1
