"""Text -> the sentences worth reading, each with its place and a plain lower-case view that rules are matched against.

Markup, link targets, escapes, invisible characters and look-alike letters are gone from the view; the offsets stay those
of the text as it was given. Every step is one pass over the text.
"""

from __future__ import annotations

import html
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

import re2

from monitor.analysis.folding import INVISIBLE, LOOKALIKE

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_SENTENCE_CHARACTERS = 1500
"""Longer ones are cut into pieces: a rule looks at one sentence, and a sentence is not a page."""
MAX_HEADLINE_CHARACTERS = 90
TOPIC = re2.compile(
    r"(?i)\b(?:keys?|keyrings?|pubkeys?|certificates?|certs?|fingerprints?|thumbprint|roots?|(?:un)?signed|signing|codesigning|signatures?|signer"
    r"|sign|re-?sign\w*|gpg|pgp|cas?|trust|no_pubkey|expkeysig|revkeysig|unknown_ca|issuer|expir\w+)\b"
    r"|(?i)schlüssel|zertifikat|clés?\b|certificat|clave|certificado|署名|証明書|鍵"
)
"""A block without any of these words says nothing about keys and is not looked at any further."""

_QUOTES = str.maketrans({**dict.fromkeys(INVISIBLE), "\u2019": "'", "\u2018": "'", "\u2014": "-"})
_DROP = str.maketrans({**dict.fromkeys('*`"“”\\[]{}'), "_": " ", "|": " ", "\xa0": " "})
_TAG = re2.compile(r"<[/!a-zA-Z][^<>]{0,400}>")
_BREAK = re2.compile(r"(?i)</?(?:p|li|br|h[1-6]|tr|td|div|ul|ol|pre|blockquote|dd|dt)\b[^<>]{0,300}>")
_LINK_TARGET = re2.compile(r"\]\([^()\s]{0,600}(?:\s[^()]{0,200})?\)|\]\[[^\[\]]{0,100}\]")
_URL = re2.compile(r"(?i)\bhttps?://[^\s<>\"'`)\]]+")
_HEX = re2.compile(
    r"(?:0x)?\b(?:[0-9a-f]{2}[:-] ?){15,}[0-9a-f]{2}\b|\b[0-9a-f]{4}(?: [0-9a-f]{4}){7,}\b|\b(?:0x)?[0-9a-f]{16,128}\b|\b0x[0-9a-f]{8}\b"
)
_LABEL = re2.compile(r"^(?:title ?[:=] |!(?:note|tip|warning|important|caution) )")
_LIST_ITEM = re2.compile(r"^[ \t]*(?:>[ \t]*)*(?:[-*+•·]|o|\d{1,3}[.)]|#{1,6}|\(?[a-z]\))[ \t]+")
_STOP = re2.compile(r"[.!?][\"'\x{201d}\x{2019})\]*_`]*\s+")
_ABBREVIATED = re2.compile(
    r"(?i)(?:\b(?:e\.g|i\.e|vs|no|etc|approx|incl|resp|cf|mr|dr|st|jan|feb|mar|apr|aug|sept?|oct|nov|dec|v)|\b[a-z])\.$"
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """``start``/``end``: character offsets in the text. ``view``: plain lower case. ``item``: a list entry or heading."""

    start: int
    end: int
    view: str
    item: bool
    quoted: bool
    block: int


def plain(text: str) -> str:
    """The view of ``text``: no markup, no link targets, no invisible characters, lower case, ``@url`` and ``@fpr`` as tokens."""
    if "&" in text:
        text = html.unescape(text)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.translate(_QUOTES).translate(LOOKALIKE))
    if "<" in text:
        text = _TAG.sub(" ", text)
    if "](" in text or "][" in text:
        text = _LINK_TARGET.sub(" ", text)
    text = _URL.sub("@url", text) if "://" in text else text
    view = " ".join(text.translate(_DROP).lower().split())
    return str(_HEX.sub("@fpr", view))


def sentences(text: str) -> Iterator[Sentence]:
    """Yield, in order, the sentences of every block of ``text`` that has a word about keys."""
    for number, (start, end) in enumerate(_blocks(text)):
        block = text[start:end]
        if not TOPIC.search(block):
            continue
        item = bool(_LIST_ITEM.search(block)) or block.startswith(("title:", "title =")) or _is_headline(block)
        quoted = block.lstrip().startswith(">")
        for low, high in _split(block):
            piece = block[low:high]
            if TOPIC.search(piece):
                yield Sentence(start + low, start + high, _unquoted(piece), item, quoted, number)


def _is_headline(block: str) -> bool:
    """One short line that does not end like a sentence."""
    line = block.strip()
    return (
        len(line) <= MAX_HEADLINE_CHARACTERS and "\n" not in line and line[-1:] not in ".,;" and not _STOP.search(line)
    )


def _unquoted(piece: str) -> str:
    if ">" in piece:
        piece = "\n".join(line.lstrip().lstrip("> ") for line in piece.split("\n"))
    return str(_LABEL.sub("", plain(piece).lstrip("-+#•·> ")))


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Offsets of paragraphs, list entries, headings, lines of front matter: a blank line, a list mark, a change of quoting ends one."""
    start, offset, quoted, open_heading = 0, 0, False, False
    front = text[:3] if text[:4] in ("---\n", "+++\n") else ""
    for line in text.split("\n"):
        bare = line.strip()
        inner = bare.lstrip("> ")
        starts = not inner or open_heading or bool(_LIST_ITEM.search(line)) or (bare[:1] == ">") != quoted
        if (starts or front or inner[:3] in ("```", "---", "===", "~~~")) and offset > start:
            yield start, offset
            start = offset
        if front and bare == front and offset:
            front = ""
        quoted, open_heading = bare[:1] == ">", inner[:1] == "#"
        offset += len(line) + 1
    if len(text) > start:
        yield start, len(text)


def _split(block: str) -> Iterator[tuple[int, int]]:
    """Offsets of sentences in one block: at HTML block tags, then at full stops, then at the cap."""
    start = 0
    for stop in _ends(block):
        while stop - start > MAX_SENTENCE_CHARACTERS:
            yield start, start + MAX_SENTENCE_CHARACTERS
            start += MAX_SENTENCE_CHARACTERS
        if stop > start:
            yield start, stop
        start = stop


def _ends(block: str) -> Iterator[int]:
    ends = {len(block)}
    if "<" in block:
        ends.update(match.start() for match in _BREAK.finditer(block))
    ends.update(
        match.end()
        for match in _STOP.finditer(block)
        if not _ABBREVIATED.search(block[max(0, match.start() - 8) : match.start() + 1])
    )
    yield from sorted(ends)
