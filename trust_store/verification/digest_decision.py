"""Decisions about one package digest: ``block`` withdraws it, ``allow`` lets what lacks evidence pass for a while. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.model.trust_view import ALLOW, ANY_VENDOR, BLOCK
from trust_store.model.verdict import Outcome, Reason, outcome_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from trust_store.model.package_facts import PackageFacts
    from trust_store.model.trust_view import DigestDecision
    from trust_store.verification.question import Question

TRUST = "digest_decision"


def blocking(decisions: Iterable[DigestDecision], facts: PackageFacts, question: Question) -> DigestDecision | None:
    """The decision that withdraws this package, at the time asked about or now, or None."""
    for decision in decisions:
        if decision.effect == BLOCK and _is_about(decision, facts) and any(_counting(decision, question)):
            return decision
    return None


def allowing(
    decisions: Iterable[DigestDecision], facts: PackageFacts, question: Question, reasons: Iterable[Reason]
) -> DigestDecision | None:
    """The decision that lets this package pass although ``reasons`` stand against it, or None.

    Never over evidence against the package (``failed``), never over a demand of the asker that was not met, never where an anchor is
    required or the expected vendor is not stated.
    """
    if question.require_anchor or question.identity or question.vendor.id in (None, ANY_VENDOR):
        return None
    outcomes = {outcome_of(reason) for reason in reasons}
    if outcomes != {Outcome.INDETERMINATE}:
        return None
    for decision in decisions:
        if decision.effect == ALLOW and _is_about(decision, facts) and all(_counting(decision, question)):
            return decision
    return None


def moments(decisions: Iterable[DigestDecision], facts: PackageFacts) -> tuple[datetime, ...]:
    """When a decision about this package begins or ends by itself."""
    return tuple(
        at
        for decision in decisions
        if _is_about(decision, facts)
        for at in (decision.effective_from, decision.effective_until)
        if at is not None
    )


def _is_about(decision: DigestDecision, facts: PackageFacts) -> bool:
    return bool(facts.sha256) and decision.package_sha256 == facts.sha256


def _counting(decision: DigestDecision, question: Question) -> tuple[bool, bool]:
    """Whether it counts at the time asked about, and whether now."""
    return decision.counts(question.vendor.id, question.at), decision.counts(question.vendor.id, question.checked_at)
