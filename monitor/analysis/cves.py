"""Identifiers of vulnerabilities: CVE and GHSA."""

from __future__ import annotations

import re2

MAX_IDENTIFIERS = 1000
_CVE = re2.compile(r"(?i)\bCVE[-\x{2010}-\x{2014}](\d{4})[-\x{2010}-\x{2014}](\d{4,19})\b")
_GHSA = re2.compile(r"(?i)\bGHSA(-[23456789cfghjmpqrvwx]{4}){3}\b")


def cves(text: str) -> tuple[str, ...]:
    """Return the identifiers named in ``text`` in canonical form (``CVE-2024-12345``, ``GHSA-xxxx-xxxx-xxxx``), first mention first."""
    found = [(m.start(), f"CVE-{m.group(1)}-{m.group(2)}") for m in _CVE.finditer(text)]
    found += [(m.start(), "GHSA" + m.group(0)[4:].lower()) for m in _GHSA.finditer(text)]
    return tuple(dict.fromkeys(name for _, name in sorted(found)))[:MAX_IDENTIFIERS]
