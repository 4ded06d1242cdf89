"""What the pipeline asks of whoever fetches, in plain values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Expected(StrEnum):
    """What the answer must look like; a login or maintenance page in its place is a soft 404, never content."""

    ANYTHING = "anything"
    FEED = "feed"
    JSON = "json"
    KEY_FILE = "key_file"


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """One GET. The validators are sent back exactly as the server gave them; ``max_bytes`` caps the body, packed and unpacked.

    ``signed_content``: what comes is believed for its own signature, so that plain HTTP will do (RFC 5280 section 8 wants no TLS
    there); addresses are checked all the same.
    """

    url: str
    expected: Expected
    max_bytes: int
    etag: str | None = None
    last_modified: str | None = None
    allow_loopback_http: bool = False
    signed_content: bool = False

    @property
    def conditional(self) -> bool:
        """Whether the server may answer 304."""
        return self.etag is not None or self.last_modified is not None


@dataclass(frozen=True, slots=True)
class FetchResponse:
    """A 200, or a 304 to a conditional request (``not_modified``, no body). ``url`` is where the last redirect led."""

    url: str
    body: bytes = b""
    content_type: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    not_modified: bool = False


class Fetcher(Protocol):
    """Fetches one document. Raises FetchError and nothing else; may be called from many tasks of one event loop at a time."""

    async def fetch(self, request: FetchRequest) -> FetchResponse:
        """The answer to one request, all redirects followed."""
        ...
