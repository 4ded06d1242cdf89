"""RSS and Atom feeds (feedparser on bytes, its own network off) -> one document per entry.

Reference: RSS 2.0 (rssboard.org), RFC 4287. Not read: JSON Feed. An entry without id is identified by its link, else by its content.
"""

from __future__ import annotations

import calendar
import hashlib
import io
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import feedparser

from monitor.documents.html_text import PlainText, link, plain_text
from monitor.documents.protocol import MAX_LINKS, MAX_TEXT_CHARACTERS, Document, DocumentPart, one_line, storable
from trust_store.errors import MalformedError, ResourceLimitError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NAME = "feed"
MAX_ENTRIES = 1000
MAX_FEED_BYTES = 8 * 1024 * 1024
MAX_TAGS = 400_000
MAX_DEPTH = 200
MAX_REFERENCES = 2_000_000
MAX_KEY_CHARACTERS = 1000
_SECTIONS = {b"<!--": b"-->", b"<![CDATA[": b"]]>", b"<?": b"?>"}
_FORUMS = re.compile(
    r"discourse|phpbb|vbulletin|xenforo|mybb|simple machines|smf|nodebb|vanilla|hyperkitty|invision|punbb|fluxbb", re.I
)


@dataclass(frozen=True, slots=True)
class Feed:
    """A whole feed. ``forum`` says that its generator calls itself a forum, where others than the vendor write."""

    documents: tuple[Document, ...]
    skipped: tuple[str, ...]
    forum: bool


def read_feed(body: bytes, *, url: str, content_type: str | None = None) -> Feed:
    """Every entry of a feed, in its order; an entry that cannot be read is named in ``skipped``.

    Raises MalformedError for what is no feed at all, ResourceLimitError beyond MAX_FEED_BYTES, MAX_TAGS or MAX_DEPTH.
    """
    _require_bounded(body)
    headers = {"content-location": url, **({"content-type": content_type} if content_type else {})}
    try:
        # A stream, not bytes: feedparser takes bytes and text for the address of a file or a site to open.
        # Its own cleaning of HTML is left out: text is all that is taken from it (``html_text``).
        parsed = feedparser.parse(
            io.BytesIO(body), response_headers=headers, sanitize_html=False, resolve_relative_uris=False
        )
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception as error:  # feedparser lets whatever its parsers raise escape
        raise MalformedError(f"the feed cannot be read: {type(error).__name__}") from error
    if not parsed.get("version") and not parsed.get("entries"):
        raise MalformedError("this is no RSS or Atom feed")
    documents: dict[str, Document] = {}
    skipped: list[str] = []
    entries = parsed["entries"]
    for number, entry in enumerate(entries[:MAX_ENTRIES], 1):
        try:
            document = _document(entry, url)
        except (MalformedError, ResourceLimitError) as error:
            skipped.append(f"entry {number}: {error}")
            continue
        # Two entries of one id: the first is the newest by custom, the other is kept under its own content.
        if document.key in documents:
            document = _document(entry, url, apart=True)
        documents.setdefault(document.key, document)
    if len(entries) > MAX_ENTRIES:
        skipped.append(f"only the first {MAX_ENTRIES} of {len(entries)} entries were read")
    generator = one_line(parsed["feed"].get("generator", ""))
    return Feed(tuple(documents.values()), tuple(skipped), forum=bool(_FORUMS.search(generator)))


def _require_bounded(body: bytes) -> None:
    """Refuse what would make the parser slow: it is linear only in shallow documents of bounded size. Itself linear."""
    plain = body.replace(b"\x00", b"")  # UTF-16 has its tags with zeros in between
    if len(body) > MAX_FEED_BYTES or plain.count(b"<") > MAX_TAGS or plain.count(b"&") > MAX_REFERENCES:
        raise ResourceLimitError(
            f"a feed of more than {MAX_FEED_BYTES} bytes, {MAX_TAGS} tags or {MAX_REFERENCES} references"
        )
    depth = position = 0
    while (position := plain.find(b"<", position)) >= 0:
        opening = next((mark for mark in _SECTIONS if plain.startswith(mark, position)), b"<")
        end = plain.find(_SECTIONS.get(opening, b">"), position + len(opening))
        if end < 0:
            if opening != b"<":
                raise MalformedError("a comment or section that never ends")
            return
        name = plain[position + 1 : position + 2]
        if opening == b"<" and name == b"/":
            depth = max(0, depth - 1)
        elif opening == b"<" and name.isalpha() and plain[end - 1 : end] != b"/":
            depth += 1
        if depth > MAX_DEPTH:
            raise ResourceLimitError(f"a feed nested deeper than {MAX_DEPTH}")
        position = end


def _document(entry: Mapping[str, Any], feed_url: str, *, apart: bool = False) -> Document:
    title = one_line(plain_text(_string(entry.get("title")), feed_url).text)
    url = link(_string(entry.get("link")), feed_url)
    said = _content(entry, url or feed_url)
    given = [link(_string(item.get("href")), feed_url) for item in _dicts(entry.get("links"))]
    given += [link(_string(item.get("href")), feed_url) for item in _dicts(entry.get("enclosures"))]
    links = tuple(dict.fromkeys([*(u for u in given if u and u != url), *said.links]))[:MAX_LINKS]
    content = hashlib.sha256(f"{title}\n{said.text}".encode()).hexdigest()
    key = storable(_string(entry.get("id")))[:MAX_KEY_CHARACTERS] or url or content
    part = DocumentPart(
        key="entry",
        text=said.text,
        url=url,
        author=one_line(entry.get("author")) or None,
        published=_time(_own(entry, "updated_parsed")) or _time(_own(entry, "published_parsed")),
        links=links,
    )
    return Document(key=f"{key}#{content}" if apart else key, title=title, url=url, parts=(part,))


def _content(entry: Mapping[str, Any], base_url: str) -> PlainText:
    """The longest of the entry's contents and summary: many feeds cut one of them."""
    candidates = [*_dicts(entry.get("content")), *_dicts([entry.get("summary_detail")])]
    texts: list[PlainText] = []
    for candidate in candidates[:20]:
        value = _string(candidate.get("value"))
        if candidate.get("type") == "text/plain":
            if len(value) > MAX_TEXT_CHARACTERS:
                raise ResourceLimitError(f"more than {MAX_TEXT_CHARACTERS} characters of text")
            texts.append(PlainText(storable(value).replace("\r\n", "\n").strip("\n"), ()))
        else:
            texts.append(plain_text(value, base_url))
    if not texts:
        texts.append(plain_text(_string(entry.get("summary")), base_url))
    best = max(texts, key=lambda t: len(t.text))
    return PlainText(best.text, tuple(dict.fromkeys(u for t in texts for u in t.links)))


def _own(entry: Mapping[str, Any], name: str) -> object:
    """What the entry itself says: feedparser otherwise puts one date in another's place."""
    return entry[name] if name in entry else None  # noqa: SIM401 - get() would fall back


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _dicts(value: object) -> Iterable[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)][:MAX_LINKS] if isinstance(value, list) else []


def _time(value: object) -> datetime | None:
    """A UTC time from feedparser's struct_time, None for one that no calendar has."""
    try:
        return datetime.fromtimestamp(calendar.timegm(value), UTC)  # type: ignore[arg-type]
    except (ValueError, TypeError, OverflowError, OSError, IndexError, AttributeError):
        return None
