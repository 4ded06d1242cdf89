"""Tricks of writing undone with the places kept: invisible characters taken out, look-alike letters read as what they look like."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff\u180e"
LOOKALIKE = str.maketrans(
    "АВЕЅІЈКМНОРСТХУаеѕіјорсухԁΑΒΕΖΗΙΚΜΝΟΡΤΥΧοικνα０１２３４５６７８９ａｂｃｄｅｆＡＢＣＤＥＦ：‐‑–",  # noqa: RUF001 - they are the point
    "ABESIJKMHOPCTXYaesijopcyxdABEZHIKMNOPTYXoikva0123456789abcdefABCDEF:---",
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
