"""``verify_package``: the answer about one package, in numbered steps. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from trust_store.model.verdict import Basis, Reason, Verdict
from trust_store.verification.combine import Combined, combine, worst_first
from trust_store.verification.digest_decision import TRUST, allowing, blocking, moments
from trust_store.verification.material import prepare
from trust_store.verification.question import NOW
from trust_store.verification.ratchet import regressions
from trust_store.verification.signature import SUPPLIED, judge_signature
from trust_store.verification.strength import shown_by
from trust_store.verification.wording import advice_for, summary_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from trust_store.model.package_facts import Member, PackageFacts
    from trust_store.model.trust_view import TrustView
    from trust_store.verification.question import JudgedSignature, Question

NOT_ISOLATED = "not_isolated"
LONGEST_VALIDITY = timedelta(hours=1)
MAX_JUDGED = 64
"""Signatures of one package that are judged: each may cost hundreds of public-key operations."""
MAX_JUDGED_INSIDE = 8
"""Of each package inside another, of which there may be many."""
MAX_TIMESTAMPS = 64
MAX_TIMESTAMP_BYTES = 2 * 1024 * 1024
"""Of all signatures of a package together; beyond either none is looked at, and the package does not pass."""


def verify_package(facts: PackageFacts, view: TrustView, question: Question, *, most: int = MAX_JUDGED) -> Verdict:
    """Return the verdict on ``facts`` for ``question`` under what ``view`` trusts; raises nothing that depends on the facts.

    ``passed`` only if the signatures that must hold do, each under a path to an anchor that counts for the expected vendor
    (or was supplied), and every byte that is not inert is covered. Of more than ``most`` signatures the rest is not judged.
    """
    # (1) Decode what is trusted, once.
    material = prepare(view, question)
    # (2) Judge every signature for itself.
    signatures = (
        [replace(s, timestamps=(), countersignatures=()) for s in facts.signatures]
        if _overstamped(facts)
        else facts.signatures
    )
    judged = tuple(judge_signature(fact, material, view, question, facts.format) for fact in signatures[:most])
    # (3) Which of them must hold; none at all is unsigned, unless the package could not be read to begin with.
    required = view.vendor.policy.required_signatures if view.vendor else 1
    combined = combine(judged, required) if judged or facts.problem is None else Combined((), None)
    # (4) What is wrong with the package itself counts whatever its signatures say.
    reasons = _of_package(facts, most) + combined.reasons
    # (5) Without a vendor nothing in the store speaks for the package.
    if reasons and question.vendor.id is None and view.trust != SUPPLIED:
        reasons += (Reason.VENDOR_UNSTATED,)
    # (6) Less than what was seen of the product before: weaker signatures, or where policy refuses it an older version.
    shown = shown_by(facts, combined)
    lost = regressions(view, facts, question, shown)
    reasons += tuple(one.reason for one in lost)
    # (7) A decision about this very digest: one that blocks it is evidence against; one that allows it fills a lack of evidence.
    block = blocking(view.decisions, facts, question)
    if block is not None:
        reasons += (Reason.WITHDRAWN,)
    allow = allowing(view.decisions, facts, question, reasons)
    # (8) One reason decides, evidence against before evidence lacking; the others stand beside it.
    ranked = _ranked(reasons)
    ranked = (Reason.TRUSTED, *ranked) if allow is not None else ranked
    also: tuple[str, ...] = tuple(reason.value for reason in ranked[1:])
    if not facts.isolated:
        also += (NOT_ISOLATED,)
    deciding = combined.deciding
    decision = next((d for d in (block, allow) if d is not None), None)
    verdicts = tuple(signature.verdict for signature in judged)
    return Verdict(
        path=question.path,
        name=question.name,
        size=facts.size,
        sha256=facts.sha256 or None,
        format=facts.format,
        vendor=question.vendor,
        reason=ranked[0],
        also=also,
        summary=summary_of(ranked, facts, deciding, required, decision, lost),
        checked_at=question.checked_at,
        validation_time=deciding.at if deciding is not None and deciding.at is not None else question.at,
        valid_until=_valid_until(judged, moments(view.decisions, facts), question),
        basis=Basis(
            trust=TRUST if allow is not None else view.trust,
            store_id=view.store_id,
            store_revision=view.store_revision,
            time=question.time_basis,
            decision=decision.id if decision is not None else deciding.decision if deciding is not None else None,
        ),
        signatures=verdicts,
        coverage=facts.coverage,
        needs_file=any(signature.needs_file for signature in judged),
        members=tuple(_member(member, view, question) for member in facts.members),
        advice=advice_for(ranked[0], facts, deciding, question, lost, vendor_counts=view.trust != SUPPLIED),
        strength=shown,
    )


def _ranked(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    """The reasons, the deciding one first.

    Of a package without a signature it says more that signed ones of the product were seen than that it has none, or no known format.
    """
    ranked = worst_first(reasons) or (Reason.TRUSTED,)
    if ranked[0] in (Reason.UNSIGNED, Reason.UNSUPPORTED_FORMAT) and Reason.DOWNGRADE in ranked:
        return (Reason.DOWNGRADE, *(reason for reason in ranked if reason is not Reason.DOWNGRADE))
    return ranked


def _member(member: Member, view: TrustView, question: Question) -> Verdict:
    """The verdict on a package inside, as if it had been asked about alone; when the container was seen first says nothing of it.

    What was seen of the container's product says nothing of it either.
    """
    asked = replace(question, name=member.name.rpartition("/")[2] or member.name, path=member.name, first_seen_at=None)
    return verify_package(member.facts, replace(view, ratchets=()), asked, most=MAX_JUDGED_INSIDE)


def _of_package(facts: PackageFacts, most: int) -> tuple[Reason, ...]:
    """The reader's own problem; content that no signature covers, where there is a signature; a digest that is missing."""
    reasons: tuple[Reason, ...] = ()
    if facts.problem is not None:
        reasons += (facts.problem.reason,)
    elif not facts.sha256:
        # A verdict is about a digest: without one there is nothing that could pass.
        reasons += (Reason.UNREADABLE,)
    if len(facts.signatures) > most or _overstamped(facts):
        # One of the other signatures may be evidence against it, and a timestamp may decide what one says.
        reasons += (Reason.RESOURCE_LIMIT,)
    if facts.signatures and any(not uncovered.inert for uncovered in facts.coverage.uncovered):
        reasons += (Reason.UNCOVERED_CONTENT,)
    return reasons


def _overstamped(facts: PackageFacts) -> bool:
    stamps = ((*signature.timestamps, *signature.countersignatures) for signature in facts.signatures)
    tokens = [len(stamp) for some in stamps for stamp in some]
    return len(tokens) > MAX_TIMESTAMPS or sum(tokens) > MAX_TIMESTAMP_BYTES


def _valid_until(judged: Iterable[JudgedSignature], decided: Iterable[datetime], question: Question) -> datetime:
    """The earliest moment at which time alone may change the answer, an hour away at most.

    A question about another time than now has an answer that time does not change; it is asked again after an hour all the same.
    """
    latest = question.checked_at + LONGEST_VALIDITY
    if question.time_basis != NOW:
        return latest
    own = [moment for signature in judged for moment in signature.moments]
    return min([latest, *(moment for moment in (*own, *decided) if moment > question.checked_at)])
