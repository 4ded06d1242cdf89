"""What every reader gives: documents made of parts, each part one author's words."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

MAX_TEXT_CHARACTERS = 2_000_000
MAX_LINKS = 200
MAX_LINE_CHARACTERS = 500
"""Longest title, author or key that is kept."""


@dataclass(frozen=True, slots=True)
class DocumentPart:
    """One author's words: a feed entry's text, or one post of a thread.

    ``key`` identifies the part within its document. ``staff`` is the server's own statement, never a title or display name.
    Quoted lines of ``text`` begin with ``>``. ``links`` are absolute URLs the author gave outside quotes; ``hidden`` parts have
    been taken back by their author or a moderator. ``opens`` says that the document's title is this author's too.
    """

    key: str
    text: str
    url: str | None = None
    author: str | None = None
    staff: bool = False
    published: datetime | None = None
    links: tuple[str, ...] = ()
    hidden: bool = False
    opens: bool = True

    @property
    def content_sha256(self) -> str:
        """Digest of everything that is evidence; another digest is another version, whatever the server's version count says."""
        said = [self.text, self.author, self.staff, list(self.links), self.hidden]
        return hashlib.sha256(json.dumps(said, ensure_ascii=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Document:
    """A feed entry or a thread. ``key`` identifies it within its source; ``removed`` are keys of parts that have vanished."""

    key: str
    title: str
    url: str | None
    parts: tuple[DocumentPart, ...]
    removed: tuple[str, ...] = ()


def one_line(text: object, limit: int = MAX_LINE_CHARACTERS) -> str:
    """``text`` on one line, cut to ``limit`` characters; lone surrogates, which no store takes, are replaced."""
    plain = text if isinstance(text, str) else ""
    return " ".join(storable(plain[: limit * 4]).split())[:limit]


def storable(text: str) -> str:
    """``text`` without NUL and lone surrogates, which neither UTF-8 nor the store can hold."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")
