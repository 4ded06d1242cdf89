"""Visits a source: fetches what is new of it and reads it into documents. Unchanged bytes are never read again.

What to fetch is decided in ``documents.discourse.pages`` and ``scheduler``; nothing here touches the store.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from monitor.config import SourceKind
from monitor.documents.discourse import CHUNK_POSTS, pages, read_posts, read_topic, topic_address
from monitor.documents.feed import read_feed
from monitor.documents.protocol import Document, DocumentPart
from monitor.errors import FetchError, FetchErrorKind
from monitor.fetch.protocol import Expected, FetchRequest
from monitor.scheduler import use_validators
from monitor.storage.sources import ReadResource, Validators
from trust_store.errors import MalformedError, ResourceLimitError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.config import PollingSettings, Source
    from monitor.documents.discourse import TopicAddress, TopicPage
    from monitor.fetch.protocol import Fetcher, FetchResponse
    from monitor.storage.documents import KnownDocument
    from monitor.storage.sources import SourceState


@dataclass(frozen=True, slots=True)
class Memory:
    """What the store knows of a source before a visit."""

    state: SourceState
    validators: Mapping[str, Validators]
    known: Mapping[str, KnownDocument]
    key_files_wait: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What a visit brought. ``error`` ended it early: what came before it counts.

    ``resources`` may be remembered as read once all documents are stored; ``parsed`` says that anything was read at all.
    ``recut`` says that a topic's posts are other ones than before: what was remembered of its pages no longer counts.
    """

    documents: tuple[Document, ...] = ()
    resources: tuple[ReadResource, ...] = ()
    parsed: bool = False
    landed: str = ""
    forum: bool = False
    stream: tuple[int, ...] = ()
    recut: bool = False
    problems: tuple[str, ...] = ()
    error: FetchError | MalformedError | ResourceLimitError | None = None


async def visit(source: Source, fetcher: Fetcher, memory: Memory, polling: PollingSettings) -> Reading:
    """Visit a source; faults of the network and of what it sent come back in the reading, they are not raised."""
    conversation = _Conversation(source, fetcher, memory, polling)
    try:
        if source.kind is SourceKind.FEED:
            return await _visit_feed(conversation)
        return await _visit_topic(conversation)
    except (FetchError, MalformedError, ResourceLimitError) as error:
        return Reading(stream=memory.state.stream, landed=source.url, error=error)
    except Exception as error:  # noqa: BLE001 - a reader's fault must not end the polling of other sources
        fault = MalformedError(f"internal error: {type(error).__name__}: {error}")
        return Reading(stream=memory.state.stream, landed=source.url, error=fault)


@dataclass(slots=True)
class _Conversation:
    """The requests of one visit and what they brought."""

    source: Source
    fetcher: Fetcher
    memory: Memory
    polling: PollingSettings
    resources: list[ReadResource] = field(default_factory=list)

    async def changed(self, url: str, expected: Expected) -> FetchResponse | None:
        """The answer at ``url``, or None if it is what was read last time, by the server's word or by its bytes."""
        before = self.memory.validators.get(url)
        send = before if before is not None and use_validators(self.memory.state.polls) else None
        answer = await self.fetcher.fetch(
            FetchRequest(
                url=url,
                expected=expected,
                max_bytes=self.polling.max_document_bytes,
                etag=send.etag if send else None,
                last_modified=send.last_modified if send else None,
                allow_loopback_http=self.source.allow_loopback_http,
            )
        )
        if (
            self.source.kind is SourceKind.DISCOURSE
            and (urlsplit(answer.url).hostname or "").lower() != self.source.host
        ):
            # Who is staff is for the forum itself to say, not for whoever it sends us to.
            raise FetchError(FetchErrorKind.REDIRECT, "the topic is on another host now: correct its url", url=url)
        if answer.not_modified and before is not None:
            self.resources.append(ReadResource(url, before))
            return None
        digest = hashlib.sha256(answer.body).hexdigest()
        self.resources.append(ReadResource(url, Validators(answer.etag, answer.last_modified, digest)))
        return None if before is not None and before.body_sha256 == digest else answer


async def _visit_feed(conversation: _Conversation) -> Reading:
    source = conversation.source
    answer = await conversation.changed(source.url, Expected.FEED)
    if answer is None:
        return Reading(resources=tuple(conversation.resources), landed=source.url)
    feed = await asyncio.to_thread(read_feed, answer.body, url=answer.url, content_type=answer.content_type)
    return Reading(
        documents=feed.documents,
        resources=tuple(conversation.resources),
        parsed=True,
        landed=answer.url,
        forum=feed.forum,
        problems=feed.skipped,
    )


async def _visit_topic(conversation: _Conversation) -> Reading:
    """The first page tells which posts there are; the others are fetched page by page within ``max_pages``."""
    memory = conversation.memory
    address = topic_address(conversation.source.url)
    known = memory.known.get(str(address.number))
    known_parts = known.parts if known else {}
    answer = await conversation.changed(address.topic_url, Expected.JSON)
    page: TopicPage | None = None
    if answer is not None:
        page = await asyncio.to_thread(read_topic, answer.body, address)
        if known_parts and not page.stream:
            raise MalformedError(f"the topic lists no posts where it had {len(known_parts)}")
    stream = page.stream if page else memory.state.stream
    listed = {str(post_id) for post_id in stream}
    walk = _Walk([p for p in page.parts if p.key in listed] if page else [], list(page.skipped) if page else [])
    first = frozenset(int(p.key) for p in walk.parts) if page else frozenset(stream[:CHUNK_POSTS])
    seen = frozenset(int(part_key) for part_key in known_parts)
    budget = conversation.polling.max_pages - 1
    await walk.on(conversation, address, pages(stream, first, seen, budget=budget, turn=memory.state.polls))
    removed = tuple(part_key for part_key in known_parts if part_key not in listed) if page else ()
    title = page.title if page else known.title if known else ""
    document = Document(str(address.number), title, conversation.source.url, tuple(walk.parts), removed)
    return Reading(
        documents=(document,) if walk.parts or removed else (),
        resources=tuple(conversation.resources),
        parsed=bool(page or walk.parts),
        landed=conversation.source.url,
        stream=stream,
        recut=stream != memory.state.stream,
        problems=tuple(walk.problems),
        error=walk.error,
    )


@dataclass(slots=True)
class _Walk:
    """The further pages of a topic, until all are read or one fails."""

    parts: list[DocumentPart]
    problems: list[str]
    error: FetchError | MalformedError | ResourceLimitError | None = None

    async def on(self, conversation: _Conversation, address: TopicAddress, wanted: tuple[tuple[int, ...], ...]) -> None:
        for post_ids in wanted:
            try:
                answer = await conversation.changed(address.posts_url(post_ids), Expected.JSON)
                if answer is not None:
                    more, skipped = await asyncio.to_thread(read_posts, answer.body, address)
                    # A server may answer with posts of anywhere; those that were not asked for are none of this topic.
                    self.parts += [part for part in more if int(part.key) in post_ids]
                    self.problems += skipped
            except (FetchError, MalformedError, ResourceLimitError) as fault:
                self.error = fault
                return
