from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from escalation.model import Severity
from monitor import intake
from monitor.intake import Intake
from tests.monitor.test_intake import Place1, place  # noqa: F401 - the fixture
from trust_store.model.verdict import Outcome
from trust_store.native.comparison import DISAGREEMENT, Compared
from trust_store.native.protocol import Opinion, Says

if TYPE_CHECKING:
    from trust_store.model.verdict import Verdict

CONTENT = b"firmware " * 100


@dataclass
class Parrot:
    """In place of the installed tools: always the same answer, and what it was asked about."""

    says: Says
    agrees: bool | None
    asked: list[Path]

    def __call__(self, verdict: Verdict, package: Path, sides: tuple[Path, ...], keys: object) -> tuple[Compared, ...]:
        """One tool's opinion."""
        assert verdict.sha256
        assert package.read_bytes() == CONTENT
        assert [side.name for side in sides] == ["firmware.bin.p7s"]
        assert isinstance(keys, tuple)
        self.asked.append(package)
        return (Compared(Opinion("parrot", self.says, "\x1b[31mlast words"), self.agrees),)


async def dropped(place: Place1, parrot: Parrot, monkeypatch: pytest.MonkeyPatch, *, compare: bool = True) -> Verdict:  # noqa: F811
    """The vendor's package, whose root is not known, in the incoming folder; examined, with ``parrot`` for the native tools."""
    monkeypatch.setattr(intake, "ask_tools", parrot)
    settings = replace(place.settings, intake=replace(place.settings.intake, compare=compare))
    alerting = replace(place.alerting, settings=settings)
    place.intake = Intake(alerting, place.storage, place.intake._reader, now=place.clock)
    (place.incoming / "dten/firmware.bin").write_bytes(CONTENT)
    (place.incoming / "dten/firmware.bin.p7s").write_bytes(place.pki.sign(CONTENT))
    verdict = (await place.settled())["dten/firmware.bin"]
    assert verdict is not None
    return verdict


async def test_a_tool_that_disagrees_is_alerted_about(place: Place1, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """With [intake] compare a native tool that says otherwise is an alert of its own, with its words escaped; the verdict stays."""
    parrot = Parrot(Says.REJECTS, agrees=False, asked=[])
    verdict = await dropped(place, parrot, monkeypatch)
    (alert,) = await place.alerts(kind=DISAGREEMENT)
    assert alert.severity is (Severity.CRITICAL if verdict.outcome is Outcome.PASSED else Severity.MEDIUM)
    assert "parrot" in alert.title
    assert "\x1b" not in "".join((alert.title, alert.summary))
    assert len(parrot.asked) == 1


async def test_a_tool_that_agrees_is_no_alert(place: Place1, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """Where the tools agree, or cannot tell, nothing is raised."""
    await dropped(place, Parrot(Says.ACCEPTS, agrees=True, asked=[]), monkeypatch)
    assert await place.alerts(kind=DISAGREEMENT) == []


async def test_nobody_is_asked_unless_configured(place: Place1, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """Native tools run unconfined on files from outside: only where the team says so."""
    parrot = Parrot(Says.REJECTS, agrees=False, asked=[])
    await dropped(place, parrot, monkeypatch, compare=False)
    await asyncio.sleep(0)
    assert parrot.asked == []
    assert await place.alerts(kind=DISAGREEMENT) == []
