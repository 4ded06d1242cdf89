"""The alert about a native verifier that says otherwise than the verdict: one of the two programs is wrong, people see which. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalation.deduplication import notice_key
from escalation.model import Severity
from escalation.rules import notice
from trust_store.model.verdict import Outcome
from trust_store.terminal import safe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from escalation.model import AlertDraft
    from monitor.places import Place
    from trust_store.model.verdict import Verdict
    from trust_store.native.comparison import Compared


NATIVE_KIND = "native_disagreement"


def disagreement_key(verdict: Verdict, place: Place) -> str:
    """The key of the alert about one package."""
    return notice_key(NATIVE_KIND, place.vendor_id, verdict.sha256 or str(place.path))


def disagreement_notice(verdict: Verdict, place: Place, compared: Iterable[Compared]) -> AlertDraft | None:
    """The alert, or None where no tool disagrees; a tool that rejects what passed is more than one that accepts what did not."""
    against = [one.opinion for one in compared if one.agrees is False]
    if not against:
        return None
    passed = verdict.outcome is Outcome.PASSED
    tools = ", ".join(opinion.tool for opinion in against)
    said = f"{verdict.outcome} / {verdict.reason}"
    return notice(
        NATIVE_KIND,
        NATIVE_KIND,
        Severity.CRITICAL if passed else Severity.MEDIUM,
        f"{safe(verdict.name, 120)}: {tools} and this program disagree",
        subject=verdict.sha256 or str(place.path),
        summary=f"This program says {said}; do not install before somebody has looked which of them is wrong, and report it",
        lines=[f"{one.tool} {one.says} it: {safe(one.detail, 300)}" for one in against],
        vendor_id=place.vendor_id,
    )
