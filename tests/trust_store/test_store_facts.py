"""What the store keeps of packages: facts as they were read and never stale ones, where a package was seen, and what is retained."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.trust_store.store_setup import AT, certificate, fingerprint, package, randomness
from tests.trust_store.verified_store_setup import store
from trust_store.decode.facts_json import facts_to_json
from trust_store.model.identifiers import Identifier, IdentifierKind
from trust_store.model.package_facts import KeyCheck, PackageFacts, SignatureFact, SignatureOrigin, SignerHint
from trust_store.storage import facts as stored_facts
from trust_store.storage.connection import transaction
from trust_store.storage.fact_signatures import FactsNotSignedError
from trust_store.storage.facts import (
    forget_retained,
    load_facts,
    packages_with,
    record_retained,
    record_sighting,
    retained,
    save_facts,
    sightings,
)

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["store"]  # a fixture
READERS = {"zip_plain": 1, "detached": 2}


def facts(version: int = 1, container: str | None = "zip_plain", material: tuple[str, ...] = ()) -> PackageFacts:
    """A fact set of one package."""
    signature = SignatureFact(
        "openpgp", SignatureOrigin.GIVEN, None, hint=SignerHint(openpgp="ab" * 20, key_id="ab" * 8),
        key_checks=(KeyCheck("cd" * 20, "ef" * 20, holds=True), KeyCheck("11" * 20, "11" * 20, holds=False)),
    )  # fmt: skip
    return PackageFacts("12" * 32, 99, container, version, material=material, signatures=(signature,))


def save(
    store: sqlite3.Connection, what: PackageFacts, *, later: int = 0, readers: dict[str, int] | None = None
) -> str:
    """Save a fact set."""
    with transaction(store):
        return save_facts(
            store,
            what,
            origin="intake",
            at=AT + timedelta(minutes=later),
            randomness=randomness,
            readers=readers or READERS,
        )


def test_facts_come_back_as_they_were(store: sqlite3.Connection) -> None:
    """A fact set reads back equal, and the same set again replaces it under the same id."""
    first = save(store, facts())
    assert load_facts(store, "12" * 32, readers=READERS) == facts()
    changed = replace(facts(), size=100)
    assert save(store, changed, later=1) == first
    assert load_facts(store, "12" * 32, readers=READERS) == changed


def test_no_longer_row_is_written_or_fetched_than_can_be_decoded(
    store: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys tried earlier are left out before a row grows past the cap, and a row past it is an error and not loaded."""
    save(store, facts())
    other = replace(facts().signatures[0], key_checks=(KeyCheck("22" * 20, "22" * 20, holds=False),))
    fewer = replace(facts(), signatures=(other,))
    monkeypatch.setattr(stored_facts, "MAX_FACTS_BYTES", len(facts_to_json(facts())))
    save(store, fewer)
    assert load_facts(store, "12" * 32, readers=READERS) == fewer
    monkeypatch.setattr(stored_facts, "MAX_FACTS_BYTES", 10)
    loaded: list[str] = []
    store.set_trace_callback(loaded.append)
    with pytest.raises(FactsNotSignedError):
        load_facts(store, "12" * 32, readers=READERS)
    assert not [statement for statement in loaded if ", facts FROM" in statement]


def test_stale_facts_are_never_returned(store: sqlite3.Connection) -> None:
    """Facts of an older (or unknown) reader version are read again, not answered from."""
    save(store, facts())
    assert load_facts(store, "12" * 32, readers={"zip_plain": 2}) is None
    assert load_facts(store, "12" * 32, readers={}) is None
    assert load_facts(store, "00" * 32, readers=READERS) is None


def test_what_no_reader_knew_counts_until_a_reader_changes(store: sqlite3.Connection) -> None:
    """An unrecognised package stays so only for the same set of readers."""
    save(store, facts(container=None))
    assert load_facts(store, "12" * 32, readers=READERS) is not None
    assert load_facts(store, "12" * 32, readers={**READERS, "new": 1}) is None


def test_facts_belong_to_their_material(store: sqlite3.Connection) -> None:
    """A set read with other side files is not the one asked for; unasked, the newest is returned."""
    save(store, facts())
    save(store, facts(material=("bb" * 32, "aa" * 32)), later=1)
    assert load_facts(store, "12" * 32, ("aa" * 32, "bb" * 32), readers=READERS) == facts(
        material=("bb" * 32, "aa" * 32)
    )
    assert load_facts(store, "12" * 32, (), readers=READERS) == facts()
    assert load_facts(store, "12" * 32, ("cc" * 32,), readers=READERS) is None
    assert load_facts(store, "12" * 32, readers=READERS) == facts(material=("bb" * 32, "aa" * 32))


def test_packages_are_found_by_the_keys_seen_in_them(store: sqlite3.Connection) -> None:
    """Hints, carried certificates and keys that hold lead to the package; a key that does not hold does not."""
    save(store, facts())
    carried = package(certificate("New root"))
    save(store, carried)
    asked = {
        "hint": Identifier(IdentifierKind.KEY_ID, "ab" * 8),
        "owner": Identifier(IdentifierKind.OPENPGP, "ef" * 20),
        "refuted": Identifier(IdentifierKind.OPENPGP, "11" * 20),
    }
    found = {name: packages_with(store, [identifier]) for name, identifier in asked.items()}
    assert found == {"hint": ("12" * 32,), "owner": ("12" * 32,), "refuted": ()}
    root = Identifier(IdentifierKind.SHA256, fingerprint().replace(":", "").lower())
    assert packages_with(store, [root]) == (carried.sha256,)


def test_sightings_count_places(store: sqlite3.Connection) -> None:
    """The same place again counts on; another place is another sighting; names of any bytes are kept."""
    with transaction(store):
        for minutes in (0, 5):
            at = AT + timedelta(minutes=minutes)
            record_sighting(store, "12" * 32, "u\udcff.zip", "/in/u.zip", "dten", "intake", at)
        record_sighting(store, "12" * 32, "u.zip", None, None, "check:0", AT)
    found = sightings(store, "12" * 32)
    assert [(s.name, s.path, s.vendor_id, s.times) for s in found] == [
        ("u\\udcff.zip", "/in/u.zip", "dten", 2),
        ("u.zip", None, None, 1),
    ]
    assert found[0].last_seen_at - found[0].first_seen_at == timedelta(minutes=5)


def test_retained_packages_are_listed_oldest_first(store: sqlite3.Connection, tmp_path: Path) -> None:
    """What is kept can be listed, asked for and forgotten."""
    with transaction(store):
        record_retained(store, "bb", tmp_path / "bb", 5, AT)
        record_retained(store, "aa", tmp_path / "aa", 7, AT - timedelta(days=1))
    assert [r.package_sha256 for r in retained(store)] == ["aa", "bb"]
    assert [(r.path, r.size) for r in retained(store, "bb")] == [(tmp_path / "bb", 5)]
    forget_retained(store, "bb")
    assert retained(store, "bb") == ()
