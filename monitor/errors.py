"""Every error the monitor raises, under one root."""

from __future__ import annotations

from enum import StrEnum

from trust_store.errors import TrustStoreError


class MonitorError(TrustStoreError):
    """Root of the errors of this package."""


class FetchErrorKind(StrEnum):
    """Why a fetch gave nothing that may be read."""

    NETWORK = "network"
    TIMEOUT = "timeout"
    TOO_LARGE = "too_large"
    ENCODING = "encoding"
    REDIRECT = "redirect"
    REFUSED_URL = "refused_url"
    REFUSED_ADDRESS = "refused_address"
    RATE_LIMITED = "rate_limited"
    GONE = "gone"
    STATUS = "status"
    PROTOCOL = "protocol"
    SOFT_404 = "soft_404"


class FetchError(MonitorError):
    """A fetch that failed; ``retry_after`` is the server's own wish as it wrote it (seconds or an HTTP date), or None."""

    def __init__(self, kind: FetchErrorKind, message: str, *, url: str, retry_after: str | None = None) -> None:
        super().__init__(message)
        self.kind, self.url, self.retry_after = kind, url, retry_after

    def __str__(self) -> str:
        return f"{self.kind}: {self.args[0]}"
