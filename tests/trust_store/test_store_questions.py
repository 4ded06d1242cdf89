"""What the store answers about keys, packages and vendors."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.trust_store.store_setup import (
    AT,
    DEDICATED,
    call,
    certificate,
    fingerprint,
    open_store,
    openpgp_proposal,
    package,
    proposal_of,
    propose,
    randomness,
    vendor,
)
from trust_store import anchor_approval, anchor_management, audit, query
from trust_store.decisions import perform
from trust_store.errors import DecisionRefusedError, StoreInconsistentError
from trust_store.model.claim import Authority
from trust_store.model.identifiers import Identifier, IdentifierKind
from trust_store.model.package_facts import KeyCheck, PackageFacts, SignatureFact, SignatureOrigin, SignerHint
from trust_store.model.trust_anchor import AnchorState
from trust_store.model.vendor import Contact
from trust_store.storage.approver_list import record_approvers
from trust_store.storage.connection import transaction
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
from trust_store.storage.vendors import (
    AWAITING,
    EFFECTIVE,
    VendorChange,
    effective_vendor,
    latest,
    record_vendors,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from trust_store.model.vendor import Vendor

READERS = {"zip_plain": 1, "detached": 2}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A store that must verify after every test."""
    with closing(open_store(tmp_path)) as connection:
        yield connection
        audit.verify(connection)


def test_anchors_of_other_vendors_never_count(store: sqlite3.Connection) -> None:
    """A view holds the expected vendor's anchors; `any` holds every vendor's, no vendor nobody's."""
    own, other = propose(store), propose(store, "Other root", "other")
    facts = package(certificate("New root"), certificate("Other root"))
    seen = {
        asked: {a.id for a in query.trust_view(store, asked, facts, None).anchors}
        for asked in ("dten", "other", "any", "nobody", None)
    }
    assert seen == {"dten": {own}, "other": {other}, "any": {own, other}, "nobody": set(), None: set()}


def test_any_vendors_tombstone_counts_for_everybody(store: sqlite3.Connection) -> None:
    """A key that somebody's vendor disowned is in the view of every package that carries it, and of no other package."""
    buried = propose(store, vendor_id="other")
    anchor_approval.reject(store, buried, "disowned", identity="ann", at=AT)
    carried = query.trust_view(store, "dten", package(certificate("New root")), None)
    reissued = query.trust_view(store, "dten", package(certificate("Re-issued", "New root")), None)
    unrelated = query.trust_view(store, "dten", package(certificate("Else"), b"no certificate"), None)
    assert [[a.id for a in v.anchors] for v in (carried, reissued, unrelated)] == [[buried], [buried], []]


def test_pending_material_helps_and_is_not_trusted(store: sqlite3.Connection) -> None:
    """A pending certificate is offered for path building, and its anchor stays pending in the view."""
    propose(store)
    anchor_management.propose(store, openpgp_proposal("ab" * 20), at=AT, randomness=randomness)
    view = query.trust_view(store, "dten", package(certificate("New root")), vendor())
    assert [c.der for c in view.untrusted] == [certificate("New root")]
    assert (view.untrusted_keys, view.trust, view.vendor) == ((), "store", vendor())
    assert {a.state for a in view.anchors} == {AnchorState.PENDING}
    assert (view.store_revision, view.store_id) == (2, query.store_id(store))


def test_candidates_put_hints_then_standing_then_authority_first(store: sqlite3.Connection) -> None:
    """What a hint points at comes first, then valid keys, then tombstones, then pending ones of authenticated channels."""
    stranger = proposal_of(certificate("Stranger"), authority=Authority.UNAUTHENTICATED)
    anchor_management.propose(store, stranger, at=AT + timedelta(days=1), randomness=randomness)
    propose(store, "Staff")
    buried = propose(store, "Buried", "other")
    anchor_approval.reject(store, buried, "disowned", identity="ann", at=AT)
    valid = propose(store)
    anchor_approval.approve(store, valid, call(), identity="ann", vendor=vendor(approvals=1), at=AT)
    names = ("New root", "Buried", "Staff", "Stranger")
    assert [c.material for c in query.candidates(store, "dten")] == [certificate(n) for n in names]
    hinted = query.candidates(store, "dten", [SignerHint(subject_key_identifier=_ski("Stranger"))])
    assert hinted[0].material == certificate("Stranger")
    assert {c.material for c in query.candidates(store, None, [_identifier("Staff")])} == {
        certificate("Staff"), certificate("Buried"),
    }  # fmt: skip


def _ski(name: str) -> str:
    found = {i.kind: i.value for i in proposal_of(certificate(name)).identifiers}
    return found[IdentifierKind.SUBJECT_KEY_IDENTIFIER]


def _identifier(name: str) -> Identifier:
    return next(i for i in proposal_of(certificate(name)).identifiers if i.kind is IdentifierKind.SPKI_SHA256)


def test_at_most_64_candidates(store: sqlite3.Connection) -> None:
    """However many keys were proposed, a signature is tried with 64; OpenPGP hints find theirs among them."""
    for number in range(80):
        anchor_management.propose(store, openpgp_proposal(f"{number:040x}"), at=AT, randomness=randomness)
    found = query.candidates(store, "dten", [SignerHint(openpgp=f"{7:040x}", key_id=f"{7:016x}")])
    assert (len(found), found[0].kind, found[0].material) == (64, "openpgp", b"key " + f"{7:040x}".encode())


def test_anchors_are_found_by_any_identifier(store: sqlite3.Connection) -> None:
    """A look-up by fingerprint, key digest, key identifier or subject finds the anchor whatever its vendor and state."""
    anchor_id = propose(store)
    for identifier in proposal_of(certificate("New root")).identifiers:
        assert [a.id for a in query.anchors_with(store, [identifier])] == [anchor_id]
    assert query.anchors_with(store, [Identifier(IdentifierKind.SHA256, "00" * 32)]) == ()


def test_anchors_can_be_asked_by_vendor_and_state(store: sqlite3.Connection) -> None:
    """Lists are the newest first and hold what was asked for."""
    old, new = propose(store, "Old"), propose(store, "New", at=AT + timedelta(days=1))
    other = propose(store, "Other", "other")
    assert [a.id for a in query.anchors(store, "dten")] == [new, old]
    assert {a.id for a in query.anchors(store)} == {old, new, other}
    assert query.anchors(store, "dten", [AnchorState.VALID]) == ()
    assert query.anchor(store, "anchor_none") is None


def test_questions_join_an_open_transaction(store: sqlite3.Connection) -> None:
    """Inside a transaction a question sees what the transaction wrote."""
    with transaction(store):
        anchor_id = propose(store)
        assert query.anchor(store, anchor_id) is not None


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


def record(store: sqlite3.Connection, *vendors: Vendor) -> list[tuple[str, bool]]:
    """Record vendor files and return (field, weakens) of the changes."""
    with transaction(store):
        return [(c.field, c.weakens) for c in record_vendors(store, vendors, AT, randomness)]


def test_a_vendor_seen_first_or_unchanged_is_no_change(store: sqlite3.Connection) -> None:
    """The first sight of a file counts at once; loading it again writes nothing."""
    assert (record(store, vendor()), record(store, vendor())) == ([], [])
    assert [row["kind"] for row in audit.entries(store)] == ["vendor.effective"]


def test_a_stricter_policy_counts_at_once(store: sqlite3.Connection) -> None:
    """More approvals need nobody's approval; old and new value are in the log."""
    record(store, vendor())
    assert record(store, vendor(approvals=3)) == [("policy.approvals", False)]
    assert effective_vendor(store, vendor(approvals=3)).policy.approvals == 3
    assert '"new": 3, "old": 2' in audit.entries(store)[-1]["body"]


@pytest.mark.parametrize(
    "weaker",
    [
        vendor(approvals=1),
        replace(vendor(), contacts=(*vendor().contacts, Contact("New", phone="+1 555 6666"))),
        replace(vendor(), policy=replace(vendor().policy, claimed_time="accept")),
    ],
)
def test_a_weaker_policy_waits_for_approval_under_the_old(store: sqlite3.Connection, weaker: Vendor) -> None:
    """Fewer people, a new number to call or self-claimed time count only when the old number of people approved."""
    record(store, vendor())
    assert [w for _, w in record(store, weaker)] == [True]
    held = effective_vendor(store, weaker)
    assert (held.policy, held.contacts) == (vendor().policy, vendor().contacts)
    assert query.trust_view(store, "dten", package(), weaker).vendor == held

    def approve_policy(who: str) -> str:
        return str(
            perform(
                store,
                "policy.approve",
                {"vendor": "dten"},
                identity=who,
                vendors=(weaker,),
                at=AT,
                randomness=randomness,
            )["outcome"]
        )

    assert approve_policy("ann") == "recorded"
    with pytest.raises(DecisionRefusedError, match="already"):
        approve_policy("ann")
    assert (approve_policy("bob"), effective_vendor(store, weaker)) == ("effective", weaker)
    with pytest.raises(DecisionRefusedError, match="waits for approval"):
        approve_policy("cyd")


def test_a_weakened_file_decides_nothing_yet(store: sqlite3.Connection) -> None:
    """One person cannot lower the number of people in the file and then approve alone, nor call a number added just now."""
    record(store, vendor())
    weak = replace(vendor(approvals=1), contacts=(*vendor().contacts, Contact("New", phone="+1 555 6666")))
    anchor_id = propose(store)
    for recorded in (False, True):
        if recorded:
            record(store, weak)
        with pytest.raises(DecisionRefusedError, match="none of the contacts"):
            anchor_approval.approve(store, anchor_id, call(called="+1 555 6666"), identity="ann", vendor=weak, at=AT)
    made = anchor_approval.approve(store, anchor_id, call(), identity="ann", vendor=weak, at=AT)
    assert (made.outcome, made.needed) == ("recorded", 2)


def test_taking_the_file_away_and_back_weakens_nothing(store: sqlite3.Connection) -> None:
    """A vendor that is gone keeps its last policy: coming back weaker is a weakening; coming back the same is logged."""
    record(store, vendor())
    assert record(store) == [("file", False)]
    assert record(store) == []
    assert record(store, vendor(approvals=1)) == [("policy.approvals", True), ("file", False)]
    found = latest(store, "dten")
    assert found is not None
    assert found.state == AWAITING
    record(store, vendor())
    found = latest(store, "dten")
    assert found is not None
    assert found.state == EFFECTIVE


def test_a_changed_snapshot_is_found(store: sqlite3.Connection) -> None:
    """A recorded policy cannot be lowered in the table, and the newest that counts cannot be taken out."""
    record(store, vendor())
    record(store, vendor(approvals=3))
    store.execute("DROP TRIGGER vendor_snapshot_no_update")
    store.execute("DROP TRIGGER vendor_snapshot_no_delete")
    for statement in (
        "UPDATE vendor_snapshot SET content = replace(content, '\"approvals\": 3', '\"approvals\": 1')",
        "DELETE FROM vendor_snapshot WHERE version = 2",
    ):
        store.execute("BEGIN")
        store.execute(statement)
        with pytest.raises(StoreInconsistentError):
            effective_vendor(store, vendor(approvals=1))
        store.execute("ROLLBACK")


def test_a_removed_approval_row_is_found_when_counting(store: sqlite3.Connection) -> None:
    """Approvals are counted only if every one of them is what the log recorded."""
    anchor_id = anchor_management.propose(
        store, proposal_of(certificate("New root")), signer_rule=DEDICATED, at=AT, randomness=randomness
    )
    anchor_approval.approve(store, anchor_id, call(), identity="ann", vendor=vendor(), at=AT)
    for verb in ("update", "delete"):
        store.execute(f"DROP TRIGGER approval_no_{verb}")
    for statement in ("UPDATE approval SET approver = 'bob'", "DELETE FROM approval"):
        store.execute("BEGIN")
        store.execute(statement)
        with pytest.raises(StoreInconsistentError):
            anchor_approval.approve(store, anchor_id, call(), identity="cyd", vendor=vendor(), at=AT)
        store.execute("ROLLBACK")


def test_who_may_approve_is_on_record(store: sqlite3.Connection) -> None:
    """The first list is recorded, the same again is not, and a new person is a change that weakens; one fewer is not."""

    def record_people(*people: tuple[str, str]) -> VendorChange | None:
        with transaction(store):
            return record_approvers(store, people, AT)

    told = [
        record_people(("uid:1", "ann")),
        record_people(("uid:1", "ann")),
        record_people(("uid:1", "ann"), ("uid:2", "bob")),
        record_people(),
    ]
    assert [c and (c.field, c.new, c.weakens) for c in told] == [
        None,
        None,
        ("approvers", {"uid:1": "ann", "uid:2": "bob"}, True),
        ("approvers", {}, False),
    ]
    assert len(audit.entries(store)) == 3
