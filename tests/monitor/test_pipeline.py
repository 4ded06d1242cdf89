"""Polling takes each source when it is due, reads only what is new, and tells every failure without losing what came before it."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

import monitor.pipeline
from tests.monitor.listening import START, Listening, feed_source, topic_source
from tests.monitor.pipeline_setup import listening

__all__ = ["listening"]  # a fixture


async def test_a_readers_own_fault_is_an_outcome(listening: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected exception while reading one source is told as its failure and spoils no other source."""

    def failing(*_: object, **__: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("monitor.visits.read_feed", failing)
    listening.site.publish("One", "<p>first</p>")
    topic = listening.site.open_topic(7, "Fine", posts=1)
    bad, good = await listening.poll(feed_source(listening.site), topic_source(topic.url))
    assert (bad.status, good.status) == ("failed", "new")
    assert "boom" in bad.problems[0]


async def test_a_topic_that_suddenly_lists_nothing_is_a_fault(listening: Listening) -> None:
    """An empty list where there were posts is told as a failure and removes nothing."""
    topic = listening.site.open_topic(7, "Upgrade fails", posts=25)
    source = topic_source(topic.url)
    await listening.poll_one(source)
    for post in topic.posts:
        post.deleted = True
    outcome = await listening.poll_one(source)
    assert outcome.status == "failed"
    assert "no posts where it had 25" in outcome.problems[0]
    assert listening.rows("SELECT count(*) FROM document_part WHERE removed_at IS NOT NULL") == [(0,)]


async def test_unchanged_is_neither_read_nor_heard_again(listening: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a 304, or the same bytes, nothing is parsed or analysed; a new entry alone is."""
    heard: list[str] = []
    hear = monitor.pipeline.hear

    def counted(document, part, *rest, **named):  # type: ignore[no-untyped-def]
        heard.append(document.title)
        return hear(document, part, *rest, **named)

    monkeypatch.setattr(monitor.pipeline, "hear", counted)
    listening.site.publish("One", "<p>first</p>")
    source = feed_source(listening.site)
    await listening.poll_one(source)
    unchanged = await listening.poll_one(source)
    assert [r.status for r in listening.site.requests] == [200, 304]
    assert (unchanged.status, heard) == ("unchanged", ["One"])
    listening.site.publish("Two", "<p>second</p>")
    await listening.poll_one(source)
    assert heard == ["One", "Two"]
    listening.site.fault("/feed.xml", "gzip")  # the same bytes, and no validators
    same = await listening.poll_one(source)
    assert (same.status, heard) == ("unchanged", ["One", "Two"])


async def test_pages_of_a_topic_are_conditional_each(listening: Listening) -> None:
    """A 60-post topic that did not change costs three 304s."""
    topic = listening.site.open_topic(7, "Upgrade fails", posts=60)
    source = topic_source(topic.url)
    await listening.poll_one(source)
    before = len(listening.site.requests)
    outcome = await listening.poll_one(source)
    assert outcome.status == "unchanged"
    assert [r.status for r in listening.site.requests[before:]] == [304, 304, 304]


async def test_a_server_that_says_304_for_ever_is_found_out(listening: Listening) -> None:
    """Every so many polls a source is asked without validators, so a lying 304 hides news only for so long."""
    listening.site.publish("One", "<p>first</p>")
    source = feed_source(listening.site)
    for _ in range(24):
        await listening.poll_one(source)
    before = len(listening.site.requests)
    await listening.poll_one(source)
    assert "if-none-match" not in listening.site.requests[before].headers


async def test_one_bad_document_does_not_end_the_run(listening: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """A document that cannot be heard is told and read again at the next poll; the others are kept."""
    hear = monitor.pipeline.hear

    def failing(document, *rest, **named):  # type: ignore[no-untyped-def]
        if document.title == "Bad":
            raise RuntimeError("boom")
        return hear(document, *rest, **named)

    listening.site.publish("Good", "<p>x</p>")
    listening.site.publish("Bad", "<p>y</p>")
    source = feed_source(listening.site)
    with monkeypatch.context() as patched:
        patched.setattr(monitor.pipeline, "hear", failing)
        first = await listening.poll_one(source)
    assert (first.status, first.new_versions) == ("partial", 1)
    assert "boom" in first.problems[0]
    assert (await listening.poll_one(source)).new_versions == 1


async def test_failures_are_on_record_and_back_off(listening: Listening) -> None:
    """A failing source keeps its clocks apart, counts its failures, waits longer each time and recovers."""
    listening.site.publish("One", "<p>first</p>")
    source = feed_source(listening.site)
    await listening.poll_one(source)
    listening.site.fault("/feed.xml", "error")
    waits = []
    for _ in range(3):
        at = listening.at
        waits.append((await listening.poll_one(source)).next_due_at - at)
    assert waits[0] < waits[1] < waits[2]
    state = listening.rows("SELECT failures, last_ok_at, last_error FROM source_state")
    assert state == [(3, "2026-11-25T12:00:00.000000Z", "status: HTTP 500")]
    listening.site.fault("/feed.xml", None)
    assert (await listening.poll_one(source)).status == "unchanged"
    assert listening.rows("SELECT failures, last_error FROM source_state") == [(0, None)]


async def test_retry_after_is_kept_by_the_ticks(listening: Listening) -> None:
    """After a 429 the source is not asked again before the time the server named."""
    listening.site.publish("One", "<p>first</p>")
    source = feed_source(listening.site)
    listening.site.fault("/feed.xml", "too_many")
    (outcome,) = await listening.poll(source, force=False)
    assert outcome.next_due_at == START + timedelta(seconds=7200)
    assert await listening.poll(source, force=False) == ()
    assert len(listening.site.requests) == 1
    listening.at = START + timedelta(seconds=7201)
    assert len(await listening.poll(source, force=False)) == 1


async def test_a_tick_takes_only_what_is_due_and_only_once(listening: Listening) -> None:
    """A source is taken by one tick, and again when its interval is over."""
    listening.site.publish("One", "<p>first</p>")
    source = feed_source(listening.site)
    assert len(await listening.poll(source, force=False)) == 1
    listening.at = START + timedelta(minutes=30)
    assert await listening.poll(source, force=False) == ()
    listening.at = START + timedelta(hours=2)
    assert len(await listening.poll(source, force=False)) == 1


async def test_a_page_that_fails_leaves_what_came_before_it(listening: Listening) -> None:
    """When a later page of a topic is refused, the first page's posts are kept and the rest comes with the next poll."""
    topic = listening.site.open_topic(7, "Upgrade fails", posts=60)
    source = topic_source(topic.url)
    listening.site.fault("/t/7/posts.json", "too_many")
    first = await listening.poll_one(source)
    assert (first.status, first.new_versions) == ("failed", 20)
    listening.site.fault("/t/7/posts.json", None)
    assert (await listening.poll_one(source)).new_versions == 40


async def test_a_long_thread_is_walked_within_its_budget(listening: Listening) -> None:
    """With fewer pages a poll than the thread has, new posts come first and an edit anywhere is found within a known number of polls."""
    topic = listening.site.open_topic(7, "Long", posts=140)
    source = topic_source(topic.url)
    listening.with_polling(max_pages=3)
    for _ in range(3):
        await listening.poll_one(source)
    assert listening.rows("SELECT count(*) FROM document_part") == [(140,)]
    topic.posts[130].cooked = "<p>edited quietly</p>"
    found = [(await listening.poll_one(source)).new_versions for _ in range(3)]
    assert sum(found) == 1


async def test_outcomes_are_json_without_control_characters(listening: Listening) -> None:
    """What an outcome says of a hostile server can be printed and logged."""
    listening.site.publish("\x1b[31mred", "<a href='/\u202ek.pem'>our key</a>")
    listening.site.fault("/feed.xml", "redirect:http://10.0.0.1/\u202e\x1b")
    outcome = await listening.poll_one(feed_source(listening.site))
    text = json.dumps(outcome.to_dict(), ensure_ascii=False)
    assert outcome.status == "failed"
    assert "\x1b" not in text
    assert "\u202e" not in text
