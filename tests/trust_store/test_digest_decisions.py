"""Who may block a package by its digest or let it pass for a while, what then counts, and that no edited row changes it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from monitor.set_alerts import decision_notice
from tests.trust_store.store_setup import AT, open_store, randomness, vendor
from tests.trust_store.test_anchor_commands import run
from trust_store import audit, query
from trust_store.decisions import perform
from trust_store.errors import DecisionRefusedError, StoreInconsistentError, UsageError
from trust_store.model.trust_view import LONGEST_ALLOWANCE
from trust_store.storage.digest_decisions import in_effect, of_every_package

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from trust_store.model.vendor import Vendor

__all__ = ["run"]
SHA = "5e" * 32
UNTIL = "2026-05-20"
END = datetime(2026, 5, 20, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """An empty store."""
    with closing(open_store(tmp_path)) as connection:
        yield connection


def decide(
    store: sqlite3.Connection, command: str, who: str, *vendors: Vendor, at: datetime = AT, **arguments: Any
) -> dict[str, Any]:
    """A decision as it comes over the socket."""
    return perform(
        store, command, arguments, identity=who, vendors=vendors or (vendor(),), at=at, randomness=randomness
    )


def block(store: sqlite3.Connection, who: str = "ann", vendor_id: str = "dten", **more: Any) -> dict[str, Any]:
    """One person's block of the package."""
    return decide(
        store,
        "package.block",
        who,
        vendor(),
        vendor("other"),
        package=SHA,
        vendor=vendor_id,
        reason="withdrawn",
        **more,
    )


def allow(store: sqlite3.Connection, who: str = "ann", until: str = UNTIL, **more: Any) -> dict[str, Any]:
    """One person's allowance of the package."""
    return decide(store, "package.allow", who, package=SHA, vendor="dten", reason="SEC-78", until=until, **more)


def effects(store: sqlite3.Connection, vendor_id: str | None = "dten", at: datetime = AT, **known: Any) -> list[str]:
    """What is in effect about the package."""
    return [decision.effect for decision in in_effect(store, SHA, vendor_id, at, **known)]


def test_one_person_blocks(store: sqlite3.Connection) -> None:
    """A block is in effect with the first approval, whatever the vendor's policy asks for keys."""
    before = query.store_revision(store)
    result = block(store)
    assert (result["outcome"], result["needed"], result["alert"]) == ("effective", 1, "digest_decision")
    assert effects(store) == ["block"]
    assert query.store_revision(store) > before
    audit.verify(store)


def test_a_package_passes_by_as_many_as_policy_asks(store: sqlite3.Connection) -> None:
    """The same command by another person adds his approval; nothing counts before the last one needed."""
    first = allow(store)
    assert (first["outcome"], first["state"], effects(store)) == ("recorded", "pending", [])
    assert query.store_revision(store) == 0
    with pytest.raises(DecisionRefusedError, match="ann has approved this already"):
        allow(store)
    second = allow(store, "bob", at=AT + timedelta(hours=1))
    assert (second["decision"], second["outcome"]) == (first["decision"], "effective")
    assert effects(store) == []  # not before it was complete
    assert effects(store, at=AT + timedelta(hours=1)) == ["allow"]
    assert effects(store, at=END - timedelta(microseconds=1)) == ["allow"]
    assert effects(store, at=END) == []
    audit.verify(store)


def test_another_end_is_another_decision(store: sqlite3.Connection) -> None:
    """An approval counts only for the very end that was named: two people who name two ends let nothing pass."""
    assert allow(store)["decision"] != allow(store, "bob", until="2026-05-21")["decision"]
    assert effects(store) == []
    assert allow(store, "bob", until="2026-05-20T00:00:00+00:00")["outcome"] == "effective"
    with pytest.raises(DecisionRefusedError, match="in effect"):
        allow(store, "cid")


def test_the_stricter_policy_of_then_and_now_counts(store: sqlite3.Connection) -> None:
    """An approval given while three were needed still needs three."""
    arguments: dict[str, Any] = {"package": SHA, "vendor": "dten", "reason": "SEC-78", "until": UNTIL}
    decide(store, "package.allow", "ann", vendor(approvals=3), **arguments)
    assert decide(store, "package.allow", "bob", vendor(approvals=2), **arguments)["needed"] == 3
    assert effects(store) == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"until": (AT + LONGEST_ALLOWANCE + timedelta(microseconds=1)).isoformat()},
        {"until": AT.isoformat()},
        {"until": "2026-05-03"},
        {"until": "2026-02-30"},
        {"until": "2026-05-20T00:00:00"},
        {"until": "soon"},
        {"until": 5},
        {"until": None},
        {"package": SHA[:-1]},
        {"package": "zz" * 32},
        {"reason": " "},
        {"reason": ""},
    ],
)
def test_an_allowance_is_for_one_digest_and_at_most_30_days(
    store: sqlite3.Connection, arguments: dict[str, Any]
) -> None:
    """An allowance that is longer, over already, without an end, a digest or a reason is a usage error and leaves no trace."""
    whole = {"package": SHA, "vendor": "dten", "reason": "SEC-78", "until": UNTIL} | arguments
    with pytest.raises(UsageError):
        decide(store, "package.allow", "ann", vendor(approvals=1), **whole)
    assert audit.head(store).seq == 0


def test_thirty_days_are_allowed(store: sqlite3.Connection) -> None:
    """Exactly thirty days pass, and one approval where policy says so in writing."""
    until = (AT + LONGEST_ALLOWANCE).isoformat()
    arguments: dict[str, Any] = {"package": SHA.upper(), "vendor": "dten", "reason": "SEC-78", "until": until}
    assert decide(store, "package.allow", "ann", vendor(approvals=1), **arguments)["outcome"] == "effective"
    assert effects(store) == ["allow"]


def test_a_vendor_that_is_not_configured_is_refused(store: sqlite3.Connection) -> None:
    """A typing error in the vendor's name must not look like a block."""
    with pytest.raises(DecisionRefusedError, match="not configured"):
        block(store, vendor_id="dtne")


def test_a_block_counts_for_its_vendor_and_wherever_none_is_asked_for(store: sqlite3.Connection) -> None:
    """Another vendor's decisions never count; where the vendor is any or unstated every block does and no allowance."""
    block(store, vendor_id="other")
    allow(store)
    allow(store, "bob")
    assert effects(store) == ["allow"]
    assert effects(store, "other") == ["block"]
    assert effects(store, "any") == ["block"]
    assert effects(store, None) == ["block"]
    assert in_effect(store, "00" * 32, "dten", AT) == ()


def test_a_block_comes_first_and_counts_for_earlier_moments(store: sqlite3.Connection) -> None:
    """A block speaks of the bytes: it stands before an allowance and is in effect for every moment before its end."""
    allow(store)
    allow(store, "bob")
    block(store, until="2026-05-10")
    assert effects(store) == ["block", "allow"]
    assert effects(store, at=AT - timedelta(days=365)) == ["block"]
    assert effects(store, at=datetime(2026, 5, 10, tzinfo=UTC)) == ["allow"]


def test_an_allowance_is_withdrawn_by_one_and_a_block_by_as_many_as_policy_asks(store: sqlite3.Connection) -> None:
    """Lowering trust takes one person, raising it the vendor's number, each person once."""
    blocked, allowed = block(store)["decision"], allow(store)["decision"]
    allow(store, "bob")
    assert decide(store, "package.withdraw", "cid", decision=allowed, reason="no")["outcome"] == "withdrawn"
    first = decide(store, "package.withdraw", "ann", decision=blocked)
    assert (first["outcome"], effects(store)) == ("recorded", ["block"])
    with pytest.raises(DecisionRefusedError, match="already"):
        decide(store, "package.withdraw", "ann", decision=blocked)
    assert decide(store, "package.withdraw", "bob", decision=blocked)["outcome"] == "withdrawn"
    assert effects(store) == []
    with pytest.raises(DecisionRefusedError, match="withdrawn already"):
        decide(store, "package.withdraw", "bob", decision=blocked)
    with pytest.raises(DecisionRefusedError, match="there is no decision"):
        decide(store, "package.withdraw", "bob", decision="decision_x")
    audit.verify(store)


def test_a_block_of_a_vendor_that_is_gone_stays(store: sqlite3.Connection) -> None:
    """Without the vendor's policy nobody can tell how many end its block; its allowance ends all the same."""
    blocked, allowed = block(store)["decision"], allow(store)["decision"]
    with pytest.raises(DecisionRefusedError, match="no policy to decide by"):
        decide(store, "package.withdraw", "ann", vendor("other"), decision=blocked)
    assert decide(store, "package.withdraw", "ann", vendor("other"), decision=allowed)["outcome"] == "withdrawn"


def test_what_was_withdrawn_can_be_decided_again(store: sqlite3.Connection) -> None:
    """A new decision about the same digest is a new one, with approvals of its own."""
    first = allow(store)["decision"]
    decide(store, "package.withdraw", "cid", decision=first)
    second = allow(store, "bob")
    assert (second["outcome"], second["approvals"], second["decision"] != first) == ("recorded", 1, True)


def test_what_was_known_then_is_told_of_then(store: sqlite3.Connection) -> None:
    """As known at K only what was recorded by K counts: neither later decisions nor later withdrawals."""
    blocked = block(store, at=AT + timedelta(hours=1))["decision"]
    for who in ("ann", "bob"):
        decide(store, "package.withdraw", who, decision=blocked, at=AT + timedelta(hours=2))
    assert effects(store, known_at=AT) == []
    assert effects(store, known_at=AT + timedelta(hours=1)) == ["block"]
    assert effects(store, known_at=AT + timedelta(hours=2)) == []


TAMPERINGS = {
    "a deleted block": "DELETE FROM digest_decision_version",
    "an older version": "DELETE FROM digest_decision_version WHERE version = 2",
    "an effect turned round": "UPDATE digest_decision_version SET effect = 'allow', effective_until = '2027-01-01T00:00:00.000000Z'",
    "another digest": "UPDATE digest_decision_version SET package_sha256 = '00'",
    "another vendor": "UPDATE digest_decision_version SET vendor_id = 'other'",
    "an earlier end": "UPDATE digest_decision_version SET effective_until = '2026-01-01T00:00:00.000000Z'",
    "a state put back": "UPDATE digest_decision_version SET state = 'pending'",
    "a link to another entry": "UPDATE digest_decision_version SET audit_seq = audit_seq + 100",
    "a row of somebody's own": "INSERT INTO digest_decision_version SELECT 'decision_z', 1, package_sha256, vendor_id, effect, reason,"
    " state, proposed_by, effective_from, effective_until, recorded_at, 99 FROM digest_decision_version WHERE version = 1",
    "a digest that was never decided about": "INSERT INTO digest_decision_version SELECT 'decision_z', 1, '" + "77" * 32 + "', vendor_id,"
    " effect, reason, state, proposed_by, effective_from, effective_until, recorded_at, 99 FROM digest_decision_version WHERE version = 1",
}  # fmt: skip


@pytest.mark.parametrize("how", sorted(TAMPERINGS))
def test_an_edited_table_is_noticed_wherever_it_is_read(store: sqlite3.Connection, how: str) -> None:
    """A row deleted, edited, moved or added by hand raises when the package is asked about; it never unblocks or allows one."""
    block(store)
    for trigger in ("update", "delete"):
        store.execute(f"DROP TRIGGER digest_decision_version_no_{trigger}")
    store.execute("PRAGMA foreign_keys = OFF")
    store.execute(TAMPERINGS[how])
    asked = "77" * 32 if how == "a digest that was never decided about" else SHA
    with pytest.raises(StoreInconsistentError):
        in_effect(store, asked, "dten", AT)
    with pytest.raises(StoreInconsistentError):
        audit.verify(store)


def test_every_decision_is_listed_in_its_current_version(store: sqlite3.Connection) -> None:
    """The list has each decision once, the newest first, of one vendor or of all."""
    block(store, vendor_id="other")
    allow(store)
    allow(store, "bob")
    assert [(s.decision.effect, s.state, s.version) for s in of_every_package(store)] == [
        ("allow", "effective", 2), ("block", "effective", 2),
    ]  # fmt: skip
    assert [s.decision.vendor_id for s in of_every_package(store, "other")] == ["other"]


def test_every_digest_decision_alerts(store: sqlite3.Connection) -> None:
    """Blocking, letting pass, proposing and withdrawing each call for an alert; what raises trust is told louder."""
    results = [allow(store), allow(store, "bob"), block(store)]
    results += [decide(store, "package.withdraw", who, decision=results[2]["decision"]) for who in ("ann", "bob")]
    drafts = [decision_notice(result, "ann") for result in results]
    assert [(d.kind, d.reason, d.severity.value) for d in drafts if d] == [
        ("digest_decision", "recorded", "high"), ("digest_decision", "effective", "high"),
        ("digest_decision", "effective", "medium"), ("digest_decision", "recorded", "high"),
        ("digest_decision", "withdrawn", "high"),
    ]  # fmt: skip
    assert len({d.dedup_key for d in drafts if d}) == len(results)
    assert all(SHA[:12] in draft.summary for draft in drafts if draft)


def test_the_commands_decide_and_list(run: Any) -> None:
    """Block, allow, decisions and withdraw on the command line, with JSON and with the reason escaped."""
    assert run("package", "decisions")[:2] == (0, "")
    until = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    code, out, _ = run("package", "block", SHA, "--vendor", "dten", "--reason", "bad \x1b[31m", "--json")
    blocked = json.loads(out)
    assert (code, blocked["outcome"]) == (0, "effective")
    code, out, _ = run("package", "allow", SHA, "--vendor", "dten", "--reason", "SEC-78", "--until", until)
    assert (code, "it is in effect" in out) == (0, True)
    listed = json.loads(run("package", "decisions", "--vendor", "dten", "--json")[1])
    assert [(d["effect"], d["in_effect"], d["package"]) for d in listed] == [("allow", True, SHA), ("block", True, SHA)]
    text = run("package", "decisions")[1]
    assert "\x1b" not in text
    assert "for good: bad \\u001b[31m" in text
    code, out, _ = run("package", "withdraw", blocked["decision"], "--reason", "confirmed")
    assert (code, "it counts no more" in out) == (0, True)
    assert run("package", "block", SHA[:10], "--vendor", "dten", "--reason", "x")[0] == 2
    assert run("package", "allow", SHA, "--vendor", "dten", "--reason", "x")[0] == 2
    assert run("package", "block", SHA, "--vendor", "nobody", "--reason", "x")[0] == 2
