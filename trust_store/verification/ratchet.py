"""Whether a package is signed in a weaker way than its product was before, or is older than what was seen of it. Pure.

A mark counts as evidence that stronger packages exist. It never makes anything pass; people lower it where a vendor signs in another way
for good.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.model.ratchet import DIGEST, PRODUCT, SCHEME, SIGNERS, UNSIGNED, VERSION
from trust_store.model.verdict import Reason
from trust_store.quick_dataclass import dataclass
from trust_store.terminal import safe
from trust_store.verification.question import REQUESTED
from trust_store.verification.strength import rank

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trust_store.model.package_facts import PackageFacts
    from trust_store.model.ratchet import Mark, Ratchet, Strength
    from trust_store.model.trust_view import TrustView
    from trust_store.verification.question import Question

REFUSE = "refuse"
SHOWN_DIGITS = 12
"""So many of a package's digest are told: a whole one in a text looks like a key's fingerprint."""
NONE = "none"
"""In place of a version that is not stated, or a digest that is not known."""


@dataclass(frozen=True, slots=True)
class Regression:
    """One dimension in which a package shows less (``now``) than ``mark`` of ``ratchet``; ``reason`` is downgrade or rollback."""

    reason: Reason
    ratchet: Ratchet
    dimension: str
    now: str
    mark: Mark


def regressions(
    view: TrustView, facts: PackageFacts, question: Question, shown: Strength | None
) -> tuple[Regression, ...]:
    """All that the package shows less of than the marks that count against it; none where nothing can be said of it.

    An unsigned package is compared by scheme alone: what it lacks beside is no news.
    """
    if shown is None:
        return ()
    found = []
    for ratchet in counting(view.ratchets, question):
        for dimension, now in _compared(shown, ratchet, view):
            mark = ratchet.mark(dimension)
            if mark is not None and _held_against(mark, dimension, facts, question) and _less(dimension, now, mark):
                reason = Reason.ROLLBACK if dimension == VERSION else Reason.DOWNGRADE
                found.append(Regression(reason, ratchet, dimension, now, mark))
    return tuple(found)


def counting(ratchets: Iterable[Ratchet], question: Question) -> tuple[Ratchet, ...]:
    """Of each product and name the version that counts: the newest, or the newest by the time asked about.

    For a question about now no mark is too new, so that a clock that was set back loosens nothing.
    """
    chosen: dict[str, Ratchet] = {}
    for ratchet in sorted(ratchets, key=lambda r: r.number):
        timely = question.time_basis != REQUESTED or ratchet.recorded_at <= question.at
        if timely or ratchet.id not in chosen:
            chosen[ratchet.id] = ratchet
    return tuple(chosen.values())


def told(found: Sequence[Regression], reason: Reason) -> str:
    """What was seen before, when and in which package, against what is seen now; empty where nothing is about ``reason``."""
    said: dict[str, str] = {}
    for one in found:
        if one.reason is reason:
            said.setdefault(one.dimension, f"{_words(one.dimension, one.now)} now, {_before(one)}")
    return "; ".join(said.values())


def lowering(found: Sequence[Regression], reason: Reason) -> tuple[str, ...]:
    """The commands that lower the ratchets in the way of the package just so far that it passes them; nobody has to run them."""
    from shlex import quote  # few packages need any

    wanted: dict[str, list[str]] = {}
    for one in found:
        if one.reason is reason:
            wanted.setdefault(one.ratchet.id, []).append(
                "--to " + quote(f"{one.dimension}={safe(one.now or NONE, 100)}")
            )
    return tuple(f"rootwarden ratchet lower {id_} {' '.join(to)} --reason TEXT" for id_, to in wanted.items())


def _compared(shown: Strength, ratchet: Ratchet, view: TrustView) -> Iterable[tuple[str, str]]:
    yield SCHEME, shown.scheme
    if shown.scheme == UNSIGNED:
        return
    yield DIGEST, shown.digest
    yield SIGNERS, str(shown.signers)
    refused = view.vendor is not None and view.vendor.policy.rollback == REFUSE
    if refused and ratchet.kind == PRODUCT:
        yield VERSION, shown.version or NONE


def _held_against(mark: Mark, dimension: str, facts: PackageFacts, question: Question) -> bool:
    """Whether a mark is news about this package.

    Never the very package that set it. How a package is signed is no regression where it was seen, with these signatures, before
    the mark was set: it is what the vendor shipped then. An older version stays older, whenever it was seen: to be shown it again
    is the attack. A clock that is behind the mark was set back: what it says was seen before the mark is not believed.
    """
    if mark.package_sha256 == facts.sha256:
        return False
    if question.time_basis == REQUESTED and mark.seen_at > question.at:
        return False
    seen = question.first_seen_at
    return dimension == VERSION or seen is None or seen >= mark.seen_at or question.checked_at < mark.seen_at


def _less(dimension: str, now: str, mark: Mark) -> bool:
    if dimension == VERSION and now == NONE:
        return True  # a version that is not stated any more cannot be told to be as new
    return rank(dimension, now) < rank(dimension, mark.value)


def _before(one: Regression) -> str:
    mark = one.mark
    return (
        f"{_words(one.dimension, mark.value)} in package {safe(mark.package_sha256, 64)[:SHOWN_DIGITS]}... "
        f"seen on {mark.seen_at:%Y-%m-%d %H:%M} UTC"
    )


def _words(dimension: str, value: str) -> str:
    shown = safe(value, 60)
    if dimension == SCHEME:
        return "no signature that counts" if value == UNSIGNED else f"signed by {shown}"
    if dimension == DIGEST:
        return f"digest {shown or NONE}"
    if dimension == SIGNERS:
        return f"{shown} signing key(s)"
    return f"version {shown}"
