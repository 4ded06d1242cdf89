"""Parts a text into its author's own words and what he quotes: what an author quotes, he has not said. Pure.

Both halves keep every character's place: what belongs to the other half is blank.
"""

from __future__ import annotations


def own_words(text: str) -> str:
    """``text`` with every quoted line (one that begins with ``>``) blanked out."""
    return "\n".join(" " * len(line) if _quoted(line) else line for line in text.split("\n"))


def quoted_words(text: str) -> str:
    """``text`` with every line blanked out that is not quoted, and the marks of quotation with them."""
    return "\n".join(_unmarked(line) if _quoted(line) else " " * len(line) for line in text.split("\n"))


def _quoted(line: str) -> bool:
    return line.lstrip().startswith(">")


def _unmarked(line: str) -> str:
    return line.lstrip("> ").rjust(len(line))
