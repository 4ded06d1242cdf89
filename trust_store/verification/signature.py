"""The verdict on one signature: what its scheme's steps found, put in the order of precedence. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from trust_store.model.trust_anchor import TrustBasis
from trust_store.model.verdict import PRECEDENCE, Reason, SignatureVerdict
from trust_store.signatures.protocol import IDENTITY_SCHEMES, WEAK_DIGESTS
from trust_store.verification.material import counts_for
from trust_store.verification.question import DEFAULT_NAMESPACE, Finding, JudgedSignature, detail_of, ordered
from trust_store.verification.x509 import X509Judging

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from trust_store.model.package_facts import SignatureFact
    from trust_store.model.trust_anchor import TrustAnchor
    from trust_store.model.trust_view import TrustView
    from trust_store.verification.judging import SignatureJudging
    from trust_store.verification.material import TrustMaterial
    from trust_store.verification.question import PathOutcome, Question

OPENPGP = "openpgp"
NPM = "npm"
NOTATION_SCHEMES = frozenset({"notation-cose", "notation-jws"})
BARE_KEY_SCHEMES = frozenset({"minisign", "signify", "sshsig"})
"""Schemes whose keys are anchors themselves, of a kind of their own (``verification.bare_key``)."""
SUPPLIED = "supplied"
_HARD = (Reason.DISTRUSTED, Reason.COMPROMISED, Reason.REVOKED)
"""Worst first: of several paths none of which passes, one with such a reason is told."""


def judge_signature(
    fact: SignatureFact, material: TrustMaterial, view: TrustView, question: Question, container: str | None
) -> JudgedSignature:
    """Return the verdict on one signature of a package that is of format ``container``."""
    # (1) What could not be read is not judged.
    if fact.problem is not None:
        return _unread(fact)
    # (1a) A list that gives a file of this name another digest speaks of another package, whatever it says of this one's content.
    if question.name in fact.other_names:
        fact = replace(fact, content_matches=False)
    # (2) The scheme's own steps.
    judging = _judged(fact, material, view, question, container)
    # (2a) A proven timestamp only ever helps: anybody could have left it out, so that what passes without it passes.
    if judging.timestamped_at is not None and not _passes(judging):
        without = _judged(replace(fact, timestamps=(), countersignatures=()), material, view, question, container)
        if _passes(without):
            without.timestamped_at, without.told, judging = judging.timestamped_at, judging.told, without
    # (3) The path that is told: one that passes, else the worst, else the one that got furthest.
    chosen = decisive(judging.outcomes)
    findings = [*judging.findings, *(chosen.findings if chosen else ())]
    # (4) Arithmetic is one thing, its strength another.
    if fact.digest_algorithm in WEAK_DIGESTS:
        findings.append(Finding(Reason.WEAK_ALGORITHM, f"{fact.digest_algorithm} does not protect a signature"))
    # (4a) What the signed statement says of its own time.
    findings += _own_time(fact, question.at)
    # (5) A demand for an identity or a namespace that such a signature cannot state, and a vendor nobody stated.
    findings += _unmet(fact, question)
    if findings and question.vendor.id is None and view.trust != SUPPLIED:
        findings.append(Finding(Reason.VENDOR_UNSTATED, "nobody said whose package this is"))
    reasons = ordered(findings)
    return JudgedSignature(
        fact=fact,
        verdict=SignatureVerdict(
            scheme=fact.scheme,
            file=fact.file,
            integrity=judging.integrity,
            signer=chosen.signer if chosen else judging.signer,
            path=chosen.nodes if chosen else (),
            anchor=(chosen.anchor.id, chosen.anchor.name) if chosen else None,
            missing_issuer=None if chosen else judging.missing,
            claimed_at=fact.claimed_at,
            timestamped_at=judging.timestamped_at,
            reason=reasons[0] if reasons else Reason.TRUSTED,
            also=reasons[1:],
            detail="; ".join(filter(None, (detail_of(findings), detail_of(judging.told)))),
            known_key=judging.known_key or _decided(judging.outcomes, question),
        ),
        key=judging.key,
        moments=(
            *(moment for outcome in judging.outcomes for moment in outcome.moments),
            *(moment for moment in (fact.valid_from, fact.valid_until) if moment is not None),
        ),
        needs_file=judging.needs_file or any(outcome.needs_file for outcome in judging.outcomes),
        at=judging.at,
        decision=_basis(chosen.anchor) if chosen else None,
    )


def _own_time(fact: SignatureFact, at: datetime) -> list[Finding]:
    """A statement counts from the time that it is of until the end that it sets itself, so that nobody can show an old one for ever."""
    if fact.valid_from is not None and at < fact.valid_from:
        return [Finding(Reason.NOT_YET_VALID, "the signed statement is of a later time")]
    if fact.valid_until is not None and at >= fact.valid_until:
        return [Finding(Reason.EXPIRED, "the signed statement says that it is no longer valid")]
    return []


def decisive(outcomes: Sequence[PathOutcome]) -> PathOutcome | None:
    """The outcome that decides: the first that passes, else the worst hard reason's, else the one with most steps done."""
    passing = next((outcome for outcome in outcomes if not outcome.findings), None)
    if passing is not None or not outcomes:
        return passing
    for reason in _HARD:
        for outcome in outcomes:
            if any(finding.reason is reason for finding in outcome.findings):
                return outcome
    return max(outcomes, key=lambda o: (o.steps, PRECEDENCE.index(ordered(o.findings)[0])))


def _judged(
    fact: SignatureFact, material: TrustMaterial, view: TrustView, question: Question, container: str | None
) -> SignatureJudging:
    accept = view.vendor is not None and view.vendor.policy.claimed_time == "accept"
    judging = _steps_for(fact.scheme)(fact, material, question, container=container, accept_claimed_time=accept)
    judging.judge()
    return judging


def _passes(judging: SignatureJudging) -> bool:
    chosen = decisive(judging.outcomes)
    return chosen is not None and not chosen.findings and not judging.findings


def _basis(anchor: TrustAnchor) -> str | None:
    return None if anchor.basis is TrustBasis.NONE else anchor.basis.value


def _steps_for(scheme: str) -> type[SignatureJudging]:
    """Whose steps judge a signature of ``scheme``; those of certificates and raw keys unless the scheme has keys of its own kind."""
    if scheme == OPENPGP:  # imported where a signature is one: most packages carry none
        from trust_store.verification.openpgp import OpenPGPJudging

        return OpenPGPJudging
    if scheme in IDENTITY_SCHEMES:
        from trust_store.verification.sigstore import SigstoreJudging

        return SigstoreJudging
    if scheme in NOTATION_SCHEMES:
        from trust_store.verification.notation import NotationJudging

        return NotationJudging
    if scheme == NPM:
        from trust_store.verification.npm import NpmJudging

        return NpmJudging
    if scheme in BARE_KEY_SCHEMES:
        from trust_store.verification.bare_key import BareKeyJudging

        return BareKeyJudging
    return X509Judging


def _unmet(fact: SignatureFact, question: Question) -> list[Finding]:
    found = []
    if question.identity is not None and fact.scheme not in IDENTITY_SCHEMES:
        found.append("a sigstore identity is asked for, and this signature states none")
    # Every signature over a file is for files; another purpose has to be stated.
    if question.namespace != DEFAULT_NAMESPACE and fact.namespace is None:
        found.append(f"the namespace {question.namespace[:80]!a} is asked for, and this signature states none")
    return [Finding(Reason.UNEXPECTED_SIGNER, detail) for detail in found]


def _decided(outcomes: Sequence[PathOutcome], question: Question) -> bool:
    return any(counts_for(outcome.anchor, question) for outcome in outcomes)


def _unread(fact: SignatureFact) -> JudgedSignature:
    problem = fact.problem
    assert problem is not None  # noqa: S101 - the caller looked
    findings = [Finding(problem.reason, problem.detail)]
    reasons = ordered(findings)
    return JudgedSignature(
        fact=fact,
        verdict=SignatureVerdict(
            scheme=fact.scheme, file=fact.file, integrity="unchecked", signer=None, path=(), anchor=None,
            missing_issuer=None, claimed_at=fact.claimed_at, timestamped_at=None, reason=reasons[0], also=reasons[1:],
            detail=detail_of(findings),
        ),
    )  # fmt: skip
