"""When two alerts are the same alert (pure): same vendor, same package bytes, same reason, and the first is not resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.terminal import safe

if TYPE_CHECKING:
    from trust_store.model.verdict import Verdict


def verdict_key(verdict: Verdict) -> str:
    """The deduplication key of a verdict's alert. Without a digest the path stands in: unread bytes are still a matter."""
    subject = verdict.sha256 or f"path:{verdict.path or verdict.name}"
    return _joined("verdict", verdict.vendor.id, subject, verdict.reason.value)


def notice_key(kind: str, vendor_id: str | None, subject: str) -> str:
    """The deduplication key of an alert that is not about a verdict; ``subject`` is what it is about (an anchor, a source)."""
    return _joined(kind, vendor_id, subject)


def same_matter(first: str, second: str) -> bool:
    """Whether two verdict keys are about the same package for the same vendor, whatever the reason."""
    return first.split("\n")[:3] == second.split("\n")[:3]


def _joined(*parts: str | None) -> str:
    """The parts on a line each; none can hold a line break, so no two different matters share a key."""
    return "\n".join(safe(part or "", 5000) for part in parts)
