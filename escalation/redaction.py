"""Keeps the value that the vendor must read out of everything the team is shown (pure).

A call proves nothing if the operator can read the expected fingerprint off the sheet. So every text from outside passes
through a ``Redactor`` that knows each digest and identifier of the keys awaiting a decision and takes out whatever repeats
six or more digits of one, in hex with any separators, in base64, percent-encoded or as HTML entities, and all key material.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import html
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from trust_store.model.identifiers import IdentifierKind, normalise_hex
from trust_store.model.trust_anchor import AnchorKind
from trust_store.terminal import safe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from escalation.model import AlertContext
    from trust_store.model.trust_anchor import TrustAnchor
    from trust_store.model.verdict import Verdict

MAX_TEXT = 20_000
WITHHELD = "[withheld]"
# Marks that change the order of what is shown: kept, so that ``safe`` makes them visible.
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
_WINDOW = 8
_SHORT_WINDOW = 6
_HEX = frozenset("0123456789abcdef")
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
_ARMOR = re.compile(
    r"-{3}\s{0,4}BEGIN[^\n-]{0,80}-{2,5}.*?(?:-{3}\s{0,4}END[^\n-]{0,80}-{2,5}|\Z)", re.DOTALL | re.IGNORECASE
)
# What looks like a fingerprint in a channel's text, known or not: the key may be imported only after the sheet was read.
_PAIRS = r"(?<![0-9A-Za-z])[0-9A-Fa-f]{2}(?:[\s:.-]{1,3}[0-9A-Fa-f]{2}){3,200}(?![0-9A-Za-z])"
_GROUPS = r"(?<![0-9A-Za-z])(?:[0-9A-Fa-f]{4,8}[\s:.-]{1,3}){3,40}[0-9A-Fa-f]{4,8}(?![0-9A-Za-z])"
_SOLID = r"[0-9A-Fa-f]{16,}|0[xX][0-9A-Fa-f]{8,}|(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{43}=?(?![A-Za-z0-9+/=])"
# A number in the post is the number of whoever wrote the post.
_TELEPHONE = re.compile(r"(?:\+|\b00)[1-9][0-9 ()/.\-]{6,24}[0-9]")
_LIKENESS = re.compile(f"{_PAIRS}|{_GROUPS}|{_SOLID}")
_URL_LIKENESS = re.compile(r"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64})(?![0-9A-Fa-f])|0[xX][0-9A-Fa-f]{8,}")
_READ_WHOLE = frozenset({AnchorKind.MINISIGN, AnchorKind.SSH, AnchorKind.NPM})
"""Keys that are short enough to be read out themselves, in base64."""
_WORD = re.compile(r"[^\W_]+")
_BLOB = re.compile(r"[A-Za-z0-9+/]{60,}={0,2}")


@dataclass(frozen=True, slots=True)
class Redactor:
    """Windows (substrings) of the values that must not be shown; an empty one still removes key material."""

    windows: frozenset[str] = frozenset()
    short_windows: frozenset[str] = frozenset()
    base64_windows: frozenset[str] = frozenset()

    def text(self, text: str | None, limit: int = 500) -> str:
        """``text`` on one line, without secrets and control characters, at most about ``limit`` characters."""
        if not text:
            return ""
        plain = " ".join(self._withhold(html.unescape(text[:MAX_TEXT])).split())
        return safe(plain, limit)

    def said(self, text: str | None, limit: int = 500) -> str:
        """``text`` of a channel: besides the known values, whatever looks like a fingerprint or a telephone number goes."""
        if not text:
            return ""
        folded = unicodedata.normalize("NFKC", html.unescape(text[:MAX_TEXT]))
        folded = "".join(c for c in folded if unicodedata.category(c) != "Cf" or c in _BIDI)
        plain = self._withhold(folded)
        return safe(" ".join(_TELEPHONE.sub("[number withheld]", _LIKENESS.sub(WITHHELD, plain)).split()), limit)

    def url(self, url: str | None, limit: int = 500) -> str:
        """An address, or a note where the address itself spells out a secret, plainly or percent-encoded."""
        if not url:
            return ""
        decoded = unquote(url[:MAX_TEXT])
        if self._spans(decoded) or self._spans(url[:MAX_TEXT]) or _URL_LIKENESS.search(decoded):
            host = re.match(r"[a-zA-Z][a-zA-Z0-9+.-]{0,20}://[^/?#\s]{1,253}", decoded)
            start = host[0] if host and not (self._spans(host[0]) or _URL_LIKENESS.search(host[0])) else ""
            return safe(f"{start} [rest of the address withheld: it spells out the key]".strip(), limit)
        return safe(url, limit)

    def clean(self, text: str) -> bool:
        """Whether ``text`` repeats nothing that must not be shown."""
        return not self._spans(text)

    def spells_nothing(self, text: str) -> bool:
        """Whether no run of hex words in a finished text repeats eight digits; ordinary prose never trips it."""
        inside = _hex_words(text)
        return not _matches([(c.lower(), i) for i, c in enumerate(text) if i in inside], self.windows, _WINDOW)

    def _withhold(self, text: str) -> str:
        text = _ARMOR.sub("[key material withheld]", text)
        for start, end in sorted(_merged(self._spans(text)), reverse=True):
            text = text[:start] + WITHHELD + text[end:]
        return _BLOB.sub("[data withheld]", text)

    def _spans(self, text: str) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        folded = [(unicodedata.normalize("NFKC", c).lower(), i) for i, c in enumerate(text)]
        every = [(c, i) for c, i in folded if c in _HEX]
        found += _matches(every, self.windows, _WINDOW)
        # Whole words only: a value read out byte by byte between other words ("AB then CD").
        inside = _hex_words(text)
        words = [(c, i) for c, i in every if i in inside]
        found += _matches(words, self.windows, _WINDOW)
        found += _matches(words, self.short_windows, _SHORT_WINDOW)
        packed = [({"-": "+", "_": "/"}.get(c, c), i) for i, c in enumerate(text) if not c.isspace()]
        found += _matches([(c, i) for c, i in packed if c in _BASE64], self.base64_windows, _WINDOW)
        return found


def redactor_for(context: AlertContext) -> Redactor:
    """The redactor of one alert: every key awaiting decision, and every signer, path and issuer of the verdict.

    The verdict's own keys count as awaiting a decision whatever the reason: no sheet needs their digests.
    """
    secrets: set[str] = set()
    for anchor in context.proposals:
        secrets |= anchor_secrets(anchor)
    secrets |= _verdict_secrets(context.verdict)
    secrets.discard(context.verdict.sha256 or "")
    return redactor_of(secrets)


def redactor_of(secrets: Iterable[str]) -> Redactor:
    """A redactor of hex values."""
    values = {plain for value in secrets if (plain := normalise_hex(value)) and len(plain) >= _WINDOW}
    encoded: set[str] = set()
    for value in values:
        try:
            raw = binascii.unhexlify(value)
        except binascii.Error:
            continue
        encoded.add(base64.b64encode(raw).decode().rstrip("="))
    return Redactor(
        frozenset(w for v in values for w in _windows(v, _WINDOW)),
        frozenset(w for v in values for w in _windows(v, _SHORT_WINDOW)),
        frozenset(w for v in encoded for w in _windows(v, _WINDOW)),
    )


def anchor_secrets(anchor: TrustAnchor) -> set[str]:
    """Every hex value by which ``anchor``'s key could be recognised, also under digests nobody should use any more."""
    names = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
    secrets = {hashlib.new(n, anchor.material, usedforsecurity=False).hexdigest() for n in names if anchor.material}
    secrets.add(anchor.key_sha256)
    secrets |= {i.value for i in anchor.identifiers if i.kind is not IdentifierKind.SUBJECT}
    if anchor.kind in _READ_WHOLE:
        secrets.add(anchor.material.hex())
    return secrets


def _verdict_secrets(verdict: Verdict) -> set[str]:
    secrets: set[str] = set()
    for signature in verdict.signatures:
        if signature.signer:
            secrets |= {v for kind, v in signature.signer.identifiers if kind != IdentifierKind.SUBJECT}
        secrets |= {node.sha256 for node in signature.path}
        if signature.missing_issuer and signature.missing_issuer.authority_key_identifier:
            secrets.add(signature.missing_issuer.authority_key_identifier)
    for member in verdict.members:
        secrets |= _verdict_secrets(member)
    return secrets


def _windows(value: str, size: int) -> Iterable[str]:
    return (value[i : i + size] for i in range(len(value) - size + 1))


def _matches(sequence: list[tuple[str, int]], windows: frozenset[str], size: int) -> list[tuple[int, int]]:
    """Spans of the original text whose projected characters repeat a window."""
    if not windows or len(sequence) < size:
        return []
    line = "".join(c for c, _ in sequence)
    return [
        (sequence[i][1], sequence[i + size - 1][1] + 1)
        for i in range(len(line) - size + 1)
        if line[i : i + size] in windows
    ]


def _hex_words(text: str) -> set[int]:
    """Places of ``text`` in words that are hex throughout (a leading 0x apart)."""
    places: set[int] = set()
    for match in _WORD.finditer(text):
        word = unicodedata.normalize("NFKC", match[0]).lower().removeprefix("0x")
        if _HEX.issuperset(word):
            places.update(range(*match.span()))
    return places


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged
