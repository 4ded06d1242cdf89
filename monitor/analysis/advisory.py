"""Whether a document is a security advisory: named as one, or built around a vulnerability."""

from __future__ import annotations

from typing import Any

import re2

_OPENING_CHARACTERS = 900
_NAMED = re2.compile(
    r"(?i)\bsecurity (?:advisor(?:y|ies)|bulletins?|incident|vulnerabilit(?:y|ies))\b|\bvulnerabilit(?:y|ies)\b"
    r"|\bsecurity releases?(?: summary)?\s*$|\bCVEs?\b|\b(?:XSA|QSB|DSA|USN|RHSA|ZDI|SA)-\d|\bsecurity (?:&|and|\S{1,12}) bug fix"
    r"|\b(?:OpenSSL|security) update assessment|\bRCE\b|\bexploit\b"
)
_FORMAL = re2.compile(
    r"(?im)^(?:id|advisory|cve reference|cve|severity|affected versions?|affected products?|summary of vulnerability|cvss)\s*:"
    r"|\bcategory: *[\"']?vulnerability|\bsecurity (?:advisory|bulletin)\b"
)
_SPEAKS = re2.compile(
    r"(?i)\b(?:vulnerab\w+|exploit\w*|attackers?|arbitrary code|privilege escalation|denial of service|remote code execution|cvss"
    r"|mitigat\w+|affected versions?|disclos\w+)\b"
)
_IDENTIFIER = re2.compile(r"(?i)\b(?:CVE-\d{4}-\d{4,}|GHSA(?:-\w{4}){3}|XSA-\d+)\b")
_ENOUGH_LANGUAGE = 3


def is_advisory(title: str, text: str) -> bool:
    """Return whether title or opening name it an advisory and the text speaks of a vulnerability.

    A release note that lists one fixed CVE among many other things is not one.
    """
    opening = text[:_OPENING_CHARACTERS]
    heading = f"{title}\n{_front_title(opening)}"
    spoken = _count(_SPEAKS, text[:50_000], _ENOUGH_LANGUAGE)
    if _FORMAL.search(heading + "\n" + opening) and spoken:
        return True
    if _NAMED.search(heading):
        return spoken >= 1
    return bool(_IDENTIFIER.search(opening)) and _count(_SPEAKS, opening, 2) >= 2 and spoken >= _ENOUGH_LANGUAGE


def _front_title(opening: str) -> str:
    for line in opening.split("\n")[:12]:
        if line.lower().startswith(("title:", "title =", "# ")):
            return line.partition("=" if "=" in line[:8] else ":")[2] or line
    return ""


def _count(pattern: Any, text: str, enough: int) -> int:
    seen = 0
    for _ in pattern.finditer(text):
        seen += 1
        if seen == enough:
            break
    return seen
