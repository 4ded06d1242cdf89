"""What may be an attack is told each time: a reading that differs, an emergency, a weakening, however much it is like an earlier one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from escalation.model import AlertStatus, Severity
from escalation.storage.rows import deliveries
from tests.monitor.test_intake import DTEN, Place1, place
from trust_store import decisions
from trust_store.errors import DecisionRefusedError
from trust_store.model.vendor import Contact
from trust_store.settings import Approvers
from trust_store.storage.connection import transaction

if TYPE_CHECKING:
    from trust_store.model.vendor import Vendor

__all__ = ["place"]  # a fixture
STRICT = replace(DTEN, policy=replace(DTEN.policy, approvals=2))
PEOPLE = Approvers((("uid:1", "ann"), ("uid:2", "bob")))


async def load(place: Place1, *vendors: Vendor, approvers: Approvers = PEOPLE) -> None:
    """The daemon starts with these files."""
    trust = replace(place.settings.trust, vendors=vendors, approvers=approvers)
    place.settings = replace(place.settings, trust=trust)
    place.alerting = replace(place.alerting, settings=place.settings)

    def record(connection: Any) -> None:
        with transaction(connection):
            place.alerting.record_configuration(connection)

    await place.storage.run(record)


async def by(place: Place1, person: str, command: str, **arguments: Any) -> None:
    """One decision over the socket; refused readings stay on record."""

    def perform(connection: Any) -> None:
        decisions.perform(
            connection, command, arguments, identity=person, vendors=place.settings.trust.vendors, at=place.clock.at,
            randomness=place.randomness, within=lambda c, result: place.alerting.report_decision(c, result, person),
        )  # fmt: skip

    try:
        await place.storage.run(perform)
    except DecisionRefusedError as error:
        if error.kind not in ("mismatch", "incomplete"):
            raise


async def sent(place: Place1, *alerts: Any) -> int:
    """How many messages were queued for them."""
    found = [await place.storage.run(lambda c, a=a: deliveries(c, a.id)) for a in alerts]  # type: ignore[misc]
    return sum(len(rows) for rows in found)


async def test_a_wrong_fingerprint_is_critical_though_somebody_mistyped_before(place: Place1) -> None:
    """A part that one person typed hides no whole value that another, or the same person, typed wrong: each is told at once."""
    anchor = await place.propose_root()
    call = {"anchor": anchor, "spoke_with": "Pat", "called": "Desk", "ticket": "T"}
    await by(place, "ann", "anchor.approve", fingerprint_read="ab" * 12, **call)
    for person in ("ann", "bob"):
        await by(place, person, "anchor.approve", fingerprint_read="00" * 32, **call)
    found = await place.alerts(kind="fingerprint_mismatch")
    assert sorted(a.severity for a in found) == [Severity.CRITICAL, Severity.CRITICAL, Severity.MEDIUM]
    assert await sent(place, *found) == 3


async def test_every_emergency_is_told_with_its_reason(place: Place1) -> None:
    """The first of two for other rules tells as much as any: who, and why; control characters are visible and the text is bounded."""
    anchor = await place.propose_root()
    await by(place, "dan", "anchor.constrain", anchor=anchor, dedicated=True)
    said = {"anchor": anchor, "fingerprint_read": place.pki.root_sha256, "break_glass": True}
    await by(place, "bob", "anchor.approve", reason="plant\x1b[2J down", **said)
    await by(place, "ann", "anchor.constrain", anchor=anchor, products=["*.zip"])
    await by(place, "carol", "anchor.approve", reason="plant again" + " and again" * 90, **said)
    found = sorted(await place.alerts(kind="break_glass"), key=lambda a: a.title)
    assert [(a.title.split(" ")[1], a.reason, a.repeat_count) for a in found] == [
        ("bob", "recorded", 0),
        ("carol", "recorded", 0),
    ]
    assert "plant\\u001b[2J down" in found[0].summary
    assert "plant again and again" in found[1].summary
    assert "'rootwarden anchor reject' ends it" in found[1].summary
    assert await sent(place, *found) == 2


async def test_the_reason_given_does_not_tell_the_key(place: Place1) -> None:
    """Whoever writes the fingerprint into the reason has it withheld: the next person must have it read out."""
    anchor = await place.propose_root()
    await by(place, "dan", "anchor.constrain", anchor=anchor, dedicated=True)
    read = place.pki.root_sha256
    await by(
        place, "bob", "anchor.approve", anchor=anchor, fingerprint_read=read, break_glass=True, reason=f"it is {read}"
    )
    (alert,) = await place.alerts(kind="break_glass")
    assert read[:8] not in alert.summary


async def test_the_same_weakening_made_again_is_told_again(place: Place1) -> None:
    """Two to one, approved, back, and two to one once more: each step is told, what was approved or taken back is open no more."""
    await load(place, STRICT)
    await load(place, DTEN)
    (first,) = await place.alerts(kind="policy_changed")
    assert (first.severity, "rootwarden anchor approve-policy dten" in first.summary) == (Severity.HIGH, True)
    for person in ("ann", "bob"):
        await by(place, person, "policy.approve", vendor="dten")
    (approved,) = await place.alerts(kind="policy_changed")
    assert (approved.status, "approved" in str(approved.resolution)) == (AlertStatus.RESOLVED, True)
    await load(place, STRICT)
    await load(place, DTEN)
    found = await place.alerts(kind="policy_changed")
    weakened = [a for a in found if a.severity is Severity.HIGH]
    assert sorted(a.status for a in weakened) == [AlertStatus.OPEN, AlertStatus.RESOLVED]
    assert await sent(place, *found) == 3
    await load(place, STRICT)
    assert [a.reason for a in await place.alerts(kind="policy_changed", status=AlertStatus.OPEN)] == ["changed"]


async def test_a_change_at_the_end_of_a_long_list_is_told(place: Place1) -> None:
    """Two lists of contacts that begin alike are two matters, and the alert names what came and what went."""
    many = tuple(Contact(f"Desk {n:03} of the vendor's support", phone=f"+1 555 {n:04}") for n in range(40))
    await load(place, replace(DTEN, contacts=many))
    for name in ("Zed the first", "Zed the second"):
        await load(place, replace(DTEN, contacts=(*many, Contact(name, phone=f"+9 {len(name)}"))))
    first, second = sorted(await place.alerts(kind="policy_changed"), key=lambda a: a.summary)
    assert ("Zed the first" in first.summary, "Zed the second" in second.summary) == (True, True)
    assert (first.status, second.status) == (AlertStatus.RESOLVED, AlertStatus.OPEN)
    assert await sent(place, first, second) == 2


async def test_a_list_of_approvers_that_was_approved_asks_nothing_more(place: Place1) -> None:
    """The alert about somebody new names the command, and ends with the last approval, or when he is taken out again."""
    people = (("uid:1", "ann"),)
    await load(place, DTEN, approvers=Approvers(people))
    await load(place, DTEN, approvers=Approvers((*people, ("uid:2", "eve"))))
    (alert,) = await place.alerts(kind="policy_changed", status=AlertStatus.OPEN)
    assert ("approve-policy --approvers" in alert.summary, "added: uid:2 = eve" in alert.summary) == (True, True)
    await by(place, "ann", "approvers.approve")
    assert await place.alerts(kind="policy_changed", status=AlertStatus.OPEN) == []
    await load(place, DTEN, approvers=Approvers((*people, ("uid:2", "eve"), ("uid:3", "mal"))))
    await load(place, DTEN, approvers=Approvers((*people, ("uid:2", "eve"))))
    assert [a.reason for a in await place.alerts(kind="policy_changed", status=AlertStatus.OPEN)] == ["changed"]


@pytest.mark.parametrize("gone", [True, False])
async def test_what_waits_beside_a_change_taken_back_stays_open(place: Place1, *, gone: bool) -> None:
    """Of two weakenings one is taken back: the other is still asked about, until the file itself is gone."""
    await load(place, STRICT)
    await load(place, replace(DTEN, policy=replace(DTEN.policy, mode="observe")))
    await load(place, replace(STRICT, policy=replace(STRICT.policy, mode="observe")))
    open_ones = await place.alerts(kind="policy_changed", status=AlertStatus.OPEN, reason="weakened")
    assert [a.title.split(": ")[1] for a in open_ones] == ["policy.mode changed in the configuration"]
    if gone:
        await load(place)
        assert await place.alerts(kind="policy_changed", status=AlertStatus.OPEN, reason="weakened") == []
