"""What one document, key file or place does to its reader keeps no other from being heard, stored or fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import monitor.pipeline
import monitor.revocation
from tests.monitor.listening import Listening, feed_source, topic_source
from tests.monitor.pipeline_setup import listening, pki
from tests.monitor.test_revocation_refresh import asking, crl, leaf, response, store, trusting
from tests.simulator.vendor_site import VendorSite
from trust_store.errors import StoreInconsistentError

if TYPE_CHECKING:
    from monitor.revocation import RevocationRefresh
    from monitor.storage_thread import StorageThread
    from tests.simulator.vendor_pki import VendorPKI

__all__ = ["asking", "listening", "pki", "store"]  # fixtures


async def test_a_document_that_cannot_be_stored_keeps_out_no_other(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is told in the outcome, the other documents of the source are there, and the source is read again."""
    real = monitor.pipeline.store_document

    def failing(connection: Any, source: Any, document: Any, *rest: Any, **named: Any) -> Any:
        if "Two" in document.title:
            raise TypeError("crafted")
        return real(connection, source, document, *rest, **named)

    monkeypatch.setattr(monitor.pipeline, "store_document", failing)
    for title in ("One", "Two", "Three"):
        listening.site.publish(title, f"<p>{title}</p>")
    outcome = await listening.poll_one(feed_source(listening.site))
    assert (outcome.status, outcome.new_documents) == ("partial", 2)
    assert "crafted" in outcome.problems[0]


async def test_an_error_beside_the_documents_fails_its_source_only(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the fetching of key files ends in an error the source failed once more, and the others' outcomes are there."""

    async def failing(_: object) -> None:
        raise RecursionError("crafted")

    monkeypatch.setattr(monitor.pipeline._Poll, "fetch_key_files", failing)
    listening.site.publish("One", "<p>first</p>")
    topic = listening.site.open_topic(7, "Fine", posts=1)
    sources = (feed_source(listening.site), topic_source(topic.url))
    outcomes = await listening.poll(*sources)
    assert [o.status for o in outcomes] == ["failed", "failed"]
    assert all("internal error: RecursionError: crafted" in o.problems[0] for o in outcomes)
    assert listening.rows("SELECT min(failures), max(failures) FROM source_state") == [(1, 1)]


async def test_errors_of_the_store_end_the_poll(listening: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that was changed is no document's matter."""

    def failing(*_: object, **__: object) -> None:
        raise StoreInconsistentError("changed")

    monkeypatch.setattr(monitor.pipeline, "store_document", failing)
    listening.site.publish("One", "<p>first</p>")
    with pytest.raises(StoreInconsistentError):
        await listening.poll_one(feed_source(listening.site))


async def test_a_key_file_that_ends_its_reader_keeps_no_other_out(
    listening: Listening, pki: VendorPKI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two key files the second is read and proposed; the first is told, and tried again."""
    real = monitor.pipeline.read_keys

    def failing(body: bytes, url: str) -> Any:
        if url.endswith("/a.pem"):
            raise TypeError("crafted")
        return real(body, url)

    monkeypatch.setattr(monitor.pipeline, "read_keys", failing)
    for name in ("a", "b"):
        listening.site.file(f"/{name}.pem", pki.root_pem.encode())
    links = " ".join(f'<a href="{listening.site.base}/{name}.pem">{name}</a>' for name in ("a", "b"))
    listening.site.publish("New root", f"<p>We rotated our code signing root certificate: {links}</p>")
    outcome = await listening.poll_one(feed_source(listening.site))
    assert (outcome.key_files, len(outcome.proposals)) == (1, 1)
    assert any("crafted" in problem for problem in outcome.problems)


async def test_an_answer_that_ends_its_reader_keeps_no_other_from_being_asked(
    asking: tuple[RevocationRefresh, Any, StorageThread], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list that ends its reader is left alone for a while; the responder's answer is kept."""
    refresh, _, thread = asking
    monkeypatch.setattr("trust_store.storage.facts._readers", lambda readers: readers or {"zip_plain": 1})

    def failing(_: bytes) -> None:
        raise TypeError("crafted")

    with VendorSite() as site:
        signer = leaf(site)
        await thread.run(lambda c: trusting(c, signer))
        places = await thread.run(monitor.revocation.published)
        site.file("/a.crl", crl())
        site.file(next(p.url for p in places if p.kind == "ocsp").removeprefix(site.base), response(signer))
        monkeypatch.setattr(monitor.revocation, "load_list", failing)
        found = {r.place.kind: r for r in await refresh.refresh()}
        assert "TypeError: crafted" in (found["crl"].problem or "")
        assert (found["ocsp"].problem, found["ocsp"].new) == (None, True)
        assert await refresh.refresh() == ()
