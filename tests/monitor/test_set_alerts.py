"""Decisions about digests and sets of keys in the running program: the verdict changes at once, and everybody is told."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from escalation.model import AlertStatus
from monitor.places import Place
from tests.monitor.test_intake import Place1, place
from tests.simulator.vendor_pki import vendor_bundle
from trust_store.model.verdict import Outcome, Reason
from trust_store.storage.facts import load_facts

if TYPE_CHECKING:
    from pathlib import Path

    from trust_store.model.verdict import Verdict

__all__ = ["place"]


async def dropped(place: Place1) -> tuple[str, Path]:
    """A package under a root that nobody approved, in the vendor's folder: its digest and file."""
    file = place.incoming / "dten/p.zip"
    file.write_bytes(vendor_bundle(place.pki, {"f": b"x"}))
    verdict = (await place.settled())["dten/p.zip"]
    assert verdict is not None
    assert verdict.reason is Reason.UNKNOWN_ROOT
    return hashlib.sha256(file.read_bytes()).hexdigest(), file


async def verdict_now(place: Place1, sha256: str, file: Path) -> Verdict:
    """What the store says of the package."""
    facts = await place.storage.run(lambda c: load_facts(c, sha256))
    assert facts is not None
    return await place.storage.run(lambda c: place.alerting.verdict(c, facts, Place(file, "dten")))


async def test_an_allowance_passes_what_lacks_evidence_and_a_block_ends_that(place: Place1) -> None:
    """An allowance turns an unknown root into passed and says so; a block fails the package; each alerts in its own transaction."""
    sha256, file = await dropped(place)
    await place.decide("package.allow", package=sha256, vendor="dten", reason="SEC-78", until="2026-12-01")
    passed = await verdict_now(place, sha256, file)
    assert (passed.outcome, passed.basis.trust) == (Outcome.PASSED, "digest_decision")
    assert [a.status for a in await place.alerts(reason="unknown_root")] == [AlertStatus.RESOLVED]
    await place.decide("package.block", package=sha256, vendor="dten", reason="withdrawn by the vendor")
    blocked = await verdict_now(place, sha256, file)
    assert (blocked.outcome, blocked.reason) == (Outcome.FAILED, Reason.WITHDRAWN)
    assert len(await place.alerts(kind="digest_decision")) == 2
    assert len(await place.alerts(reason="withdrawn", status=AlertStatus.OPEN)) == 1


async def test_a_baseline_settles_what_its_keys_signed(place: Place1) -> None:
    """Once a set is approved the packages under its roots pass, and everybody is told that no call was made."""
    sha256, file = await dropped(place)
    data = [base64.b64encode(place.pki.root_pem.encode()).decode()]
    proposed = await place.decide("baseline.propose", vendor="dten", data=data, dedicated=True)
    await place.decide("baseline.approve", baseline=proposed["baseline"], digest_read=proposed["digest"])
    assert (await verdict_now(place, sha256, file)).outcome is Outcome.PASSED
    assert sorted(a.reason for a in await place.alerts(kind="baseline")) == ["approved", "proposed"]


async def test_every_decision_about_a_key_is_told_and_asks_nothing(place: Place1) -> None:
    """Whoever distrusts a key is named to everybody, at once and without an open alert; no fingerprint stands in it."""
    pem = base64.b64encode(place.pki.root_pem.encode()).decode()
    result = await place.decide("anchor.import", vendor="dten", data=pem)
    anchor = result["anchors"][0]
    await place.decide("anchor.distrust", anchor=anchor, reason="not theirs")
    told = await place.alerts(kind="anchor_decided")
    assert [(a.reason, a.severity.value, a.status) for a in told] == [("distrusted", "high", AlertStatus.RESOLVED)]
    assert anchor in told[0].summary
    assert place.pki.root_sha256[:12] not in told[0].summary + told[0].title
