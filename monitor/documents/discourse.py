"""One Discourse topic over its JSON API -> one document with a part per post, and what to fetch next. Pure.

Reference: ``/t/<id>.json`` has the first posts and ``post_stream.stream``, the ids of *all* visible posts; the others come from
``/t/<id>/posts.json?post_ids[]=``. ``admin``, ``moderator`` and ``staff`` are computed by the server; ``user_title`` and names are
whatever their owner likes. A wiki post is edited by others, a post by mail has a forgeable sender: neither is its author's word.
``version`` does not rise with every edit, so content is compared by digest.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from monitor.documents.html_text import plain_text
from monitor.documents.protocol import DocumentPart, one_line
from trust_store.errors import MalformedError, ResourceLimitError

NAME = "discourse"
CHUNK_POSTS = 20
MAX_POSTS = 20_000
MAX_POSTS_PER_PAGE = 1000
_TOPIC = re.compile(r"(?P<base>.*)/t/(?:[^/]+/)?(?P<number>[0-9]{1,15})(?:\.json)?/?(?:[0-9]+/?)?\Z")


@dataclass(frozen=True, slots=True)
class TopicAddress:
    """Where a topic is: ``base`` is the forum's own address, without a slash at its end."""

    base: str
    number: int

    @property
    def topic_url(self) -> str:
        """The topic's first page, as JSON."""
        return f"{self.base}/t/{self.number}.json"

    def posts_url(self, post_ids: tuple[int, ...]) -> str:
        """The page with exactly these posts, as JSON."""
        wanted = "&".join(f"post_ids[]={post_id}" for post_id in post_ids)
        return f"{self.base}/t/{self.number}/posts.json?{wanted}"


@dataclass(frozen=True, slots=True)
class TopicPage:
    """The first page: every visible post's id in ``stream``, the first posts in ``parts``."""

    title: str
    stream: tuple[int, ...]
    parts: tuple[DocumentPart, ...]
    skipped: tuple[str, ...] = ()


def topic_address(url: str) -> TopicAddress:
    """The topic that a URL, as copied from a browser, points at; raises MalformedError."""
    parts = urlsplit(url)
    match = _TOPIC.match(parts.path)
    if match is None:
        raise MalformedError(f"no topic of a Discourse forum: {url[:200]}")
    return TopicAddress(f"{parts.scheme}://{parts.netloc}{match['base']}", int(match["number"]))


def read_topic(body: bytes, address: TopicAddress) -> TopicPage:
    """The topic's first page; raises MalformedError or ResourceLimitError. A post that cannot be read is named in ``skipped``."""
    topic = _object(_load(body))
    stream = _object(topic.get("post_stream"))
    ids = stream.get("stream")
    if not isinstance(ids, list) or not all(_is_id(i) for i in ids):
        raise MalformedError("the topic does not list its posts")
    if len(ids) > MAX_POSTS:
        raise ResourceLimitError(f"a topic of more than {MAX_POSTS} posts")
    if topic.get("id") != address.number:
        raise MalformedError("the answer is about another topic")
    parts, skipped = _parts(stream.get("posts"), address)
    return TopicPage(one_line(topic.get("title")), tuple(dict.fromkeys(ids)), parts, skipped)


def read_posts(body: bytes, address: TopicAddress) -> tuple[tuple[DocumentPart, ...], tuple[str, ...]]:
    """The posts of a further page, and what could not be read of it; raises MalformedError or ResourceLimitError."""
    page = _object(_load(body))
    return _parts(_object(page.get("post_stream")).get("posts"), address)


def pages(
    stream: tuple[int, ...], first: frozenset[int], known: frozenset[int], *, budget: int, turn: int
) -> tuple[tuple[int, ...], ...]:
    """Which posts to fetch next, a page each: those never seen, then the known ones in turn, for engines hide edits.

    ``first`` came with the topic's first page. With more pages than ``budget``, ``turn`` (0, 1, 2 ...) walks on through the known ones,
    so that each page is read again within a known number of turns. Pages are cut the same way each time: their validators stay good.
    """
    rest = [post_id for post_id in stream if post_id not in first]
    cut = [tuple(rest[i : i + CHUNK_POSTS]) for i in range(0, len(rest), CHUNK_POSTS)]
    new = [page for page in cut if not known.issuperset(page)]
    old = [page for page in cut if known.issuperset(page)]
    room = max(0, budget - len(new))
    if old and len(old) > room:
        start = turn * room % len(old)
        old = (old[start:] + old[:start])[:room]
    return (*new[:budget], *old)


def _load(body: bytes) -> Any:
    try:
        return json.loads(body.decode())
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"not JSON: {type(error).__name__}") from error


def _parts(posts: object, address: TopicAddress) -> tuple[tuple[DocumentPart, ...], tuple[str, ...]]:
    if not isinstance(posts, list) or len(posts) > MAX_POSTS_PER_PAGE:
        raise MalformedError("no list of posts, or an absurd one")
    parts: dict[str, DocumentPart] = {}
    skipped: list[str] = []
    for number, post in enumerate(posts, 1):
        try:
            part = _part(_object(post), address)
        except (MalformedError, ResourceLimitError) as error:
            skipped.append(f"post {number} of the page: {error}")
        else:
            parts.setdefault(part.key, part)
    return tuple(parts.values()), tuple(skipped)


def _part(post: dict[str, Any], address: TopicAddress) -> DocumentPart:
    post_id, number, cooked = post.get("id"), post.get("post_number"), post.get("cooked")
    if not _is_id(post_id) or not _is_id(number) or not isinstance(cooked, str):
        raise MalformedError("a post without id, number or text")
    url = f"{address.base}/t/{address.number}/{number}"
    hidden = any(_told(post, name) for name in ("hidden", "deleted_at", "user_deleted"))
    said = plain_text(cooked, url)
    return DocumentPart(
        key=str(post_id),
        text="" if hidden else said.text,
        url=url,
        author=one_line(post.get("username")) or None,
        staff=_is_staff(post),
        published=_time(post.get("updated_at")) or _time(post.get("created_at")),
        links=() if hidden else said.links,
        hidden=hidden,
        opens=number == 1,
    )


def _is_staff(post: dict[str, Any]) -> bool:
    """Only the server's own flags, as JSON booleans; and not where others can write under that author's name."""
    flagged = any(post.get(name) is True for name in ("admin", "moderator", "staff"))
    return flagged and not any(_told(post, name) for name in ("wiki", "via_email"))


def _told(post: dict[str, Any], name: str) -> bool:
    """Whether a field says anything but no: a flag of an odd type counts as set, that is the careful reading of these."""
    return post.get(name) not in (None, False)


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedError("not the JSON object that Discourse sends")
    return value


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**53


def _time(value: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(value)  # type: ignore[arg-type]
        return at.astimezone(UTC) if at.tzinfo else None
    except (ValueError, TypeError, OverflowError):
        return None
