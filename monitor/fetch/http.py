"""Fetches over HTTP: conditional requests, redirects followed by hand and checked, caps on bytes and time, TLS always verified."""

from __future__ import annotations

import asyncio
import http.cookiejar
import ssl
from typing import TYPE_CHECKING

import httpcore
import httpx

from monitor.config import LOOPBACK_HOSTS, require_source_url
from monitor.errors import FetchError, FetchErrorKind
from monitor.fetch.addresses import CheckedBackend, RefusedAddressError, is_loopback, is_public, resolve_by_system
from monitor.fetch.body import BodyEncodingError, BodyTooLargeError, CappedBody
from monitor.fetch.protocol import Expected, FetchRequest, FetchResponse
from monitor.fetch.sniffing import mismatch
from monitor.fetch.transport import PinnedTransport

if TYPE_CHECKING:
    from types import TracebackType

    from monitor.config import PollingSettings
    from monitor.fetch.addresses import Resolve

MAX_VALIDATOR_CHARACTERS = 1024
_ACCEPT = {
    Expected.ANYTHING: "*/*",
    Expected.FEED: "application/atom+xml, application/rss+xml, application/xml;q=0.9, text/xml;q=0.8, */*;q=0.1",
    Expected.JSON: "application/json",
    Expected.KEY_FILE: "*/*",
}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class HTTPFetcher:
    """One long-lived client for the public Internet and one for this machine; the second serves only sources that allow it.

    Two pools, so that a connection opened for a test source on this machine is never reused for anything else. Use it as an
    asynchronous context manager, or close it.
    """

    def __init__(
        self,
        settings: PollingSettings,
        *,
        version: str = "0",
        tls: ssl.SSLContext | None = None,
        resolve: Resolve = resolve_by_system,
    ) -> None:
        self._settings = settings
        self._agent = f"rootwarden/{version}" + (f" (+{settings.contact})" if settings.contact else "")
        self._tls = tls
        self._backends = {
            "public": CheckedBackend(is_public, resolve),
            "loopback": CheckedBackend(is_loopback, resolve),
        }
        self._clients: dict[str, httpx.AsyncClient] = {}

    async def fetch(self, request: FetchRequest) -> FetchResponse:
        """Answer one request within ``request_timeout_seconds``, redirects included; raises FetchError."""
        try:
            async with asyncio.timeout(self._settings.request_timeout_seconds):
                return await self._follow(request)
        except (TimeoutError, httpx.TimeoutException, httpcore.TimeoutException) as error:
            limit = self._settings.request_timeout_seconds
            raise FetchError(FetchErrorKind.TIMEOUT, f"no whole answer within {limit} s", url=request.url) from error
        except RefusedAddressError as error:
            raise FetchError(FetchErrorKind.REFUSED_ADDRESS, str(error), url=request.url) from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpcore.UnsupportedProtocol) as error:
            raise FetchError(FetchErrorKind.REFUSED_URL, str(error)[:200], url=request.url) from error
        except (httpx.HTTPError, httpx.StreamError, httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            told = f"{type(error).__name__}: {error}"[:300]
            raise FetchError(FetchErrorKind.NETWORK, told, url=request.url) from error
        except BodyTooLargeError as error:
            raise FetchError(FetchErrorKind.TOO_LARGE, str(error), url=request.url) from error
        except BodyEncodingError as error:
            raise FetchError(FetchErrorKind.ENCODING, str(error), url=request.url) from error

    async def aclose(self) -> None:
        """Close both clients."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    async def __aenter__(self) -> HTTPFetcher:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _follow(self, request: FetchRequest) -> FetchResponse:
        """Every hop is checked like the first: scheme, credentials, address. https never goes on over http."""
        first = url = _checked(request.url, request)
        for _ in range(self._settings.max_redirects + 1):
            # Validators belong to the site that gave them; another one learns nothing from us.
            conditional = request.conditional and _origin(url) == _origin(first)
            answer = await self._one(url, request, conditional=conditional)
            if isinstance(answer, FetchResponse):
                return answer
            url = _redirected(url, answer, request)
        raise FetchError(
            FetchErrorKind.REDIRECT, f"more than {self._settings.max_redirects} redirects", url=request.url
        )

    def _client(self, reach: str) -> httpx.AsyncClient:
        """The client for the public Internet or for this machine, made when first needed: loading the trusted roots takes a while."""
        if reach not in self._clients:
            self._tls = self._tls or ssl.create_default_context()
            self._clients[reach] = _client(self._backends[reach], self._tls, self._settings)
        return self._clients[reach]

    async def _one(self, url: httpx.URL, request: FetchRequest, *, conditional: bool) -> FetchResponse | str:
        """One hop: the answer, or where it sends us."""
        local = request.allow_loopback_http and url.host in LOOPBACK_HOSTS
        client = self._client("loopback" if local else "public")
        headers = {"User-Agent": self._agent, "Accept": _ACCEPT[request.expected], "Accept-Encoding": "gzip"}
        if conditional and request.etag is not None:
            headers["If-None-Match"] = request.etag
        if conditional and request.last_modified is not None:
            headers["If-Modified-Since"] = request.last_modified
        async with client.stream("GET", url, headers=headers) as response:
            if response.status_code in _REDIRECTS:
                return str(response.headers.get("location", ""))
            if response.status_code == 304 and conditional:
                return FetchResponse(
                    url=str(url),
                    etag=_validator(response, "etag") or request.etag,
                    last_modified=_validator(response, "last-modified") or request.last_modified,
                    not_modified=True,
                )
            _require_ok(response, request.url)
            body = CappedBody(response.headers.get("content-encoding", "").strip().lower(), request.max_bytes)
            async for chunk in response.aiter_raw():
                body.take(chunk)
        return _content(url, response, body.finish(), request)


def _client(backend: CheckedBackend, tls: ssl.SSLContext, settings: PollingSettings) -> httpx.AsyncClient:
    client = httpx.AsyncClient(
        transport=PinnedTransport(backend, tls),
        follow_redirects=False,
        trust_env=False,
        timeout=settings.request_timeout_seconds,
    )
    # No cookie is ever kept: a channel is read as anybody would read it.
    client.cookies.jar.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=()))
    return client


def _content(url: httpx.URL, response: httpx.Response, body: bytes, request: FetchRequest) -> FetchResponse:
    """A 200 as an answer; a page of another kind than asked for is a soft 404."""
    wrong = mismatch(body, request.expected)
    if wrong is not None:
        raise FetchError(FetchErrorKind.SOFT_404, wrong, url=request.url)
    return FetchResponse(
        url=str(url),
        body=body,
        content_type=response.headers.get("content-type", "")[:200] or None,
        etag=_validator(response, "etag"),
        last_modified=_validator(response, "last-modified"),
    )


def _require_ok(response: httpx.Response, url: str) -> None:
    """Raise the FetchError that a status other than 200 stands for."""
    status = response.status_code
    if status == 200:
        return
    retry_after = response.headers.get("retry-after", "")[:100] or None
    if status == 429 or (status == 503 and retry_after):
        raise FetchError(FetchErrorKind.RATE_LIMITED, f"HTTP {status}", url=url, retry_after=retry_after)
    if status == 304:
        raise FetchError(FetchErrorKind.PROTOCOL, "304 to a request that set no condition", url=url)
    kind = FetchErrorKind.GONE if status in (404, 410) else FetchErrorKind.STATUS
    raise FetchError(kind, f"HTTP {status}", url=url)


def _checked(url: str, request: FetchRequest) -> httpx.URL:
    """The URL, parsed once by the library that also connects; raises FetchError for one that may not be fetched."""
    try:
        parsed = httpx.URL(url)
        require_source_url(str(parsed), loopback_http=request.allow_loopback_http, plain_http=request.signed_content)
    except (ValueError, TypeError, httpx.InvalidURL) as error:
        raise FetchError(FetchErrorKind.REFUSED_URL, str(error)[:200], url=request.url) from error
    if parsed.userinfo:
        raise FetchError(FetchErrorKind.REFUSED_URL, "a URL with a password in it", url=request.url)
    return parsed.copy_with(fragment=None)


def _redirected(url: httpx.URL, location: str, request: FetchRequest) -> httpx.URL:
    if not location:
        raise FetchError(FetchErrorKind.REDIRECT, "a redirect that names no place", url=request.url)
    try:
        target = url.join(location)
        bare = target.copy_with(userinfo=b"")  # whatever password the redirect carries is not passed on
    except (ValueError, TypeError, httpx.InvalidURL) as error:
        raise FetchError(FetchErrorKind.REDIRECT, "a redirect to no URL", url=request.url) from error
    if url.scheme == "https" and bare.scheme != "https":
        raise FetchError(FetchErrorKind.REDIRECT, "a redirect from https to plain http", url=request.url)
    return _checked(str(bare), request)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _validator(response: httpx.Response, name: str) -> str | None:
    """A validator exactly as it was given; one of absurd length or that cannot be sent back is none."""
    value: str | None = response.headers.get(name)
    return (
        value if value and len(value) <= MAX_VALIDATOR_CHARACTERS and value.isascii() and value.isprintable() else None
    )
