"""Which verdict alerts and how: rules, deduplication, triage and the two decisions about an alert."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from escalation.decisions import perform
from escalation.deduplication import notice_key, verdict_key
from escalation.errors import AlertNotFoundError, EscalationError
from escalation.model import AlertStatus, CallPurpose, DeliveryState, Severity
from escalation.rules import RULES, decide, notice
from escalation.storage.rows import (
    alert,
    alerts,
    deliveries,
    message_from_json,
    message_to_json,
    script,
)
from escalation.triage import raise_alert, resolve_for_package
from tests.escalation.conftest import AT, PACKAGE_SHA256, make_context, make_verdict
from tests.escalation.desk import HOSTILE
from trust_store.errors import DecisionRefusedError
from trust_store.model.verdict import Reason
from trust_store.storage.connection import transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable


@pytest.fixture
def raised(store: sqlite3.Connection, randomness: Callable[[int], bytes]) -> Callable[..., str]:
    """Raises the alert of a verdict for two channels."""

    def raise_it(
        reason: Reason = Reason.UNKNOWN_ROOT, *, vendor: str | None = "dten", later: int = 0, **changes: Any
    ) -> str:
        context = make_context(verdict=make_verdict(reason, vendor=vendor), **changes)
        at = AT + timedelta(seconds=later)
        return raise_alert(store, decide(context), channels=("slack", "smtp"), at=at, randomness=randomness)

    return raise_it


def test_every_reason_has_a_rule() -> None:
    """Each reason other than trusted alerts with a severity of its own."""
    assert set(RULES) == set(Reason) - {Reason.TRUSTED}


@pytest.mark.parametrize(
    ("reason", "severity"),
    [
        (Reason.UNKNOWN_ROOT, Severity.HIGH), (Reason.DISTRUSTED, Severity.CRITICAL), (Reason.COMPROMISED, Severity.CRITICAL),
        (Reason.UNCOVERED_CONTENT, Severity.CRITICAL), (Reason.INVALID_SIGNATURE, Severity.CRITICAL),
        (Reason.UNSIGNED, Severity.MEDIUM), (Reason.VENDOR_UNSTATED, Severity.MEDIUM),
    ],
)  # fmt: skip
def test_severity_follows_the_reason(reason: Reason, severity: Severity) -> None:
    """Evidence of attack is critical, an unknown root high, a missing statement medium."""
    assert decide(make_context(reason)).severity is severity


def test_packages_inside_are_told_and_may_be_the_worst() -> None:
    """An unsigned archive with a tampered package inside, at whatever depth, is critical; one with a good package is not."""
    good, bad = (
        replace(make_verdict(reason), path=f"{reason}.bin") for reason in (Reason.TRUSTED, Reason.INVALID_SIGNATURE)
    )
    plain = replace(make_verdict(Reason.UNSIGNED), members=(good,))
    told = decide(make_context(verdict=plain))
    assert (told.severity, "inside: trusted.bin: passed" in "".join(told.lines)) == (Severity.MEDIUM, True)
    told = decide(make_context(verdict=replace(plain, members=(good, replace(plain, members=(bad,))))))
    assert told.severity is Severity.CRITICAL
    assert "package inside: the signature does not match" in told.title
    first = next(line for line in told.lines if line.startswith("inside"))
    assert first.startswith("inside: invalid_signature.bin: failed")


def test_what_the_call_is_about() -> None:
    """A fitting proposal is to be confirmed; without one the key has to be obtained first."""
    assert decide(make_context()).purpose is CallPurpose.CONFIRM_KEY
    assert decide(make_context(proposals=())).purpose is CallPurpose.OBTAIN_KEY
    assert decide(make_context(Reason.DISTRUSTED)).purpose is CallPurpose.REPORT_ATTACK


def test_a_reason_without_a_rule_still_alerts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gap in the table is no silence."""
    monkeypatch.delitem(RULES, Reason.EXPIRED)
    assert decide(make_context(Reason.EXPIRED)).severity is Severity.HIGH


def test_the_key_is_vendor_package_and_reason() -> None:
    """Another vendor, package or reason is another alert; without a digest the path stands in."""
    verdict = make_verdict()
    others = [
        verdict,
        make_verdict(Reason.EXPIRED),
        make_verdict(vendor="other"),
        make_verdict(vendor=None),
        replace(verdict, sha256="00" * 32),
        replace(verdict, sha256=None),
        replace(verdict, sha256=None, path="/other"),
    ]
    assert len({verdict_key(v, "") for v in others}) == len(others)
    assert notice_key("a", None, "b\nc") != notice_key("a", "b", "c")


def test_one_alert_with_its_script_and_a_row_for_each_channel(
    store: sqlite3.Connection, raised: Callable[..., str]
) -> None:
    """Alert, sheet, script and outbox rows are written together."""
    alert_id = raised()
    found = alert(store, alert_id)
    assert (found.status, found.severity, found.vendor_id) == (AlertStatus.OPEN, Severity.HIGH, "dten")
    made = script(store, alert_id)
    assert made is not None
    assert made.script.startswith("#!/bin/sh\n")
    rows = deliveries(store, alert_id)
    assert [(d.channel, d.state) for d in rows] == [("slack", DeliveryState.QUEUED), ("smtp", DeliveryState.QUEUED)]
    assert rows[0].message.sheet == made.sheet


def test_nothing_is_left_of_a_transaction_that_failed(store: sqlite3.Connection, raised: Callable[..., str]) -> None:
    """The alert lives and dies with the facts of the caller's transaction."""

    def fail() -> None:
        with transaction(store):
            raised()
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - the one raised above
        fail()
    assert alerts(store) == ()
    assert store.execute("SELECT count(*) FROM delivery").fetchone()[0] == 0


def test_the_same_alert_is_counted_not_repeated(store: sqlite3.Connection, raised: Callable[..., str]) -> None:
    """While it is open or acknowledged nothing is sent again; its sheet is brought up to date."""
    first = raised(evidence=())
    before = script(store, first)
    perform(store, "alert.acknowledge", {"alert": first}, identity="ada", at=AT, randomness=bytes)
    assert raised(later=60) == first
    found = alert(store, first)
    assert (found.repeat_count, found.status) == (1, AlertStatus.ACKNOWLEDGED)
    assert found.updated_at == AT + timedelta(seconds=60)
    assert len(deliveries(store, first)) == 2
    assert script(store, first) != before


def test_a_key_that_turns_up_later_is_told_once(store: sqlite3.Connection, raised: Callable[..., str]) -> None:
    """First no key to confirm, then one: a single update goes out, with the script that can settle it."""
    first = raised(proposals=(), evidence=())
    for later in (1, 2, 3):
        assert raised(later=later) == first
    rows = deliveries(store, first)
    assert [d.message.title.startswith("Update: ") for d in rows] == [False, False, True, True]
    assert "anchor approve" in rows[-1].message.script
    assert raised(proposals=(), later=4) == first
    assert len(deliveries(store, first)) == 4


def test_after_resolution_it_is_a_new_alert(store: sqlite3.Connection, raised: Callable[..., str]) -> None:
    """A resolved matter that comes back is told again."""
    first = raised()
    assert resolve_for_package(store, PACKAGE_SHA256, "dten", "anchor approved", AT) == 1
    assert resolve_for_package(store, PACKAGE_SHA256, "dten", "anchor approved", AT) == 0
    second = raised()
    assert second != first
    assert alert(store, first).resolution == "anchor approved"


def test_a_new_reason_supersedes_the_old_alert_of_that_vendor_only(
    store: sqlite3.Connection, raised: Callable[..., str]
) -> None:
    """unknown_root that became distrusted is one open alert; the same bytes under another vendor stay their own matter."""
    first, other, nobody = raised(), raised(vendor="other"), raised(vendor=None)
    second = raised(Reason.DISTRUSTED, later=1)
    assert alert(store, first).resolution == f"superseded by {second}"
    assert {a.id for a in alerts(store)} == {second, other, nobody}
    assert resolve_for_package(store, PACKAGE_SHA256, None, "done", AT) == 1
    assert alert(store, nobody).status is AlertStatus.RESOLVED
    assert [a.id for a in alerts(store, status=AlertStatus.ACKNOWLEDGED)] == []


def test_a_notice_has_a_sheet_and_no_script(store: sqlite3.Connection, randomness: Callable[[int], bytes]) -> None:
    """An alert that is not about a verdict is delivered as well."""
    draft = notice(
        "source_stale", "stale", Severity.LOW, "Feed unread", subject="s1", lines=["since noon"], vendor_id="dten"
    )
    alert_id = raise_alert(store, draft, channels=("smtp", "smtp"), at=AT, randomness=randomness)
    made = script(store, alert_id)
    assert made is not None
    assert (made.script, "since noon" in made.sheet) == ("", True)
    assert len(deliveries(store, alert_id)) == 1


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_names_reach_the_store_as_one_visible_line(
    store: sqlite3.Connection, randomness: Callable[[int], bytes], value: str
) -> None:
    """Whatever a package is called, the alert is stored, on one line, without control characters."""
    verdict = replace(make_verdict(name=value), sha256=None, path=value, summary=value, advice=(value,))
    alert_id = raise_alert(
        store, decide(make_context(verdict=verdict, vendor=None)), channels=("smtp",), at=AT, randomness=randomness
    )
    found = alert(store, alert_id)
    assert found.title.isprintable()
    assert found.summary.isprintable()


def test_an_alert_is_acknowledged_and_resolved_by_name(store: sqlite3.Connection, raised: Callable[..., str]) -> None:
    """Who did it is recorded from the proven identity."""
    alert_id = raised()
    done = perform(store, "alert.acknowledge", {"alert": alert_id}, identity="ada", at=AT, randomness=bytes)
    assert done == {"alert": alert_id, "status": "acknowledged", "by": "ada"}
    assert alert(store, alert_id).acknowledged_by == "ada"
    perform(
        store,
        "alert.resolve",
        {"alert": alert_id, "because": "case 1\nclosed"},
        identity="bob",
        at=AT,
        randomness=bytes,
    )
    assert alert(store, alert_id).resolution == "bob: case 1\\u000aclosed"


@pytest.mark.parametrize(
    ("command", "arguments", "identity"),
    [
        ("alert.burn", {"alert": "ID"}, "ada"),
        ("alert.resolve", {"alert": "ID"}, "ada"),
        ("alert.resolve", {"alert": "ID", "because": "  "}, "ada"),
        ("alert.resolve", {"alert": "ID", "because": 7}, "ada"),
        ("alert.acknowledge", {"alert": "ID"}, ""),
        ("alert.acknowledge", {}, "ada"),
        ("alert.acknowledge", {"alert": "ID", "identity": "root"}, "ada"),
    ],
)
def test_decisions_are_refused(
    command: str, arguments: dict[str, Any], identity: str, store: sqlite3.Connection, raised: Callable[..., str]
) -> None:
    """An unknown command or argument, a missing reason or an unknown person changes nothing."""
    alert_id = raised()
    given = {k: alert_id if v == "ID" else v for k, v in arguments.items()}
    with pytest.raises(DecisionRefusedError):
        perform(store, command, given, identity=identity, at=AT, randomness=bytes)
    assert alert(store, alert_id).status is AlertStatus.OPEN


def test_a_resolved_alert_stays_resolved_and_an_unknown_one_is_named(
    store: sqlite3.Connection, raised: Callable[..., str]
) -> None:
    """Twice is refused; an id that does not exist is an error of usage."""
    alert_id = raised()
    perform(store, "alert.resolve", {"alert": alert_id, "because": "x"}, identity="a", at=AT, randomness=bytes)
    with pytest.raises(DecisionRefusedError, match="resolved already"):
        perform(store, "alert.acknowledge", {"alert": alert_id}, identity="a", at=AT, randomness=bytes)
    with pytest.raises(AlertNotFoundError):
        alert(store, "alert_x")
    assert script(store, "alert_x") is None


def test_a_message_survives_its_way_through_the_outbox(store: sqlite3.Connection, raised: Callable[..., str]) -> None:
    """JSON and back gives the same message; anything else is an error of ours."""
    message = deliveries(store, raised())[0].message
    assert message_from_json(message_to_json(message)) == message
    for text in ("", "[]", "{}", "null", '{"severity": "x"}', "[" * 100_000):
        with pytest.raises(EscalationError):
            message_from_json(text)
