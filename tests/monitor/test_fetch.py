from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.config import PollingSettings
from monitor.errors import FetchError, FetchErrorKind
from monitor.fetch.addresses import CheckedBackend, RefusedAddressError, is_loopback, is_public
from monitor.fetch.body import BodyEncodingError, BodyTooLargeError, CappedBody
from monitor.fetch.http import HTTPFetcher
from monitor.fetch.protocol import Expected, FetchRequest, FetchResponse
from monitor.fetch.sniffing import mismatch, root_name
from tests.simulator.vendor_site import VendorSite

NON_PUBLIC = [
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.0.8",  # noqa: S104 - refused
    "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "203.0.113.9", "::1", "::", "fe80::1", "fe80::1%1",
    "fc00::1", "fd12::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1",
    "2002:7f00:1::", "2001::1", "2001:db8::1", "fec0::1", "::ffff:0:127.0.0.1", "not an address", "",
]  # fmt: skip


@pytest.fixture
def site() -> Iterator[VendorSite]:
    """A vendor's site with one entry in its feed."""
    with VendorSite() as running:
        running.publish("Hello", "<p>news</p>")
        yield running


@pytest.fixture
async def fetcher() -> AsyncIterator[HTTPFetcher]:
    """The real fetcher."""
    async with HTTPFetcher(
        PollingSettings(request_timeout_seconds=5.0, contact="security@example.org"), version="1"
    ) as made:
        yield made


def ask(url: str, *, loopback: bool = True, expected: Expected = Expected.FEED, cap: int = 1_000_000) -> FetchRequest:
    """A request as a test source makes it."""
    return FetchRequest(url=url, expected=expected, max_bytes=cap, allow_loopback_http=loopback)


async def refused(fetcher: HTTPFetcher, request: FetchRequest) -> FetchError:
    """The error that a request ends in."""
    with pytest.raises(FetchError) as caught:
        await fetcher.fetch(request)
    return caught.value


@pytest.mark.parametrize("address", NON_PUBLIC)
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    """Private, local, shared, multicast, documentation and IPv4-embedding addresses are never connected to."""
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111"])
def test_public_addresses_are_allowed(address: str) -> None:
    """A unicast address of the public Internet may be connected to, and is not this machine."""
    assert is_public(address)
    assert not is_loopback(address)


@given(st.ip_addresses())
def test_no_address_is_both_public_and_private(address: object) -> None:
    """Whatever the library calls private or loopback is not public here."""
    if address.is_private or address.is_loopback or address.is_link_local:  # type: ignore[attr-defined]
        assert not is_public(str(address))


@pytest.mark.parametrize("answer", [["127.0.0.1"], ["10.0.0.1", "::1"], ["::ffff:127.0.0.1"], ["100.64.0.9"], []])
async def test_a_name_that_leads_inside_is_refused(answer: list[str]) -> None:
    """A public name that resolves to an address of our own network is refused before any connection (S1)."""

    async def resolve(_host: str, _port: int) -> list[str]:
        return answer

    async with HTTPFetcher(PollingSettings(), resolve=resolve) as made:
        error = await refused(made, ask("https://vendor.example/feed.xml", loopback=False))
    assert error.kind is FetchErrorKind.REFUSED_ADDRESS


async def test_the_address_that_was_checked_is_the_one_connected_to(site: VendorSite) -> None:
    """A name is resolved once: a second, different answer (DNS rebinding) has no effect (S2)."""
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    calls = []

    async def resolve(host: str, _port: int) -> list[str]:
        calls.append(host)
        return next(answers)

    async with HTTPFetcher(PollingSettings(), resolve=resolve) as made:
        response = await made.fetch(ask(site.feed_url.replace("127.0.0.1", "localhost")))
    assert response.body.startswith(b"<?xml")
    assert calls == ["localhost"]
    assert site.requests[0].headers["host"].startswith("localhost:")


@pytest.mark.parametrize(
    "url",
    ["http://127.1/", "http://0x7f.1/", "http://2130706433/", "http://[::ffff:127.0.0.1]/", "http://vendor.example/"],
)
async def test_plain_http_goes_only_to_this_machine_by_its_names(fetcher: HTTPFetcher, url: str) -> None:
    """Odd spellings of loopback do not count as the three literal names that a test source may use."""
    assert (await refused(fetcher, ask(url))).kind is FetchErrorKind.REFUSED_URL


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/", "https://[::1]/", "https://0x7f.1/", "https://localhost/", "https://2130706433/"]
)
async def test_loopback_is_refused_to_every_other_source(fetcher: HTTPFetcher, url: str) -> None:
    """Without the source's own permission this machine is not reached, however it is written."""
    error = await refused(fetcher, ask(url, loopback=False))
    assert error.kind in (FetchErrorKind.REFUSED_ADDRESS, FetchErrorKind.NETWORK)
    if url != "https://2130706433/":
        assert error.kind is FetchErrorKind.REFUSED_ADDRESS


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "http://user:pw@127.0.0.1/",
        "https://",
        "http://127.0.0.1:99999/",
        "gopher://x",
        "",
        "http://[",
        "http://127.0.0.1/\r\nX: y",
    ],
)
async def test_other_schemes_and_credentials_are_refused(fetcher: HTTPFetcher, url: str) -> None:
    """Only http(s) URLs without a password, that parse, are asked for."""
    assert (await refused(fetcher, ask(url))).kind is FetchErrorKind.REFUSED_URL


async def test_unix_sockets_are_never_connected_to() -> None:
    """The network backend has no way to a socket of this machine."""
    with pytest.raises(RefusedAddressError):
        await CheckedBackend(is_public).connect_unix_socket("/run/x.sock")


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("login_page", FetchErrorKind.SOFT_404),
        ("empty", FetchErrorKind.SOFT_404),
        ("endless", FetchErrorKind.TOO_LARGE),
        ("gzip_bomb", FetchErrorKind.TOO_LARGE),
        ("truncated_gzip", FetchErrorKind.ENCODING),
        ("unknown_encoding", FetchErrorKind.ENCODING),
        ("short_body", FetchErrorKind.NETWORK),
        ("redirect_loop", FetchErrorKind.REDIRECT),
        ("redirect_nowhere", FetchErrorKind.REDIRECT),
        ("always_304", FetchErrorKind.PROTOCOL),
        ("too_many", FetchErrorKind.RATE_LIMITED),
        ("maintenance", FetchErrorKind.RATE_LIMITED),
        ("error", FetchErrorKind.STATUS),
        ("gone", FetchErrorKind.GONE),
        ("redirect:http://192.168.0.1/", FetchErrorKind.REFUSED_URL),
        ("redirect:https://192.168.0.1/", FetchErrorKind.REFUSED_ADDRESS),
        ("redirect:https://169.254.169.254/latest/meta-data", FetchErrorKind.REFUSED_ADDRESS),
        ("redirect:file:///etc/passwd", FetchErrorKind.REFUSED_URL),
        ("redirect:http://[", FetchErrorKind.REFUSED_URL),
    ],
)
async def test_every_bad_answer_is_a_named_error(
    site: VendorSite, fetcher: HTTPFetcher, fault: str, kind: FetchErrorKind
) -> None:
    """A fault of the server ends in one FetchError of the right kind, and never in content."""
    site.fault("/feed.xml", fault)
    assert (await refused(fetcher, ask(site.feed_url))).kind is kind


async def test_the_servers_wish_to_wait_is_passed_on(site: VendorSite, fetcher: HTTPFetcher) -> None:
    """Retry-After comes with the error, as it was written."""
    site.fault("/feed.xml", "too_many")
    assert (await refused(fetcher, ask(site.feed_url))).retry_after == "7200"


async def test_a_slow_answer_is_cut_off(site: VendorSite) -> None:
    """Bytes that trickle do not hold a worker beyond the whole request's time."""
    site.fault("/feed.xml", "slow")
    async with HTTPFetcher(PollingSettings(request_timeout_seconds=0.3)) as made:
        assert (await refused(made, ask(site.feed_url))).kind is FetchErrorKind.TIMEOUT


async def test_a_host_without_a_server_is_a_network_error(fetcher: HTTPFetcher) -> None:
    """A refused connection is an error of the network, not a crash."""
    assert (await refused(fetcher, ask("http://127.0.0.1:1/"))).kind is FetchErrorKind.NETWORK


async def test_packed_bodies_are_unpacked(site: VendorSite, fetcher: HTTPFetcher) -> None:
    """gzip, which is asked for, comes out as it went in."""
    plain = await fetcher.fetch(ask(site.feed_url))
    site.fault("/feed.xml", "gzip")
    assert (await fetcher.fetch(ask(site.feed_url))).body == plain.body


async def test_validators_go_back_exactly_as_they_came(site: VendorSite, fetcher: HTTPFetcher) -> None:
    """A conditional request repeats ETag and Last-Modified byte for byte, and a 304 has no body."""
    first = await fetcher.fetch(ask(site.feed_url))
    again = await fetcher.fetch(
        FetchRequest(site.feed_url, Expected.FEED, 10**6, first.etag, first.last_modified, allow_loopback_http=True)
    )
    assert site.requests[1].headers["if-none-match"] == first.etag
    assert site.requests[1].headers["if-modified-since"] == "Thu, 01 Oct 2026 09:00:00 GMT"
    assert again == FetchResponse(again.url, etag=first.etag, last_modified=first.last_modified, not_modified=True)


async def test_redirects_are_followed_without_telling_other_sites_anything(
    site: VendorSite, fetcher: HTTPFetcher
) -> None:
    """A redirect's password is dropped and validators stay with the site that gave them."""
    with VendorSite() as other:
        other.publish("There", "x")
        site.fault("/feed.xml", f"redirect:{other.feed_url.replace('http://', 'http://user:pw@')}")
        answer = await fetcher.fetch(FetchRequest(site.feed_url, Expected.FEED, 10**6, '"x"', allow_loopback_http=True))
        assert answer.url == other.feed_url
        assert "authorization" not in other.requests[0].headers
        assert "if-none-match" not in other.requests[0].headers


async def test_requests_say_who_asks_and_keep_no_cookies(site: VendorSite, fetcher: HTTPFetcher) -> None:
    """The User-Agent names program and contact; a cookie that was set is not sent back."""
    site._files["/cookie"] = site.answer("/feed.xml")  # type: ignore[assignment]
    site._files["/cookie"].headers["Set-Cookie"] = "session=1; Path=/"
    await fetcher.fetch(ask(site.base + "/cookie"))
    await fetcher.fetch(ask(site.feed_url))
    assert site.requests[1].headers["user-agent"] == "rootwarden/1 (+security@example.org)"
    assert "cookie" not in site.requests[1].headers


async def test_an_untrusted_certificate_is_refused() -> None:
    """TLS to a server whose certificate nobody vouches for gives a network error, never content."""
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0, ssl=_self_signed())
    port = server.sockets[0].getsockname()[1]
    async with HTTPFetcher(PollingSettings()) as made:
        error = await refused(made, ask(f"https://localhost:{port}/"))
    server.close()
    assert error.kind is FetchErrorKind.NETWORK
    assert "certificate" in str(error).lower()


def _self_signed() -> ssl.SSLContext:
    import tempfile
    from datetime import UTC, datetime
    from pathlib import Path

    from cryptography.hazmat.primitives import serialization

    from tests.simulator.vendor_pki import VendorPKI

    pki = VendorPKI.generate("Nobody", datetime.now(UTC))
    key = pki.root_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "both.pem"
        file.write_bytes(key + pki.root_pem.encode())
        context.load_cert_chain(file)
    return context


@given(st.binary(max_size=300), st.integers(1, 64), st.integers(0, 200))
def test_a_capped_body_never_grows_beyond_its_cap(data: bytes, chunk: int, cap: int) -> None:
    """Whatever arrives in whatever pieces, packed or not, ends within the cap or in a named error."""
    for encoding in ("", "gzip"):
        body = CappedBody(encoding, cap)
        try:
            for start in range(0, len(data), chunk):
                body.take(data[start : start + chunk])
            assert len(body.finish()) <= cap
        except (BodyTooLargeError, BodyEncodingError):
            pass


@given(st.lists(st.binary(max_size=50), max_size=4), st.integers(1, 40))
def test_gzip_members_are_joined(members: list[bytes], chunk: int) -> None:
    """Several gzip members one after another are one body (RFC 1952 2.2)."""
    import gzip

    body = CappedBody("gzip", 10_000)
    packed = b"".join(gzip.compress(m) for m in members)
    for start in range(0, len(packed), chunk):
        body.take(packed[start : start + chunk])
    assert body.finish() == b"".join(members)


@pytest.mark.parametrize(
    ("body", "root"),
    [
        (b"<rss version='2.0'>", "rss"),
        (b"\xef\xbb\xbf  <?xml version='1.0'?><!-- <html> --><feed xmlns='x'>", "feed"),
        (b"<!DOCTYPE rss [<!ENTITY a '<b>'>]><rss>", "rss"),
        (b"<!DOCTYPE html><rss>", "html"),
        (b"<?xml version='1.0'?><rdf:RDF>", "rdf:rdf"),
        (b"<br/>", "br"),
        ("<?xml version='1.0'?><rss>".encode("utf-16"), "rss"),
        (b"hello", None),
        (b"<!-- never ends", None),
        (b"<", None),
    ],
)
def test_the_first_element_tells_what_a_body_is(body: bytes, root: str | None) -> None:
    """Prologue, comments and doctype are passed over, and an HTML doctype is HTML whatever follows."""
    assert root_name(body) == root


@given(st.binary(max_size=200))
def test_sniffing_never_fails(data: bytes) -> None:
    """Any bytes are answered for any expectation."""
    for expected in Expected:
        assert mismatch(data, expected) is None or isinstance(mismatch(data, expected), str)


def test_key_files_may_be_anything_but_pages() -> None:
    """PEM and binary are taken for a key file, a web page and nothing are not."""
    assert mismatch(b"-----BEGIN CERTIFICATE-----", Expected.KEY_FILE) is None
    assert mismatch(b"\x30\x82", Expected.KEY_FILE) is None
    assert mismatch(b"<html>", Expected.KEY_FILE) is not None
    assert mismatch(b"", Expected.KEY_FILE) is not None
    assert mismatch(b"[1]", Expected.JSON) is None
