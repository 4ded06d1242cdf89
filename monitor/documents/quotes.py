"""Whose word a place in a text is: what an author quotes, the author has not said. Pure."""

from __future__ import annotations

from trust_store.model.claim import Authority


def quoted_at(text: str, start: int, end: int) -> bool:
    """Whether any line between the character offsets ``start`` and ``end`` is a quotation (begins with ``>``)."""
    first = text.rfind("\n", 0, max(0, start)) + 1
    last = text.find("\n", max(start, end))
    lines = text[first : last if last >= 0 else len(text)].split("\n")
    return any(line.lstrip().startswith(">") for line in lines)


def authority_at(text: str, start: int, end: int, authority: Authority) -> Authority:
    """``authority`` of the author, or none for what stands in a quotation: staff may quote an impostor to ask about him."""
    return Authority.UNAUTHENTICATED if quoted_at(text, start, end) else authority
