"""Who raises and lowers a ratchet, what then counts, what a bundle carries of it, and that no edited row loosens it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from monitor.set_alerts import decision_notice
from tests.simulator.vendor_pki import VendorPKI
from tests.trust_store import verdict_craft
from tests.trust_store.store_setup import AT, open_store, randomness, vendor
from tests.trust_store.test_anchor_commands import run
from tests.trust_store.verdict_craft import ask, signed
from trust_store import audit, query
from trust_store.bundled_trust import BundledTrust
from trust_store.bundles import sealed_bundle
from trust_store.decisions import perform
from trust_store.errors import DecisionRefusedError, StoreInconsistentError, UsageError
from trust_store.exchange.bundle import open_bundle
from trust_store.instance_key import private_key
from trust_store.model.package_facts import PackageFacts, Product
from trust_store.model.ratchet import FILE, PRODUCT, Strength, ratchet_id
from trust_store.model.verdict import Basis, ExpectedVendor, Reason, Verdict
from trust_store.ratchets import raise_by
from trust_store.storage.affected import since
from trust_store.storage.anchors import ensure_store_id
from trust_store.storage.connection import connect, transaction
from trust_store.storage.ratchets import concerning, current, history, of_every_product

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from trust_store.model.vendor import Vendor

__all__ = ["run"]
NAME, PATTERN = "tool-1.2.zip", "tool-#.zip"
BY_FILE, BY_PRODUCT = ratchet_id("dten", FILE, PATTERN), ratchet_id("dten", PRODUCT, "tool")
HOUR = timedelta(hours=1)
STRONG = Strength("apk-v3", "sha512", 2, "1.2")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """An empty store."""
    with closing(open_store(tmp_path)) as connection:
        yield connection


def facts_of(number: int = 1, product: str | None = "tool", version: str | None = None) -> PackageFacts:
    """A package; its digest is its number."""
    stated = Product(product, version) if product else None
    return PackageFacts(f"{number:064x}", 1, "apk", 1, product=stated)


def passed(facts: PackageFacts, shown: Strength = STRONG, **changes: Any) -> Verdict:
    """A verdict that passed, unless changed."""
    verdict = ask(signed(VendorPKI.generate("DTEN", verdict_craft.AT)), name=NAME)
    values: dict[str, Any] = {
        "reason": Reason.TRUSTED, "sha256": facts.sha256, "strength": shown, "vendor": ExpectedVendor("dten", "folder"),
        "basis": Basis("store", "store_1", 1, "now"),
    }  # fmt: skip
    return replace(verdict, **(values | changes))


def take(
    store: sqlite3.Connection,
    number: int = 1,
    shown: Strength = STRONG,
    at: datetime = AT,
    first: datetime | None = None,
    **changes: Any,
) -> tuple[str, ...]:
    """The intake takes a package that passes."""
    facts = facts_of(number, version=shown.version)
    with transaction(store):
        ensure_store_id(store, at=at, randomness=randomness)
        return raise_by(store, facts, passed(facts, shown, **changes), first_seen_at=first or at, at=at)


def lower(
    store: sqlite3.Connection, who: str, *vendors: Vendor, at: datetime = AT, ratchet: str = BY_FILE, **more: Any
) -> dict[str, Any]:
    """One person's approval, as it comes over the socket."""
    arguments = {"ratchet": ratchet, "reason": "SEC-81", **more}
    return perform(
        store, "ratchet.lower", arguments, identity=who, vendors=vendors or (vendor(),), at=at, randomness=randomness
    )


def held(store: sqlite3.Connection, ratchet: str = BY_FILE, known_at: datetime | None = None) -> dict[str, str]:
    """What the ratchet holds packages to."""
    stored = current(store, ratchet, known_at)
    dimensions = ("scheme", "digest", "signers", "version")
    return {d: m.value for d in dimensions if stored and (m := stored.ratchet.mark(d))}


def test_what_passes_raises_the_ratchets_of_both_its_names(store: sqlite3.Connection) -> None:
    """The product that signed metadata states and the pattern of the file's name; only the former knows versions."""
    before = query.store_revision(store)
    assert take(store) == (BY_PRODUCT, BY_FILE)
    assert held(store) == {"scheme": "apk-v3", "digest": "sha512", "signers": "2"}
    assert held(store, BY_PRODUCT) == {"scheme": "apk-v3", "digest": "sha512", "signers": "2", "version": "1.2"}
    assert query.store_revision(store) > before
    (entry,) = [e for e in audit.entries(store) if e["subject"] == BY_FILE]
    assert (entry["kind"], entry["actor"], json.loads(entry["body"])["package"]) == (
        "ratchet.raised",
        "system",
        f"{1:064x}",
    )
    audit.verify(store)


def test_only_more_is_written_down(store: sqlite3.Connection) -> None:
    """The same or less again writes nothing; a mark keeps the package and the time that set it."""
    take(store)
    assert take(store, 2, replace(STRONG, scheme="apk-v2", digest="sha256", signers=1, version="1.1"), AT + HOUR) == ()
    assert take(store, 3, replace(STRONG, signers=3, version="1.2"), AT + HOUR) == (BY_PRODUCT, BY_FILE)
    assert take(store, 4, replace(STRONG, version="1.10"), AT + 2 * HOUR) == (BY_PRODUCT,)
    stored = current(store, BY_PRODUCT)
    assert stored is not None
    said = [stored.ratchet.mark(d) for d in ("scheme", "signers", "version")]
    assert [(m.value, int(m.package_sha256, 16), m.seen_at) for m in said if m] == [
        ("apk-v3", 1, AT), ("3", 3, AT + HOUR), ("1.10", 4, AT + 2 * HOUR),
    ]  # fmt: skip
    assert [v.ratchet.number for v in history(store, BY_PRODUCT)] == [1, 2, 3]
    audit.verify(store)


@pytest.mark.parametrize(
    "changes",
    [
        {"reason": Reason.DOWNGRADE}, {"reason": Reason.REVOKED}, {"strength": None}, {"vendor": ExpectedVendor(None, "none")},
        {"vendor": ExpectedVendor("any", "any")}, {"basis": Basis("digest_decision", "s", 1, "now")},
        {"basis": Basis("supplied", None, None, "now")}, {"basis": Basis("store+supplied", "s", 1, "now")},
        {"basis": Basis("store", "s", 1, "requested")}, {"basis": Basis("bundle", "s", 1, "now")},
    ],
)  # fmt: skip
def test_nothing_else_raises_one(store: sqlite3.Connection, changes: dict[str, Any]) -> None:
    """Not what did not pass, nor what passed by a decision, by anchors of the asker's, at another time or for nobody's vendor."""
    assert take(store, **changes) == ()
    assert of_every_product(store) == ()


def test_lowering_takes_as_many_people_as_policy_asks(store: sqlite3.Connection) -> None:
    """Each once, with the same command; nothing counts before the last approval, and the log tells reason and people."""
    take(store)
    first = lower(store, "ann", to=["signers=1"])
    assert (first["outcome"], first["approvals"], first["needed"], held(store)["signers"]) == ("recorded", 1, 2, "2")
    with pytest.raises(DecisionRefusedError, match="ann has approved this already"):
        lower(store, "ann", to=["signers=1"])
    assert lower(store, "bob", to=["scheme=apk-v2"])["outcome"] == "recorded"  # another matter
    assert lower(store, "bob", to=["signers=1"], at=AT + HOUR)["outcome"] == "lowered"
    assert held(store) == {"scheme": "apk-v3", "digest": "sha512", "signers": "1"}
    stored = current(store, BY_FILE)
    assert stored is not None
    assert (stored.state, stored.reason, stored.actor, stored.ratchet.lowered_at) == (
        "lowered",
        "SEC-81",
        "bob",
        AT + HOUR,
    )
    audit.verify(store)


def test_what_raises_a_ratchet_voids_approvals_of_lowering_it(store: sqlite3.Connection) -> None:
    """An approval is bound to what was looked at."""
    take(store)
    lower(store, "ann", to=["signers=1"])
    take(store, 2, replace(STRONG, signers=3), AT + HOUR)
    assert lower(store, "bob", to=["signers=1"], at=AT + HOUR)["outcome"] == "recorded"


def test_the_stricter_policy_of_then_and_now_counts(store: sqlite3.Connection) -> None:
    """An approval given while three were needed still needs three."""
    take(store)
    lower(store, "ann", vendor(approvals=3))
    assert lower(store, "bob", vendor(approvals=2))["needed"] == 3
    assert held(store) != {}


@pytest.mark.parametrize(
    ("to", "left"),
    [
        ([], {}),
        (["scheme=unsigned"], {"version": "1.2"}),
        (["digest=none", "version=none"], {"scheme": "apk-v3", "signers": "2"}),
        (["scheme=apk-v2", "digest=sha256", "version=1.1"], {"scheme": "apk-v2", "digest": "sha256", "signers": "2", "version": "1.1"}),
        (["signers=0"], {"scheme": "apk-v3", "digest": "sha512", "version": "1.2"}),
    ],
)  # fmt: skip
def test_a_ratchet_is_lowered_to_what_is_stated(store: sqlite3.Connection, to: list[str], left: dict[str, str]) -> None:
    """Only the dimensions named, all of them where none is; what is unsigned has neither digest nor signers."""
    take(store)
    assert lower(store, "ann", vendor(approvals=1), ratchet=BY_PRODUCT, to=to)["after"] == left
    assert held(store, BY_PRODUCT) == left


@pytest.mark.parametrize(
    ("error", "more"),
    [
        (UsageError, {"to": ["strength=1"]}), (UsageError, {"to": ["signers"]}), (UsageError, {"to": ["signers=one"]}),
        (UsageError, {"to": ["signers=²"]}), (UsageError, {"to": ["digest=whirlpool"]}), (UsageError, {"to": ["scheme=A b"]}),
        (UsageError, {"to": ["signers=1", "signers=0"]}), (UsageError, {"to": "signers=1"}), (UsageError, {"reason": " "}),
        (UsageError, {"until": "2026-06-01"}), (DecisionRefusedError, {"to": ["signers=2"]}),
        (DecisionRefusedError, {"to": ["scheme=apk-v3.1"]}), (DecisionRefusedError, {"to": ["version=1.0"]}),
        (DecisionRefusedError, {"ratchet": "ratchet_x"}),
    ],
)  # fmt: skip
def test_what_is_not_lower_is_refused(store: sqlite3.Connection, error: type[Exception], more: dict[str, Any]) -> None:
    """A value that is none, is no lower, or is of a dimension without a mark is refused and leaves no trace."""
    take(store)
    before = audit.head(store).seq
    with pytest.raises(error):
        lower(store, "ann", **more)
    assert audit.head(store).seq == before


def test_a_vendor_that_is_not_configured_lowers_nothing(store: sqlite3.Connection) -> None:
    """Without its policy nobody can tell how many people are needed; another vendor's does not do."""
    take(store)
    with pytest.raises(DecisionRefusedError, match="no policy to decide by"):
        lower(store, "ann", vendor("other", approvals=1))


def test_what_was_seen_before_a_lowering_does_not_raise_it_again(store: sqlite3.Connection) -> None:
    """A stored package that is judged again undoes no decision; one that comes later raises the ratchet."""
    take(store)
    lower(store, "ann", vendor(approvals=1), at=AT + HOUR)
    assert take(store, at=AT + 2 * HOUR, first=AT) == ()
    assert held(store) == {}
    with pytest.raises(DecisionRefusedError, match="nothing to lower"):
        lower(store, "ann", vendor(approvals=1), at=AT + HOUR)
    assert take(store, 2, at=AT + 2 * HOUR, first=AT + HOUR)[-1] == BY_FILE
    assert held(store)["signers"] == "2"


def test_what_was_known_then_is_told_of_then(store: sqlite3.Connection) -> None:
    """As known at K only marks set by K count; about a past moment the version of that moment is handed over as well."""
    take(store, at=AT)
    take(store, 2, replace(STRONG, signers=3), AT + HOUR)
    lower(store, "ann", vendor(approvals=1), at=AT + 2 * HOUR)
    assert [held(store, known_at=AT + i * HOUR).get("signers") for i in (-1, 0, 1, 2)] == [None, "2", "3", None]
    names = [(FILE, PATTERN)]
    numbers = [[r.number for r in concerning(store, "dten", names, AT + i * HOUR)] for i in (-1, 0, 1, 2)]
    assert numbers == [[3], [3, 1], [3, 2], [3]]
    assert [r.number for r in concerning(store, "dten", names, AT + 2 * HOUR, AT + HOUR)] == [2]
    assert concerning(store, "dten", names, AT, AT - HOUR) == ()
    assert concerning(store, "other", names, AT + 2 * HOUR) == ()


def test_a_view_holds_the_ratchets_of_the_stated_vendor(store: sqlite3.Connection) -> None:
    """Those of the product and of the file's name, for this vendor; for no vendor, or for any, there are none."""
    take(store)
    view = query.trust_view(store, "dten", facts_of(7), None, at=AT, name="Tool-9.zip")
    assert {r.id for r in view.ratchets} == {BY_FILE, BY_PRODUCT}
    assert [r.id for r in query.trust_view(store, "dten", facts_of(7, None), None, at=AT, name=NAME).ratchets] == [
        BY_FILE
    ]
    for asked in ("other", "any", None):
        assert query.trust_view(store, asked, facts_of(7), None, at=AT, name=NAME).ratchets == ()


def test_only_a_lowering_has_packages_judged_again(store: sqlite3.Connection) -> None:
    """What raises a ratchet changes no answer given before; what lowers it concerns the vendor's packages."""
    start = audit.head(store).seq
    take(store)
    affected, newest = since(store, start)
    assert (affected.vendors, affected.packages, affected.everything, newest) == (
        frozenset(),
        frozenset(),
        False,
        audit.head(store).seq,
    )
    lower(store, "ann", vendor(approvals=1))
    assert since(store, newest)[0].vendors == {"dten"}


def test_a_bundle_carries_them(store: sqlite3.Connection, tmp_path: Path) -> None:
    """A machine that has only the bundle is held to the same marks, and the same store gives the same bytes."""
    take(store)
    database = tmp_path / "rootwarden.db"
    made = [sealed_bundle(store, database, (vendor(rollback="refuse"),), at=AT) for _ in range(2)]
    assert made[0] == made[1]
    key = bytes.fromhex(private_key(database).public)
    trust = BundledTrust(open_bundle(made[0], (key,), at=AT, least_revision=lambda _: 0))
    view = trust.view(facts_of(7), "dten", at=AT, known_at=None, name=NAME)
    stored = query.trust_view(store, "dten", facts_of(7), vendor(), at=AT, name=NAME)
    assert sorted(view.ratchets, key=lambda r: r.id) == sorted(stored.ratchets, key=lambda r: r.id)
    assert view.vendor is not None
    assert view.vendor.policy.rollback == "refuse"
    assert trust.view(facts_of(7), "other", at=AT, known_at=None, name=NAME).ratchets == ()


TAMPERINGS = {
    "a deleted row": "DELETE FROM ratchet_version",
    "an older version": "DELETE FROM ratchet_version WHERE version = 2",
    "lower marks": "UPDATE ratchet_version SET marks = '{}' WHERE version = 2",
    "a mark set by another package": "UPDATE ratchet_version SET marks = replace(marks, '0000', '1111')",
    "another product": "UPDATE ratchet_version SET name = 'other.zip'",
    "another vendor": "UPDATE ratchet_version SET vendor_id = 'other'",
    "a state put on": "UPDATE ratchet_version SET state = 'lowered'",
    "an end put off": "UPDATE ratchet_version SET lowered_at = '2027-01-01T00:00:00.000000Z'",
    "a link to another entry": "UPDATE ratchet_version SET audit_seq = audit_seq + 100",
    "a row of somebody's own": "INSERT INTO ratchet_version SELECT ratchet_id, 3, vendor_id, kind, name, '{}', 'lowered', NULL, 'x',"
    " recorded_at, recorded_at, audit_seq + 100 FROM ratchet_version WHERE version = 1",
    "marks that are none": "UPDATE ratchet_version SET marks = 'x'",
}  # fmt: skip


@pytest.mark.parametrize("how", sorted(TAMPERINGS))
def test_an_edited_table_is_noticed_wherever_it_is_read(store: sqlite3.Connection, how: str) -> None:
    """A row deleted, edited, moved or added by hand raises when a package of the product is asked about; it never loosens anything."""
    take(store)
    take(store, 2, replace(STRONG, signers=3, version="2"), AT + HOUR)
    for trigger in ("update", "delete"):
        store.execute(f"DROP TRIGGER ratchet_version_no_{trigger}")
    store.execute("PRAGMA foreign_keys = OFF")
    store.execute(TAMPERINGS[how])
    with pytest.raises(StoreInconsistentError):
        query.trust_view(store, "dten", facts_of(7), None, at=AT, name=NAME)
    with pytest.raises(StoreInconsistentError):
        audit.verify(store)


def test_every_lowering_alerts(store: sqlite3.Connection) -> None:
    """Each approval calls for an alert of its own, loud, that says what passes again."""
    take(store)
    drafts = [decision_notice(lower(store, who, to=["signers=1"]), who) for who in ("ann", "bob")]
    assert [(d.kind, d.reason, d.severity.value) for d in drafts if d] == [
        ("ratchet_lowered", "recorded", "high"), ("ratchet_lowered", "lowered", "high"),
    ]  # fmt: skip
    assert len({d.dedup_key for d in drafts if d}) == len(drafts)
    assert all("signers 2 -> 1" in draft.summary for draft in drafts if draft)


def test_the_commands_list_show_and_lower(run: Any, tmp_path: Path) -> None:
    """On the command line, with JSON, with text from outside escaped, and with exit codes for what is not there."""
    assert run("ratchet", "list")[:2] == (0, "")
    now = datetime.now(UTC) - HOUR
    with closing(connect(tmp_path / "rootwarden.db")) as connection:
        take(connection, shown=replace(STRONG, version="1\x1b[31m"), at=now)
    code, out, _ = run("ratchet", "list", "--vendor", "dten", "--json")
    listed = json.loads(out)
    assert (code, [(r["id"], r["kind"], r["marks"]["signers"]["value"]) for r in listed]) == (
        0, [(BY_FILE, "file", "2"), (BY_PRODUCT, "product", "2")],
    )  # fmt: skip
    assert json.loads(run("ratchet", "list", "--vendor", "other", "--json")[1]) == []
    text = run("ratchet", "list")[1]
    assert "\x1b" not in text
    assert "tool-#.zip: scheme apk-v3, digest sha512, signers 2" in text
    code, out, _ = run("ratchet", "lower", BY_FILE, "--to", "signers=1", "--reason", "one signer \x1b[31m", "--json")
    assert (code, json.loads(out)["outcome"]) == (0, "lowered")
    code, out, _ = run("ratchet", "show", BY_FILE)
    assert (code, "\x1b" in out, "lowered, last by ann (one signer \\u001b[31m)" in out) == (0, False, True)
    assert f"raised by package {1:064x}" in out
    shown = json.loads(run("ratchet", "show", BY_FILE, "--json")[1])
    assert (shown["marks"]["signers"]["value"], [v["state"] for v in shown["history"]]) == ("1", ["raised", "lowered"])
    assert run("ratchet", "show", "ratchet_x")[0] == 2
    assert run("ratchet", "lower", BY_FILE, "--reason", "x", "--to", "signers=7")[0] == 2
    assert run("ratchet", "lower", BY_FILE)[0] == 2


def test_a_check_is_held_to_the_ratchet(run: Any, tmp_path: Path) -> None:
    """`check` answers downgrade for a file of a product that was seen signed, and raises nothing itself."""
    with closing(connect(tmp_path / "rootwarden.db")) as connection:
        take(connection, at=datetime.now(UTC))
    package = tmp_path / "tool-1.3.zip"
    package.write_bytes(b"no package")
    code, out, _ = run("check", "--vendor", "dten", "--json", str(package))
    assert (code, json.loads(out)["reason"], json.loads(out)["also"]) == (3, "downgrade", ["unsupported_format"])
    assert f"rootwarden ratchet lower {BY_FILE} --to scheme=unsigned --reason TEXT" in json.loads(out)["advice"][-1]
    with closing(connect(tmp_path / "rootwarden.db")) as connection:
        assert [s.ratchet.number for s in of_every_product(connection)] == [1, 1]
