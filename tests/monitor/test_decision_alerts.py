"""Everybody hears of emergencies at once, and of what was decided while no daemon ran as soon as one does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from escalation.model import Severity
from monitor.missed_decisions import MAX_LINES
from monitor.retention import lapse
from tests.monitor.test_intake import DTEN, InProcess, Place1, place
from tests.simulator.vendor_pki import vendor_bundle
from trust_store import decisions, query
from trust_store.errors import DecisionRefusedError
from trust_store.model.trust_anchor import AnchorState
from trust_store.settings import Approvers
from trust_store.storage.connection import transaction

if TYPE_CHECKING:
    import sqlite3

__all__ = ["place"]  # a fixture


async def alone(place: Place1, command: str, who: str = "bob", **arguments: Any) -> dict[str, Any]:
    """A decision that nobody is told of, as a command makes it where no daemon runs."""

    def perform(connection: sqlite3.Connection) -> dict[str, Any]:
        return decisions.perform(
            connection,
            command,
            arguments,
            identity=who,
            vendors=(DTEN,),
            at=place.clock.at,
            randomness=place.randomness,
        )

    return await place.storage.run(perform)


async def start(place: Place1) -> list[Any]:
    """A daemon starts; the alerts about missed decisions there are then."""

    def begin(connection: sqlite3.Connection) -> None:
        with transaction(connection):
            place.alerting.report_missed(connection)
            place.alerting.record_configuration(connection)

    await place.storage.run(begin)
    return await place.alerts(kind="missed_decisions")


async def test_broken_glass_is_told_each_time(place: Place1) -> None:
    """Both approvals in an emergency are critical alerts, committed with the approval; neither shows the pending key."""
    anchor = await place.propose_root()
    await alone(place, "anchor.constrain", anchor=anchor, dedicated=True)
    said = {"fingerprint_read": place.pki.root_sha256, "break_glass": True, "reason": "plant down"}
    assert (await place.decide("anchor.approve", anchor=anchor, **said))["outcome"] == "recorded"
    (first,) = await place.alerts(kind="break_glass")
    assert (first.severity, first.reason) == (Severity.CRITICAL, "recorded")
    assert place.pki.root_sha256[:8] not in f"{first.title}{first.summary}"
    await place.storage.run(
        lambda c: decisions.perform(
            c, "anchor.approve", {"anchor": anchor, **said}, identity="bob", vendors=(DTEN,), at=place.clock.at,
            randomness=place.randomness, within=lambda c, result: place.alerting.report_decision(c, result, "bob"),
        )
    )  # fmt: skip
    assert sorted(a.reason for a in await place.alerts(kind="break_glass")) == ["recorded", "valid"]


async def test_decisions_without_a_daemon_are_told_at_the_next_start_once(place: Place1) -> None:
    """What people decided alone is one alert that names them; what the system did is not, and nothing is told twice."""
    anchor = await place.propose_root()
    assert await start(place) == []
    await alone(place, "anchor.constrain", anchor=anchor, dedicated=True)
    await alone(place, "anchor.reject", "eve", anchor=anchor, because="unconfirmed")
    (told,) = await start(place)
    assert told.title.startswith("2 decision(s)")
    assert (told.severity, [line.split()[2] for line in told.lines]) == (Severity.MEDIUM, ["bob:", "eve:"])
    assert len(await start(place)) == 1


async def test_what_a_daemon_told_is_not_told_again(place: Place1) -> None:
    """A decision over the socket moves the mark in its own transaction, a refused reading as well."""
    await start(place)
    anchor = await place.propose_root()
    await place.decide("anchor.constrain", anchor=anchor, dedicated=True)
    with pytest.raises(DecisionRefusedError):
        await place.approve(anchor, "00" * 32)
    assert await start(place) == []


@pytest.mark.parametrize("mismatch", [True, False])
async def test_missed_emergencies_and_mismatches_are_urgent(place: Place1, *, mismatch: bool) -> None:
    """An emergency or a wrong fingerprint that nobody was told of is a critical alert at the next start."""
    anchor = await place.propose_root()
    await alone(place, "anchor.constrain", anchor=anchor, dedicated=True)
    if mismatch:
        with pytest.raises(DecisionRefusedError):
            await alone(
                place, "anchor.approve", anchor=anchor, fingerprint_read="00" * 32, break_glass=True, reason="r"
            )
    else:
        read = place.pki.root_sha256
        await alone(place, "anchor.approve", anchor=anchor, fingerprint_read=read, break_glass=True, reason="r")
    (told,) = await start(place)
    assert (told.severity, told.reason) == (Severity.CRITICAL, "urgent")


async def test_many_missed_decisions_are_counted(place: Place1) -> None:
    """However many there were the alert has a bounded number of lines and says how many more there are."""
    anchor = await place.propose_root()
    for number in range(MAX_LINES + 5):
        await alone(place, "anchor.constrain", anchor=anchor, products=[f"p{number}"])
    (told,) = await start(place)
    assert (len(told.lines), told.lines[-1]) == (MAX_LINES + 1, "and 5 more")


async def test_a_changed_list_of_approvers_is_told(place: Place1) -> None:
    """Somebody new among the approvers is a high alert that says that it is not in effect."""
    await start(place)
    trust = replace(place.settings.trust, approvers=Approvers((("uid:1", "ann"),)))
    for people in ((("uid:1", "ann"),), (("uid:1", "ann"), ("uid:2", "eve"))):
        trust = replace(trust, approvers=Approvers(people))
        alerting = replace(place.alerting, settings=replace(place.settings, trust=trust))

        def load(connection: sqlite3.Connection, alerting: Any = alerting) -> None:
            with transaction(connection):
                alerting.record_configuration(connection)

        await place.storage.run(load)
    told = [a for a in await place.alerts(kind="policy_changed") if a.severity is Severity.HIGH]
    assert len(told) == 1
    assert told[0].title.startswith("[approvers]")
    assert "takes effect when approved" in told[0].summary


async def test_proposals_lapse_by_their_vendors_time(place: Place1) -> None:
    """The job closes what nobody decided in the days of the vendor's policy, and nothing younger."""
    anchor = await place.propose_root()

    async def after(days: int) -> tuple[str, ...]:
        at = place.clock.at + timedelta(days=days)
        return await place.storage.run(lambda c: lapse(c, (DTEN,), at))

    assert [await after(89), await after(90), await after(91)] == [(), (anchor,), ()]


async def test_the_first_package_narrows_the_proposal(place: Place1) -> None:
    """A package under a pending root proposes its signer's subject, its format and the vendor's patterns that fit its name."""
    vendors = (replace(DTEN, package_patterns=("Full-*.zip", "camera-*")),)
    place.alerting = replace(
        place.alerting, settings=replace(place.settings, trust=replace(place.settings.trust, vendors=vendors))
    )
    place.intake = type(place.intake)(place.alerting, place.storage, InProcess(), now=place.clock)
    anchor = await place.propose_root()
    (place.incoming / "dten/Full-1.zip").write_bytes(vendor_bundle(place.pki, {"f": b"x"}))
    await place.settled()
    found = await place.storage.run(lambda c: query.anchor(c, anchor))
    assert found is not None
    assert found.state is AnchorState.PENDING
    assert (found.constraints.formats, found.constraints.products) == (("vendor-bundle",), ("Full-*.zip",))
    assert (found.constraints.purposes, found.signer_rule.dedicated) == (("code",), False)
    assert found.signer_rule.subject
