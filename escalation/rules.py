"""Which verdict alerts, how loudly, and in which words (pure); ``triage`` is the shell that writes it down.

Every verdict other than ``passed`` alerts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from escalation.deduplication import notice_key, verdict_key
from escalation.model import AlertContext, AlertDraft, CallPurpose, Severity
from escalation.redaction import Redactor, redactor_for, redactor_of
from trust_store.model.verdict import Outcome, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trust_store.model.verdict import Verdict

VERDICT_KIND = "verdict"


@dataclass(frozen=True, slots=True)
class Rule:
    """What one reason means to the team: severity, headline, and what the call is about."""

    severity: Severity
    headline: str
    purpose: CallPurpose


_C, _H, _M = Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM
_KEY, _ATTACK, _ASK, _LOOK = (
    CallPurpose.CONFIRM_KEY,
    CallPurpose.REPORT_ATTACK,
    CallPurpose.ASK_PACKAGE,
    CallPurpose.INSPECT,
)

RULES: dict[Reason, Rule] = {
    Reason.COMPROMISED: Rule(_C, "signed by a key known to be compromised", _ATTACK),
    Reason.DISTRUSTED: Rule(_C, "signed by a key the vendor disowned or we distrust", _ATTACK),
    Reason.INVALID_SIGNATURE: Rule(_C, "the signature does not match the content", _ATTACK),
    Reason.UNCOVERED_CONTENT: Rule(_C, "contains content that no signature covers", _ATTACK),
    Reason.REVOKED: Rule(_C, "signed by a revoked key", _ATTACK),
    Reason.WITHDRAWN: Rule(_H, "this package was withdrawn", _ATTACK),
    Reason.MALFORMED: Rule(_H, "the package or its signature is malformed", _ASK),
    Reason.UNKNOWN_ROOT: Rule(_H, "signed, but no root we know vouches for the key", _KEY),
    Reason.UNEXPECTED_SIGNER: Rule(_H, "signed under a known root by a signer we do not expect", _ASK),
    Reason.PATH_INVALID: Rule(_H, "the certification path breaks a rule", _ASK),
    Reason.OUT_OF_SCOPE: Rule(_H, "signed by a key that is not accepted for this use", _ASK),
    Reason.WEAK_ALGORITHM: Rule(_H, "signed with an algorithm that is too weak", _ASK),
    Reason.REVOCATION_UNKNOWN: Rule(_H, "whether the key was revoked cannot be told", _ASK),
    Reason.DOWNGRADE: Rule(_H, "signed in a weaker way than before, or not at all", _ASK),
    Reason.ROLLBACK: Rule(_H, "older than what was seen before", _ASK),
    Reason.RESOURCE_LIMIT: Rule(_H, "could not be inspected within the limits", _LOOK),
    Reason.UNSIGNED: Rule(_M, "carries no signature", _ASK),
    Reason.EXPIRED: Rule(_M, "signed under a certificate or key that has expired", _ASK),
    Reason.NOT_YET_VALID: Rule(_M, "signed under a certificate or key that is not valid yet", _ASK),
    Reason.VENDOR_UNSTATED: Rule(_M, "nobody stated whose package this is", _LOOK),
    Reason.UNREADABLE: Rule(_M, "the package could not be read", _LOOK),
    Reason.UNSUPPORTED_FORMAT: Rule(_M, "no reader knows this format", _LOOK),
}
"""One rule for each reason other than ``trusted``; a test holds it to be complete."""

_UNFORESEEN = Rule(Severity.HIGH, "not passed", CallPurpose.INSPECT)


def decide(context: AlertContext) -> AlertDraft:
    """The alert about a verdict that did not pass."""
    verdict = context.verdict
    # A reason without a rule still alerts: silence must never come from a gap in a table.
    rule = RULES.get(verdict.reason, _UNFORESEEN)
    # An unsigned archive is a lesser matter than what may lie in it: evidence against a package inside counts for both.
    against = [RULES.get(one.reason, _UNFORESEEN) for one in _inside(verdict) if one.outcome is Outcome.FAILED]
    worst = min((rule, *against), key=lambda one: tuple(Severity).index(one.severity))
    headline = rule.headline if worst is rule else f"{rule.headline}, and of a package inside: {worst.headline}"
    redactor = redactor_for(context)
    vendor = redactor.text(context.vendor.name if context.vendor else verdict.vendor.id, 60) or "unstated vendor"
    name = redactor.text(verdict.name, 80) or "package"
    first = _elsewhere(context, redactor)
    return AlertDraft(
        dedup_key=verdict_key(verdict, context.asker),
        kind=VERDICT_KIND,
        reason=verdict.reason.value,
        severity=worst.severity,
        title=f"{vendor}: {name}: {headline}",
        summary=f"{first} {verdict.outcome} / {verdict.reason}: {redactor.text(verdict.summary, 600) or rule.headline}".strip(),
        lines=_lines(verdict, redactor, context.asker),
        vendor_id=verdict.vendor.id,
        package_sha256=verdict.sha256,
        purpose=_purpose(rule, context),
        context=context,
        first=first,
    )


def notice(
    kind: str,
    reason: str,
    severity: Severity,
    title: str,
    *,
    subject: str,
    summary: str = "",
    lines: Iterable[str] = (),
    vendor_id: str | None = None,
    secrets: Iterable[str] = (),
) -> AlertDraft:
    """An alert that is not about a verdict (a mismatch on the telephone, a silent source); it has no script.

    ``secrets`` are the hex identifiers of keys awaiting decision that its texts might repeat; they are taken out.
    """
    redactor = redactor_of(secrets)
    return AlertDraft(
        dedup_key=notice_key(kind, vendor_id, subject),
        kind=kind,
        reason=reason,
        severity=severity,
        title=redactor.text(title, 200),
        summary=redactor.text(summary or title, 600),
        lines=tuple(redactor.text(line, 600) for line in lines),
        vendor_id=vendor_id,
    )


def _elsewhere(context: AlertContext, redactor: Redactor) -> str:
    """Whose package it may be instead: to be looked at before anybody is called."""
    if context.owner is None:
        return ""
    name = redactor.text(context.owner.name, 60) or context.owner.id
    return (
        f"Its root is a valid anchor of vendor {name} ({context.owner.id}): was the package put into the right folder?"
    )


def _purpose(rule: Rule, context: AlertContext) -> CallPurpose:
    """A key can only be confirmed where the store holds one that fits; else it has to be obtained first."""
    if rule.purpose is CallPurpose.CONFIRM_KEY and not context.proposals:
        return CallPurpose.OBTAIN_KEY
    return rule.purpose


def _inside(verdict: Verdict) -> Iterator[Verdict]:
    """The packages inside, at all depths."""
    for member in verdict.members:
        yield member
        yield from _inside(member)


def _lines(verdict: Verdict, redactor: Redactor, asker: str) -> tuple[str, ...]:
    """What else is worth a line: who asked, further reasons, the signatures' details, packages inside, the verdict's advice."""
    lines = [f"asked about by {asker}; what lies in the incoming folders is told of by itself"] if asker else []
    lines += [f"also: {', '.join(verdict.also)}"] if verdict.also else []
    lines += [f"{s.scheme}: {s.reason}: {s.detail}" for s in verdict.signatures[:8] if s.detail]
    inside = sorted(
        _inside(verdict), key=lambda one: (Outcome.FAILED, Outcome.INDETERMINATE, Outcome.PASSED).index(one.outcome)
    )
    lines += [f"inside: {m.path}: {m.outcome} / {m.reason}: {m.summary}" for m in inside[:8]]
    lines += list(verdict.advice[:8])
    return tuple(redactor.text(line, 400) for line in lines)
