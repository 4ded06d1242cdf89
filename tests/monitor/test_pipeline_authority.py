"""A key that was heard of is proposed on the word of whoever said it, and no stranger's word passes for or drowns the vendor's."""

from __future__ import annotations

import hashlib

import pytest

import monitor.pipeline
from monitor.storage.evidence import MAX_EVIDENCE, StoredEvidence
from tests.monitor.listening import ANNOUNCEMENT, START, Listening, chain_pre, feed_source, topic_source
from tests.monitor.pipeline_setup import listening, pki, ski
from tests.simulator.vendor_pki import VendorPKI
from tests.simulator.vendor_site import VendorSite
from trust_store import query
from trust_store.model.claim import Authority
from trust_store.model.identifiers import Identifier, IdentifierKind
from trust_store.model.trust_anchor import AnchorState

__all__ = ["listening", "pki"]  # fixtures


async def test_the_chain_in_the_43rd_post_becomes_a_pending_proposal_with_its_evidence(
    listening: Listening, pki: VendorPKI
) -> None:
    """A CA chain that staff posted deep in a thread is proposed, trusted by nobody, and found by the issuer a package names."""
    topic = listening.site.open_topic(7, "Upgrade fails", posts=60)
    topic.posts[42].cooked, topic.posts[42].admin = ANNOUNCEMENT + chain_pre(pki), True
    topic.posts[42].username = "dten_support"
    outcome = await listening.poll_one(topic_source(topic.url))
    assert (outcome.status, outcome.new_documents, outcome.new_versions) == ("new", 1, 60)
    (anchor,) = query.anchors(listening.connection)
    assert outcome.proposals == (anchor.id,)
    assert anchor.key_sha256 == pki.root_sha256
    assert (anchor.state, anchor.authority, anchor.vendor_id) == (AnchorState.PENDING, "staff", "dten")
    found = StoredEvidence(listening.connection).evidence_for([ski(pki)])
    assert {(e.url, e.author, e.authority) for e in found} == {
        (f"{listening.site.base}/t/7/43", "dten_support", Authority.STAFF)
    }
    assert "We rotated our code signing root certificate." in {e.excerpt for e in found}


@pytest.mark.parametrize(
    "change",
    [
        {"user_title": "staff"},
        {"username": "admin"},
        {"admin": "true"},
        {"moderator": 1},
        {"admin": True, "wiki": True},
    ],
)
async def test_only_the_servers_own_flag_makes_staff(
    listening: Listening, pki: VendorPKI, change: dict[str, object]
) -> None:
    """A title, a name, a flag that is no boolean or a post others can edit stays unauthenticated."""
    topic = listening.site.open_topic(7, "Upgrade fails", posts=3)
    topic.posts[1].cooked = ANNOUNCEMENT + chain_pre(pki)
    for name, value in change.items():
        setattr(topic.posts[1], name, value)
    await listening.poll_one(topic_source(topic.url))
    (anchor,) = query.anchors(listening.connection)
    assert anchor.authority == "unauthenticated"
    found = StoredEvidence(listening.connection).evidence_for([ski(pki)])
    assert {e.authority for e in found} == {Authority.UNAUTHENTICATED}


async def test_what_staff_quotes_is_not_their_word(listening: Listening, pki: VendorPKI) -> None:
    """A staff member who quotes an impostor's key to ask about it does not vouch for it."""
    topic = listening.site.open_topic(7, "Upgrade fails", posts=3)
    topic.posts[1].cooked = f"<blockquote>{ANNOUNCEMENT}{chain_pre(pki)}</blockquote><p>This did not come from us.</p>"
    topic.posts[1].staff = True
    await listening.poll_one(topic_source(topic.url))
    (anchor,) = query.anchors(listening.connection)
    assert anchor.authority == "unauthenticated"
    found = StoredEvidence(listening.connection).evidence_for([ski(pki)])
    assert found
    assert all(e.authority is Authority.UNAUTHENTICATED for e in found)


async def test_a_threads_title_is_its_openers_word_alone(listening: Listening, pki: VendorPKI) -> None:
    """Staff who answer in a thread that a customer gave a claim for a title have not made that claim."""
    title = f"DTEN code signing root certificate rotated, new SHA-256 fingerprint {pki.root_sha256}"
    topic = listening.site.open_topic(7, title, posts=3)
    for post in topic.posts[1:]:
        post.staff, post.cooked = True, "<p>Thank you for your question, we look into it.</p>"
    await listening.poll_one(topic_source(topic.url))
    found = StoredEvidence(listening.connection).evidence_for([Identifier(IdentifierKind.SHA256, pki.root_sha256)])
    assert [(e.url, e.authority) for e in found] == [(f"{listening.site.base}/t/7/1", Authority.UNAUTHENTICATED)]


async def test_staff_answering_below_a_quotation_are_heard(listening: Listening, pki: VendorPKI) -> None:
    """A fingerprint that staff state themselves under a customer's quoted question is their word; the quoted one is not."""
    other = hashlib.sha256(b"impostor").hexdigest()
    topic = listening.site.open_topic(7, "Code signing root certificate rotated?", posts=3)
    topic.posts[1].staff = True
    topic.posts[1].cooked = (
        f"<blockquote><p>We rotated our code signing root certificate. New SHA-256 fingerprint: {other}</p></blockquote>"
        f"<p>No. The new code signing root certificate has the SHA-256 fingerprint {pki.root_sha256}</p>"
    )
    await listening.poll_one(topic_source(topic.url))
    evidence = StoredEvidence(listening.connection)
    stated = evidence.evidence_for([Identifier(IdentifierKind.SHA256, pki.root_sha256)])
    quoted = evidence.evidence_for([Identifier(IdentifierKind.SHA256, other)])
    assert {e.authority for e in stated} == {Authority.STAFF}
    assert {e.authority for e in quoted} == {Authority.UNAUTHENTICATED}


async def test_a_topic_that_moved_to_another_host_is_not_believed(listening: Listening, pki: VendorPKI) -> None:
    """A redirect away from the forum cannot say who is staff there."""
    with VendorSite() as other:
        topic = other.open_topic(7, "Keys", posts=1)
        topic.posts[0].cooked, topic.posts[0].staff = ANNOUNCEMENT + chain_pre(pki), True
        listening.site.fault("/t/7.json", f"redirect:{other.base.replace('127.0.0.1', 'localhost')}/t/7.json")
        outcome = await listening.poll_one(topic_source(f"{listening.site.base}/t/x/7"))
    assert (outcome.status, outcome.new_versions) == ("failed", 0)
    assert "another host" in outcome.problems[0]


async def test_a_flood_of_keys_does_not_bury_the_vendors(
    listening: Listening, pki: VendorPKI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only so many keys of strangers are proposed in a poll, the rest told; the vendor's own come on top of that."""
    monkeypatch.setattr(monitor.pipeline, "MAX_UNAUTHENTICATED_PROPOSALS", 2)
    topic = listening.site.open_topic(7, "Upgrade fails", posts=6)
    for post in topic.posts[:5]:
        post.cooked = ANNOUNCEMENT + chain_pre(VendorPKI.generate("Stranger", START))
    topic.posts[5].cooked, topic.posts[5].staff = ANNOUNCEMENT + chain_pre(pki), True
    outcome = await listening.poll_one(topic_source(topic.url))
    assert [a.authority for a in query.anchors(listening.connection)].count("unauthenticated") == 2
    assert len(outcome.proposals) == 3
    assert "3 keys posted by anybody were not proposed" in outcome.problems[0]


async def test_staff_repeating_a_key_raises_its_authority(listening: Listening, pki: VendorPKI) -> None:
    """The same key from a customer and then from staff is one proposal, on the better word, best evidence first."""
    topic = listening.site.open_topic(7, "Upgrade fails", posts=3)
    topic.posts[0].cooked = ANNOUNCEMENT + chain_pre(pki)
    source = topic_source(topic.url)
    await listening.poll_one(source)
    topic.posts[2].cooked, topic.posts[2].moderator = ANNOUNCEMENT + chain_pre(pki), True
    await listening.poll_one(source)
    (anchor,) = query.anchors(listening.connection)
    assert anchor.authority == "staff"
    found = StoredEvidence(listening.connection).evidence_for([ski(pki)])
    assert list(dict.fromkeys(e.authority for e in found)) == [Authority.STAFF, Authority.UNAUTHENTICATED]


async def test_the_vendors_own_feed_is_the_vendors_word(listening: Listening, pki: VendorPKI) -> None:
    """Keys in a feed on the vendor's own domain are proposed as vendor_site."""
    listening.site.publish("New root", ANNOUNCEMENT + chain_pre(pki))
    await listening.poll_one(feed_source(listening.site))
    (anchor,) = query.anchors(listening.connection)
    assert anchor.authority == "vendor_site"


async def test_a_feed_that_anybody_writes_into_is_nobodys_word(listening: Listening, pki: VendorPKI) -> None:
    """With anyone_can_post nothing in a feed is authenticated, whatever its domain."""
    listening.site.publish("New root", ANNOUNCEMENT + chain_pre(pki))
    await listening.poll_one(feed_source(listening.site, anyone_can_post=True))
    (anchor,) = query.anchors(listening.connection)
    assert anchor.authority == "unauthenticated"


async def test_a_flood_cannot_push_the_vendors_word_out(listening: Listening, pki: VendorPKI) -> None:
    """More unauthenticated posts than are ever shown leave staff's evidence at the top."""
    topic = listening.site.open_topic(7, "Upgrade fails", posts=MAX_EVIDENCE + 10)
    for post in topic.posts:
        post.cooked = ANNOUNCEMENT + chain_pre(pki)
        post.updated_at = "2099-01-01T00:00:00.000Z"
    topic.posts[5].staff = True
    topic.posts[5].updated_at = "2020-01-01T00:00:00.000Z"
    await listening.poll_one(topic_source(topic.url))
    found = StoredEvidence(listening.connection).evidence_for([ski(pki)])
    assert len(found) == MAX_EVIDENCE
    assert found[0].authority is Authority.STAFF
    assert StoredEvidence(listening.connection).evidence_for([]) == ()
