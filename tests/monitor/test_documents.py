from __future__ import annotations

import contextlib
import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.documents.discourse import CHUNK_POSTS, pages, read_posts, read_topic, topic_address
from monitor.documents.feed import MAX_DEPTH, MAX_ENTRIES, MAX_FEED_BYTES, MAX_TAGS, read_feed
from monitor.documents.html_text import MAX_ELEMENTS, link, plain_text
from monitor.documents.protocol import MAX_TEXT_CHARACTERS, DocumentPart
from monitor.documents.quotes import own_words, quoted_words
from trust_store.errors import MalformedError, ResourceLimitError

BASE = "https://vendor.example/feed.xml"
RSS = b"""<?xml version="1.0"?><rss version="2.0"><channel><title>News</title><generator>Hugo</generator>
<item><title>Root &lt;b&gt;rotated&lt;/b&gt;</title><link>/news/1</link><guid>urn:g1</guid><author>psirt@vendor.example</author>
<pubDate>Thu, 01 Oct 2026 09:00:00 GMT</pubDate>
<description>&lt;p&gt;New key: &lt;a href="/k.pem"&gt;k&lt;/a&gt;&lt;/p&gt;&lt;pre&gt;-----BEGIN X-----
AAAA
BBBB
-----END X-----&lt;/pre&gt;</description><enclosure url="/root.der" length="1" type="application/x"/></item>
<item><title>Second</title><link>/news/2</link><description>plain</description></item></channel></rss>"""
ATOM = b"""<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><title>A</title><id>u</id>
<generator>Discourse 3.4</generator><entry><id>urn:1</id><title>T</title><updated>2026-10-02T01:02:03Z</updated>
<published>2026-10-01T01:02:03Z</published><author><name>Ada</name></author><link href="https://vendor.example/a"/>
<content type="html">&lt;p&gt;long text&lt;/p&gt;</content><summary>s</summary></entry></feed>"""
TOPIC_URL = "https://forum.example/sub/t/some-slug/7"


def post(number: int, **changes: Any) -> dict[str, Any]:
    """A post as the server sends it."""
    return {
        "id": 100 + number, "post_number": number, "cooked": f"<p>text {number}</p>", "username": "u", "admin": False,
        "moderator": False, "staff": False, "created_at": "2026-10-01T09:00:00.000Z", "updated_at": "2026-10-02T09:00:00.000Z",
        "hidden": False, "deleted_at": None, "user_deleted": False, "wiki": False, **changes,
    }  # fmt: skip


def topic(posts: list[Any], stream: object = None, **changes: Any) -> bytes:
    """A topic's first page."""
    ids = [p["id"] for p in posts] if stream is None else stream
    return json.dumps({"id": 7, "title": "T", "post_stream": {"posts": posts, "stream": ids}, **changes}).encode()


def only(**changes: Any) -> DocumentPart:
    """The one post of a topic, changed."""
    (part,) = read_topic(topic([post(1, **changes)]), topic_address(TOPIC_URL)).parts
    return part


def test_an_rss_entry_keeps_its_key_text_links_and_line_breaks() -> None:
    """Id, link, title, author, date, enclosures and links are read, and PEM keeps its lines."""
    feed = read_feed(RSS, url=BASE, content_type="application/rss+xml")
    first, second = feed.documents
    (part,) = first.parts
    assert (first.key, first.title, first.url) == ("urn:g1", "Root rotated", "https://vendor.example/news/1")
    assert "-----BEGIN X-----\nAAAA\nBBBB\n-----END X-----" in part.text
    assert part.links == ("https://vendor.example/root.der", "https://vendor.example/k.pem")
    assert (part.author, part.published) == ("psirt@vendor.example", datetime(2026, 10, 1, 9, tzinfo=UTC))
    assert (second.key, feed.forum, feed.skipped) == ("https://vendor.example/news/2", False, ())


def test_an_atom_entry_has_its_longest_text_and_a_forum_is_known() -> None:
    """Content wins over a shorter summary, the edit's date over the first, and a forum's generator is recognised."""
    feed = read_feed(ATOM, url=BASE)
    (document,) = feed.documents
    assert document.parts[0].text == "long text"
    assert document.parts[0].author == "Ada"
    assert document.parts[0].published == datetime(2026, 10, 2, 1, 2, 3, tzinfo=UTC)
    assert feed.forum


def test_entries_of_one_id_are_both_kept() -> None:
    """A second entry with the id of the first cannot replace or hide it."""
    twice = (
        b"<rss><channel>"
        + b"".join(b"<item><guid>x</guid><title>%d</title></item>" % n for n in (1, 2))
        + b"</channel></rss>"
    )
    feed = read_feed(twice, url=BASE)
    assert [d.title for d in feed.documents] == ["1", "2"]
    assert feed.documents[0].key == "https://vendor.example/x"
    assert len({d.key for d in feed.documents}) == 2


def test_an_entry_without_id_and_link_is_known_by_its_content() -> None:
    """The same nameless entry has the same key at every poll."""
    nameless = b"<rss><channel><item><title>t</title><description>d</description></item></channel></rss>"
    assert read_feed(nameless, url=BASE).documents == read_feed(nameless, url=BASE).documents
    assert read_feed(nameless, url=BASE).documents[0].key


@pytest.mark.parametrize(
    "body",
    [
        b"<rss>" + b"<a>" * (MAX_DEPTH + 10),
        b"<rss>" + b"<a></a>" * (MAX_TAGS // 2 + 10),
        b"<rss>" + b" " * MAX_FEED_BYTES,
        b"<a>" * 1_000_000,
        b"<rss>" + b"<!--" * 500_000,
        b"<rss>" + b"&" * 2_000_001,
        "<rss>".encode("utf-16") + "<a>".encode("utf-16-le") * (MAX_DEPTH + 10),
    ],
)
def test_feeds_beyond_a_cap_are_refused(body: bytes) -> None:
    """Depth, number of elements and bytes are bounded before any parser sees them."""
    with pytest.raises(ResourceLimitError):
        read_feed(body, url=BASE)


def test_more_entries_than_the_cap_are_told() -> None:
    """A feed with too many entries is read in part, and says so."""
    feed = read_feed(
        b"<rss><channel>" + b"<item><title>x</title></item>" * (MAX_ENTRIES + 1) + b"</channel></rss>", url=BASE
    )
    assert "only the first" in feed.skipped[-1]


def test_entities_do_not_multiply_and_nothing_is_fetched(tmp_path: Any) -> None:
    """Nested entities stay small and an external one brings in nothing."""
    secret = tmp_path / "secret"
    secret.write_text("SECRET")
    laughs = b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 12))
    for dtd in (b'<!ENTITY l0 "ha">' + laughs, b'<!ENTITY l11 SYSTEM "file://%s">' % str(secret).encode()):
        body = (
            b"<?xml version='1.0'?><!DOCTYPE rss ["
            + dtd
            + b"]><rss version='2.0'><channel><item><title>&l11;</title></item></channel></rss>"
        )
        try:
            feed = read_feed(body, url=BASE)
        except (MalformedError, ResourceLimitError):
            continue
        assert all(len(d.title) < 1000 and "SECRET" not in d.title for d in feed.documents)


def test_markup_in_sections_does_not_count_as_nesting() -> None:
    """Tags in CDATA and comments are text; a section that never ends is malformed, not slow."""
    text = b"<br>" * (MAX_DEPTH * 2)
    body = (
        b"<rss><channel><!-- "
        + text
        + b" --><item><title>t</title><description><![CDATA["
        + text
        + b"x]]></description></item></channel></rss>"
    )
    assert read_feed(body, url=BASE).documents[0].parts[0].text == "x"
    for opening in (b"<!--", b"<![CDATA[", b"<?x "):
        with pytest.raises(MalformedError):
            read_feed(b"<rss>" + opening + b"x" * 1000, url=BASE)


@pytest.mark.parametrize("body", [b"", b"hello", b"http://127.0.0.1/", b"/etc/passwd", b"{}", b"\x00\xff" * 50])
def test_what_is_no_feed_is_refused(body: bytes) -> None:
    """Text that looks like an address or a path is content, never opened."""
    with pytest.raises(MalformedError):
        read_feed(body, url=BASE)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_feed_ends_in_documents_or_a_named_error(data: st.DataObject) -> None:
    """Any bytes changed in a feed never end in another exception, and what is read can be stored."""
    body = bytearray(data.draw(st.sampled_from([RSS, ATOM])))
    for _ in range(data.draw(st.integers(1, 20))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        feed = read_feed(bytes(body), url=BASE)
    except (MalformedError, ResourceLimitError):
        return
    for document in feed.documents:
        document.title.encode()
        document.parts[0].text.encode()
        assert len(document.parts[0].content_sha256) == 64


def test_html_becomes_text_with_blocks_and_quotes() -> None:
    """Blocks are lines, ``pre`` keeps every break, scripts vanish, quotes are marked, links in quotes do not count."""
    html = (
        "<h1>Title</h1><p>One <b>two</b>\n three<br>four</p><script>evil()</script><!-- no --><ul><li>a</li><li>b</li></ul>"
        "<pre>x\n\n  y\n</pre><aside class='quote'><blockquote><p>said <a href='/q.pem'>q</a></p></blockquote></aside>"
        "<table><tr><td>1</td><td>2</td></tr></table><a href='/a.pem#top'>l</a><a href='javascript:x'>n</a><a>none</a>"
    )
    said = plain_text(html, "https://vendor.example/t/")
    assert said.text.splitlines()[:3] == ["Title", "", "One two three"]
    assert "x\n\n  y" in said.text
    assert "> > said q" in said.text
    assert "1 2" in said.text
    assert "- a\n- b" in said.text
    assert "evil" not in said.text
    assert "no" not in said.text.split("\n")[-1].replace("none", "")
    assert said.links == ("https://vendor.example/a.pem",)


def test_html_beyond_a_cap_is_refused() -> None:
    """Elements and characters are bounded."""
    for html in ("<b>" * (MAX_ELEMENTS + 1), "x" * (2 * MAX_TEXT_CHARACTERS + 1), "x" * (MAX_TEXT_CHARACTERS + 1)):
        with pytest.raises(ResourceLimitError):
            plain_text(html, None)


def test_deeply_nested_html_is_read() -> None:
    """Depth costs no stack."""
    assert "deep" in plain_text("<div>" * 200 + "deep", None).text
    plain_text("<div>" * 19_000 + "deeper", None)


@given(st.text(alphabet=st.sampled_from("<>/&;!-=\"' abpre\x00\ud800\n"), max_size=120))
def test_any_text_is_html_enough(text: str) -> None:
    """Whatever stands in a post becomes text that can be stored, or a named error."""
    with contextlib.suppress(MalformedError, ResourceLimitError):
        plain_text(text, BASE).text.encode()


@pytest.mark.parametrize(
    "target", ["mailto:a@b", "javascript:1", "http://[", "", "//", "x" * 3000, "https://a/\u202e", "data:,x"]
)
def test_links_that_are_no_web_addresses_are_dropped(target: str) -> None:
    """Only http(s) links of printable characters and sane length are kept."""
    assert link(target, None) is None


@given(st.text(alphabet=st.sampled_from("> a\n"), max_size=60))
def test_own_and_quoted_words_are_two_halves(text: str) -> None:
    """Every character stands at its place in exactly one half; a line that begins with > is a quotation."""
    own, quoted = own_words(text), quoted_words(text)
    assert len(own) == len(quoted) == len(text)
    assert all(c in " >\n" or (o == c) != (q == c) for c, o, q in zip(text, own, quoted, strict=True))
    assert not any(line.lstrip().startswith(">") for line in own.split("\n"))


@pytest.mark.parametrize(
    "url",
    [
        TOPIC_URL,
        "https://forum.example/sub/t/7",
        "https://forum.example/sub/t/7.json",
        "https://forum.example/sub/t/some-slug/7/43",
        TOPIC_URL + "?page=2",
    ],
)
def test_every_form_of_a_topics_address_is_understood(url: str) -> None:
    """As copied from a browser, with or without slug, post number and query."""
    address = topic_address(url)
    assert address.topic_url == "https://forum.example/sub/t/7.json"
    assert address.posts_url((3, 4)) == "https://forum.example/sub/t/7/posts.json?post_ids[]=3&post_ids[]=4"


def test_what_is_no_topic_is_refused() -> None:
    """A category or a home page is no topic."""
    with pytest.raises(MalformedError):
        topic_address("https://forum.example/c/support/5")


def test_a_topic_lists_its_posts() -> None:
    """Title, all ids, and each post with its own address, author and date."""
    page = read_topic(topic([post(1), post(2)], [101, 102, 103, 103]), topic_address(TOPIC_URL))
    assert (page.title, page.stream) == ("T", (101, 102, 103))
    assert page.parts[1] == DocumentPart(
        "102",
        "text 2",
        "https://forum.example/sub/t/7/2",
        "u",
        published=datetime(2026, 10, 2, 9, tzinfo=UTC),
        opens=False,
    )


@pytest.mark.parametrize("flag", ["admin", "moderator", "staff"])
def test_each_of_the_servers_flags_makes_staff(flag: str) -> None:
    """admin, moderator and staff are computed by the server."""
    assert only(**{flag: True}).staff


@pytest.mark.parametrize(
    "changes",
    [
        {"user_title": "staff"}, {"name": "Admin"}, {"username": "staff"}, {"primary_group_name": "staff"}, {"trust_level": 4},
        {"admin": "true"}, {"staff": 1}, {"moderator": "yes"}, {"admin": [True]}, {"staff": True, "wiki": True},
        {"staff": True, "via_email": True}, {"staff": True, "wiki": "maybe"}, {"cooked": '<p data-staff="true">staff</p>'},
    ],
)  # fmt: skip
def test_nothing_else_makes_staff(changes: dict[str, Any]) -> None:
    """Titles, names, groups, odd types, and posts that others can write into are nobody's word."""
    assert not only(**changes).staff


@pytest.mark.parametrize("changes", [{"hidden": True}, {"deleted_at": "2026-10-01T00:00:00Z"}, {"user_deleted": True}])
def test_posts_taken_back_are_hidden(changes: dict[str, Any]) -> None:
    """A hidden or deleted post is known to be there and says nothing."""
    assert (only(**changes).hidden, only(**changes).text) == (True, "")


def test_content_decides_what_is_a_new_version() -> None:
    """Text, author, staff flag or links make another version; the server's version number does not."""
    assert only(version=2).content_sha256 == only(version=9, updated_at="2026-11-01T00:00:00Z").content_sha256
    digests = {
        only(**c).content_sha256 for c in ({}, {"cooked": "x"}, {"staff": True}, {"username": "v"}, {"hidden": True})
    }
    assert len(digests) == 5


def test_one_bad_post_spoils_no_other() -> None:
    """A post without text or number is named, the others are read."""
    page = read_topic(
        topic([post(1), {"id": 5}, post(3, post_number=True), "x"], [101, 5, 103]), topic_address(TOPIC_URL)
    )
    assert [p.key for p in page.parts] == ["101"]
    assert len(page.skipped) == 3


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>", b"[]", b"{}", b"null", b'{"post_stream": 1}', topic([], ["x"]), topic([], [True]), topic([], [-1]),
        topic([], [2**60]), topic([], id=8), topic([], id=None), b"\xff", b"[" * 100_000, b'{"id":7,"post_stream":{"stream":[1]}}',
    ],
)  # fmt: skip
def test_what_is_no_topic_page_is_malformed(body: bytes) -> None:
    """Other JSON, another topic's page, endless nesting: a named error."""
    with pytest.raises(MalformedError):
        read_topic(body, topic_address(TOPIC_URL))


def test_absurd_topics_are_refused() -> None:
    """More posts than any thread has, or a page of thousands, is refused."""
    with pytest.raises(ResourceLimitError):
        read_topic(topic([], list(range(1, 30_000))), topic_address(TOPIC_URL))
    with pytest.raises(MalformedError):
        read_posts(json.dumps({"post_stream": {"posts": [{}] * 1001}}).encode(), topic_address(TOPIC_URL))


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda c: st.lists(c, max_size=4) | st.dictionaries(st.sampled_from(list(post(1))), c, max_size=6),
    )
)
def test_any_json_in_place_of_a_post_is_survived(value: Any) -> None:
    """Whatever a server sends as a post, the page is read or refused by name."""
    page = read_topic(topic([post(1), value], [101]), topic_address(TOPIC_URL))
    assert page.parts[0].key == "101"
    for part in page.parts:
        part.text.encode()


def test_new_posts_come_first_and_old_pages_in_turn() -> None:
    """Pages with unseen posts are fetched first; the known ones are walked so that each is read within a known number of turns."""
    stream = tuple(range(1, 201))
    first = frozenset(range(1, 21))
    known = frozenset(range(1, 161))
    chosen = pages(stream, first, known, budget=4, turn=0)
    assert chosen[:2] == (tuple(range(161, 181)), tuple(range(181, 201)))
    assert len(chosen) == 4
    everything = {page for turn in range(5) for page in pages(stream, first, frozenset(stream), budget=2, turn=turn)}
    assert everything == {tuple(range(i, i + CHUNK_POSTS)) for i in range(21, 201, CHUNK_POSTS)}
    assert pages(stream, first, known, budget=0, turn=3) == ()
    assert pages((), first, known, budget=5, turn=0) == ()


def test_mutated_topics_never_crash() -> None:
    """Every byte of a topic page changed in turn ends in a page or a named error."""
    body = topic([post(1, staff=True), post(2)])
    chance = random.Random(7)  # noqa: S311 - a repeatable walk
    for place in range(len(body)):
        changed = body[:place] + bytes([chance.randrange(256)]) + body[place + 1 :]
        try:
            read_topic(changed, topic_address(TOPIC_URL))
        except (MalformedError, ResourceLimitError):
            continue
