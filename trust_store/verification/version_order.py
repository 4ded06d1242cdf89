"""Which of two version numbers is the older one, whatever format states them. Pure.

The order is one for all formats, so that marks never contradict each other: that of RPM (rpmvercmp: runs of digits as numbers, runs of
letters as words, ``~`` before and ``^`` after the end, an epoch first, a release after ``-``), with the words for a release to come
(semver.org 11.3, PEP 440) before the release. Where formats differ about rare spellings it may call a version older than its own
format would: then people decide.
"""

from __future__ import annotations

import re
from itertools import pairwise

MAX_VERSION_CHARACTERS = 256
_EPOCH = re.compile(r"([0-9]+)[:!]")
_PIECES = re.compile(r"[0-9]+|[a-z]+|[~^-]")
_COMING = {
    "dev": 0,
    "snapshot": 0,
    "nightly": 0,
    "alpha": 1,
    "a": 1,
    "beta": 2,
    "b": 2,
    "milestone": 3,
    "preview": 4,
    "pre": 4,
    "rc": 5,
}
_BEFORE, _COMING_RELEASE, _END, _DASH, _AFTER, _WORD, _NUMBER = range(7)
_LETTERS = ("a", "b")


def version_key(version: str) -> tuple[object, ...]:
    """What versions are compared by: any two keys can be compared, and equal ones are of the same version."""
    text = version[:MAX_VERSION_CHARACTERS].strip().lower()
    epoch = _EPOCH.match(text)
    rest = text[epoch.end() :] if epoch else text
    if rest.startswith("v") and rest[1:2].isdigit():
        rest = rest[1:]
    pieces = list(_PIECES.finditer(rest))
    keys = [_key(piece, rest) for piece in pieces]
    # A dash before a release to come parts nothing: 1.0-rc1 is before 1.0.
    keys = [key for key, following in pairwise([*keys, (_END,)]) if key != (_DASH,) or following[0] != _COMING_RELEASE]
    return (_number(epoch[1] if epoch else "0"), *keys, (_END,))


def _key(piece: re.Match[str], text: str) -> tuple[object, ...]:
    said = piece[0]
    if said == "~":
        return (_BEFORE,)
    if said in "^-":
        return (_AFTER,) if said == "^" else (_DASH,)
    if said.isdigit():
        return (_NUMBER, _number(said))
    # One letter is a release to come only before its number (1.0a1): OpenSSL's 1.0.2a came after 1.0.2.
    if said in _COMING and (said not in _LETTERS or text[piece.end() : piece.end() + 1].isdigit()):
        return (_COMING_RELEASE, _COMING[said])
    return (_WORD, said)


def _number(digits: str) -> tuple[int, str]:
    """A number of any length, compared without computing it."""
    plain = digits.lstrip("0")
    return len(plain), plain
