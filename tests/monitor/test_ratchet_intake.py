"""Ratchets in the running program: raised by what passes in the incoming folder, told when something shows less, lowered by people."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from escalation.model import AlertStatus
from monitor.places import Place
from tests.monitor.test_alerts_of_askers import ASKER, firmware, read
from tests.monitor.test_intake import Place1, place
from tests.simulator.vendor_pki import vendor_bundle
from tests.trust_store.package_craft import archive
from trust_store.model.package_facts import Product
from trust_store.model.ratchet import FILE, ratchet_id
from trust_store.model.verdict import Outcome, Reason
from trust_store.storage.ratchets import of_every_product

if TYPE_CHECKING:
    from trust_store.model.package_facts import PackageFacts
    from trust_store.model.verdict import Verdict

__all__ = ["place"]
RATCHET = ratchet_id("dten", FILE, "upgrade-#.zip")


async def trusted(place: Place1) -> None:
    """The vendor's root is valid."""
    anchor = await place.propose_root()
    await place.decide("anchor.constrain", anchor=anchor, dedicated=True)
    await place.approve(anchor, place.pki.root_sha256)


async def arrives(place: Place1, name: str, data: bytes, folder: str = "dten") -> Verdict:
    """A package is dropped into a folder and examined, with no signature to wait for."""
    (place.incoming / folder / name).write_bytes(data)
    verdict = (await place.settled()).get(f"{folder}/{name}")
    if verdict is None:
        place.clock.move(60)
        taken, _, _ = await place.intake.rescan()
        verdict = next(t.verdict for t in taken if t.path == f"{folder}/{name}")
    assert verdict is not None
    return verdict


async def ratchets(place: Place1) -> dict[str, dict[str, str]]:
    """What every product is held to."""
    found = await place.storage.run(of_every_product)
    return {
        s.ratchet.name: {
            d: m.value for d in ("scheme", "digest", "signers", "version") if (m := s.ratchet.mark(d)) is not None
        }
        for s in found
    }


async def test_unsigned_after_signed_is_a_downgrade_until_people_lower_the_ratchet(place: Place1) -> None:
    """A signed package passes; one of the same name without a signature alerts as a downgrade; lowered, it is unsigned as before."""
    await trusted(place)
    assert (await arrives(place, "upgrade-1.zip", vendor_bundle(place.pki, {"f": b"1"}))).outcome is Outcome.PASSED
    held = await ratchets(place)
    assert list(held) == ["upgrade-#.zip"]
    place.clock.move(3600)
    verdict = await arrives(place, "upgrade-2.zip", archive({"f": b"2"}))
    assert (verdict.outcome, verdict.reason, verdict.also) == (Outcome.INDETERMINATE, Reason.DOWNGRADE, ("unsigned",))
    (alert,) = await place.alerts(reason="downgrade", status=AlertStatus.OPEN)
    assert f"{held['upgrade-#.zip']['scheme']} in package" in alert.summary
    place.clock.move(3600)
    lowered = await place.decide("ratchet.lower", ratchet=RATCHET, to=["scheme=unsigned"], reason="SEC-81")
    assert lowered["outcome"] == "lowered"
    assert [a.reason for a in await place.alerts(status=AlertStatus.OPEN, kind="verdict")] == ["unsigned"]
    assert [a.reason for a in await place.alerts(kind="ratchet_lowered")] == ["lowered"]
    assert await ratchets(place) == {"upgrade-#.zip": {}}  # the signed one was judged again, and raised nothing
    place.clock.move(3600)
    assert (await arrives(place, "upgrade-3.zip", vendor_bundle(place.pki, {"f": b"3"}))).outcome is Outcome.PASSED
    assert await ratchets(place) == held
    assert (await arrives(place, "upgrade-4.zip", archive({"f": b"4"}))).reason is Reason.DOWNGRADE


async def test_what_was_taken_before_a_stronger_one_stays_passed(place: Place1) -> None:
    """One signer, then two: the first package stays passed whenever it is judged again, a new one with one signer is a downgrade."""
    await trusted(place)
    weak, strong, later = (at_with(place, number, signers) for number, signers in ((1, 1), (2, 2), (3, 1)))
    assert (await taken(place, weak)).reason is Reason.TRUSTED
    place.clock.move(3600)
    assert (await taken(place, strong)).reason is Reason.TRUSTED
    assert (await ratchets(place))["fw-#.bin"]["signers"] == "2"
    place.clock.move(3600)
    assert (await taken(place, weak)).reason is Reason.TRUSTED
    assert (await taken(place, strong)).reason is Reason.TRUSTED
    verdict = await taken(place, later)
    assert (verdict.reason, "1 signing key(s) now, 2 signing key(s) in package" in verdict.summary) == (
        Reason.DOWNGRADE,
        True,
    )
    assert (await taken(place, later)).reason is Reason.DOWNGRADE  # that it was seen by now changes nothing


async def test_an_older_version_is_a_rollback_where_the_vendor_refuses_it(place: Place1) -> None:
    """By the version that signed metadata states; seen before or not, and never the version that was the newest."""
    await trusted(place)
    vendors = tuple(
        replace(v, policy=replace(v.policy, rollback="refuse")) if v.id == "dten" else v
        for v in place.settings.trust.vendors
    )
    place.alerting = replace(
        place.alerting, settings=replace(place.settings, trust=replace(place.settings.trust, vendors=vendors))
    )
    old, new, older = (
        replace(at_with(place, n, 1), product=Product("tool", version))
        for n, version in ((1, "5.9"), (2, "5.10"), (3, "5.8"))
    )
    assert [(await taken(place, one)).reason for one in (old, new)] == [Reason.TRUSTED, Reason.TRUSTED]
    assert (await ratchets(place))["tool"]["version"] == "5.10"
    for one in (old, older):
        verdict = await taken(place, one)
        assert (verdict.outcome, verdict.reason) == (Outcome.INDETERMINATE, Reason.ROLLBACK)
        assert "version 5.10 in package" in verdict.summary
    assert (await taken(place, new)).reason is Reason.TRUSTED
    assert len(await place.alerts(reason="rollback", status=AlertStatus.OPEN)) == 2


async def test_only_the_intake_raises_a_ratchet(place: Place1) -> None:
    """Not what an asker sends, not what lies in nobody's folder or in another vendor's, not what a decision lets through."""
    await trusted(place)
    facts = at_with(place, 1, 1)
    asked = Place(place.incoming / "dten" / "fw-1.bin", "dten", ASKER, "stated")
    assert (await place.storage.run(lambda c: place.alerting.record(c, facts, asked, None))).reason is Reason.TRUSTED
    for vendor_id in ("acme", "any", None):
        where = Place(place.incoming / "fw-1.bin", vendor_id)
        await place.storage.run(lambda c, where=where: place.alerting.record(c, facts, where, None))  # type: ignore[misc]
    bare = read(firmware(place, "bare.bin")[0])
    await taken(place, bare)
    await place.decide("package.allow", package=bare.sha256, vendor="dten", reason="SEC-78", until="2026-12-01")
    assert (await taken(place, bare)).reason is Reason.TRUSTED
    assert await ratchets(place) == {}
    assert (await taken(place, facts)).reason is Reason.TRUSTED
    assert list(await ratchets(place)) == ["fw-#.bin"]


async def test_facts_alert_and_ratchet_come_together(place: Place1) -> None:
    """What fails after a ratchet was raised takes it back with everything else of the package."""
    await trusted(place)

    def failing(connection: object) -> None:
        from trust_store.storage.connection import transaction

        with transaction(connection):  # type: ignore[arg-type]
            place.alerting.record(
                connection, at_with(place, 1, 1), Place(place.incoming / "dten/fw-1.bin", "dten"), None
            )  # type: ignore[arg-type]
            raise KeyError("power cut")

    try:
        await place.storage.run(failing)
    except KeyError:
        pass
    else:
        raise AssertionError("the transaction was to fail")
    assert await ratchets(place) == {}


def at_with(place: Place1, number: int, signers: int) -> PackageFacts:
    """What the intake reads of firmware that so many of the vendor's signers signed."""
    from tests.trust_store.package_craft import read as read_bytes
    from tests.trust_store.verdict_craft import beside, issue

    data = b"firmware %d" % number
    keys = [place.pki, issue(place.pki)][:signers]
    return read_bytes(data, *(beside(key.sign(data), name=f"fw.bin.{i}.p7s") for i, key in enumerate(keys)))


async def taken(place: Place1, facts: PackageFacts) -> Verdict:
    """The intake has read these facts of a file called fw-1.bin."""
    where = Place(place.incoming / "dten" / "fw-1.bin", "dten")
    return await place.storage.run(lambda c: place.alerting.record(c, facts, where, None))
