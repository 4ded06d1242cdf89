"""Text from outside on its way to a terminal, a journal or a one-line message."""

from __future__ import annotations

import unicodedata

_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def safe(text: str, limit: int = 500) -> str:
    """Return ``text`` on one line with control, format and unassigned characters as ``\\uXXXX``, cut to ``limit`` characters."""
    cut = text[:limit] + ("…" if len(text) > limit else "")
    return "".join(f"\\u{ord(c):04x}" if unicodedata.category(c) in _UNSAFE else c for c in cut)
