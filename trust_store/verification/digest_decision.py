"""Decisions about one package digest: ``block`` withdraws it, ``allow`` lets what lacks evidence pass for a while. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from trust_store.model.verdict import Outcome, Reason, outcome_of
from trust_store.verification.question import ANY_VENDOR

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from trust_store.model.package_facts import PackageFacts
    from trust_store.model.trust_view import DigestDecision
    from trust_store.verification.question import Question

BLOCK, ALLOW = "block", "allow"
TRUST = "digest_decision"
LONGEST_ALLOWANCE = timedelta(days=30)


def blocking(decisions: Iterable[DigestDecision], facts: PackageFacts, question: Question) -> DigestDecision | None:
    """The decision that withdraws this package, at the time asked about or now, or None.

    A block has no beginning: it speaks of the bytes, so that a clock that was set back does not lift it.
    Where nobody said whose package it is, or anybody's will do, any vendor's decision withdraws it.
    """
    for decision in decisions:
        vendor = decision.vendor_id == ANY_VENDOR or question.vendor.id in (None, ANY_VENDOR, decision.vendor_id)
        known = _is_about(decision, facts) and decision.effect == BLOCK
        if known and vendor and any(_before_end(decision, at) for at in (question.at, question.checked_at)):
            return decision
    return None


def allowing(
    decisions: Iterable[DigestDecision], facts: PackageFacts, question: Question, reasons: Iterable[Reason]
) -> DigestDecision | None:
    """The decision that lets this package pass although ``reasons`` stand against it, or None.

    Never over evidence against the package (``failed``), never over a demand of the asker that was not met, never where an anchor is
    required or the expected vendor is not stated; and never a decision without an end, or with one further off than is allowed.
    """
    if question.require_anchor or question.unmet or question.vendor.id in (None, ANY_VENDOR):
        return None
    outcomes = {outcome_of(reason) for reason in reasons}
    if outcomes != {Outcome.INDETERMINATE}:
        return None
    for decision in decisions:
        known = _is_about(decision, facts) and decision.effect == ALLOW and decision.vendor_id == question.vendor.id
        until = decision.effective_until
        bounded = until is not None and until - decision.effective_from <= LONGEST_ALLOWANCE
        if known and bounded and all(_in_effect(decision, at) for at in (question.at, question.checked_at)):
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


def _in_effect(decision: DigestDecision, at: datetime) -> bool:
    return decision.effective_from <= at and _before_end(decision, at)


def _before_end(decision: DigestDecision, at: datetime) -> bool:
    return decision.effective_until is None or at < decision.effective_until
