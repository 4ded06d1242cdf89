"""Alerts about decisions: a key trusted, retired or buried, a package blocked or let through by its digest, a set of keys trusted as one,
a ratchet lowered.

Raised inside the decision's own transaction (``Alerting.report_decision``), so that nobody learns of one later than it counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalation.model import Severity
from escalation.redaction import anchor_secrets
from escalation.rules import notice
from trust_store import audit, query
from trust_store.anchor_rules import Way, disclosed
from trust_store.model.trust_anchor import AnchorState
from trust_store.storage.approvals import acceptances
from trust_store.terminal import safe

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from typing import Any

    from escalation.model import AlertDraft
    from trust_store.model.trust_anchor import TrustAnchor

MAX_REASON = 200
SHOWN_DIGITS = 12
"""So many of a digest are told: a whole one in a text looks like a fingerprint and is withheld."""

ANCHOR_KIND, STORE_KIND = "anchor_decided", "store_changed"
_ANCHOR_OUTCOMES: dict[str, tuple[Severity, str]] = {
    "recorded": (Severity.LOW, "an approval about a key was given, more are needed"),
    "valid": (Severity.MEDIUM, "a key is trusted from now on"),
    "superseded": (Severity.LOW, "a key was superseded by another"),
    "removed": (Severity.LOW, "a key is not trusted any more"),
    "rejected": (Severity.LOW, "a proposed key was rejected"),
    "revoked": (Severity.MEDIUM, "a key was revoked"),
    "compromised": (Severity.HIGH, "a key is recorded as compromised"),
    "distrusted": (Severity.HIGH, "a key is distrusted from now on"),
    "narrowed": (Severity.LOW, "a trusted key was narrowed"),
}
"""What came of a decision about one key -> how loudly it is told, and in which words."""


def decision_notice(result: Mapping[str, Any], person: str) -> AlertDraft | None:
    """The alert that a decision's ``result`` calls for, None where it calls for none of these."""
    kind = result.get("alert")
    if kind == "digest_decision":
        return _digest_notice(result, person)
    if kind == "baseline":
        return _baseline_notice(result, person)
    if kind == "ratchet_lowered":
        return _ratchet_notice(result, person)
    return _anchor_notice(result, person) if "anchor" in result and result.get("outcome") in _ANCHOR_OUTCOMES else None


def mismatch_notice(connection: sqlite3.Connection, result: Mapping[str, Any], person: str) -> AlertDraft | None:
    """The alert that what was read out is not the key's fingerprint, None where it was: it may be an attack.

    Each person's is a matter of its own, and a whole fingerprint that differs is another one than a part of it.
    """
    outcome = str(result["outcome"])
    if outcome not in ("mismatch", "incomplete"):
        return None
    anchor = query.anchor(connection, str(result["anchor"]))
    whole = outcome == "mismatch"
    return notice(
        "fingerprint_mismatch",
        outcome,
        Severity.CRITICAL if whole else Severity.MEDIUM,
        f"{result['vendor']}: the fingerprint that {person} typed is not that of the proposed key"
        if whole
        else f"{result['vendor']}: {person} typed only a part of a fingerprint",
        subject=f"{result['anchor']}:{outcome}:{person}",
        summary=f"{_name(anchor, result)}: the proposal stays pending; call the vendor again on the number on record",
        vendor_id=str(result["vendor"]),
        secrets=anchor_secrets(anchor) if anchor else (),
    )


def break_glass_notice(connection: sqlite3.Connection, result: Mapping[str, Any], person: str) -> AlertDraft:
    """The alert about an emergency, with the reason given. Every one is told: the audit log tells them apart."""
    anchor = query.anchor(connection, str(result["anchor"]))
    given, needed = result["approvals"], result["needed"]
    effect = (
        "it is trusted from now on: call the vendor, and if the key is not theirs 'rootwarden anchor distrust' ends it"
        if result["outcome"] == "valid"
        else "one more person can make it trusted: if this is no emergency, 'rootwarden anchor reject' ends it"
    )
    reason = _reason(connection, str(result["anchor"]), person)
    told = safe(disclosed(anchor, reason) if anchor else reason, MAX_REASON)
    return notice(
        "break_glass",
        str(result["outcome"]),
        Severity.CRITICAL,
        f"{result['vendor']}: {person} broke the glass to have a key trusted without a call ({given} of {needed})",
        subject=f"{result['anchor']}:{person}:{audit.head(connection).seq}",
        summary=f"because '{told}'; {effect}; the key is {_name(anchor, result)}",
        vendor_id=str(result["vendor"]),
        secrets=anchor_secrets(anchor) if anchor and anchor.state is AnchorState.PENDING else (),
    )


def _name(anchor: TrustAnchor | None, result: Mapping[str, Any]) -> str:
    return disclosed(anchor, anchor.name) if anchor else str(result["anchor"])


def _reason(connection: sqlite3.Connection, anchor_id: str, person: str) -> str:
    """Why a person broke the glass, in his own words, as the approval just recorded has it."""
    stored = query.stored_anchor(connection, anchor_id)
    own = (
        [a for a in acceptances(connection, stored) if a.approver == person and a.way == Way.BREAK_GLASS]
        if stored
        else []
    )
    return (own[-1].reason or "") if own else ""


def _anchor_notice(result: Mapping[str, Any], person: str) -> AlertDraft:
    """Everybody learns who decided what about a key; the texts name it by its id, never by its fingerprint."""
    anchor, outcome, count = (
        str(result["anchor"]),
        str(result["outcome"]),
        f"{result['approvals']} of {result['needed']}",
    )
    severity, said = _ANCHOR_OUTCOMES[outcome]
    return notice(
        ANCHOR_KIND,
        outcome,
        severity,
        f"{result['vendor']}: {said} ({person})",
        subject=f"{anchor}:{outcome}:{result['approvals']}",
        summary=f"{result['message']}; {count} approvals; 'rootwarden anchor show {anchor}' tells more",
        vendor_id=str(result["vendor"]),
    )


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


def _ratchet_notice(result: Mapping[str, Any], person: str) -> AlertDraft:
    """What lets weaker or older packages pass again is told loud, from the first approval on."""
    outcome, count = str(result["outcome"]), f"{result['approvals']} of {result['needed']}"
    said = (
        f"{person} wants less than before to pass for a product" if outcome == "recorded" else "less than before passes"
    )
    product = safe(str(result["product"]), 80)
    return notice(
        "ratchet_lowered",
        outcome,
        Severity.HIGH,
        f"{result['vendor']}: {said} ({person}): {product}",
        subject=f"{result['ratchet']}:{outcome}:{result['approvals']}:{result['number']}",
        summary=f"{safe(str(result['changed']), 300)}, {count} approvals; 'rootwarden ratchet show {result['ratchet']}' tells more",
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
