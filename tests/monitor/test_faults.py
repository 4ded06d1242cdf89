"""One bad item stops no other: what an unforeseen error keeps from being done is told with its name, and never passes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from escalation.model import AlertStatus, Severity
from escalation.storage.rows import deliveries
from monitor import alerting as alerting_module
from monitor import expiry_alerts, jobs
from monitor.expiry_alerts import tell
from monitor.fault_watch import FaultWatch
from monitor.faults import FAULT_KIND, fault_notice
from monitor.intake import FAULT_PAUSE
from monitor.places import Place
from monitor.retention import enforce
from monitor.serving import api_server
from tests.monitor.test_intake import DTEN, InProcess, Place1, place
from tests.simulator.vendor_pki import vendor_bundle
from trust_store.errors import StoreInconsistentError
from trust_store.forecast import ANCHOR, Expiry
from trust_store.forecaster import Forecast
from trust_store.model.package_facts import PackageFacts
from trust_store.model.verdict import Outcome, Reason
from trust_store.settings import StoreSettings
from trust_store.storage.facts import record_retained, retained

if TYPE_CHECKING:
    import sqlite3

    from trust_store.verification import Question

__all__ = ["place"]  # a fixture
BAD = "a-bad.zip"


class Choking(InProcess):
    """A reader that an odd file name ends."""

    def read(self, package_fd: int, *rest: Any) -> PackageFacts:
        """As ever, but for a file that was made for it."""
        if Path(f"/proc/self/fd/{package_fd}").readlink().name == BAD:
            raise TypeError("crafted")
        return super().read(package_fd, *rest)


def drop(place: Place1, *names: str) -> None:
    """Put packages into the vendor's folder, each with other bytes."""
    for name in names:
        (place.incoming / "dten" / name).write_bytes(vendor_bundle(place.pki, {"f": name.encode()}))


def choke(monkeypatch: pytest.MonkeyPatch, name: str = BAD, error: Exception | None = None) -> None:
    """Have the verdict on the package of that name end in an error that nobody foresaw."""
    real = alerting_module.judge_with_owner

    def judge(connection: Any, facts: Any, view: Any, question: Question, *rest: Any) -> Any:
        if question.name == name:
            raise error or RecursionError("crafted")
        return real(connection, facts, view, question, *rest)

    monkeypatch.setattr(alerting_module, "judge_with_owner", judge)


async def test_a_file_that_ends_its_reader_keeps_no_other_out(place: Place1) -> None:
    """The files after it are taken in, one high alert names it, and it ends by itself when the file can be examined."""
    place.intake = type(place.intake)(place.alerting, place.storage, Choking(), now=place.clock)
    drop(place, BAD, "b.zip", "c.zip")
    taken = await place.settled()
    assert taken["dten/b.zip"] is not None
    assert taken["dten/c.zip"] is not None
    (alert,) = await place.alerts(kind=FAULT_KIND)
    assert (alert.severity, alert.status) == (Severity.HIGH, AlertStatus.OPEN)
    assert str(place.incoming / "dten" / BAD) in alert.title
    assert "TypeError: crafted" in alert.summary
    (place.incoming / "dten" / BAD).rename(place.incoming / "dten/a-good.zip")
    drop(place, BAD)
    place.intake = type(place.intake)(place.alerting, place.storage, InProcess(), now=place.clock)
    await place.settled()
    assert [a.status for a in await place.alerts(kind=FAULT_KIND)] == [AlertStatus.RESOLVED]


async def test_a_file_that_ends_its_reader_rests_and_is_tried_again(place: Place1) -> None:
    """It is not read at every look, but again after a while, or once it changed; the alert is not repeated."""
    place.intake = type(place.intake)(place.alerting, place.storage, Choking(), now=place.clock)
    drop(place, BAD)

    async def looked() -> list[str]:
        return [t.path for t in (await place.intake.rescan())[0]]

    assert list(await place.settled()) == [f"dten/{BAD}"]
    assert await looked() == []
    place.clock.move(FAULT_PAUSE.total_seconds())
    assert await looked() == [f"dten/{BAD}"]
    (place.incoming / "dten" / BAD).write_bytes(b"changed")
    await looked()
    place.clock.move(2)
    assert await looked() == [f"dten/{BAD}"]
    (alert,) = await place.alerts(kind=FAULT_KIND)
    assert alert.repeat_count == 0


async def test_a_package_that_ends_its_judgement_is_unreadable(place: Place1, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its verdict is indeterminate with a high alert that is sent at once, its facts are kept, and the next package is judged."""
    choke(monkeypatch)
    drop(place, BAD, "b.zip")
    taken = await place.settled()
    bad, good = taken[f"dten/{BAD}"], taken["dten/b.zip"]
    assert bad is not None
    assert good is not None
    assert (bad.outcome, bad.reason, bad.signatures) == (Outcome.INDETERMINATE, Reason.UNREADABLE, ())
    assert "RecursionError: crafted" in bad.summary
    assert good.reason is Reason.UNKNOWN_ROOT
    (alert,) = await place.alerts(reason="unreadable")
    assert (alert.severity, BAD in alert.title, alert.package_sha256) == (Severity.HIGH, True, bad.sha256)
    assert len(await place.storage.run(lambda c: deliveries(c, alert.id))) == 1


async def test_an_observed_vendors_fault_does_not_wait(place: Place1, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is only observed is told of at once as well where the program itself failed."""
    observed = replace(DTEN, policy=replace(DTEN.policy, mode="observe"))
    settings = replace(place.settings, trust=replace(place.settings.trust, vendors=(observed,)))
    place.alerting = replace(place.alerting, settings=settings)
    place.intake = type(place.intake)(place.alerting, place.storage, InProcess(), now=place.clock)
    choke(monkeypatch)
    drop(place, BAD)
    await place.settled()
    (alert,) = await place.alerts(reason="unreadable")
    assert len(await place.storage.run(lambda c: deliveries(c, alert.id))) == 1


async def test_what_was_written_for_a_package_that_failed_is_taken_back(
    place: Place1, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half an entry in the audit log would make the store inconsistent: the fault leaves its package's writing out, and no more."""
    anchor = await place.propose_root()

    def half(connection: sqlite3.Connection, *_: Any, **__: Any) -> None:
        connection.execute("UPDATE store_revision SET revision = 4711")
        raise ValueError("half done")

    monkeypatch.setattr(alerting_module, "propose_narrowest", half)
    drop(place, "b.zip")
    verdict = (await place.settled())["dten/b.zip"]
    assert verdict is not None
    assert verdict.reason is Reason.UNREADABLE
    assert await place.storage.run(lambda c: c.execute("SELECT revision FROM store_revision").fetchone()[0]) != 4711
    assert anchor


async def test_a_package_that_ends_its_second_look_keeps_no_other_from_it(
    place: Place1, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an approval every other package passes, though one that sorts before ends in an error."""
    anchor = await place.propose_root()
    drop(place, BAD, "b.zip")
    await place.settled()
    choke(monkeypatch)
    await place.approve(anchor, place.pki.root_sha256)
    reasons = {
        a.title.split(": ")[1]: (a.reason, a.status) for a in await place.alerts(kind="verdict") if a.reason != "x"
    }
    assert reasons["b.zip"] == ("unknown_root", AlertStatus.RESOLVED)
    assert [a.status for a in await place.alerts(reason="unreadable")] == [AlertStatus.OPEN]


async def test_a_second_look_whose_alert_fails_is_told_too(place: Place1, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where the alert about a package cannot be written the next one is judged, and the path is told."""
    drop(place, BAD, "b.zip")
    taken = await place.settled()
    real = alerting_module.load_facts

    def load(connection: sqlite3.Connection, sha256: str, *, asker: str) -> Any:
        if sha256 == taken[f"dten/{BAD}"].sha256:  # type: ignore[union-attr]
            raise ValueError("crafted")
        return real(connection, sha256, asker=asker)

    monkeypatch.setattr(alerting_module, "load_facts", load)
    places = [(str(v.sha256), Place(place.incoming / path, "dten")) for path, v in taken.items() if v is not None]
    assert await place.storage.run(lambda c: place.alerting.reconsider(c, places)) == ()
    (alert,) = await place.alerts(kind=FAULT_KIND)
    assert BAD in alert.title


async def test_reading_a_package_again_may_fail_alone(place: Place1) -> None:
    """A retained package that ends its reader leaves its old verdict, is told, and the daemon's second look goes on."""
    drop(place, BAD)
    await place.settled()
    (kept,) = await place.storage.run(retained)
    place.intake = type(place.intake)(place.alerting, place.storage, Failing(), now=place.clock)
    assert (
        await place.intake.reread(kept.package_sha256, Place(place.incoming / "dten" / BAD, "dten"), kept.path) is None
    )
    assert len(await place.alerts(kind=FAULT_KIND)) == 1


class Failing(InProcess):
    """A reader that every file ends."""

    def read(self, *_: Any) -> PackageFacts:
        """Nothing is read."""
        raise TypeError("crafted")


async def test_errors_of_the_store_are_nobodys_fault(place: Place1, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that was changed ends the look as ever: it is never taken for one package's matter."""
    choke(monkeypatch, error=StoreInconsistentError("changed"))
    drop(place, BAD)
    with pytest.raises(StoreInconsistentError):
        await place.settled()


async def test_a_step_that_fails_is_told_until_it_works(place: Place1) -> None:
    """One alert stands from the first failure to the next success, whatever the error; the loop never hears of it."""
    watch = FaultWatch(place.alerting, place.storage)
    outcomes: list[Exception | int] = [OSError("disk"), KeyError("x"), 7, StoreInconsistentError("changed"), 8]

    async def step() -> int:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    assert [await watch.run("a step", step) for _ in range(2)] == [None, None]
    (alert,) = await place.alerts(kind=FAULT_KIND, status=AlertStatus.OPEN)
    assert (alert.repeat_count, "disk" in alert.summary) == (0, True)
    assert await watch.run("a step", step) == 7
    assert [await watch.run("a step", step) for _ in range(2)] == [None, 8]
    assert [a.status for a in await place.alerts(kind=FAULT_KIND)] == [AlertStatus.RESOLVED]


async def test_a_step_goes_on_where_nothing_can_be_told(place: Place1, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even an alert that cannot be written ends a loop."""
    monkeypatch.setattr(type(place.alerting), "report_fault", lambda *_: 1 / 0)
    watch = FaultWatch(place.alerting, place.storage)

    async def step() -> None:
        raise KeyError("x")

    assert await watch.run("a step", step) is None


async def test_a_fault_tells_no_key_that_awaits_decision(place: Place1) -> None:
    """An error may repeat what it choked on: the fingerprint of a pending key is taken out of the alert."""
    await place.propose_root()
    error = ValueError(f"cannot read {place.pki.root_sha256}")
    await place.storage.run(lambda c: place.alerting.report_fault(c, "a step", error))
    (alert,) = await place.alerts(kind=FAULT_KIND)
    assert place.pki.root_sha256[:8] not in alert.summary
    assert "ValueError" in alert.summary


def test_long_names_that_begin_alike_are_two_matters() -> None:
    """The alert about a path is found by the whole of it."""
    first, second = (fault_notice("/in/" + "x" * 300 + name, ValueError()) for name in "ab")
    assert first.dedup_key != second.dedup_key


async def test_a_check_over_the_api_that_fails_is_told(place: Place1, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asked gets an error and no verdict, and the team gets an alert with the name."""
    (place.settings.trust.store.directory / "api").mkdir(exist_ok=True)
    made: dict[str, Any] = {}
    monkeypatch.setattr("monitor.serving.Answers", lambda **given: made.update(given))
    monkeypatch.setattr("monitor.serving.build_app", lambda *_, **__: None)
    api_server(place.alerting, place.storage, InProcess(), place.clock)
    monkeypatch.setattr(alerting_module, "record_sighting", lambda *_: 1 / 0)
    checked = alerting_module.ExpectedVendor("dten", "stated")
    asked = type("Asked", (), {"path": None, "name": BAD, "vendor": checked, "origin": "api:uid:1"})()
    facts = PackageFacts("ab" * 32, 1, None, 1)
    with pytest.raises(ZeroDivisionError):
        await place.storage.run(lambda c: made["record"](c, facts, asked))
    (alert,) = await place.alerts(kind=FAULT_KIND)
    assert BAD in alert.title


async def test_a_notice_that_cannot_be_written_keeps_back_no_other(
    place: Place1, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two ends, the one after the bad one is told; the error goes up afterwards."""
    real = expiry_alerts.raise_alert
    monkeypatch.setattr(
        expiry_alerts, "raise_alert", lambda c, draft, **k: 1 / 0 if draft.vendor_id == "acme" else real(c, draft, **k)
    )
    soon = place.clock.at + timedelta(days=5)
    ends = [Expiry(soon, ANCHOR, "ends", vendor, anchor_id="anchor_1") for vendor in ("acme", "dten")]

    def told(connection: sqlite3.Connection) -> None:
        with pytest.raises(ZeroDivisionError):
            tell(connection, ends, channels=(), at=place.clock.at, randomness=place.randomness)

    await place.storage.run(told)
    assert [a.vendor_id for a in await place.alerts(kind="expiring")] == ["dten"]


async def test_one_vendors_forecast_hides_no_other(place: Place1, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends at the other vendors is found though one of them ends in an error."""
    await place.propose_root()
    end = Expiry(place.clock.at + timedelta(days=5), ANCHOR, "ends", "dten")

    def look(_c: Any, _v: Any, vendor_id: str, **_: Any) -> Forecast:
        if vendor_id == "acme":
            raise TypeError("crafted")
        return Forecast((end,), 1, complete=True)

    monkeypatch.setattr(jobs, "what_ends", look)
    trust = place.settings.trust
    expiries, faults = await place.storage.run(lambda c: jobs._ending(c, trust.vendors, place.clock.at))
    assert (expiries, [type(f) for f in faults]) == ([end], [TypeError])


async def test_a_file_that_cannot_be_removed_keeps_no_other(place: Place1, tmp_path: Path) -> None:
    """Retention goes on after it, forgets what went, and says so at the end."""
    folder = tmp_path / "kept"
    (folder / "a").mkdir(parents=True)  # a folder where a file belongs cannot be unlinked
    (folder / "b").write_bytes(b"x")
    settings = StoreSettings(tmp_path / "s", retain_bytes=0)

    def clean(connection: sqlite3.Connection) -> list[str]:
        for name in ("a", "b"):
            record_retained(connection, name, folder / name, 1, place.clock.at)
        with pytest.raises(OSError, match="directory"):
            enforce(connection, settings, place.clock.at)
        return [r.package_sha256 for r in retained(connection)]

    assert await place.storage.run(clean) == ["a"]
    assert not (folder / "b").exists()


async def test_a_job_that_fails_ends_no_other_and_alerts_go_out(place: Place1) -> None:
    """Whatever a job raises reaches the watch and nobody else."""
    watch, sent = FaultWatch(place.alerting, place.storage), []

    async def job() -> None:
        raise TypeError("crafted")

    await jobs._guarded("digest", job, watch.run, lambda: sent.append(1))()
    (alert,) = await place.alerts(kind=FAULT_KIND)
    assert ("digest" in alert.title, sent) == (True, [1])


async def test_a_refused_message_is_told_over_its_own_channel_where_there_is_no_other(place: Place1) -> None:
    """With one channel only, what it did not take is told over it: silence is a fault."""
    await place.storage.run(lambda c: place.alerting.report_delivery(c, "smtp", "delivery_1", "550 no"))
    (alert,) = await place.alerts(kind="delivery_failed")
    assert [d.channel for d in await place.storage.run(lambda c: deliveries(c, alert.id))] == ["smtp"]
