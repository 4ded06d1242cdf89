from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from monitor.config import Source, SourceKind
from monitor.documents.protocol import Document, DocumentPart
from monitor.extraction import authority_of, hear, key_files, on_vendor_site
from monitor.key_material import identifiers_named, key_id_of, proposals_of, read_keys
from monitor.ledger import Conclusion, Ledger
from monitor.storage.evidence import StoredEvidence
from monitor.storage.sources import SourceState
from tests.monitor.listening import ANNOUNCEMENT, START, feed_source, open_listening
from tests.simulator.vendor_pki import VendorPKI
from tests.simulator.vendor_site import VendorSite
from trust_store.errors import MalformedError, StoreUnavailableError
from trust_store.model.claim import Authority, ClaimKey
from trust_store.model.identifiers import Identifier, IdentifierKind
from trust_store.model.vendor import Vendor

VENDOR = Vendor("dten", "DTEN", domains=("dten.example",))
FEED = Source("https://news.dten.example/feed.xml", SourceKind.FEED, "dten", "feed")
TOPIC = Source("https://forum.dten.example/t/x/7", SourceKind.DISCOURSE, "dten", "forum")
PART = DocumentPart("1", "text")


@pytest.fixture(scope="module")
def pki() -> VendorPKI:
    """The vendor's new keys."""
    return VendorPKI.generate("DTEN", START)


@pytest.mark.parametrize(
    ("source", "landed", "forum", "authority"),
    [
        (FEED, FEED.url, False, Authority.VENDOR_SITE),
        (FEED, "https://cdn.dten.example/feed.xml", False, Authority.VENDOR_SITE),
        (FEED, "https://elsewhere.example/feed.xml", False, Authority.THIRD_PARTY),
        (FEED, "http://news.dten.example/feed.xml", False, Authority.THIRD_PARTY),
        (FEED, FEED.url, True, Authority.UNAUTHENTICATED),
        (replace(FEED, anyone_can_post=True), FEED.url, False, Authority.UNAUTHENTICATED),
        (replace(FEED, url="https://notdten.example/f"), "https://notdten.example/f", False, Authority.THIRD_PARTY),
        (
            replace(FEED, url="https://dten.example.evil.example/f"),
            "https://dten.example.evil.example/f",
            False,
            Authority.THIRD_PARTY,
        ),
        (TOPIC, TOPIC.url, False, Authority.UNAUTHENTICATED),
    ],
)
def test_whose_word_a_part_is(source: Source, landed: str, forum: bool, authority: Authority) -> None:  # noqa: FBT001 - a column
    """Only the vendor's own domains over TLS speak for the vendor; a forum post never does by its domain."""
    assert authority_of(PART, source, VENDOR, landed=landed, forum=forum) is authority


def test_staff_by_the_servers_flag() -> None:
    """The server's flag makes a post staff's word."""
    assert authority_of(replace(PART, staff=True), TOPIC, VENDOR, landed="", forum=False) is Authority.STAFF


def test_plain_http_is_the_vendors_site_only_on_this_machine() -> None:
    """A loopback site counts for tests that allow it and list it among the vendor's domains."""
    local = Source("http://127.0.0.1:1/f", SourceKind.FEED, "dten", "f", allow_loopback_http=True)
    assert on_vendor_site(local.url, local, Vendor("dten", "DTEN", domains=("127.0.0.1",)))
    assert not on_vendor_site(local.url, local, VENDOR)
    assert not on_vendor_site(local.url, FEED, Vendor("dten", "DTEN", domains=("127.0.0.1",)))


def test_key_files_are_taken_from_near_only() -> None:
    """The source's host and the vendor's domains, over https, by the ending of the path."""
    links = (
        "https://forum.dten.example/uploads/a.PEM?x=1", "https://keys.dten.example/b.asc", "https://evil.example/c.pem",
        "http://forum.dten.example/d.pem", "https://forum.dten.example/page?file=e.pem", "https://forum.dten.example/f.p7b",
    )  # fmt: skip
    part = replace(PART, links=links)
    assert key_files(part, TOPIC, VENDOR) == (links[0], links[1], links[5])
    assert key_files(replace(part, hidden=True), TOPIC, VENDOR) == ()
    assert (
        len(key_files(replace(part, links=tuple(f"https://dten.example/{n}.pem" for n in range(99))), TOPIC, VENDOR))
        == 20
    )


def test_keys_are_read_by_what_they_are(pki: VendorPKI) -> None:
    """PEM, DER and bundles of certificates are read whatever the file is called; anything else is malformed."""
    der = pki.root.public_bytes(Encoding.DER)
    for name, data in (("a.asc", pki.root_pem.encode()), ("a.gpg", der), ("", der), ("a.p7b", pki.root_pem.encode())):
        (key,) = read_keys(data, name)
        assert key.identifiers[0].value == pki.root_sha256
    for data in (
        b"",
        b"hello",
        b"-----BEGIN CERTIFICATE-----\n",
        b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAA\n",
        b"\x30" * 50,
        b"\x99" * 50,
    ):
        with pytest.raises(MalformedError):
            read_keys(data, "x.key")


def test_a_leaf_is_never_proposed(pki: VendorPKI) -> None:
    """A CA or self-issued certificate is proposed once, an end entity's never."""
    both = read_keys((pki.root_pem + pki.signer.public_bytes(Encoding.PEM).decode() + pki.root_pem).encode())
    (proposal,) = proposals_of(both, vendor_id="dten", authority=Authority.STAFF, reference="u")
    assert proposal.key_sha256 == pki.root_sha256


@pytest.mark.parametrize(
    ("algorithm", "value", "kinds"),
    [
        ("sha256", "AB" * 32, {"sha256", "spki_sha256"}),
        ("sha1", "ab:" * 19 + "ab", {"sha1", "subject_key_identifier"}),
        ("openpgp", "ab" * 20, {"openpgp", "key_id", "sha1", "subject_key_identifier"}),
        ("openpgp", "ab" * 32, {"openpgp", "key_id"}),
        ("key_id", "0xABABABABABABABAB", {"key_id"}),
        ("name", "CN=Root", {"subject"}),
        ("ssh", "AAAA", set()),
    ],
)
def test_what_a_text_names_is_found_under_all_it_may_be(algorithm: str, value: str, kinds: set[str]) -> None:
    """Digests are noted as each kind they can be, in normal form."""
    found = identifiers_named([ClaimKey("new", algorithm, value)])
    assert {i.kind.value for i in found} == kinds
    assert all(i.value == i.value.lower() for i in found if i.kind is not IdentifierKind.SUBJECT)


def test_key_ids_follow_the_version() -> None:
    """Version 4 has its key id at the end of the fingerprint, version 6 at the beginning (RFC 9580 5.5.4)."""
    assert key_id_of("0" * 24 + "1" * 16)[0].value == "1" * 16
    assert key_id_of("1" * 16 + "0" * 48)[0].value == "1" * 16
    assert key_id_of("12") == ()


def test_a_bare_chain_is_a_claim_of_its_own(pki: VendorPKI) -> None:
    """Keys shown without a word about them are kept as key_material, under what stands before them."""
    document = Document("1", "Question", None, (replace(PART, text=f"Does anybody know this one?\n{pki.root_pem}"),))
    heard = hear(document, document.parts[0], TOPIC, VENDOR, landed="", forum=False)
    assert [(c.kind, c.excerpt) for c in heard.claims] == [("key_material", "Does anybody know this one?")]
    assert Identifier(IdentifierKind.SHA256, pki.root_sha256) in heard.claims[0].identifiers


async def test_a_subkey_or_key_id_leads_to_what_was_said_of_the_key(
    tmp_path: Path, randomness: Callable[[int], bytes]
) -> None:
    """A signature that names only a fingerprint as a subkey's, or a key id, finds the announcement of that fingerprint."""
    fingerprint = hashlib.sha1(b"key", usedforsecurity=False).hexdigest()
    with VendorSite() as site:
        listening = open_listening(tmp_path, site, randomness)
        site.publish(
            "Key", f"<p>Our release signing key has been rotated. New GPG key fingerprint: {fingerprint.upper()}</p>"
        )
        await listening.poll_one(feed_source(site))
        evidence = StoredEvidence(listening.connection)
        for kind, value in (("openpgp", fingerprint), ("openpgp_subkey", fingerprint), ("key_id", fingerprint[-16:])):
            assert evidence.evidence_for([Identifier(IdentifierKind(kind), value)])
        assert evidence.evidence_for([Identifier(IdentifierKind.KEY_ID, "0" * 16)]) == ()
        listening.connection.close()


async def test_many_conclusions_are_one_commit(tmp_path: Path, randomness: Callable[[int], bytes]) -> None:
    """Conclusions are written in batches, all of them by the time the ledger is closed."""
    listening = open_listening(tmp_path, VendorSite(), randomness)
    batches: list[int] = []

    async def run(function: Callable[[sqlite3.Connection], Any]) -> Any:
        before = listening.connection.total_changes
        result = function(listening.connection)
        batches.append(listening.connection.total_changes - before)
        return result

    ledger = Ledger(run)
    for number in range(450):
        source = replace(FEED, url=f"https://dten.example/{number}")
        ledger.add(Conclusion(source, SourceState("dten", source.url, START), (), recut=False, at=START))
    await ledger.close()
    assert sum(batches) == 450
    assert len(batches) <= 3
    listening.connection.close()


async def test_a_conclusion_that_cannot_be_written_is_an_error() -> None:
    """Closing the ledger raises what writing raised: a full disk is not passed over."""

    async def run(_: Callable[[sqlite3.Connection], Any]) -> Any:
        raise StoreUnavailableError("disk full")

    ledger = Ledger(run)
    for number in range(200):
        source = replace(FEED, url=f"https://dten.example/{number}")
        ledger.add(Conclusion(source, SourceState("dten", source.url, START), (), recut=False, at=START))
    with pytest.raises(StoreUnavailableError):
        await ledger.close()


def test_a_claim_of_the_vendors_keeps_its_dates(pki: VendorPKI) -> None:
    """An announcement in the vendor's own feed is heard as rotated, on the vendor's word."""
    text = ANNOUNCEMENT.removeprefix("<p>").removesuffix("</p>")
    document = Document("1", "News", FEED.url, (replace(PART, text=text + "\n\n" + pki.root_pem),))
    heard = hear(document, document.parts[0], FEED, VENDOR, landed=FEED.url, forum=False)
    assert {(c.kind, c.authority) for c in heard.claims} == {("rotated", Authority.VENDOR_SITE)}
    assert [p.authority for p in heard.proposals] == [Authority.VENDOR_SITE]
