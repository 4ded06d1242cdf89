"""When to try again (pure): full-jitter exponential backoff, and the other side's Retry-After, capped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

FIRST_DELAY_SECONDS = 5.0
MAX_DELAY_SECONDS = 900.0
MAX_RETRY_AFTER_SECONDS = 3600.0
_MIN_DELAY_SECONDS = 1.0


def retry_after_seconds(header: str | None, at: datetime) -> float | None:
    """Seconds to wait as a Retry-After header says (RFC 9110 10.2.3: seconds or an HTTP date), 0 to one hour.

    None where there is no header or it says nothing usable; a server cannot silence us for longer than the cap.
    """
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), MAX_RETRY_AFTER_SECONDS)
    try:
        moment = parsedate_to_datetime(text[:64])
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - at).total_seconds()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS)


def next_attempt(at: datetime, attempts: int, retry_after: float | None, random_bytes: bytes) -> datetime:
    """When attempt number ``attempts`` + 1 is due; ``random_bytes`` (8) give the jitter.

    Full jitter: anywhere between nothing and the exponential bound, so that many messages do not return at once. What the
    other side asked for is the least, plus a tenth of jitter.
    """
    fraction = int.from_bytes(random_bytes, "big") / 256 ** len(random_bytes)
    if retry_after is not None:
        delay = min(retry_after, MAX_RETRY_AFTER_SECONDS) * (1 + fraction / 10)
    else:
        delay = fraction * min(MAX_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** min(max(attempts, 1) - 1, 20))
    return at + timedelta(seconds=max(delay, _MIN_DELAY_SECONDS))
