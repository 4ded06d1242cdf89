"""Alerts about decisions that are not about one key: a package blocked or let through by its digest, a set of keys trusted as one.

Raised inside the decision's own transaction (``Alerting.report_decision``), so that nobody learns of one later than it counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalation.model import Severity
from escalation.rules import notice

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from escalation.model import AlertDraft

SHOWN_DIGITS = 12
"""So many of a digest are told: a whole one in a text looks like a fingerprint and is withheld."""


def decision_notice(result: Mapping[str, Any], person: str) -> AlertDraft | None:
    """The alert that a decision's ``result`` calls for, None where it calls for none of these."""
    kind = result.get("alert")
    if kind == "digest_decision":
        return _digest_notice(result, person)
    return _baseline_notice(result, person) if kind == "baseline" else None


def _digest_notice(result: Mapping[str, Any], person: str) -> AlertDraft:
    """What lets something through, or ends a block, is told louder than what stops something."""
    effect, outcome, ends = str(result["effect"]), str(result["outcome"]), result["wanted"] == "withdrawn"
    until = result.get("effective_until")
    verb = {"block": "blocked", "allow": "let through"}[effect]
    if outcome == "recorded":
        said = f"{person} wants a package {verb}{' no more' if ends else ''}"
    else:
        said = f"a package is {verb}{' no more' if ends else ''}"
    raises = (effect == "allow") != ends
    return notice(
        "digest_decision",
        outcome,
        Severity.HIGH if raises else Severity.MEDIUM,
        f"{result['vendor']}: {said} by its digest ({person})",
        subject=f"{result['decision']}:{result['wanted']}:{outcome}:{result['approvals']}",
        summary=f"SHA-256 {str(result['package'])[:SHOWN_DIGITS]}..., {result['approvals']} of {result['needed']} approvals"
        + (f", until {until}" if until else ""),
        lines=(str(result["message"]),),
        vendor_id=str(result["vendor"]),
    )


def _baseline_notice(result: Mapping[str, Any], person: str) -> AlertDraft:
    count, outcome = len(result["anchors"]), str(result["outcome"])
    said = {
        "approved": f"{count} key(s) are trusted as one set, without a call",
        "rejected": f"a set of {count} key(s) was rejected",
        "proposed": f"{person} proposes to trust {count} key(s) as one set, without a call",
    }.get(outcome, f"{person} approved a set of {count} key(s), {result['approvals']} of {result['needed']}")
    return notice(
        "baseline",
        outcome,
        Severity.HIGH if outcome == "approved" else Severity.MEDIUM,
        f"{result['vendor']}: {said}",
        subject=f"{result['baseline']}:{outcome}:{result['approvals']}",
        summary=f"{result['baseline']}, by {person}; 'rootwarden baseline show {result['baseline']}' lists its keys",
        vendor_id=str(result["vendor"]),
    )
