"""Tricks of writing undone with the places kept: invisible characters taken out, look-alike letters read as what they look like."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff\u180e"
_CYRILLIC = (
    "\u0410\u0412\u0415\u0405\u0406\u0408\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425\u0423"
    "\u0430\u0435\u0455\u0456\u0458\u043e\u0440\u0441\u0443\u0445\u0501"
)
_GREEK = (
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bf\u03b9\u03ba\u03bd\u03b1"
)
_WIDE = "".join(chr(ord(c) + 0xFEE0) for c in "0123456789abcdefABCDEF:")
_DASHES = "\u2010\u2011\u2013"
LOOKALIKE = str.maketrans(
    _CYRILLIC + _GREEK + _WIDE + _DASHES,
    "ABESIJKMHOPCTXYaesijopcyxd" + "ABEZHIKMNOPTYXoikva" + "0123456789abcdefABCDEF:" + "---",
)
"""One character for one character, so that places stay where they are."""


def folded(text: str) -> tuple[str, Callable[[int], int]]:
    """Return ``text`` without such tricks, and the function from an offset in it to the offset in ``text``."""
    if text.isascii():
        return text, lambda offset: offset
    swapped = text.translate(LOOKALIKE)
    if not any(mark in swapped for mark in INVISIBLE):
        return swapped, lambda offset: offset
    kept = [place for place, character in enumerate(swapped) if character not in INVISIBLE]
    return "".join(swapped[place] for place in kept), lambda offset: kept[offset]
