"""Sentences that announce something -> claims, each with the keys, dates and addresses that stand with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import re2

from monitor.analysis.dates import dates
from monitor.analysis.fingerprints import fingerprints
from monitor.analysis.urls import urls
from trust_store.model.claim import Authority, Claim, ClaimKey, ClaimKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from monitor.analysis.classify import ScoredSentence
    from monitor.analysis.dates import FoundDate
    from monitor.analysis.fingerprints import FoundKey
    from monitor.analysis.urls import FoundUrl

MAX_EXCERPT_CHARACTERS = 500
MAX_CLAIMS = 100
KEY_REACH = 1500
"""How many characters after (and half as many before) an announcement a key still belongs to it."""
URL_REACH = 700
DATE_REACH = 500

_OLD = re2.compile(
    r"(?i)\b(?:old|previous|former|earlier|outgoing|expired|revoked|retired|legacy|current|existing|before|until|compromised|deprecated|alte[rnms]?|ancienne?|anterior)\b"
)
_NEW = re2.compile(
    r"(?i)\b(?:new|newer|replacement|successor|now|updated|refreshed|since|from|today|latest|neue[rnms]?|nouvelle|nueva)\b"
)


@dataclass(frozen=True, slots=True)
class Voice:
    """Whose words a text is: its author, on what authority, and which post it is (None: the document itself)."""

    author: str | None
    authority: Authority
    published: date | None


@dataclass(frozen=True, slots=True)
class _Found:
    keys: tuple[FoundKey, ...]
    dates: tuple[FoundDate, ...]
    urls: tuple[FoundUrl, ...]


def claims(text: str, scored: Sequence[ScoredSentence], voice: Voice, *, threshold: float) -> tuple[Claim, ...]:
    """Return a claim for every sentence of ``text`` that reaches ``threshold``, at most ``MAX_CLAIMS``.

    A key, date or address belongs to the announcement nearest to it, so none is told twice.
    """
    speaking = [item for item in scored if (item.kind and item.score >= threshold) or item.host_key][:MAX_CLAIMS]
    if not speaking:
        return ()
    found = _Found(fingerprints(text), dates(text, voice.published), urls(text))
    return tuple(_claim(text, item, speaking, found, voice) for item in speaking)


def _claim(text: str, item: ScoredSentence, speaking: Sequence[ScoredSentence], found: _Found, voice: Voice) -> Claim:
    start, end = item.sentence.start, item.sentence.end
    keys = [key for key in found.keys if _owner(key.start, speaking, KEY_REACH) is item]
    said = [day for day in found.dates if _owner(day.start, speaking, DATE_REACH) is item and not _listed(text, day)]
    links = [url for url in found.urls if _belongs(url, item, speaking)]
    quoted = item.sentence.quoted and voice.author is not None
    return Claim(
        kind=ClaimKind.HOST_KEY if item.host_key else item.kind or ClaimKind.ROTATED,
        keys=tuple(dict.fromkeys(ClaimKey(_role(text, key), key.algorithm, key.value) for key in keys)),
        effective_dates=tuple(dict.fromkeys(day.value for day in said)),
        urls=tuple(dict.fromkeys(url.value for url in links)),
        excerpt=text[start:end].strip()[:MAX_EXCERPT_CHARACTERS],
        author=None if quoted else voice.author,
        authority=Authority.UNAUTHENTICATED if quoted else voice.authority,
        start=start,
        end=end,
    )


def _belongs(url: FoundUrl, item: ScoredSentence, speaking: Sequence[ScoredSentence]) -> bool:
    """A key's address near the announcement; any page that the announcing sentence itself points to."""
    inside = item.sentence.start <= url.start < item.sentence.end
    return _owner(url.start, speaking, URL_REACH) is item if url.key else inside and url.page


def _owner(place: int, speaking: Sequence[ScoredSentence], reach: int) -> ScoredSentence | None:
    """The announcement that ``place`` lies in or nearest to, if within ``reach`` after it or half of that before it."""
    best, distance = None, float("inf")
    for item in speaking:
        sentence = item.sentence
        if sentence.start <= place < sentence.end:
            return item
        away = place - sentence.end if place >= sentence.end else 2 * (sentence.start - place)
        if away <= reach and away < distance:
            best, distance = item, away
    return best


def _role(text: str, key: FoundKey) -> str:
    """Old, new or unknown: by the nearest such word before the key, else by one right after it."""
    before = text[max(0, key.start - 140) : key.start]
    old = max((match.start() for match in _OLD.finditer(before)), default=-1)
    new = max((match.start() for match in _NEW.finditer(before)), default=-1)
    if old != new:
        return "old" if old > new else "new"
    after = text[key.end : key.end + 60].split("\n")[0]
    if _OLD.search(after):
        return "old"
    return "new" if _NEW.search(after) else "unknown"


_LISTED = re2.compile(
    r"(?i)(?:^|\n)[>\s#*-]*(?:pub|sub|uid|sec|date|created|published|last_?modified|gpg:|primary key)\b[^\n]*$"
    r"|created[: ]+$|\bsince\s*$|made\s*$"
)


def _listed(text: str, day: FoundDate) -> bool:
    """Whether the date stands in a key listing, an address, a program's output or front matter: not a day on which something happens."""
    before = text[max(0, day.start - 120) : day.start]
    tail = before.rsplit(None, 1)[-1] if before[-1:].strip() else ""
    return bool(_LISTED.search(before)) or "://" in tail or "/" in before[-1:]
