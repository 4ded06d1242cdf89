"""Document -> what it says about signing keys: pure, offline, the same answer for the same input.

The steps: (1) cut to what is read at most, (2) sentences about keys, (3) their scores, (4) one label for the document,
(5) claims for the sentences that made it, each on the word of whoever wrote that post.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from monitor.analysis.advisory import is_advisory
from monitor.analysis.blocks import key_material
from monitor.analysis.claims import Voice, claims
from monitor.analysis.classify import (
    CLAIM_THRESHOLD,
    MAX_HITS,
    THRESHOLD,
    ScoredSentence,
    Scores,
    document_score,
    score_sentence,
)
from monitor.analysis.cves import cves
from monitor.analysis.fingerprints import fingerprints
from monitor.analysis.model import Analysis, Label
from monitor.analysis.sentences import Sentence, plain, sentences
from trust_store.model.claim import Authority, Claim

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.analysis.model import AnalysisInput, Hit

MAX_TEXT_CHARACTERS = 4 << 20
"""Of a text, and of all posts of a thread together, this much is read; ``Analysis.truncated`` says that there was more."""
MAX_TITLE_CHARACTERS = 1000
STAFF_ROLES = frozenset(
    {"staff", "maintainer", "admin", "administrator", "moderator", "vendor", "developer", "owner", "member"}
)
"""Roles that speak for the vendor. The caller states a role only where the server computed it; a display name is none."""


def analyse(document: AnalysisInput) -> Analysis:
    """Return what ``document`` says. Never raises: text that cannot be understood says nothing."""
    texts, truncated = _texts(document)
    title = _encodable(document.title[:MAX_TITLE_CHARACTERS])
    heading = (
        [score_sentence(Sentence(0, len(title), plain(title), item=True, quoted=False, block=-1))]
        if title.strip()
        else []
    )
    scores = Scores()
    scored = [[scores.score(sentence) for sentence in sentences(text)] for _, text, _ in texts]
    everything = [*heading, *(item for part in scored for item in part)]
    score = document_score(everything)
    rotation = score >= THRESHOLD
    advisory = is_advisory(title, texts[0][1])
    label = (Label.BOTH if advisory else Label.ROTATION) if rotation else Label.ADVISORY if advisory else Label.NEITHER
    found = list(_claims(title, heading, texts, scored, rotation=rotation))
    return Analysis(
        label=label,
        claims=tuple(found),
        cves=cves("\n".join([title, *(text for _, text, _ in texts)])),
        key_material=tuple(block for _, text, index in texts for block in key_material(text, index)),
        score=round(score, 4),
        hits=tuple(_hits(everything)),
        truncated=truncated or scores.exhausted,
    )


def _texts(document: AnalysisInput) -> tuple[list[tuple[Voice, str, int | None]], bool]:
    """The document's own text, then its posts, each with whose words it is."""
    left = MAX_TEXT_CHARACTERS
    texts: list[tuple[Voice, str, int | None]] = [
        (Voice(None, document.authority, document.published), _encodable(document.text[:left]), None)
    ]
    whole = len(document.text)
    left -= len(texts[0][1])
    for index, post in enumerate(document.posts):
        whole += len(post.text)
        authority = Authority.STAFF if (post.role or "").strip().lower() in STAFF_ROLES else Authority.UNAUTHENTICATED
        if left > 0:
            texts.append(
                (Voice(post.author, authority, post.date or document.published), _encodable(post.text[:left]), index)
            )
            left -= len(post.text[:left])
    return texts, whole > MAX_TEXT_CHARACTERS


def _encodable(text: str) -> str:
    """``text`` with every half of a surrogate pair (JSON can carry them) as U+FFFD, so that it has a UTF-8 form and keeps its offsets."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text)
    return text


def _claims(
    title: str,
    heading: list[ScoredSentence],
    texts: list[tuple[Voice, str, int | None]],
    scored: list[list[ScoredSentence]],
    *,
    rotation: bool,
) -> Iterator[Claim]:
    """The title's own claim, then those of every text in order. In a thread about a change, a post that only names keys is part of it."""
    everything = [*heading, *(item for part in scored for item in part)]
    best = max(everything, key=lambda item: item.score, default=None)
    if rotation:
        # The title is the first text's author's: a thread's is that of whoever opened it, the document's own otherwise.
        opener = next((voice for voice, text, _ in texts if text.strip()), texts[0][0])
        yield from claims(title, heading, opener, threshold=CLAIM_THRESHOLD)
    for (voice, text, index), part in zip(texts, scored, strict=True):
        chosen = part if rotation else [item for item in part if item.host_key]
        told = claims(text, chosen, voice, threshold=CLAIM_THRESHOLD)
        yield from told
        bare = rotation and index is not None and best is not None and not any(claim.keys for claim in told)
        if bare and best is not None and fingerprints(text):
            whole = replace(best.sentence, start=0, end=len(text), quoted=False)
            yield from claims(text, [replace(best, sentence=whole)], voice, threshold=0.0)


def _hits(everything: list[ScoredSentence]) -> Iterator[Hit]:
    ranked = sorted((item for item in everything if item.hits), key=lambda item: -item.score)
    yield from [hit for item in ranked for hit in item.hits][:MAX_HITS]
