"""Text forms that several export formats share."""

from __future__ import annotations

import base64

_LINE = 64


def pem(label: str, der: bytes) -> str:
    """DER in PEM (RFC 7468): 64 characters a line."""
    text = base64.b64encode(der).decode()
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def comment(text: str) -> str:
    """A comment line; whatever could end it, or begin a PEM block, is escaped."""
    return "# " + one_line(text).replace("-----", "- - -") + "\n"


def one_line(text: str) -> str:
    """Text from outside as one line of printable ASCII."""
    return "".join(c if c.isascii() and c.isprintable() else f"\\u{ord(c):04x}" for c in text)[:500]


def file_name(text: str) -> str:
    """Text as one component of a file name: letters, digits, ``.``, ``_`` and ``-``; never empty, hidden or a path."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in text)[:100]
    return kept.lstrip(".-") or "_"
