from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

import monitor.pipeline
from monitor.storage.evidence import EDITED, MAX_EVIDENCE, REMOVED, StoredEvidence
from tests.monitor.listening import ANNOUNCEMENT, START, Listening, chain_pre, feed_source, open_listening, topic_source
from tests.simulator.vendor_pki import VendorPKI
from tests.simulator.vendor_site import VendorSite
from trust_store import query
from trust_store.decode.x509 import decode_certificates
from trust_store.model.claim import Authority
from trust_store.model.identifiers import Identifier, IdentifierKind
from trust_store.model.trust_anchor import AnchorState


@pytest.fixture(scope="module")
def pki() -> VendorPKI:
    """The vendor's new keys."""
    return VendorPKI.generate("DTEN", START)


@pytest.fixture
def listening(tmp_path: Path, randomness: Callable[[int], bytes]) -> Iterator[Listening]:
    """A new store and the vendor's site."""
    with VendorSite() as site:
        made = open_listening(tmp_path, site, randomness)
        yield made
        made.connection.close()


def ski(pki: VendorPKI) -> Identifier:
    """How a package's certificate points at its missing issuer."""
    (root,) = decode_certificates(pki.root_pem.encode())
    return Identifier(IdentifierKind.AUTHORITY_KEY_IDENTIFIER, root.subject_key_identifier or "")


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


async def test_an_edit_is_a_new_version_and_the_old_one_stays(listening: Listening, pki: VendorPKI) -> None:
    """A post whose text changes without its version count is stored again, heard again, and its earlier text is kept."""
    topic = listening.site.open_topic(7, "Upgrade fails", posts=45)
    source = topic_source(topic.url)
    await listening.poll_one(source)
    topic.posts[42].cooked = ANNOUNCEMENT + chain_pre(pki)
    changed = await listening.poll_one(source)
    assert (changed.new_versions, len(changed.proposals)) == (1, 1)
    topic.posts[42].cooked = "<p>Removed by author.</p>"
    await listening.poll_one(source)
    assert listening.rows("SELECT version FROM document_part WHERE key = '7043'") == [(3,)]
    texts = listening.rows(
        "SELECT v.text FROM document_version v JOIN document_part p ON p.id = v.part_id WHERE p.key = '7043' ORDER BY v.version"
    )
    assert ["Question 43" in texts[0][0], "BEGIN CERTIFICATE" in texts[1][0], texts[2][0]] == [
        True,
        True,
        "Removed by author.",
    ]
    found = StoredEvidence(listening.connection).evidence_for([ski(pki)])
    assert found
    assert all(e.excerpt.startswith(EDITED) for e in found)


@pytest.mark.parametrize("how", ["deleted", "hidden"])
async def test_what_vanishes_stays_as_evidence(listening: Listening, pki: VendorPKI, how: str) -> None:
    """A deleted or hidden post keeps its versions; its claims are shown as removed."""
    topic = listening.site.open_topic(7, "Upgrade fails", posts=25)
    topic.posts[22].cooked = ANNOUNCEMENT + chain_pre(pki)
    source = topic_source(topic.url)
    await listening.poll_one(source)
    setattr(topic.posts[22], how, True)
    outcome = await listening.poll_one(source)
    assert (outcome.removed, outcome.new_versions) == ((1, 0) if how == "deleted" else (0, 1))
    found = StoredEvidence(listening.connection).evidence_for([ski(pki)])
    assert found
    assert all(e.excerpt.startswith(REMOVED) for e in found)
    setattr(topic.posts[22], how, False)
    again = await listening.poll_one(source)
    assert again.new_versions == 1


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


async def test_linked_key_files_are_fetched_into_quarantine(listening: Listening, pki: VendorPKI) -> None:
    """A .p7b that a staff post links to is kept by digest, proposed on that post's word and found as evidence."""
    bundle = pkcs7.serialize_certificates([pki.root, pki.signer], Encoding.DER)
    listening.site.file("/uploads/chain.p7b", bundle)
    topic = listening.site.open_topic(7, "Upgrade fails", posts=3)
    topic.posts[1].cooked, topic.posts[1].staff = "<p>See <a href='/uploads/chain.p7b'>the chain</a>.</p>", True
    outcome = await listening.poll_one(topic_source(topic.url))
    (anchor,) = query.anchors(listening.connection)
    assert (outcome.key_files, outcome.proposals, anchor.authority) == (1, (anchor.id,), "staff")
    assert listening.rows("SELECT sha256, body FROM quarantine") == [(hashlib.sha256(bundle).hexdigest(), bundle)]
    (evidence,) = StoredEvidence(listening.connection).evidence_for([ski(pki)])
    assert (evidence.authority, evidence.url) == (Authority.STAFF, f"{listening.site.base}/t/7/2")


@pytest.fixture(scope="module")
def release_key(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An armoured public key made by gpg."""
    home = tmp_path_factory.mktemp("gnupg")
    home.chmod(0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--passphrase", ""]
    name = "DTEN Releases <r@dten.example>"
    subprocess.run([*gpg, "--quick-generate-key", name, "ed25519", "sign"], check=True, capture_output=True)
    return subprocess.run([*gpg, "--armor", "--export"], check=True, capture_output=True).stdout


async def test_enclosures_and_openpgp_keys_count_too(listening: Listening, release_key: bytes) -> None:
    """An OpenPGP key made by gpg, enclosed in a feed entry, is proposed."""
    listening.site.file("/keys/release.asc", release_key)
    text = "<p>Our release signing key has been rotated.</p>"
    listening.site.publish("Our new key", text, enclosures=("/keys/release.asc",))
    await listening.poll_one(feed_source(listening.site))
    (anchor,) = query.anchors(listening.connection)
    assert (anchor.kind, anchor.authority, anchor.name) == ("openpgp", "vendor_site", "DTEN Releases <r@dten.example>")
    key_id = next(i for i in anchor.identifiers if i.kind is IdentifierKind.KEY_ID)
    assert StoredEvidence(listening.connection).evidence_for([key_id])


async def test_links_elsewhere_are_not_followed(listening: Listening) -> None:
    """Only key files on the source's own host or the vendor's domains are fetched, and none with follow_links = false."""
    topic = listening.site.open_topic(7, "Upgrade fails", posts=2)
    topic.posts[
        0
    ].cooked = (
        "<a href='https://evil.example/a.pem'>x</a><a href='/page.html'>y</a><a href='http://10.0.0.1/k.pem'>z</a>"
    )
    topic.posts[1].cooked = "<aside class='quote'><a href='/k.pem'>quoted</a></aside>"
    await listening.poll_one(topic_source(topic.url))
    assert listening.rows("SELECT url FROM attachment") == []
    topic.posts[0].cooked = "<a href='/k.pem'>z</a>"
    await listening.poll_one(topic_source(topic.url, follow_links=False))
    assert listening.rows("SELECT url FROM attachment") == []


async def test_a_key_file_that_is_not_there_is_tried_again_and_then_given_up(
    listening: Listening, pki: VendorPKI
) -> None:
    """A login page in place of a key file is no key; it is asked for at later polls, the failure told each time."""
    listening.site.publish("Key", "<a href='/k.pem'>our key</a>")
    listening.site.file("/k.pem", pki.root_pem.encode())
    listening.site.fault("/k.pem", "login_page")
    source = feed_source(listening.site)
    first = await listening.poll_one(source)
    assert first.status == "partial"
    assert "not a key file" in first.problems[0]
    listening.site.fault("/k.pem", None)
    assert len((await listening.poll_one(source)).proposals) == 1
    listening.site.publish("Other", "<a href='/never.pem'>our key</a>")
    problems = [(await listening.poll_one(source)).problems for _ in range(8)]
    assert problems[7][0].endswith("; given up")
    assert (await listening.poll_one(source)).problems == ()


async def test_a_broken_key_block_spoils_nothing_else(listening: Listening, pki: VendorPKI) -> None:
    """A PEM block that is no certificate is told; the document and the good key beside it are kept."""
    broken = "-----BEGIN CERTIFICATE-----\nMIIBAAAA\n-----END CERTIFICATE-----\n"
    listening.site.publish("Keys", f"{ANNOUNCEMENT}<pre>{broken}</pre>{chain_pre(pki)}")
    listening.site.file("/detached.asc", b"-----BEGIN PGP SIGNATURE-----\n\niQ==\n-----END PGP SIGNATURE-----\n")
    listening.site.publish("File", "<a href='/detached.asc'>signature</a>")
    outcome = await listening.poll_one(feed_source(listening.site))
    assert (outcome.status, outcome.new_versions, len(outcome.proposals)) == ("partial", 2, 1)
    assert "pem_certificate" in outcome.problems[0]
    assert listening.rows("SELECT status FROM attachment") == [("unreadable",)]


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


async def test_end_entity_certificates_are_evidence_only(listening: Listening, pki: VendorPKI) -> None:
    """A leaf in a post is never proposed as an anchor, and is still found by its fingerprint."""
    signer = pki.signer.public_bytes(Encoding.PEM).decode()
    listening.site.publish("Signer", f"{ANNOUNCEMENT}<pre>{signer}</pre>")
    outcome = await listening.poll_one(feed_source(listening.site))
    assert outcome.proposals == ()
    digest = hashlib.sha256(pki.signer.public_bytes(Encoding.DER)).hexdigest()
    assert StoredEvidence(listening.connection).evidence_for([Identifier(IdentifierKind.SHA256, digest)])


async def test_a_fingerprint_in_the_text_is_found(listening: Listening, pki: VendorPKI) -> None:
    """A SHA-256 written out with colons joins the certificate it is of."""
    spelled = ":".join(pki.root_sha256[i : i + 2] for i in range(0, 64, 2)).upper()
    listening.site.publish(
        "Root rotated", f"<p>We rotated our code signing root certificate. New SHA-256 fingerprint: {spelled}</p>"
    )
    await listening.poll_one(feed_source(listening.site))
    assert StoredEvidence(listening.connection).evidence_for([Identifier(IdentifierKind.SHA256, pki.root_sha256)])


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


async def test_history_cannot_be_rewritten(listening: Listening) -> None:
    """Versions and claims refuse every update and delete."""
    listening.site.publish("One", "<p>first</p>")
    await listening.poll_one(feed_source(listening.site))
    for statement in ("UPDATE document_version SET text = ''", "DELETE FROM document_version"):
        with pytest.raises(Exception, match="append-only"):
            listening.connection.execute(statement)


async def test_outcomes_are_json_without_control_characters(listening: Listening) -> None:
    """What an outcome says of a hostile server can be printed and logged."""
    listening.site.publish("\x1b[31mred", "<a href='/\u202ek.pem'>our key</a>")
    listening.site.fault("/feed.xml", "redirect:http://10.0.0.1/\u202e\x1b")
    outcome = await listening.poll_one(feed_source(listening.site))
    text = json.dumps(outcome.to_dict(), ensure_ascii=False)
    assert outcome.status == "failed"
    assert "\x1b" not in text
    assert "\u202e" not in text
