"""Names of keys in a text: fingerprints, key ids, SSH and minisign public keys, however they are spaced or wrapped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import re2

from monitor.analysis.folding import folded

MAX_IDENTIFIERS = 2000
_SPACE = r"[ \t\x{a0}\x{2002}-\x{200a}\x{202f}\x{205f}\x{3000}]"
_WRAP = rf"(?:{_SPACE}|\r?\n[ \t>|#*-]*){{1,12}}"
_SHAPES = (
    rf"(?i)\b[0-9a-f]{{2}}(?:[:-]{_SPACE}{{0,2}}(?:\\?\r?\n[ \t>|#*]*)?[0-9a-f]{{2}}){{15,63}}\b",
    rf"(?i)\b(?:0x)?[0-9a-f]{{4}}(?:{_WRAP}[0-9a-f]{{4}}){{7,31}}\b",
    rf"(?i)\b[0-9a-f]{{2}}(?:{_WRAP}[0-9a-f]{{2}}){{15,63}}\b",
    rf"(?i)\b[0-9a-f]{{8}}(?:{_WRAP}[0-9a-f]{{8}}){{3,15}}\b",
    rf"(?i)\b(?:0x)?[0-9a-f]{{4}}(?:{_SPACE}{{1,3}}[0-9a-f]{{4}}){{3}}\b",
    r"(?i)\b(?:0x)?[0-9a-f]{16,128}\b",
    r"(?i)\b0x[0-9a-f]{8}\b|\b(?:[1-9]\d{3}[a-z]|rsa\d{4}|dsa\d{4}|ed25519|elg\d{4})/(?:0x)?[0-9a-f]{8}\b",
    r"(?i)\b(?:key|keyid|key id|id|gpg|fingerprint)s?(?: id)?[:=]?\s[\"'(`*]{0,2}[0-9a-f]{8}\b"
    r"|(?i)\b(?:-u|--recv-keys?|--export|-pubkey-|gpg-key-)\s?[0-9a-f]{8}\b",
    r"\b(?:ssh-(?:ed25519|rsa|dss)|ecdsa-sha2-nistp\d{3}) AAAA[0-9A-Za-z+/]{20,}={0,2}",
    r"\bRW[QT][0-9A-Za-z+/]{53}",
)
_PATTERNS = tuple(re2.compile(shape) for shape in _SHAPES)
_LENGTHS = {8: "key_id", 16: "key_id", 32: "openpgp", 40: "openpgp", 64: "sha256", 96: "sha384", 128: "sha512"}
_FOREIGN = re2.compile(
    r"(?i)(?:/commits?/|/tree/|/blob/|/pull/|/compare/|commit:? ?`?|@|sha(?:1|256|512)sum|checksums?\b.{0,20}|digests?\b.{0,12}|sha256:"
    r"|sha512:|etag\b.{0,5}|uuid.{0,5}|git\b.{0,12}|rev(?:ision)? )[\"'`(]{0,2}$"
)
_FILE_DIGEST = re2.compile(r"^ [ *][^\s]{1,200}")
_X509 = re2.compile(r"(?i)\b(?:sha-?1|thumbprint|certificate|x\.?509|signer ?certificate|issuer|\bCN=)")
_V6 = re2.compile(r"(?i)\bv(?:ersion )?[56]\b.{0,20}\b(?:openpgp|key)|openpgp v[56]")


@dataclass(frozen=True, slots=True)
class FoundKey:
    """``algorithm``: sha1, sha256, sha384, sha512, openpgp, key_id (``value`` in lower-case hex), ssh or minisign (base64)."""

    algorithm: str
    value: str
    start: int
    end: int


def fingerprints(text: str) -> tuple[FoundKey, ...]:
    """Return the key names in ``text`` in order, longest reading first. Digests of files and names of commits are left out."""
    flat, places = folded(text)
    found: list[FoundKey] = []
    taken: set[int] = set()
    for pattern in _PATTERNS:
        for match in pattern.finditer(flat):
            key = _read(flat, match)
            if key is None or match.start() in taken or match.end() - 1 in taken:
                continue
            taken.update(range(match.start(), match.end()))
            low, high = match.start() + match.group(0).find(match.group(0).strip()), match.end()
            found.append(FoundKey(key[0], key[1], places(low), places(high - 1) + 1))
            if len(found) == MAX_IDENTIFIERS:
                return tuple(found)
    return tuple(sorted(found, key=lambda item: item.start))


def _read(flat: str, match: Any) -> tuple[str, str] | None:
    raw = match.group(0)
    if raw.startswith(("ssh-", "ecdsa-")):
        return "ssh", raw.split(" ", 1)[1]
    if raw.startswith("RW") and not raw.isupper() and len(raw) == 56:
        return "minisign", raw
    digits = _digits(raw)
    before, after = flat[max(0, match.start() - 60) : match.start()], flat[match.end() : match.end() + 210]
    if len(digits) not in _LENGTHS or len(set(digits)) < 4 or _FOREIGN.search(before):
        return None
    if (
        len(digits) in (40, 64, 96, 128)
        and _FILE_DIGEST.search(after)
        and not before.rstrip(" \t").endswith((":", "="))
    ):
        return None
    if digits.isdigit() and not raw.lower().startswith("0x") and len(digits) < 40:
        return None
    return _algorithm(len(digits), flat[max(0, match.start() - 120) : match.start()]), digits


def _digits(raw: str) -> str:
    """The hex digits of the last word group: what comes before them is only what made them recognisable."""
    lowered = raw.lower()
    for mark in ("/", "0x"):
        lowered = lowered.rsplit(mark, 1)[-1]
    compact = "".join(c for c in lowered if c in "0123456789abcdef")
    return (
        compact
        if len(compact) >= 16 and compact == "".join(c for c in lowered if c.isalnum())
        else lowered.strip()[-8:]
    )


def _algorithm(length: int, before: str) -> str:
    if length == 40 and _X509.search(before):
        return "sha1"
    if length == 64 and _V6.search(before):
        return "openpgp"
    return _LENGTHS[length]
