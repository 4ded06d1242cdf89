"""HTML of posts and feed entries -> plain text with its line breaks, and the links in it. Nothing is fetched, nothing runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import bs4
from bs4.element import CData, NavigableString, PageElement

from monitor.documents.protocol import MAX_LINKS, MAX_TEXT_CHARACTERS, storable
from trust_store.errors import MalformedError, ResourceLimitError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_ELEMENTS = 20_000
MAX_URL_CHARACTERS = 2000
MAX_QUOTE_DEPTH = 5


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BLOCKS = _names(
    "address article aside blockquote center dd details div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 "
    "header hr li main nav ol p pre section summary table tbody tfoot thead tr ul"
)
_APART = _names("blockquote aside h1 h2 h3 h4 h5 h6 p pre table")
_SILENT = _names("script style template head title noscript iframe object svg math textarea select button")
# What a reader quotes is somebody else's word: Discourse and others use aside for quotes and for previews of linked pages.
_QUOTES = frozenset({"blockquote", "aside"})
_BLANKS = re.compile(r"[ \t\r\n\f\v]+")
_TAG = re.compile(r"<[a-zA-Z]")


@dataclass(frozen=True, slots=True)
class PlainText:
    """``text`` with quoted lines marked by ``>``; ``links`` given outside of quotes, absolute, in order, each once."""

    text: str
    links: tuple[str, ...]


def plain_text(html: str, base_url: str | None) -> PlainText:
    """Text and links of an HTML fragment; raises ResourceLimitError or MalformedError."""
    if len(html) > 2 * MAX_TEXT_CHARACTERS or sum(1 for _ in _TAG.finditer(html)) > MAX_ELEMENTS:
        raise ResourceLimitError(f"more than {2 * MAX_TEXT_CHARACTERS} characters or {MAX_ELEMENTS} elements of HTML")
    try:
        soup = bs4.BeautifulSoup(f"<div>{storable(html)}</div>", "lxml")
        page = _Page(base_url)
        for kind, value in _events(soup):
            page.take(kind, value)
        return page.finish()
    except (ValueError, TypeError, AttributeError, AssertionError, RecursionError, bs4.ParserRejectedMarkup) as error:
        raise MalformedError(f"HTML that cannot be read: {type(error).__name__}") from error


def link(target: str, base_url: str | None) -> str | None:
    """``target`` as an absolute http(s) URL without fragment, or None."""
    try:
        absolute = urljoin(base_url or "", target.strip())
        parts = urlsplit(absolute)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return None
    absolute = absolute.partition("#")[0]
    return absolute if usable and len(absolute) <= MAX_URL_CHARACTERS and absolute.isprintable() else None


def _events(soup: bs4.BeautifulSoup) -> Iterator[tuple[str, bs4.Tag | str]]:
    """Start, text and end of everything visible, in order, without recursion."""
    stack: list[tuple[bs4.Tag, Iterator[PageElement]]] = [(soup, iter(soup.contents))]
    while stack:
        tag, children = stack[-1]
        child = next(children, None)
        if child is None:
            stack.pop()
            yield "end", tag
        elif isinstance(child, bs4.Tag):
            if child.name not in _SILENT:
                yield "start", child
                stack.append((child, iter(child.contents)))
        elif type(child) is NavigableString or type(child) is CData:
            yield "text", str(child)


class _Page:
    """Writes the events down as lines. Outside ``pre`` blanks collapse; inside, every line break is kept: PEM needs it."""

    def __init__(self, base_url: str | None) -> None:
        self._base_url = base_url
        self._lines: list[str] = []
        self._line: list[str] = []
        self._links: dict[str, None] = {}
        self._pre = self._quoted = self._size = 0

    def take(self, kind: str, value: bs4.Tag | str) -> None:
        if isinstance(value, str):
            self._words(value)
            return
        name, step = value.name, 1 if kind == "start" else -1
        if name in _BLOCKS or name == "br":
            self._end_line(keep_blank=name == "br" and kind == "start" and not self._line)
        if name in _APART and self._lines and self._lines[-1]:
            self._lines.append("")
        if name == "pre":
            self._pre += step
        elif name in _QUOTES:
            self._quoted += step
        elif kind == "start" and name == "li":
            self._words("- ")
        elif kind == "end" and name in ("td", "th"):
            self._words(" ")
        elif kind == "start" and name == "a" and not self._quoted and len(self._links) < MAX_LINKS:
            href = value.get("href")
            absolute = link(href, self._base_url) if isinstance(href, str) else None
            if absolute is not None:
                self._links.setdefault(absolute)

    def finish(self) -> PlainText:
        self._end_line()
        return PlainText("\n".join(self._lines).strip("\n"), tuple(self._links))

    def _words(self, text: str) -> None:
        self._size += len(text)
        if self._size > MAX_TEXT_CHARACTERS:
            raise ResourceLimitError(f"more than {MAX_TEXT_CHARACTERS} characters of text")
        if not self._pre:
            plain = _BLANKS.sub(" ", text)
            if not self._line or self._line[-1].endswith(" "):
                plain = plain.lstrip(" ")
            if plain:
                self._line.append(plain)
            return
        first, *rest = text.replace("\r\n", "\n").split("\n")
        self._line.append(first)
        for line in rest:
            self._end_line(keep_blank=True)
            self._line.append(line)

    def _end_line(self, *, keep_blank: bool = False) -> None:
        line = "".join(self._line).rstrip()
        self._line = []
        if line or (keep_blank and self._lines and self._lines[-1]):
            self._lines.append(f"{'> ' * min(self._quoted, MAX_QUOTE_DEPTH)}{line}".rstrip())
