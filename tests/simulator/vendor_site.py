"""A vendor's web site on loopback: an RSS feed, a Discourse forum topic over its JSON API, key files, and every bad habit of servers.

Example:
    with VendorSite() as site:
        site.publish("Advisory 1", "<p>...</p>")
        topic = site.open_topic(7, "Certificate questions", posts=60)
        topic.posts[42].cooked, topic.posts[42].admin = "<pre>...</pre>", True
        site.file("/keys/root.pem", pem, "application/x-pem-file")
        site.fault("/feed.xml", "login_page")
        ... site.feed_url, topic.url, site.requests
"""

from __future__ import annotations

import gzip
import hashlib
import html
import itertools
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qs, urlsplit

CHUNK = 20
LOGIN_PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><form>password</form></body></html>"


@dataclass
class Post:
    """One post as Discourse serialises it; ``moderator``, ``admin`` and ``staff`` are the server's own flags."""

    id: int
    number: int
    cooked: str
    username: str = "customer"
    admin: bool = False
    moderator: bool = False
    staff: bool = False
    user_title: str | None = None
    hidden: bool = False
    wiki: bool = False
    deleted: bool = False
    updated_at: str = "2026-10-01T09:00:00.000Z"

    def to_json(self) -> dict[str, object]:
        """The post object of the JSON API."""
        return {
            "id": self.id, "name": self.username.title(), "username": self.username, "created_at": "2026-10-01T09:00:00.000Z",
            "cooked": self.cooked, "post_number": self.number, "post_type": 1, "updated_at": self.updated_at, "version": 1,
            "moderator": self.moderator, "admin": self.admin, "staff": self.staff, "user_title": self.user_title,
            "trust_level": 1, "hidden": self.hidden, "wiki": self.wiki, "deleted_at": None, "user_deleted": False,
        }  # fmt: skip


@dataclass
class Topic:
    """A forum topic; its first page has 20 posts and the ids of all."""

    id: int
    title: str
    posts: list[Post]
    url: str

    def visible(self) -> list[Post]:
        """Posts that are not deleted."""
        return [post for post in self.posts if not post.deleted]

    def first_page(self) -> dict[str, object]:
        """``/t/<id>.json``."""
        posts = self.visible()
        return {
            "id": self.id, "title": self.title, "fancy_title": self.title, "slug": "topic", "posts_count": len(posts),
            "chunk_size": CHUNK, "highest_post_number": len(self.posts),
            "post_stream": {"posts": [p.to_json() for p in posts[:CHUNK]], "stream": [p.id for p in posts]},
        }  # fmt: skip

    def page(self, ids: list[int]) -> dict[str, object]:
        """``/t/<id>/posts.json``."""
        return {"id": self.id, "post_stream": {"posts": [p.to_json() for p in self.visible() if p.id in ids]}}


@dataclass
class Request:
    """A request as it was received."""

    path: str
    headers: dict[str, str]
    status: int = 0


@dataclass
class Answer:
    """A body with its type; ``etag`` is computed."""

    body: bytes
    content_type: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        """A weak validator, with characters that must come back exactly."""
        return f'W/"{hashlib.sha256(self.body).hexdigest()[:24]}"'


Fault = Callable[["_Handler", Answer | None], None]


class VendorSite:
    """A real HTTP server in a thread; use it as a context manager."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.topics: dict[int, Topic] = {}
        self._entries: list[tuple[str, str, str, str, tuple[str, ...]]] = []
        self._files: dict[str, Answer] = {}
        self._faults: dict[str, str] = {}
        self._stop = threading.Event()
        site = self

        class Bound(_Handler):
            vendor_site = site

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> VendorSite:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def base(self) -> str:
        """The site's address, without a slash at its end."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def feed_url(self) -> str:
        """The RSS feed."""
        return f"{self.base}/feed.xml"

    def publish(self, title: str, body: str, *, author: str = "Product Security", date: str = "Thu, 01 Oct 2026 09:00:00 GMT",
                enclosures: tuple[str, ...] = ()) -> None:  # fmt: skip
        """Put an entry at the top of the feed; ``enclosures`` are paths on this site."""
        self._entries.insert(0, (title, body, author, date, enclosures))

    def edit_entry(self, index: int, body: str) -> None:
        """Change the text of an entry (0: the newest) and nothing else."""
        title, _, author, date, enclosures = self._entries[index]
        self._entries[index] = (title, body, author, date, enclosures)

    def open_topic(self, topic_id: int, title: str, *, posts: int) -> Topic:
        """A topic with ordinary questions of customers; change its posts at will."""
        made = [
            Post(topic_id * 1000 + n, n, f"<p>Question {n}: how do I update my device?</p>")
            for n in range(1, posts + 1)
        ]
        self.topics[topic_id] = Topic(topic_id, title, made, f"{self.base}/t/topic/{topic_id}")
        return self.topics[topic_id]

    def file(self, path: str, body: bytes, content_type: str = "application/octet-stream") -> str:
        """Serve a file and return its URL."""
        self._files[path] = Answer(body, content_type)
        return self.base + path

    def fault(self, path: str, name: str | None) -> None:
        """Make ``path`` misbehave as one of FAULTS says, or behave again (None); ``redirect:URL`` sends elsewhere."""
        if name is None:
            self._faults.pop(path, None)
        else:
            self._faults[path] = name

    def fault_of(self, path: str) -> str | None:
        """How ``path`` misbehaves."""
        return self._faults.get(path)

    def stopped(self, seconds: float) -> bool:
        """Wait; True when the site is closing."""
        return self._stop.wait(seconds)

    def answer(self, target: str) -> Answer | None:
        """What is at a path, or None."""
        parts = urlsplit(target)
        if parts.path == "/feed.xml":
            return Answer(
                self._feed(), "application/rss+xml; charset=utf-8", {"Last-Modified": "Thu, 01 Oct 2026 09:00:00 GMT"}
            )
        for topic in self.topics.values():
            if parts.path in (f"/t/{topic.id}.json", f"/t/topic/{topic.id}.json"):
                return _json(topic.first_page())
            if parts.path == f"/t/{topic.id}/posts.json":
                ids = [int(i) for i in parse_qs(parts.query).get("post_ids[]", [])]
                return _json(topic.page(ids[: CHUNK * 10]))
        return self._files.get(parts.path)

    def _feed(self) -> bytes:
        items = "".join(
            f"<item><title>{html.escape(title)}</title><link>{self.base}/news/{len(self._entries) - n}</link>"
            f"<guid isPermaLink='false'>entry-{len(self._entries) - n}</guid><author>{html.escape(author)}</author>"
            f"<pubDate>{date}</pubDate><description>{html.escape(body)}</description>"
            + "".join(
                f"<enclosure url='{self.base}{path}' length='1' type='application/x-pem-file'/>" for path in enclosures
            )
            + "</item>"
            for n, (title, body, author, date, enclosures) in enumerate(self._entries)
        )
        return (
            "<?xml version='1.0' encoding='utf-8'?><rss version='2.0'><channel><title>Security news</title>"
            f"<link>{self.base}/</link><description>News</description>{items}</channel></rss>"
        ).encode()


class _Handler(BaseHTTPRequestHandler):
    vendor_site: VendorSite
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer, or misbehave."""
        request = Request(self.path, {k.lower(): v for k, v in self.headers.items()})
        self.vendor_site.requests.append(request)
        self._request = request
        answer = self.vendor_site.answer(self.path)
        fault = self.vendor_site.fault_of(urlsplit(self.path).path)
        try:
            if fault is not None:
                self._misbehave(fault, answer)
            elif answer is None:
                self.send(404, b"not found", "text/plain")
            elif self.headers.get("If-None-Match") == answer.etag:
                self.send(304, b"", answer.content_type, {"ETag": answer.etag})
            else:
                self.send(200, answer.body, answer.content_type, {"ETag": answer.etag, **answer.headers})
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def send(self, status: int, body: bytes, content_type: str, headers: dict[str, str] | None = None) -> None:
        """Send a whole answer."""
        self._request.status = status
        self.send_response(status)
        for name, value in {"Content-Type": content_type, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
        """Say nothing; ``requests`` has it all."""

    def _misbehave(self, fault: str, answer: Answer | None) -> None:
        name, _, detail = fault.partition(":")
        if name == "redirect":
            self.send(302, b"", "text/plain", {"Location": detail})
        else:
            FAULTS[name](self, answer)


def _json(value: object) -> Answer:
    return Answer(json.dumps(value).encode(), "application/json; charset=utf-8")


def _endless(handler: _Handler, answer: Answer | None) -> None:  # noqa: ARG001 - one shape for all faults
    handler.send_response(200)
    handler.send_header("Content-Type", "application/rss+xml")
    handler.end_headers()
    handler.close_connection = True
    for _ in itertools.count():
        handler.wfile.write(b"<rss>" + b" " * 65531)


def _slow(handler: _Handler, answer: Answer | None) -> None:  # noqa: ARG001 - one shape for all faults
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    handler.close_connection = True
    for _ in range(3000):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        if handler.vendor_site.stopped(0.05):
            return


def _packed(body: bytes) -> Fault:
    def send(handler: _Handler, answer: Answer | None) -> None:
        packed = gzip.compress(answer.body if answer and not body else body)
        handler.send(200, packed, "application/rss+xml", {"Content-Encoding": "gzip"})

    return send


def _truncated_gzip(handler: _Handler, answer: Answer | None) -> None:
    packed = gzip.compress(answer.body if answer else b"<rss/>")
    handler.send(200, packed[:-9], "application/rss+xml", {"Content-Encoding": "gzip"})


def _short_body(handler: _Handler, answer: Answer | None) -> None:
    body = answer.body if answer else b"<rss/>"
    handler.send(200, body, "application/rss+xml", {"Content-Length": str(len(body) + 100)})
    handler.close_connection = True


def _status(status: int, headers: dict[str, str] | None = None) -> Fault:
    def send(handler: _Handler, answer: Answer | None) -> None:  # noqa: ARG001 - one shape for all faults
        handler.send(status, b"slow down" if status == 429 else b"", "text/plain", headers)

    return send


FAULTS: dict[str, Fault] = {
    "login_page": lambda handler, _: handler.send(200, LOGIN_PAGE, "application/rss+xml"),
    "empty": lambda handler, _: handler.send(200, b"", "application/rss+xml"),
    "endless": _endless,
    "slow": _slow,
    "gzip": _packed(b""),
    "gzip_bomb": _packed(b"<rss>" + b" " * 50_000_000),
    "truncated_gzip": _truncated_gzip,
    "unknown_encoding": lambda handler, _: handler.send(200, b"<rss/>", "text/xml", {"Content-Encoding": "br"}),
    "short_body": _short_body,
    "redirect_loop": lambda handler, _: handler.send(302, b"", "text/plain", {"Location": handler.path}),
    "redirect_nowhere": _status(302),
    "always_304": _status(304),
    "too_many": _status(429, {"Retry-After": "7200"}),
    "too_many_date": _status(429, {"Retry-After": "Wed, 25 Nov 2026 14:00:00 GMT"}),
    "maintenance": _status(503, {"Retry-After": "120"}),
    "error": _status(500),
    "gone": _status(410),
}
"""Name -> what a path does instead of answering."""
