"""The sentence and the next actions that people read. Text from outside is escaped and cut here. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.model.identifiers import format_time
from trust_store.model.verdict import MAX_RELATIVES, RELATIVES, Reason
from trust_store.terminal import safe
from trust_store.verification.ratchet import lowering, told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trust_store.model.package_facts import PackageFacts
    from trust_store.model.trust_view import DigestDecision
    from trust_store.model.verdict import Relative
    from trust_store.verification.question import JudgedSignature, Question
    from trust_store.verification.ratchet import Regression

MAX_NAME = 160
_SENTENCES = {
    Reason.RESOURCE_LIMIT: "The package could not be checked within the limits",
    Reason.UNREADABLE: "The package or something needed for the answer could not be read",
    Reason.UNSUPPORTED_FORMAT: "This kind of package or signature is not read",
    Reason.MALFORMED: "The package or its signature is damaged",
    Reason.UNSIGNED: "There is no signature to check",
    Reason.INVALID_SIGNATURE: "A signature does not match the content",
    Reason.UNCOVERED_CONTENT: "The package has content that no signature covers",
    Reason.COMPROMISED: "The key of {signer} is recorded as compromised",
    Reason.DISTRUSTED: "The key of {signer}, or one above it, is recorded as distrusted",
    Reason.REVOKED: "The trust in the key of {signer} has been withdrawn",
    Reason.WITHDRAWN: "This package is blocked",
    Reason.WEAK_ALGORITHM: "The signature of {signer} uses an algorithm too weak to count",
    Reason.OUT_OF_SCOPE: "The anchor of {signer} is not accepted for this package",
    Reason.UNEXPECTED_SIGNER: "The root is known, and {signer} is not one of the signers accepted under it",
    Reason.PATH_INVALID: "The certification path of {signer} breaks a rule",
    Reason.NOT_YET_VALID: "The key of {signer}, or the signature, is not valid yet",
    Reason.EXPIRED: "The key of {signer}, or one above it, has expired",
    Reason.REVOCATION_UNKNOWN: "Whether the keys have been revoked could not be determined",
    Reason.DOWNGRADE: "The package is signed in a weaker way than it should be",
    Reason.ROLLBACK: "The package is older than one that was already seen",
    Reason.VENDOR_UNSTATED: "Nobody said whose package this is: the signature of {signer} counts for one vendor only",
}
_ADVICE = {
    Reason.RESOURCE_LIMIT: "have the package looked at by hand: nothing within the limits could be said about it",
    Reason.UNREADABLE: "make the file readable and check it again",
    Reason.UNSUPPORTED_FORMAT: "obtain the vendor's signature file and check again with --signature FILE",
    Reason.MALFORMED: "fetch the package and its signature again from the vendor; if it stays so, report it to the vendor",
    Reason.UNSIGNED: "obtain the vendor's signature and check again with --signature FILE",
    Reason.INVALID_SIGNATURE: "do not install; fetch the package again from the vendor, and if it stays so, report it",
    Reason.UNCOVERED_CONTENT: "do not install; ask the vendor about the content named under coverage",
    Reason.COMPROMISED: "do not install; ask the vendor for a package signed with its new key",
    Reason.DISTRUSTED: "do not install; keep the package and tell the vendor who signed it",
    Reason.REVOKED: "ask the vendor for a package signed with its current key",
    Reason.WITHDRAWN: "do not install; the decision that blocks it is in the audit log",
    Reason.WEAK_ALGORITHM: "ask the vendor for a signature made with SHA-256 or stronger",
    Reason.OUT_OF_SCOPE: "see the anchor's constraints: rootwarden anchor show ID",
    Reason.UNEXPECTED_SIGNER: "ask the vendor whether this signer is its own, then state it: rootwarden anchor show ID",
    Reason.PATH_INVALID: "ask the vendor for a package signed under a correct certificate chain",
    Reason.NOT_YET_VALID: "see that this machine's clock is right, then check again when the key is valid",
    Reason.EXPIRED: "ask the vendor for a package signed with its current key",
    Reason.REVOCATION_UNKNOWN: "check again with a current revocation list, or without --crl",
    Reason.DOWNGRADE: "fetch the package again from the vendor: a signature may have been removed",
    Reason.ROLLBACK: "ask the vendor whether an older version is meant",
    Reason.VENDOR_UNSTATED: "say whose package it is: --vendor ID",
}


def summary_of(
    ranked: Sequence[Reason],
    facts: PackageFacts,
    deciding: JudgedSignature | None,
    required: int,
    decision: DigestDecision | None = None,
    lost: Sequence[Regression] = (),
) -> str:
    """One sentence: what was found, who signed, which root is missing; what was decided about this digest, and against what.

    ``lost`` is what the package shows less of than its product did before.
    """
    reason = ranked[0]
    if reason is Reason.TRUSTED and decision is not None:
        until = f" until {format_time(decision.effective_until)}" if decision.effective_until else ""
        against = _found(ranked[1], facts, deciding, required, lost)
        return f"Allowed{until} by decision {safe(decision.id, 64)}: {_quoted(decision.reason)}. Without it: {against}"
    if reason is Reason.WITHDRAWN and decision is not None:
        return f"This package is blocked by decision {safe(decision.id, 64)}: {_quoted(decision.reason)}."
    return _found(reason, facts, deciding, required, lost)


def _found(
    reason: Reason,
    facts: PackageFacts,
    deciding: JudgedSignature | None,
    required: int,
    lost: Sequence[Regression],
) -> str:
    signer = _signer(deciding)
    if before := told(lost, reason):
        return f"{_SENTENCES[reason]}: {before}."
    if reason is Reason.TRUSTED and deciding is not None and deciding.verdict.anchor is not None:
        return f"Signed by {signer}, vouched for by the anchor {_quoted(deciding.verdict.anchor[1])}."
    if reason is Reason.UNKNOWN_ROOT:
        return _unknown_root(deciding, signer)
    if reason is Reason.UNSIGNED and deciding is not None:
        return f"Signatures by {required} different keys are asked for, and fewer hold."
    sentence = _SENTENCES.get(reason, f"Not passed: {reason}").format(signer=signer)
    detail = _detail(reason, facts, deciding)
    return f"{sentence}: {detail}." if detail else f"{sentence}."


def advice_for(
    reason: Reason,
    facts: PackageFacts,
    deciding: JudgedSignature | None,
    question: Question,
    lost: Sequence[Regression] = (),
    *,
    vendor_counts: bool,
) -> tuple[str, ...]:
    """The next actions, most useful first; nothing to do about what passed. ``vendor_counts``: stating a vendor would matter."""
    if reason is Reason.TRUSTED:
        return ()
    advice: list[str] = []
    if reason is Reason.UNKNOWN_ROOT:
        advice += _unknown_root_advice(deciding, question)
    elif reason is Reason.UNSUPPORTED_FORMAT and facts.signatures:
        advice.append("see which kinds of signature are read: docs/formats.md")
    elif reason in _ADVICE:
        advice.append(_ADVICE[reason])
    if commands := lowering(lost, reason):
        advice.append("ask the vendor on the number you recorded whether this is how it ships the product now")
        advice += [f"if it says so, have the ratchet lowered: {command}" for command in commands]
    if deciding is not None and deciding.needs_file:
        advice.append("check the file itself again: the stored facts do not suffice for this key")
    if vendor_counts and question.vendor.id is None and reason is not Reason.VENDOR_UNSTATED:
        suggested = question.vendor.suggested
        advice.append(
            f"say whose package it is: --vendor {suggested} (suggested by its name)"
            if suggested
            else _ADVICE[Reason.VENDOR_UNSTATED]
        )
    return tuple(advice)


def _unknown_root(deciding: JudgedSignature | None, signer: str) -> str:
    verdict = deciding.verdict if deciding else None
    missing = verdict.missing_issuer if verdict else None
    if verdict is None or verdict.integrity != "intact":
        if missing is not None and missing.name is not None:
            return f"The signer's certificate, issued by {_quoted(missing.name)}, is not at hand: the signature is unchecked."
        return f"The signature names {signer}, and that key is not at hand: it is unchecked."
    if missing is None or missing.name is None:
        return f"The signature is intact, made by {signer}, and nobody trusted vouches for that key."
    sentence = (
        f"The signature is intact, made by {signer}, and its root is not known: {_quoted(missing.name)} is missing."
    )
    if missing.same_name_new_key:
        sentence += " A certificate of that name is known, with another key."
    return sentence


def _unknown_root_advice(deciding: JudgedSignature | None, question: Question) -> list[str]:
    vendor = question.vendor.id
    of_vendor = f" --vendor {vendor}" if vendor and vendor != "any" else ""
    advice = []
    if deciding is not None and deciding.verdict.integrity != "intact":
        advice.append("obtain the signer's key or certificate and check again with --untrusted FILE")
    missing = deciding.verdict.missing_issuer if deciding is not None else None
    advice += [_relative_advice(relative) for relative in missing.relatives[:MAX_RELATIVES]] if missing else []
    advice.append(f"see what awaits decision: rootwarden anchor list --state pending{of_vendor}")
    advice.append(
        "call the vendor on the number you recorded yourself, and never trust a key because a message says so"
    )
    return advice


def _relative_advice(relative: Relative) -> str:
    told = RELATIVES.get(relative.kind, "is like the missing issuer")
    return f"the {safe(relative.state, 20)} anchor {_quoted(relative.name)} {told}: rootwarden anchor show {safe(relative.anchor_id, 64)}"


def _detail(reason: Reason, facts: PackageFacts, deciding: JudgedSignature | None) -> str:
    if facts.problem is not None and facts.problem.reason is reason:
        return safe(facts.problem.detail, 300)
    if reason is Reason.UNCOVERED_CONTENT:
        first = next((u for u in facts.coverage.uncovered if not u.inert), None)
        return "" if first is None else _quoted(first.member) if first.member else f"bytes {first.start} to {first.end}"
    return safe(deciding.verdict.detail, 300) if deciding else ""


def _signer(deciding: JudgedSignature | None) -> str:
    signer = deciding.verdict.signer if deciding else None
    if signer is None:
        return "an unnamed key"
    named = next((value for kind, value in signer.identifiers if kind in ("key_id", "subject_key_identifier")), None)
    return _quoted(signer.name) if signer.name else f"key {safe(named, 64)}" if named else "an unnamed key"


def _quoted(text: str) -> str:
    return f"'{safe(text, MAX_NAME)}'"
