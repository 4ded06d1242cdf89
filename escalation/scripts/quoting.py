"""How a value from outside is written into a POSIX shell script: one single-quoted word, always data (pure)."""

from __future__ import annotations

import re

from trust_store.terminal import safe

MAX_VALUE = 4096
_PORTABLE = re.compile(r"/[^\x00-\x1f\x7f]{0,4000}\Z")


def quote(value: str) -> str:
    """``value`` as one single-quoted word. NUL, newlines and other control characters become visible ``\\uXXXX``.

    Inside single quotes the shell knows no special character (POSIX 2.2.2), so the only one to replace is the quote itself.
    A leading dash is pushed back by a blank: no command may take the word for an option.
    """
    plain = safe(value, MAX_VALUE)
    if plain.startswith("-"):
        plain = f" {plain}"
    return "'" + plain.replace("'", "'\\''") + "'"


def quote_path(path: str | None) -> str:
    """An absolute path as one word, or the empty word where it cannot be written unchanged (the script then asks for it)."""
    if path is None or not _PORTABLE.match(path) or safe(path, MAX_VALUE) != path:
        return "''"
    return quote(path)
