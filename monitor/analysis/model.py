"""What the analysis is given and what it answers: frozen values, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from trust_store.model.claim import Authority

if TYPE_CHECKING:
    from datetime import date

    from trust_store.model.claim import Claim


class Label(StrEnum):
    """What a document is about."""

    ROTATION = "rotation"
    ADVISORY = "advisory"
    BOTH = "both"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True)
class Post:
    """One post of a thread. ``role`` comes from the server's own flags, never from a display name, title or avatar."""

    author: str | None
    role: str | None
    date: date | None
    text: str


@dataclass(frozen=True, slots=True)
class AnalysisInput:
    """A document: one ``text``, or a thread of ``posts``, or both. ``authority`` is whose word ``text`` is."""

    id: str
    title: str
    text: str
    posts: tuple[Post, ...] = ()
    url: str | None = None
    published: date | None = None
    authority: Authority = Authority.UNAUTHENTICATED


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    """A key found inside a text. ``post_index`` counts from 0, None is the document's own text; offsets are characters."""

    kind: str
    data: bytes
    post_index: int | None
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Hit:
    """One rule that matched one sentence, for ``--explain``: which phrase carried which weight, and why."""

    rule: str
    weight: float
    phrase: str
    sentence: str
    why: str


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a document says. ``truncated`` means that only its first part was read (see ``MAX_TEXT_CHARACTERS``)."""

    label: Label
    claims: tuple[Claim, ...]
    cves: tuple[str, ...]
    key_material: tuple[KeyMaterial, ...]
    score: float = 0.0
    hits: tuple[Hit, ...] = ()
    truncated: bool = False
