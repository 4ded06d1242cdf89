"""Addresses in a text that lead to a key or to the page about it."""

from __future__ import annotations

from dataclasses import dataclass

import re2

MAX_URLS = 500
MAX_URL_CHARACTERS = 2048
_URL = re2.compile(r"(?i)\b(?:https?|hkps?)://[^\s<>\"'`|\\^{}\[\]]{4,600}")
_LINK = re2.compile(r"\]\((/[^\s()<>]{1,400})\)")
_KEY_PATH = re2.compile(
    r"(?i)\.(?:asc|gpg|pgp|key|pub|pem|crt|cer|der|p7b|p7s|sig)(?:[?#].*)?$|rpm-gpg-key|gpg-key|\.repo$"
    r"|/(?:pks/lookup|keys?|pki|gpg|pgp|keyrings?|certs?|certificates?|keyserver|pubkey|vks)(?:[/?#]|$)"
    r"|(?:signing|release|public|pgp|gpg|package|code|repo|apt)[-_]?(?:key|cert)|key[-_]?(?:rotat|transition|change|update|expir)"
    r"|pubkey|fingerprint|cert(?:ificate)?[-_](?:rotat|chang)"
    r"|/(?:pgp|gpg)[^/]*\.txt$|cas?-migration|root-ca"
)

_KEY_FILE = re2.compile(r"(?i)\.(?:asc|gpg|pgp|key|pub|pem|crt|cer|der|p7b)$")
_CHANGE = re2.compile(
    r"/(?:pull|pulls|issues?|commits?|compare|tree|blob|releases/tag|merge_requests)/|//github\.com/[^/]+/?$"
)


@dataclass(frozen=True, slots=True)
class FoundUrl:
    """``key``: the address itself speaks of a key; ``page``: not a change request, commit or profile. Offsets are characters."""

    value: str
    start: int
    end: int
    key: bool
    page: bool


def urls(text: str) -> tuple[FoundUrl, ...]:
    """Return the web addresses in ``text`` in order, without trailing punctuation; site-relative links only where they lead to a key."""
    found = []
    for match in _URL.finditer(text):
        value = _trimmed(match.group(0))
        if len(value) <= MAX_URL_CHARACTERS:
            found.append(
                FoundUrl(
                    value,
                    match.start(),
                    match.start() + len(value),
                    bool(_KEY_PATH.search(value)),
                    not _CHANGE.search(value),
                )
            )
        if len(found) == MAX_URLS:
            break
    for match in _LINK.finditer(text):
        if _KEY_FILE.search(match.group(1)) and len(found) < 2 * MAX_URLS:
            found.append(FoundUrl(match.group(1), match.start(1), match.end(1), key=True, page=True))
    return tuple(sorted(found, key=lambda item: item.start))


def _trimmed(url: str) -> str:
    """Sentences end in points, and Markdown links in brackets that the address did not open."""
    while url:
        if url[-1] in ".,;:!?*_~…" or (url[-1] == ")" and url.count(")") > url.count("(")):
            url = url[:-1]
            continue
        if (cut := url.find(")")) >= 0 and "(" not in url[:cut]:
            url = url[:cut]
            continue
        break
    return url
