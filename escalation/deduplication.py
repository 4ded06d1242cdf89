"""When two alerts are the same alert (pure): same vendor, bytes, asker and reason, and the first is not resolved.

What somebody had read over the API is a matter of its own: with other side files the answer is another one, and it must neither end
nor rewrite what is told about a package in the incoming folders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.terminal import safe

if TYPE_CHECKING:
    from trust_store.model.verdict import Verdict


def verdict_key(verdict: Verdict, asker: str) -> str:
    """The deduplication key of a verdict's alert. Without a digest the path stands in: unread bytes are still a matter.

    ``asker`` is the origin of what was read, empty for the incoming folders.
    """
    subject = verdict.sha256 or f"path:{verdict.path or verdict.name}"
    return package_key(verdict.vendor.id, subject, asker) + verdict.reason.value


def package_key(vendor_id: str | None, package_sha256: str, asker: str) -> str:
    """How the keys of all alerts about these bytes for this vendor and asker begin."""
    return _joined("verdict", vendor_id, package_sha256, asker, "")


def notice_key(kind: str, vendor_id: str | None, subject: str) -> str:
    """The deduplication key of an alert that is not about a verdict; ``subject`` is what it is about (an anchor, a source)."""
    return _joined(kind, vendor_id, subject)


def supersedes(newer: str, older: str) -> bool:
    """Whether an alert with the verdict key ``newer`` takes the place of one with the key ``older``.

    It does where both are about the same package for the same vendor and asker, whatever the reason; what is told of the incoming
    folders also takes the place of what an asker was told for the same reason.
    """
    one, other = newer.split("\n"), older.split("\n")
    own = one[:4] == other[:4]
    return own or (one[3] == "" and one[:3] == other[:3] and one[4:] == other[4:])


def _joined(*parts: str | None) -> str:
    """The parts on a line each; none can hold a line break, so no two different matters share a key."""
    return "\n".join(safe(part or "", 5000) for part in parts)
