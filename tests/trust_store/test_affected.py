"""What a change of trust concerns, what revocation material is kept, and how a store answers about what it knew."""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.trust_store.store_craft import BEGIN, Step, facts_of, fill, pool
from tests.trust_store.store_setup import open_store, openpgp_proposal, randomness, vendor
from trust_store import anchor_management, audit, digest_decisions, query
from trust_store.errors import ResourceLimitError, StoreInconsistentError
from trust_store.model.identifiers import Identifier, IdentifierKind
from trust_store.model.package_facts import KeyCheck, PackageFacts, SignatureFact, SignatureOrigin, SignerHint
from trust_store.model.trust_anchor import AnchorKind, AnchorState
from trust_store.model.verdict import ExpectedVendor, Outcome
from trust_store.storage import anchors as rows
from trust_store.storage import lookup, related, revocation_material, vendors
from trust_store.storage.affected import Affected, by_anchors, since
from trust_store.storage.connection import transaction
from trust_store.storage.facts import packages_of_vendors, record_sighting, save_facts
from trust_store.storage.revocation_material import FetchedMaterial
from trust_store.storage.vendors import record_vendors
from trust_store.stored_verdict import verify_stored

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

AT = BEGIN + timedelta(days=20)
DTEN = ExpectedVendor("dten", "stated")
FACTS = facts_of("leaf", "leaf", "inner")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A store that must verify after every test."""
    with closing(open_store(tmp_path)) as connection:
        yield connection
        audit.verify(connection)


def see(connection: sqlite3.Connection, *facts: PackageFacts) -> None:
    """Have packages on record as dten's."""
    with transaction(connection):
        for one in facts:
            save_facts(connection, one, origin="test", at=BEGIN, randomness=randomness)
            record_sighting(connection, one.sha256, "firmware.bin", "/in/firmware.bin", "dten", "test", BEGIN)


def block(connection: sqlite3.Connection, at: datetime) -> None:
    """Block the package."""
    wish = digest_decisions.Wish(FACTS.sha256, "block", "withdrawn", None)
    digest_decisions.decide(connection, wish, identity="ann", vendor=vendor(), at=at, randomness=randomness)


def test_a_root_concerns_what_is_below_it_and_nothing_else(store: sqlite3.Connection) -> None:
    """A package that carries neither root nor issuer is found through the stored certificate between them."""
    bare = facts_of("leaf", "leaf")
    ids = fill(
        store,
        [
            Step("root_a", "dten", AnchorState.PENDING, 0),
            Step("inner", "dten", AnchorState.PENDING, 1),
            Step("stranger", "dten", AnchorState.PENDING, 2),
        ],
    )
    see(store, bare)
    assert by_anchors(store, [ids[("root_a", "dten")]]) == Affected(frozenset({bare.sha256}))
    assert by_anchors(store, [ids[("stranger", "dten")]]) == Affected()
    assert by_anchors(store, []) == Affected()


def test_a_decision_concerns_what_it_is_about(store: sqlite3.Connection) -> None:
    """A policy: all of its vendor; a digest: that package; a proposal: what it may explain; who may approve: nothing."""
    see(store, FACTS)
    with transaction(store):
        record_vendors(store, (vendor(),), BEGIN, randomness)
    found, newest = since(store, 0)
    assert (found, newest) == (Affected(vendors=frozenset({"dten"})), audit.head(store).seq)
    assert since(store, newest) == (Affected(), newest)
    anchor_management.propose(store, openpgp_proposal("ab" * 20), at=BEGIN, randomness=randomness)
    found, newest = since(store, newest)
    assert found == Affected()
    block(store, BEGIN)
    found, newest = since(store, newest)
    assert found == Affected(frozenset({FACTS.sha256}))


def test_an_openpgp_key_concerns_packages_that_name_any_of_its_keys(store: sqlite3.Connection) -> None:
    """A signature names a subkey, a primary key or a key id, and does not say which."""
    signature = SignatureFact(
        "openpgp", SignatureOrigin.GIVEN, None, hint=SignerHint(openpgp="cd" * 20),
        key_checks=(KeyCheck("cd" * 20, "ef" * 20, holds=False),),
    )  # fmt: skip
    facts = PackageFacts("12" * 32, 9, "detached", 1, signatures=(signature,))
    see(store, facts)
    subkey = Identifier(IdentifierKind.OPENPGP_SUBKEY, "cd" * 20)
    proposal = openpgp_proposal("ab" * 20)
    proposal = replace(proposal, identifiers=(*proposal.identifiers, subkey))
    anchor_id = anchor_management.propose(store, proposal, at=BEGIN, randomness=randomness)
    assert by_anchors(store, [anchor_id]).packages == {facts.sha256}
    assert anchor_id in {a.id for a in query.trust_view(store, "dten", facts, None).anchors}


def test_more_than_can_be_looked_at_is_everything(store: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change too wide to follow concerns every package: nothing is left as it was by a limit."""
    from trust_store.storage import affected

    ids = fill(store, [Step("root_a", "dten", AnchorState.VALID, 0), Step("inner", "dten", AnchorState.PENDING, 0)])
    monkeypatch.setattr(affected, "MAX_ANCHORS", 1)
    assert by_anchors(store, [ids[("root_a", "dten")]]).everything
    monkeypatch.setattr(affected, "MAX_ENTRIES", 1)
    assert since(store, 0)[0].everything


def test_packages_are_counted_by_vendor(store: sqlite3.Connection) -> None:
    """Every package ever seen, or those that were said to be of a vendor."""
    see(store, FACTS)
    assert packages_of_vendors(store, None, 10) == (FACTS.sha256,)
    assert packages_of_vendors(store, ["dten", "other"], 10) == (FACTS.sha256,)
    assert packages_of_vendors(store, ["other"], 10) == ()


def test_a_flood_of_proposals_hides_no_valid_anchor(store: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where more anchors have a say than are looked at, tombstones and valid ones are looked at first."""
    names = ("root_a", "root_a_new_key", "root_a_respelt", "inner", "inner_new_key", "root_b")
    steps = [Step(name, "dten", AnchorState.PENDING, day) for day, name in enumerate(names)]
    ids = fill(
        store,
        [
            *steps,
            Step("root_a_new_key", "dten", AnchorState.VALID, 8),
            Step("inner", "other", AnchorState.DISTRUSTED, 9),
        ],
    )
    monkeypatch.setattr(related, "MAX_ANCHORS", 2)
    start = [i for name in names for i in lookup.own(pool()[name].decoded)]
    found = {s.anchor.id for s in related.related(store, "dten", start)}
    assert found == {ids[("root_a_new_key", "dten")], ids[("inner", "other")]}


def test_a_name_and_a_key_is_found_by_its_name(store: sqlite3.Connection) -> None:
    """An anchor that is no certificate is found from the certificates that its key issued, by the name alone."""
    made = pool()["root_a"].decoded
    proposal = openpgp_proposal("ab" * 20)
    digest = made.spki_sha256
    spki = replace(
        proposal, kind=AnchorKind.SPKI, name=made.subject, material=made.spki, key_sha256=digest,
        identifiers=(Identifier(IdentifierKind.SHA256, digest),),
    )  # fmt: skip
    anchor_id = anchor_management.propose(store, spki, at=BEGIN, randomness=randomness)
    see(store, FACTS)
    assert [a.id for a in query.trust_view(store, "dten", FACTS, None).anchors] == [anchor_id]
    assert by_anchors(store, [anchor_id]).packages == {FACTS.sha256}
    assert lookup.written_name("no name") is None
    assert lookup.near_name("no name") == frozenset()


def test_neighbours_are_like_what_is_missing(store: sqlite3.Connection) -> None:
    """Of the name, of the key, issued by the same, of the same organisation; of the asked vendor, and not the stranger."""
    ids = fill(
        store,
        [
            Step("root_b", "dten", AnchorState.VALID, 0),
            Step("stranger", "dten", AnchorState.PENDING, 0),
            Step("cross", "dten", AnchorState.PENDING, 0),
            Step("root_a", "dten", AnchorState.PENDING, 0),
            Step("inner_reissued", "other", AnchorState.PENDING, 0),
        ],
    )
    name = pool()["root_b"].decoded.subject
    found = [a.id for a in query.neighbours(store, "dten", name, None)]
    assert found[0] == ids[("root_b", "dten")]
    assert set(found) == {ids[(n, "dten")] for n in ("root_b", "stranger", "cross")}
    assert ids[("inner_reissued", "other")] in {a.id for a in query.neighbours(store, "any", name, None)}
    assert query.neighbours(store, "dten", None, None) == ()
    assert query.neighbours(store, "dten", None, "ab" * 20) == ()


def test_revocation_material_is_kept_by_issuer(store: sqlite3.Connection) -> None:
    """The newest of each kind for an issuer comes with the view of a package that it may revoke, as far as it was known."""
    issuer = revocation_material.about_issuer(pool()["inner"].decoded)
    subject = revocation_material.about_subject(pool()["leaf"].decoded)
    with transaction(store):
        for day in range(6):
            moment = BEGIN + timedelta(days=day)
            kept = FetchedMaterial("crl", issuer, "https://crl.example", b"%d" % day, moment, moment, moment)
            revocation_material.save(store, kept)
        revocation_material.save(store, replace(kept, kind="ocsp", about=subject, material=b"o", next_update=None))
        revocation_material.save(store, replace(kept, about="00" * 32, material=b"else"))
        with pytest.raises(ResourceLimitError):
            revocation_material.save(store, replace(kept, material=bytes(revocation_material.MAX_MATERIAL_BYTES + 1)))
    found = query.trust_view(store, "dten", FACTS, None).revocation
    assert (found.crls, found.ocsp, found.demanded) == ((b"5", b"4"), (b"o",), ())
    known = query.trust_view(store, "dten", FACTS, None, known_at=BEGIN + timedelta(days=1)).revocation
    assert (known.crls, known.ocsp) == ((b"1", b"0"), ())


def test_policy_and_decisions_are_those_known_then(store: sqlite3.Connection) -> None:
    """A block and a stricter policy recorded later are forgotten; a first sighting later than that moment is too."""
    fill(store, [Step("root_a", "dten", AnchorState.VALID, 0)])
    with transaction(store):
        record_vendors(store, (vendor(required_signatures=1),), BEGIN, randomness)
        record_vendors(store, (vendor(required_signatures=2),), BEGIN + timedelta(days=2), randomness)
    see(store, FACTS)
    block(store, BEGIN + timedelta(days=4))

    def asked(day: int | None) -> tuple[str, str]:
        known_at = None if day is None else BEGIN + timedelta(days=day)
        told = verify_stored(store, FACTS.sha256, DTEN, (vendor(required_signatures=2),), at=AT, known_at=known_at)
        return told.outcome.value, told.basis.time

    assert (asked(1), asked(None)) == (("passed", "requested"), ("failed", "now"))
    assert asked(3)[0] == "indeterminate"
    first, second = (vendors.as_known_at(store, "dten", BEGIN + timedelta(days=day)) for day in (1, 3))
    assert first is not None
    assert second is not None
    assert (first.vendor.policy.required_signatures, second.vendor.policy.required_signatures) == (1, 2)
    assert vendors.as_known_at(store, "dten", BEGIN - timedelta(days=1)) is None
    anchor = query.anchors(store, "dten")[0]
    assert rows.as_known_at(store, anchor.id, BEGIN - timedelta(days=1)) is None
    assert rows.as_known_at(store, anchor.id, BEGIN) is not None


def test_the_past_cannot_be_changed_either(store: sqlite3.Connection) -> None:
    """What is asked as of then is held to the log like everything else."""
    fill(store, [Step("root_a", "dten", AnchorState.VALID, 0), Step("root_a", "dten", AnchorState.REVOKED, 5)])
    with transaction(store):
        record_vendors(store, (vendor(),), BEGIN, randomness)
    known_at = BEGIN + timedelta(days=1)
    for verb in ("update", "delete"):
        store.execute(f"DROP TRIGGER anchor_version_no_{verb}")
        store.execute(f"DROP TRIGGER vendor_snapshot_no_{verb}")
    for statement in (
        "DELETE FROM anchor_version WHERE version = 1",
        "UPDATE anchor_version SET state = 'pending' WHERE version = 1",
        "UPDATE anchor_version SET recorded_at = '2027' WHERE version = 1",
        "DELETE FROM vendor_snapshot",
    ):
        store.execute("BEGIN")
        store.execute(statement)
        with pytest.raises(StoreInconsistentError):
            query.trust_view(store, "dten", FACTS, vendor(), known_at=known_at)
        store.execute("ROLLBACK")


def test_the_commands_ask_as_known_then(
    store: sqlite3.Connection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``package show`` takes both times, says that they were requested, and refuses what is no time."""
    from monitor.cli import _run

    config = tmp_path / "rootwarden.toml"
    config.write_text(f'[store]\ndirectory = "{tmp_path}"\n')
    (tmp_path / "vendors.d").mkdir()
    (tmp_path / "vendors.d/dten.toml").write_text('[vendor]\nid = "dten"\nname = "DTEN"\n')
    fill(store, [Step("root_a", "dten", AnchorState.PENDING, 0), Step("root_a", "dten", AnchorState.VALID, 5)])
    see(store, FACTS)
    show = [
        "--config",
        str(config),
        "package",
        "show",
        FACTS.sha256,
        "--vendor",
        "dten",
        "--json",
        "--at",
        "2026-11-20T00:00:00Z",
    ]
    told = []
    for day in ("03", "08"):
        code = _run([*show, "--as-known-at", f"2026-11-{day}T00:00:00Z"])
        verdict = json.loads(capsys.readouterr().out)
        told.append((code, verdict["outcome"], verdict["basis"]["time"], verdict["validation_time"][:10]))
    assert told == [(3, "indeterminate", "requested", "2026-11-20"), (0, "passed", "requested", "2026-11-20")]
    assert _run([*show, "--as-known-at", "then"]) == 2
    assert "--as-known-at" in capsys.readouterr().err
    package = tmp_path / "absent.bin"
    check = ["--config", str(config), "check", "--json", "--vendor", "dten", "--as-known-at", "2026-11-03T00:00:00Z"]
    assert _run([*check, str(package)]) == 3
    assert json.loads(capsys.readouterr().out)["basis"]["time"] == "requested"


def test_two_passes_see_each_vendors_policy(store: sqlite3.Connection) -> None:
    """A verdict from stored facts is that of now unless somebody asks for another time."""
    fill(store, [Step("root_a", "dten", AnchorState.VALID, 0)])
    see(store, FACTS)
    told = verify_stored(store, FACTS.sha256, DTEN, (vendor(),), at=AT)
    before = verify_stored(store, FACTS.sha256, DTEN, (vendor(),), at=AT, requested_at=BEGIN - timedelta(days=4000))
    assert (told.outcome, told.basis.time) == (Outcome.PASSED, "now")
    assert (before.outcome, before.basis.time, before.checked_at) == (Outcome.INDETERMINATE, "requested", AT)


def test_what_no_identifier_leads_to_is_looked_at_for_its_scheme_only(store: sqlite3.Connection) -> None:
    """Sigstore identities and roots of the vendor are in the view of a package with such a signature, and of no other."""
    made = openpgp_proposal("ab" * 20)
    material = b'{"issuer":"https://issuer.example"}'
    digest = hashlib.sha256(material).hexdigest()
    identity = replace(
        made, kind=AnchorKind.SIGSTORE_IDENTITY, name="release@vendor.example", material=material, key_sha256=digest,
        identifiers=(Identifier(IdentifierKind.SHA256, digest),),
    )  # fmt: skip
    anchor_id = anchor_management.propose(store, identity, at=BEGIN, randomness=randomness)
    signature = SignatureFact("sigstore", SignatureOrigin.GIVEN, None)
    facts = PackageFacts("12" * 32, 9, "detached", 1, signatures=(signature,))
    asked = [("dten", facts), ("any", facts), ("other", facts), (None, facts), ("dten", FACTS)]
    found = [[a.id for a in query.trust_view(store, vendor_id, one, None).anchors] for vendor_id, one in asked]
    assert found == [[anchor_id], [anchor_id], [], [], []]
    assert by_anchors(store, [anchor_id]) == Affected(vendors=frozenset({"dten"}))
