"""What a decision would flip is known before it is made, exactly, and nothing is written to know it."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.trust_store.store_craft import BEGIN, Step, facts_of, fill
from tests.trust_store.store_setup import open_store, randomness, vendor
from trust_store import audit
from trust_store.blast_radius import Change, blast_radius, changed
from trust_store.errors import DecisionRefusedError
from trust_store.model.trust_anchor import AnchorKind, AnchorState, Constraints
from trust_store.model.verdict import ExpectedVendor
from trust_store.storage import anchors as rows
from trust_store.storage.connection import transaction
from trust_store.storage.facts import record_sighting, save_facts
from trust_store.stored_verdict import verify_stored

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from trust_store.model.package_facts import PackageFacts

FACTS = facts_of("leaf", "leaf", "inner")
AT = BEGIN.replace(day=20)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """An empty store."""
    with closing(open_store(tmp_path)) as connection:
        yield connection


def see(connection: sqlite3.Connection, facts: PackageFacts, *vendors: str | None) -> None:
    """Have a package on record as one of these vendors'."""
    with transaction(connection):
        save_facts(connection, facts, origin="test", at=BEGIN, randomness=randomness)
        for vendor_id in vendors:
            record_sighting(connection, facts.sha256, "firmware.bin", "/in/firmware.bin", vendor_id, "test", BEGIN)


def flips(connection: sqlite3.Connection, change: Change) -> list[tuple[str, tuple[str, str], tuple[str, str]]]:
    """(vendor, before, after) of what it would flip."""
    found = blast_radius(connection, change, (vendor(), vendor("other")), AT)
    assert found.complete
    return [(flip.vendor, flip.before, flip.after) for flip in found.flips]


UNKNOWN, PASSED = ("indeterminate", "unknown_root"), ("passed", "trusted")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (AnchorState.PENDING, AnchorState.VALID, (UNKNOWN, PASSED)),
        (AnchorState.VALID, AnchorState.REVOKED, (PASSED, ("failed", "revoked"))),
        (AnchorState.VALID, AnchorState.REMOVED, (PASSED, UNKNOWN)),
        (AnchorState.PENDING, AnchorState.DISTRUSTED, (UNKNOWN, ("failed", "distrusted"))),
        (AnchorState.VALID, AnchorState.COMPROMISED, (PASSED, ("failed", "compromised"))),
    ],
)
def test_a_decision_about_a_root_flips_what_it_signed(
    store: sqlite3.Connection, before: AnchorState, after: AnchorState, told: tuple[tuple[str, str], ...]
) -> None:
    """The preview is what then happens, for the package below an intermediate that it carries, and nothing is written."""
    ids = fill(store, [Step("root_a", "dten", before, 0)])
    see(store, FACTS, "dten")
    newest = audit.head(store)
    assert flips(store, Change(ids[("root_a", "dten")], after)) == [("dten", *told)]
    assert audit.head(store) == newest
    fill_again(store, ids[("root_a", "dten")], after)
    verdict = verify_stored(store, FACTS.sha256, ExpectedVendor("dten", "folder"), (vendor(),), at=AT)
    assert (verdict.outcome.value, verdict.reason.value) == told[1]


def fill_again(connection: sqlite3.Connection, anchor_id: str, state: AnchorState) -> None:
    """Make the decision."""
    stored = rows.current(connection, anchor_id)
    assert stored is not None
    from dataclasses import replace

    anchor = changed(stored.anchor, Change(anchor_id, state), AT)
    with transaction(connection):
        version = replace(stored, anchor=anchor, version=stored.version + 1)
        rows.append_version(connection, version, kind="anchor.test", actor="test", body={}, at=AT)


def test_a_root_of_another_vendor_flips_nothing_until_it_is_buried(store: sqlite3.Connection) -> None:
    """Approval counts for its vendor's packages, a tombstone for everybody's."""
    ids = fill(store, [Step("root_a", "other", AnchorState.PENDING, 0)])
    see(store, FACTS, "dten")
    anchor_id = ids[("root_a", "other")]
    assert flips(store, Change(anchor_id, AnchorState.VALID)) == []
    assert flips(store, Change(anchor_id, AnchorState.DISTRUSTED)) == [("dten", UNKNOWN, ("failed", "distrusted"))]


def test_each_vendor_that_a_package_was_said_to_be_of_is_asked(store: sqlite3.Connection) -> None:
    """One package in two folders and in nobody's is three questions."""
    ids = fill(store, [Step("root_a", "dten", AnchorState.PENDING, 0)])
    see(store, FACTS, "dten", "other", None)
    found = {flip[0] for flip in flips(store, Change(ids[("root_a", "dten")], AnchorState.VALID))}
    assert "dten" in found
    assert "other" not in found


def test_rules_alone_may_flip(store: sqlite3.Connection) -> None:
    """A constraint that would be added is previewed like a state."""
    ids = fill(store, [Step("root_a", "dten", AnchorState.VALID, 0)])
    see(store, FACTS, "dten")
    change = Change(ids[("root_a", "dten")], constraints=Constraints(products=("other-*",)))
    assert flips(store, change) == [("dten", PASSED, ("indeterminate", "out_of_scope"))]


def test_lifting_and_unlifting_a_tombstone(store: sqlite3.Connection) -> None:
    """The approval of a buried key lifts the tombstone, and taking that approval back brings it back."""
    ids = fill(
        store, [Step("root_a", "other", AnchorState.DISTRUSTED, 0), Step("root_a", "dten", AnchorState.PENDING, 1)]
    )
    see(store, FACTS, "dten")
    anchor_id = ids[("root_a", "dten")]
    distrusted = ("failed", "distrusted")
    assert flips(store, Change(anchor_id, AnchorState.VALID)) == [("dten", distrusted, PASSED)]
    fill_again(store, anchor_id, AnchorState.VALID)
    assert flips(store, Change(anchor_id, AnchorState.REMOVED)) == [("dten", PASSED, distrusted)]


def test_what_cannot_be_decided_has_no_preview(store: sqlite3.Connection) -> None:
    """An anchor that is not there and a transition that the table does not list are refused."""
    ids = fill(store, [Step("root_a", "dten", AnchorState.REJECTED, 0)])
    for change in (Change("anchor_none"), Change(ids[("root_a", "dten")], AnchorState.VALID)):
        with pytest.raises(DecisionRefusedError):
            blast_radius(store, change, (), AT)


def test_a_key_that_nothing_in_a_package_names_concerns_all_of_its_vendor(store: sqlite3.Connection) -> None:
    """Raw keys are looked for in every package of the vendor, and once buried in everybody's."""
    from dataclasses import replace

    from tests.trust_store.store_craft import _stored

    see(store, FACTS, "dten")
    made = _stored(Step("root_a", "dten", AnchorState.PENDING, 0), None)
    raw = replace(made.anchor, kind=AnchorKind.RAW, material=b"key", identifiers=())
    with transaction(store):
        rows.append_version(store, replace(made, anchor=raw), kind="anchor.test", actor="test", body={}, at=BEGIN)
    for state in (AnchorState.REJECTED, AnchorState.DISTRUSTED):
        found = blast_radius(store, Change(raw.id, state), (vendor(),), AT)
        assert (found.flips, found.looked_at) == ((), 1)


def test_the_command_lists_them(store: sqlite3.Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``anchor preview`` and ``--dry-run`` read the store, say the same, and exit 0; a bad time or transition is exit 2."""
    from monitor.cli import _run

    config = tmp_path / "rootwarden.toml"
    config.write_text(f'[store]\ndirectory = "{tmp_path}"\n')
    (tmp_path / "vendors.d").mkdir()
    (tmp_path / "vendors.d/dten.toml").write_text('[vendor]\nid = "dten"\nname = "DTEN"\n')
    ids = fill(store, [Step("root_a", "dten", AnchorState.VALID, 0)])
    see(store, FACTS, "dten")
    base, anchor_id = ["--config", str(config), "anchor"], ids[("root_a", "dten")]
    assert _run([*base, "preview", anchor_id, "--to", "removed"]) == 0
    plain = capsys.readouterr().out
    assert f"{FACTS.sha256}  passed / trusted -> indeterminate / unknown_root  dten  firmware.bin" in plain
    assert "1 of 1 packages would change" in plain
    for arguments in (
        ["remove", anchor_id],
        ["revoke", anchor_id],
        ["distrust", anchor_id, "--reason", "stolen"],
        ["supersede", anchor_id, "--successor", anchor_id],
    ):
        assert _run([*base, *arguments, "--dry-run", "--json"]) == 0
        assert len(json.loads(capsys.readouterr().out)["flips"]) == 1
    assert _run([*base, "approve", anchor_id, "--dry-run"]) == 0
    assert "0 of 1 packages" in capsys.readouterr().out
    assert _run([*base, "reject", anchor_id, "--because", "disowned", "--dry-run"]) == 0
    assert _run([*base, "reject", anchor_id, "--because", "unconfirmed", "--dry-run"]) == 2
    assert _run([*base, "preview", anchor_id, "--to", "revoked", "--effective-from", "soon"]) == 2
    assert _run([*base, "approve", anchor_id]) == 2
    capsys.readouterr()
