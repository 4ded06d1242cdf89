"""The intake against a real store and real packages; the reader runs in this process, as the worker would."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from escalation.model import AlertStatus
from escalation.storage.rows import alerts
from monitor.alerting import Alerting
from monitor.config import IntakeSettings, MonitorSettings, PollingSettings, Source, SourceKind
from monitor.intake import Intake, drop_folder
from monitor.places import Place, places_of
from monitor.schema import open_store
from monitor.storage.intake import load_rows
from monitor.storage.sources import SourceState
from monitor.storage.sources import record as record_source
from monitor.storage_thread import StorageThread
from tests.simulator.vendor_pki import VendorPKI, vendor_bundle
from trust_store import audit, decisions, query
from trust_store.anchor_management import propose
from trust_store.decode.x509 import decode_certificates
from trust_store.errors import DecisionRefusedError
from trust_store.formats.detect import read_package
from trust_store.formats.protocol import ReadLimits, SideMaterial
from trust_store.formats.streaming import FileSource
from trust_store.model.claim import Authority, Proposal
from trust_store.model.package_facts import PackageFacts, Problem
from trust_store.model.trust_anchor import AnchorKind
from trust_store.model.vendor import Contact, Vendor, VendorPolicy
from trust_store.model.verdict import Reason, Verdict
from trust_store.settings import StoreSettings, TrustSettings
from trust_store.signatures.protocol import CandidateKey
from trust_store.storage.affected import Affected, since
from trust_store.storage.facts import retained
from trust_store.storage.vendors import VendorChange

DTEN = Vendor("dten", "DTEN", contacts=(Contact("Desk", phone="+1 555 0100"),), policy=VendorPolicy(approvals=1))


class InProcess:
    """A reader that does in this process what the worker does in its own."""

    def read(
        self, package_fd: int, side: tuple[SideMaterial, ...], candidates: tuple[CandidateKey, ...], limits: ReadLimits
    ) -> PackageFacts:
        """The facts of the open file."""
        return read_package(FileSource(package_fd), side, candidates, limits)


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def move(self, seconds: float) -> None:
        """Let time go by."""
        self.at += timedelta(seconds=seconds)


class Place1:
    """Everything the tests need of one installation."""

    def __init__(self, folder: Path, randomness: Callable[[int], bytes]) -> None:
        self.clock = Clock()
        trust = TrustSettings(
            folder / "rootwarden.toml", StoreSettings(folder / "state"), vendors=(DTEN, Vendor("acme", "ACME"))
        )
        (folder / "state").mkdir()
        intake = IntakeSettings(folder / "incoming", settle_seconds=2.0, sidecar_wait_seconds=30.0)
        self.settings = MonitorSettings(trust, intake=intake, polling=PollingSettings())
        self.incoming = folder / "incoming"
        drop_folder(self.incoming, ("dten", "acme"))
        self.storage = StorageThread(lambda: open_store(trust.store))
        self.alerting = Alerting(self.settings, ("smtp",), self.clock, randomness)
        self.intake = Intake(self.alerting, self.storage, InProcess(), now=self.clock)
        self.randomness = randomness
        self.pki = VendorPKI.generate("DTEN", self.clock.at)

    async def settled(self) -> dict[str, Verdict | None]:
        """Look, let the settle time go by, look again: what was taken then."""
        await self.intake.rescan()
        self.clock.move(2)
        taken, _, _ = await self.intake.rescan()
        return {t.path: t.verdict for t in taken}

    async def alerts(self, **wanted: Any) -> list[Any]:
        """Alerts with the wanted attributes."""
        found = await self.storage.run(lambda c: (*alerts(c), *alerts(c, status=AlertStatus.RESOLVED)))
        return [a for a in found if all(getattr(a, k) == v for k, v in wanted.items())]

    async def propose_root(self) -> str:
        """The vendor's root as a pending proposal."""
        (root,) = decode_certificates(self.pki.root_pem.encode())
        proposal = Proposal(
            "dten",
            AnchorKind.X509,
            root.subject,
            root.sha256,
            root.der,
            root.identifiers,
            Authority.STAFF,
            "https://f/43",
        )
        return await self.storage.run(lambda c: propose(c, proposal, at=self.clock.at, randomness=self.randomness))

    async def decide(self, command: str, **arguments: Any) -> dict[str, Any]:
        """One decision as alice, then the second look that the daemon takes."""

        def perform(connection: Any) -> dict[str, Any]:
            return decisions.perform(
                connection, command, arguments, identity="alice", vendors=self.settings.trust.vendors, at=self.clock.at,
                randomness=self.randomness, within=lambda c, result: self.alerting.report_decision(c, result, "alice"),
            )  # fmt: skip

        newest = (await self.storage.run(audit.head)).seq
        result = await self.storage.run(perform)
        await self.storage.run(lambda c: self.alerting.reconsider(c, places_of(c, since(c, newest)[0])))
        return result

    async def approve(self, anchor: str, read: str) -> dict[str, Any]:
        """Alice's approval after her call."""
        return await self.decide(
            "anchor.approve", anchor=anchor, fingerprint_read=read, spoke_with="Pat", called="Desk", ticket="T-1"
        )


@pytest.fixture
async def place(tmp_path: Path, randomness: Callable[[int], bytes]) -> AsyncIterator[Place1]:
    """An installation in a folder."""
    made = Place1(tmp_path, randomness)
    yield made
    made.storage.close()


async def test_unknown_root_alerts_with_the_proposal_that_fits(place: Place1) -> None:
    """A package whose signer chains to a pending root alerts, and the root is proposed the rule that covers just this signer."""
    anchor = await place.propose_root()
    (place.incoming / "dten/p.zip").write_bytes(vendor_bundle(place.pki, {"f": b"x"}))
    verdict = (await place.settled())["dten/p.zip"]
    assert verdict is not None
    assert verdict.reason is Reason.UNKNOWN_ROOT
    assert len(await place.alerts(reason="unknown_root", status=AlertStatus.OPEN)) == 1
    rule = (await place.storage.run(lambda c: query.anchor(c, anchor))).signer_rule  # type: ignore[union-attr]
    assert rule.subject == (("O", "DTEN"), ("CN", "DTEN Upgrade Signing"))
    assert not rule.dedicated


async def test_approval_settles_the_package_without_reading_it_again(place: Place1) -> None:
    """Once the root is approved the stored facts pass, the alert is resolved, and the file was not needed."""
    anchor = await place.propose_root()
    package = place.incoming / "dten/p.zip"
    package.write_bytes(vendor_bundle(place.pki, {"f": b"x"}))
    await place.settled()
    package.unlink()
    await place.approve(anchor, place.pki.root_sha256)
    assert [a.status for a in await place.alerts(kind="verdict")] == [AlertStatus.RESOLVED]


async def test_wrong_fingerprint_alerts_in_the_decisions_own_transaction(place: Place1) -> None:
    """A reading that is not the key's is refused and alerted about, and the proposal stays pending."""
    anchor = await place.propose_root()
    (place.incoming / "dten/p.zip").write_bytes(vendor_bundle(place.pki, {"f": b"x"}))
    await place.settled()
    with pytest.raises(DecisionRefusedError):
        await place.approve(anchor, "ab" * 32)
    assert [str(a.severity) for a in await place.alerts(kind="fingerprint_mismatch")] == ["critical"]


async def test_disowned_key_fails_its_packages_with_a_new_alert(place: Place1) -> None:
    """After "not ours" every package under the key is distrusted, and that is told anew."""
    anchor = await place.propose_root()
    (place.incoming / "dten/p.zip").write_bytes(vendor_bundle(place.pki, {"f": b"x"}))
    await place.settled()
    await place.decide(
        "anchor.reject", anchor=anchor, because="disowned", spoke_with="Pat", called="Desk", ticket="T-2"
    )
    assert [a.reason for a in await place.alerts(status=AlertStatus.OPEN)] == ["distrusted"]


async def test_package_without_signature_waits_and_is_never_judged_meanwhile(place: Place1) -> None:
    """Until its side files could have come a package has no verdict; then it is unsigned, and a later side file reopens it."""
    package = place.incoming / "dten/fw.bin"
    package.write_bytes(vendor_bundle(place.pki, {"f": b"x"})[:0] + b"PK\x05\x06" + bytes(18))
    assert await place.settled() == {"dten/fw.bin": None}
    assert await place.alerts() == []
    place.clock.move(30)
    taken, _, _ = await place.intake.rescan()
    assert [t.verdict.reason for t in taken if t.verdict is not None] == [Reason.UNSIGNED]
    package.with_name("fw.bin.p7s").write_bytes(place.pki.sign(package.read_bytes()))
    reopened = (await place.settled())["dten/fw.bin"]
    assert reopened is not None
    assert reopened.reason is Reason.UNKNOWN_ROOT
    assert [a.reason for a in await place.alerts(status=AlertStatus.OPEN)] == ["unknown_root"]


async def test_file_that_cannot_be_read_alerts_once(place: Place1, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be opened is a verdict and an alert, not silence, and not one at every look."""
    (place.incoming / "dten/p.zip").write_bytes(b"x")

    def refuse(*_args: object) -> PackageFacts:
        return PackageFacts("", 1, None, 0, problem=Problem(Reason.RESOURCE_LIMIT, "too large"))

    monkeypatch.setattr("monitor.intake.read_with_keys", refuse)
    verdict = (await place.settled())["dten/p.zip"]
    assert verdict is not None
    assert verdict.reason is Reason.RESOURCE_LIMIT
    place.clock.move(60)
    assert (await place.intake.rescan())[0] == ()
    assert len(await place.alerts(reason="resource_limit")) == 1


async def test_file_that_vanished_is_no_matter(place: Place1, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that went away between looking and opening leaves nothing behind, not even an alert."""
    package = place.incoming / "dten/p.zip"
    package.write_bytes(b"x")
    await place.intake.rescan()
    place.clock.move(2)
    real = place.intake._read  # the moment between looking and opening

    async def vanish(*arguments: Any) -> Any:
        package.unlink()
        return await real(*arguments)

    monkeypatch.setattr(place.intake, "_read", vanish)
    taken, _, _ = await place.intake.rescan()
    assert [t.verdict for t in taken] == [None]
    assert await place.alerts() == []


async def test_folder_of_an_unknown_vendor_states_nobody(place: Place1) -> None:
    """A folder that no vendor file names makes nothing pass, and the row still remembers the folder."""
    (place.incoming / "nobody").mkdir()
    (place.incoming / "nobody/p.zip").write_bytes(vendor_bundle(place.pki, {"f": b"x"}))
    verdict = (await place.settled())["nobody/p.zip"]
    assert verdict is not None
    assert (verdict.vendor.id, verdict.vendor.basis) == (None, "none")
    assert "nobody/p.zip" in await place.storage.run(load_rows)


async def test_only_what_did_not_pass_is_retained(place: Place1) -> None:
    """A package is kept while it may need a second look, and let go of once it passes at arrival."""
    anchor = await place.propose_root()
    (place.incoming / "dten/a.zip").write_bytes(vendor_bundle(place.pki, {"f": b"x"}))
    await place.settled()
    assert len(await place.storage.run(retained)) == 1
    await place.approve(anchor, place.pki.root_sha256)
    (place.incoming / "dten/b.zip").write_bytes(vendor_bundle(place.pki, {"f": b"y"}))
    verdict = (await place.settled())["dten/b.zip"]
    assert verdict is not None
    assert verdict.reason is Reason.TRUSTED
    assert len(await place.storage.run(retained)) == 1


async def test_retained_package_is_read_again_only_if_it_is_the_same(place: Place1) -> None:
    """A second look at a retained file whose bytes changed says nothing about the package that was checked."""
    (place.incoming / "dten/a.zip").write_bytes(vendor_bundle(place.pki, {"f": b"x"}))
    await place.settled()
    (kept,) = await place.storage.run(retained)
    where = Place(place.incoming / "dten/a.zip", "dten")
    assert await place.intake.reread(kept.package_sha256, where, kept.path) is not None
    assert await place.intake.reread("00" * 32, where, kept.path) is None
    assert await place.intake.reread(kept.package_sha256, where, kept.path.with_name("gone")) is None


async def test_source_that_fails_again_and_again_is_told_once_and_settles(place: Place1) -> None:
    """Three failures in a row alert once; the first answer resolves it."""
    source = Source("https://www.example.com/feed", SourceKind.FEED, "dten", "feed")

    async def after(failures: int) -> None:
        state = SourceState("dten", source.url, place.clock.at, polls=1, failures=failures, last_error="timed out")
        await place.storage.run(lambda c: record_source(c, source, state))
        await place.storage.run(lambda c: place.alerting.report_source(c, source))

    for failures in (1, 2, 3, 4):
        await after(failures)
    assert [a.status for a in await place.alerts(kind="source_failing")] == [AlertStatus.OPEN]
    await after(0)
    assert [a.status for a in await place.alerts(kind="source_failing")] == [AlertStatus.RESOLVED]


async def test_refused_delivery_policy_change_and_odd_file_alert(place: Place1) -> None:
    """A channel that refuses, a changed policy and a link in the folder are each told."""
    change = VendorChange("dten", "policy.approvals", 2, 1, weakens=True)

    def report(connection: Any) -> None:
        place.alerting.report_delivery(connection, "slack", "delivery_1", "invalid_blocks")
        place.alerting.report_policy_change(connection, change)
        place.alerting.report_policy_change(connection, replace(change, weakens=False, new=3))
        place.alerting.report_odd(connection, "dten/link")

    await place.storage.run(report)
    assert sorted(a.kind for a in await place.alerts()) == [
        "delivery_failed", "intake_passed_over", "policy_changed", "policy_changed",
    ]  # fmt: skip


def test_drop_folder_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder the daemon may not list stops it at the start instead of looking empty."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(PermissionError):
        drop_folder(tmp_path / "incoming", ("dten",))


def test_vendor_folders_are_as_open_as_the_incoming_folder(tmp_path: Path) -> None:
    """Whoever may write into the incoming folder may write into a vendor's, whatever the umask, and the group is handed down."""
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    incoming.chmod(0o2770)
    mask = os.umask(0o077)
    try:
        drop_folder(incoming, ("dten",))
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(mask)
    assert stat.S_IMODE((incoming / "dten").stat().st_mode) == 0o2770


async def test_only_what_a_change_concerns_is_looked_at(place: Place1) -> None:
    """Packages by digest, by vendor or all of them, each once for every vendor it was said to be of, where it was seen last."""
    (place.incoming / "dten/p.zip").write_bytes(vendor_bundle(place.pki, {"f": b"x"}))
    (place.incoming / "dten/q.zip").write_bytes(vendor_bundle(place.pki, {"f": b"y"}))
    await place.settled()
    everything = await place.storage.run(lambda c: places_of(c, Affected(everything=True)))
    first = everything[0][0]

    async def looked_at(affected: Affected) -> set[str]:
        return {sha256 for sha256, _ in await place.storage.run(lambda c: places_of(c, affected))}

    assert len(everything) == 2
    assert await looked_at(Affected(frozenset({first}))) == {first}
    assert await looked_at(Affected(vendors=frozenset({"dten"}))) == {sha256 for sha256, _ in everything}
    assert await looked_at(Affected(frozenset({"00" * 32}), frozenset({"other"}))) == set()
    assert {p.vendor_id for _, p in everything} == {"dten"}
