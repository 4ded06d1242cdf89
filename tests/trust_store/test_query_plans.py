"""What the database does for a check: no table that grows is ever read through."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.trust_store.store_craft import BEGIN, Step, facts_of, fill
from tests.trust_store.store_setup import open_store, randomness, vendor
from trust_store import query
from trust_store.blast_radius import Change, blast_radius
from trust_store.model.identifiers import Identifier, IdentifierKind
from trust_store.model.trust_anchor import AnchorState
from trust_store.model.verdict import ExpectedVendor
from trust_store.storage import affected, revocation_material
from trust_store.storage.connection import transaction
from trust_store.storage.facts import (
    load_facts,
    packages_of_vendors,
    packages_with,
    record_sighting,
    save_facts,
    sightings,
)
from trust_store.storage.vendors import record_vendors
from trust_store.stored_verdict import verify_stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SMALL = frozenset({"store_meta", "store_revision", "tombstone"})
"""One row, or counted: the tombstones are compared in number with what the log says, over an index of small rows."""
_SCAN = re.compile(r"^SCAN (\w+)")
_ALIASES = re.compile(r"(?:FROM|JOIN)\s+(\w+)(?:\s+(?:AS\s+)?(\w+))?", re.IGNORECASE)
KEY = Identifier(IdentifierKind.SHA256, "ab" * 32)
FACTS = facts_of("leaf", "leaf", "inner")
ASKED: dict[str, Callable[[sqlite3.Connection, str], object]] = {
    "verify": lambda c, _: verify_stored(c, FACTS.sha256, ExpectedVendor("dten", "stated"), (vendor(),), at=BEGIN),
    "as known": lambda c, _: verify_stored(
        c, FACTS.sha256, ExpectedVendor("dten", "stated"), (vendor(),), at=BEGIN, known_at=BEGIN
    ),
    "any": lambda c, _: verify_stored(c, FACTS.sha256, ExpectedVendor("any", "any"), (), at=BEGIN),
    "candidates": lambda c, _: query.candidates(c, "dten", [KEY]),
    "every candidate": lambda c, _: query.candidates(c, "any"),
    "key": lambda c, _: query.anchors_with(c, [KEY]),
    "anchor": lambda c, i: query.anchor(c, i),
    "buried": lambda c, _: query.tombstones_of(c, [KEY], "ab" * 32),
    "neighbours": lambda c, _: query.neighbours(c, "dten", "CN=Root A,O=Vendor", "abcd"),
    "affected": lambda c, i: affected.by_anchors(c, [i]),
    "since": lambda c, _: affected.since(c, 1),
    "packages": lambda c, _: packages_with(c, [KEY]),
    "packages of a vendor": lambda c, _: packages_of_vendors(c, ["dten"], 10),
    "facts": lambda c, _: load_facts(c, FACTS.sha256),
    "sightings": lambda c, _: sightings(c, FACTS.sha256),
    "revocation": lambda c, _: revocation_material.load(c, ["ab" * 32], known_at=BEGIN),
    "preview": lambda c, i: blast_radius(c, Change(i, AnchorState.REVOKED), (vendor(),), BEGIN),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[sqlite3.Connection, str]]:
    """A store with an anchor, a tombstone and a package, and the anchor's id."""
    with closing(open_store(tmp_path_factory.mktemp("plans"))) as connection:
        with transaction(connection):
            record_vendors(connection, (vendor(),), BEGIN, randomness)
        ids = fill(
            connection,
            [
                Step("root_a", "dten", AnchorState.VALID, 0),
                Step("inner", "dten", AnchorState.PENDING, 1),
                Step("root_b", "other", AnchorState.DISTRUSTED, 2),
            ],
        )
        with transaction(connection):
            save_facts(connection, FACTS, origin="test", at=BEGIN, randomness=randomness)
            record_sighting(connection, FACTS.sha256, "firmware.bin", "/in/firmware.bin", "dten", "test", BEGIN)
        yield connection, ids[("root_a", "dten")]


def scans(connection: sqlite3.Connection, statement: str) -> list[str]:
    """The tables that ``statement`` reads through, by their own names."""
    plan = [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
    names = {alias or table: table for table, alias in _ALIASES.findall(statement)}
    return [names.get(found[1], found[1]) for step in plan if (found := _SCAN.match(step))]


@pytest.mark.parametrize("name", sorted(ASKED))
def test_no_question_reads_through_a_table_that_grows(store: tuple[sqlite3.Connection, str], name: str) -> None:
    """Every statement behind a verdict, a look-up or a preview goes through an index, whatever the store has grown to."""
    connection, anchor_id = store
    seen: list[str] = []
    connection.set_trace_callback(seen.append)
    try:
        ASKED[name](connection, anchor_id)
    finally:
        connection.set_trace_callback(None)
    asked = [s for s in seen if s.lstrip().upper().startswith(("SELECT", "WITH"))]
    assert asked
    read_through = {(table, s) for s in asked for table in scans(connection, s) if table not in SMALL}
    assert not read_through
