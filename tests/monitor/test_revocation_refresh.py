"""Revocation lists and OCSP responses of trusted chains are fetched from where the certificates say, and again when due."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID

from monitor.config import PollingSettings
from monitor.fetch.http import HTTPFetcher
from monitor.revocation import FIRST_PAUSE, RevocationRefresh
from monitor.schema import MIGRATION_SETS
from monitor.storage_thread import StorageThread
from tests.simulator.vendor_site import VendorSite
from tests.trust_store.path_craft import CA, Issued, issue, key
from tests.trust_store.store_setup import AT, DEDICATED, call, package, proposal_of, randomness, vendor
from trust_store import anchor_management
from trust_store.anchor_approval import approve
from trust_store.decode.x509 import load_certificate
from trust_store.model.trust_anchor import Constraints
from trust_store.revocation_sources import due, published
from trust_store.storage.connection import connect, transaction
from trust_store.storage.facts import save_facts
from trust_store.storage.migrations import migrate
from trust_store.storage.revocation_material import about_issuer, about_subject, load

ROOT = issue("Vendor Root", None, CA, private=key(40))
DAY = timedelta(days=1)


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.at = AT

    def __call__(self) -> object:
        return self.at


def leaf(site: VendorSite, *more: tuple[x509.ExtensionType, bool]) -> Issued:
    """A signer whose certificate names a list, a copy of it, and a responder on the site; with ``more`` extensions."""
    points = x509.CRLDistributionPoints(
        [
            x509.DistributionPoint(
                [x509.UniformResourceIdentifier(f"{site.base}/{n}") for n in ("a.crl", "copy.crl")], None, None, None
            )
        ]
    )
    access = x509.AuthorityInformationAccess(
        [
            x509.AccessDescription(
                AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(f"{site.base}/ocsp")
            )
        ]
    )
    return issue("Signer", ROOT, (points, False), (access, False), *more, private=key(41))


def crl(*revoked: int) -> bytes:
    """The root's list for two days."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ROOT.certificate.subject)
        .last_update(AT)
        .next_update(AT + 2 * DAY)
    )
    for serial in revoked:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(AT).build()
        )
    return builder.sign(ROOT.key, hashes.SHA256()).public_bytes(Encoding.DER)


def response(signer: Issued) -> bytes:
    """The root's own word that the signer is good."""
    builder = ocsp.OCSPResponseBuilder().add_response(
        signer.certificate, ROOT.certificate, hashes.SHA256(), ocsp.OCSPCertStatus.GOOD, AT, AT + 2 * DAY, None, None
    )
    signed = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, ROOT.certificate).sign(ROOT.key, hashes.SHA256())
    return signed.public_bytes(Encoding.DER)


@pytest.fixture
def store(tmp_path: Path) -> Callable[[], sqlite3.Connection]:
    """Opens a migrated store."""
    with connect(tmp_path / "rootwarden.db", create=True) as connection:
        migrate(connection, tmp_path / "migrate.lock", MIGRATION_SETS)
    return lambda: connect(tmp_path / "rootwarden.db")


def trusting(connection: sqlite3.Connection, signer: Issued, constraints: Constraints | None = None) -> str:
    """A valid anchor, and a package signed under it."""
    proposal = proposal_of(ROOT.der)
    if constraints is not None:
        proposal = replace(proposal, constraints=constraints)
    anchor_id = anchor_management.propose(connection, proposal, signer_rule=DEDICATED, at=AT, randomness=randomness)
    spoken = load_certificate(ROOT.der).sha256
    for person in ("ann", "bob"):
        approve(connection, anchor_id, call(spoken), identity=person, vendor=vendor(), at=AT)
    with transaction(connection):
        save_facts(
            connection, package(signer.der), origin="intake", at=AT, randomness=randomness, readers={"zip_plain": 1}
        )
    return anchor_id


@pytest.fixture
async def asking(
    store: Callable[[], sqlite3.Connection],
) -> AsyncIterator[tuple[RevocationRefresh, Clock, StorageThread]]:
    """The refresh with the real fetcher."""
    thread, clock = StorageThread(store), Clock()
    async with HTTPFetcher(PollingSettings(request_timeout_seconds=5.0)) as fetcher:
        yield RevocationRefresh(fetcher, thread, clock, allow_loopback_http=True), clock, thread  # type: ignore[arg-type]
    thread.close()


async def test_what_the_chain_names_is_fetched_and_kept(
    asking: tuple[RevocationRefresh, Clock, StorageThread],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One list (not its copy) and the responder's answer are kept for the issuer; asked again half way to the next update, not before."""
    refresh, clock, thread = asking
    monkeypatch.setattr("trust_store.storage.facts._readers", lambda readers: readers or {"zip_plain": 1})
    with VendorSite() as site:
        signer = leaf(site)
        await thread.run(lambda c: trusting(c, signer))
        places = await thread.run(published)
        assert sorted(p.kind for p in places) == ["crl", "ocsp"]
        listed, said = crl(), response(signer)
        site.file("/a.crl", listed)
        site.file(next(p.url for p in places if p.kind == "ocsp").removeprefix(site.base), said)
        assert [(r.problem, r.new) for r in await refresh.refresh()] == [(None, True), (None, True)]
        kept = await thread.run(lambda c: load(c, [about_issuer(ROOT.decoded), about_subject(signer.decoded)]))
        assert (kept.crls, kept.ocsp) == ((listed,), (said,))
        clock.at = AT + 0.9 * DAY
        assert await refresh.refresh() == ()
        clock.at = AT + 1.1 * DAY
        site.file("/a.crl", crl(signer.certificate.serial_number))
        assert sorted((r.place.kind, r.new) for r in await refresh.refresh()) == [("crl", True), ("ocsp", False)]


async def test_a_place_that_fails_is_left_alone_for_a_while(
    asking: tuple[RevocationRefresh, Clock, StorageThread], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing there, or something that is no list: told, kept out, asked again after a pause that doubles."""
    refresh, clock, thread = asking
    monkeypatch.setattr("trust_store.storage.facts._readers", lambda readers: readers or {"zip_plain": 1})
    with VendorSite() as site:
        await thread.run(lambda c: trusting(c, leaf(site)))
        site.file("/a.crl", b"no list")
        assert all(r.problem for r in await refresh.refresh())
        assert await refresh.refresh() == ()
        clock.at = AT + FIRST_PAUSE
        assert len(await refresh.refresh()) == 2
        clock.at = AT + 2 * FIRST_PAUSE
        assert await refresh.refresh() == ()
        assert await thread.run(lambda c: load(c, [about_issuer(ROOT.decoded)]).crls) == ()


async def test_a_name_that_nobody_reads_keeps_no_other_list_from_being_fetched(
    asking: tuple[RevocationRefresh, Clock, StorageThread], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate with an X.400 address among its names (RFC 5280 4.2.1.6) still has its list fetched; its responder is not asked."""
    _, _, thread = asking
    monkeypatch.setattr("trust_store.storage.facts._readers", lambda readers: readers or {"zip_plain": 1})
    address = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, bytes.fromhex("3004a3023000"))
    with VendorSite() as site:
        signer = leaf(site, (address, False))
        with pytest.raises(x509.UnsupportedGeneralNameType):
            _ = signer.certificate.extensions
        await thread.run(lambda c: trusting(c, signer))
        assert [p.kind for p in await thread.run(published)] == ["crl"]


async def test_nothing_is_asked_where_policy_is_off_or_nothing_is_trusted(
    store: Callable[[], sqlite3.Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chain under an anchor with revocation off, or under no valid anchor, names nobody to ask."""
    monkeypatch.setattr("trust_store.storage.facts._readers", lambda readers: readers or {"zip_plain": 1})
    with VendorSite() as site, store() as connection:
        trusting(connection, leaf(site), Constraints(revocation="off"))
        assert published(connection) == ()
        assert due(connection, published(connection), AT) == ()
