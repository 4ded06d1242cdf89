"""What was posted, linked or enclosed is kept as evidence, through edits and removals, and fetched only from where it may be."""

from __future__ import annotations

import hashlib
import subprocess

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from monitor.storage.evidence import EDITED, REMOVED, StoredEvidence
from tests.monitor.listening import ANNOUNCEMENT, Listening, chain_pre, feed_source, topic_source
from tests.monitor.pipeline_setup import listening, pki, ski
from tests.simulator.vendor_pki import VendorPKI
from trust_store import query
from trust_store.model.claim import Authority
from trust_store.model.identifiers import Identifier, IdentifierKind

__all__ = ["listening", "pki"]  # fixtures


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


async def test_history_cannot_be_rewritten(listening: Listening) -> None:
    """Versions and claims refuse every update and delete."""
    listening.site.publish("One", "<p>first</p>")
    await listening.poll_one(feed_source(listening.site))
    for statement in ("UPDATE document_version SET text = ''", "DELETE FROM document_version"):
        with pytest.raises(Exception, match="append-only"):
            listening.connection.execute(statement)
