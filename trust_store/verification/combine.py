"""Which of a package's signatures must hold: embedded ones decide, given ones must each verify, found ones may. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from trust_store.model.package_facts import SignatureOrigin, SignatureRole
from trust_store.model.verdict import PRECEDENCE, Outcome, Reason, outcome_of
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trust_store.verification.question import JudgedSignature

BROKEN = "broken"
_DAMAGED = frozenset({Reason.MALFORMED, Reason.INVALID_SIGNATURE})


@dataclass(frozen=True, slots=True)
class Combined:
    """``reasons`` is empty if the signatures suffice; ``deciding`` is the signature that the answer is about.

    ``counting`` are those that speak for the package and hold, whether or not they suffice.
    """

    reasons: tuple[Reason, ...]
    deciding: JudgedSignature | None
    counting: tuple[JudgedSignature, ...] = ()


def combine(signatures: Sequence[JudgedSignature], required: int) -> Combined:
    """Return whether the signatures suffice, ``required`` being how many distinct keys the vendor's policy asks for."""
    if not signatures:
        return Combined((Reason.UNSIGNED,), None)
    embedded = [s for s in signatures if s.fact.origin is SignatureOrigin.EMBEDDED]
    given = [s for s in signatures if s.fact.origin is SignatureOrigin.GIVEN]
    found = [s for s in signatures if s.fact.origin is SignatureOrigin.FOUND]
    # (1) Signatures that speak against the package whatever the others say.
    against = [s for s in embedded if _speaks_against(s)]
    against += [s for s in given if _known_broken(s)]
    against += [s for s in found if _known_broken(s) or (embedded and _damaged(s))]
    # (2) Each file that was handed over must verify, and each signature without which the format does not count.
    against += [s for file in _by_file(given) if not any(_passes(s) for s in file) for s in file]
    against += [s for s in signatures if s.fact.role is SignatureRole.REQUIRED and not _passes(s)]
    # (2a) Where a format signs several parts apart, each part needs a good one: the signature of one says nothing of another.
    against += [s for part in _by_part(_deciding(embedded)) if not any(_passes(s) for s in part) for s in part]
    if against:
        return _against(against)
    # (3) Who may speak for it: what was given, with what is embedded; else what is embedded; else what lies beside it.
    embedded, given, found = (_deciding(some) for some in (embedded, given, found))
    speaking = [*embedded, *given] if given else embedded or found
    good = [s for s in speaking if _passes(s)]
    if good and _fewest_keys(good, embedded) >= required:
        return Combined((), good[0], tuple(good))
    # (4) Not enough. A file beside the package that is no signature at all says nothing where another one is.
    rest = [s for s in speaking if not _passes(s)]
    if speaking is found:
        rest = [s for s in rest if s.fact.problem is None] or rest
    lacking = _against(rest) if rest else Combined((Reason.UNSIGNED,), good[0] if good else None)
    return replace(lacking, counting=tuple(good))


def worst_first(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    """Reasons of several signatures, each once: evidence against comes before evidence lacking, then precedence."""
    return tuple(sorted(set(reasons), key=_weight))


def _against(signatures: Sequence[JudgedSignature]) -> Combined:
    deciding = min(signatures, key=lambda s: _weight(s.verdict.reason))
    reasons = [reason for s in signatures for reason in (s.verdict.reason, *s.verdict.also)]
    others = [reason for reason in worst_first(reasons) if reason is not deciding.verdict.reason]
    return Combined((deciding.verdict.reason, *others), deciding)


def _weight(reason: Reason) -> tuple[bool, int]:
    return outcome_of(reason) is not Outcome.FAILED, PRECEDENCE.index(reason)


def _passes(signature: JudgedSignature) -> bool:
    return signature.verdict.outcome is Outcome.PASSED and signature.key is not None


def _speaks_against(signature: JudgedSignature) -> bool:
    """Whether anything at all is evidence against it: that it was costly to judge as well hides nothing.

    That a signature is by a weak algorithm proves nothing and disproves nothing: beside a strong one (dual-signed packages, a scheme
    below the one that decides) it is told, alone it does not suffice. One that is broken says so by another reason.
    """
    against = {r for r in (signature.verdict.reason, *signature.verdict.also) if outcome_of(r) is Outcome.FAILED}
    return bool(against - {Reason.WEAK_ALGORITHM})


def _deciding(signatures: Iterable[JudgedSignature]) -> list[JudgedSignature]:
    return [s for s in signatures if s.fact.role is not SignatureRole.REPORTED]


def _known_broken(signature: JudgedSignature) -> bool:
    return signature.verdict.integrity == BROKEN and signature.verdict.known_key


def _damaged(signature: JudgedSignature) -> bool:
    return signature.verdict.integrity == BROKEN or signature.verdict.reason in _DAMAGED


def _fewest_keys(good: Iterable[JudgedSignature], embedded: Iterable[JudgedSignature]) -> int:
    """How many distinct keys signed, of several parts the one with the fewest; what is over the whole file counts for each part."""
    keys = {(s.fact.part, s.key) for s in good}
    parts: set[str | None] = {s.fact.part for s in embedded if s.fact.part is not None}
    return min((len({key for part, key in keys if part in (None, one)}) for one in parts or {None}), default=0)


def _by_part(signatures: Iterable[JudgedSignature]) -> list[list[JudgedSignature]]:
    parts: dict[str, list[JudgedSignature]] = {}
    for signature in signatures:
        if signature.fact.part is not None:
            parts.setdefault(signature.fact.part, []).append(signature)
    return list(parts.values())


def _by_file(signatures: Iterable[JudgedSignature]) -> list[list[JudgedSignature]]:
    files: dict[object, list[JudgedSignature]] = {}
    for signature in signatures:
        files.setdefault(signature.fact.file, []).append(signature)
    return list(files.values())
