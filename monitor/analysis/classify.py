"""Sentences -> a score for the document and the sentences that made it; nothing here knows any vendor or document."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from monitor.analysis.model import Hit
from monitor.analysis.rules import AGAINST, CUES, FOR, HOST_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from monitor.analysis.rules import Rule
    from monitor.analysis.sentences import Sentence
    from trust_store.model.claim import ClaimKind

THRESHOLD = 1.0
"""A document that scores this much announces a change."""
LEAD = 0.9
"""Without one sentence that scores this much, no number of weaker ones makes an announcement."""
CLAIM_THRESHOLD = 0.6
"""A sentence that scores this much, in a document that announces a change, is part of the announcement."""
MAX_CUES = 0.4
"""What all cues of a sentence together may add."""
SHARES = (1.0, 0.3, 0.15)
"""What the best, second and third sentence add to a document."""
MAX_HITS = 200
MAX_SENTENCES = 20_000
"""Different sentences about keys judged in one document."""


@dataclass(frozen=True, slots=True)
class ScoredSentence:
    """A sentence with its score, the rules behind it, and the kind of change it speaks of (None: it speaks of none)."""

    sentence: Sentence
    score: float
    kind: ClaimKind | None
    hits: tuple[Hit, ...]
    host_key: bool


def score_sentence(sentence: Sentence) -> ScoredSentence:
    """Return the strongest rule for, half of the second, and the cues, less the rules against."""
    host = bool(HOST_KEY.pattern.search(sentence.view))
    found = sorted(_matching(FOR, sentence), key=lambda pair: -pair[0].weight)
    if not found:
        return ScoredSentence(sentence, 0.0, None, (), host)
    cues, against = _matching(CUES, sentence), _matching(AGAINST, sentence)
    score = found[0][0].weight + (found[1][0].weight / 2 if len(found) > 1 else 0.0)
    score += min(MAX_CUES, sum(rule.weight for rule, _ in cues)) + sum(rule.weight for rule, _ in against)
    hits = tuple(
        Hit(rule.name, rule.weight, phrase[:200], sentence.view[:300], rule.why)
        for rule, phrase in (*found, *cues, *against)
    )
    return ScoredSentence(sentence, 0.0 if host else score, found[0][0].kind, hits, host)


class Scores:
    """The scores of one document's sentences: a sentence repeated word for word is judged once, and only so many are judged at all."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, bool], ScoredSentence] = {}

    @property
    def exhausted(self) -> bool:
        """Whether the document had more different sentences than are judged."""
        return len(self._known) >= MAX_SENTENCES

    def score(self, sentence: Sentence) -> ScoredSentence:
        """Return the score of ``sentence``; one beyond the cap says nothing."""
        key = sentence.view, sentence.item
        if key not in self._known:
            if self.exhausted:
                return ScoredSentence(sentence, 0.0, None, (), host_key=False)
            self._known[key] = score_sentence(sentence)
        return replace(self._known[key], sentence=sentence)


def document_score(scored: Iterable[ScoredSentence]) -> float:
    """Return the best sentence plus a part of the next ones, so that two that almost announce it do."""
    ranked = sorted((s.score for s in scored if s.score > 0), reverse=True)
    if not ranked or ranked[0] < LEAD:
        return 0.0
    return sum(score * share for score, share in zip(ranked, SHARES, strict=False))


def _matching(rules: tuple[Rule, ...], sentence: Sentence) -> list[tuple[Rule, str]]:
    found = []
    for rule in rules:
        if rule.place != "any" and sentence.item != (rule.place == "item"):
            continue
        match = rule.pattern.search(sentence.view)
        if match and (rule.also is None or rule.also.search(sentence.view)):
            found.append((rule, match.group(0)))
    return found
