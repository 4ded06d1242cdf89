"""When a source is looked at next. Pure; the shell is ``pipeline``."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitor.config import Source

SPREAD = 0.1
"""Sources of one interval are spread over this share of it, each always at the same place."""
SHORTEST_RETRY_SECONDS = 60.0
FULL_FETCH_EVERY = 24
"""Every so many polls a source is fetched without validators: a server that says 304 for ever is found out."""


def next_due(
    source: Source, now: datetime, *, failures: int, retry_after: str | None, slowest_seconds: float
) -> datetime:
    """The next time for ``source`` after a poll that ended at ``now`` with so many ``failures`` in a row (0: it answered).

    A failing source is asked again sooner at first, then ever more rarely, never more rarely than ``slowest_seconds``: it never stops.
    The server's own ``Retry-After`` is kept, up to that same limit, so that nobody can silence a source for good.
    """
    if failures == 0:
        wait = source.interval_seconds
    else:
        first = max(SHORTEST_RETRY_SECONDS, source.interval_seconds / 4)
        wait = min(slowest_seconds, first * 2.0 ** min(failures - 1, 30))
    wait *= 1 + SPREAD * _place(source)
    asked = retry_after_seconds(retry_after, now)
    return now + timedelta(seconds=max(wait, min(asked, max(slowest_seconds, wait))))


def retry_after_seconds(text: str | None, now: datetime) -> float:
    """``Retry-After`` (RFC 9110 10.2.3: seconds or an HTTP date) as seconds from ``now``; 0 for none, the past or nonsense."""
    if text is None:
        return 0.0
    plain = text.strip()
    if plain.isascii() and plain.isdigit():
        return float(min(int(plain[:12]), 10**9))
    try:
        at = parsedate_to_datetime(plain)
        return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds())
    except (ValueError, TypeError, OverflowError, IndexError):
        return 0.0


def use_validators(polls: int) -> bool:
    """Whether poll number ``polls`` (from 0) may be conditional."""
    return polls % FULL_FETCH_EVERY != 0


def _place(source: Source) -> float:
    digest = hashlib.sha256(f"{source.vendor_id}\n{source.url}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32
