"""What the tests of listening share: a store, a vendor, its site, and one call that polls."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.config import MonitorSettings, PollingSettings, Source, SourceKind
from monitor.fetch.http import HTTPFetcher
from monitor.pipeline import PollOutcome, poll_due
from monitor.schema import MIGRATION_SETS
from trust_store.model.vendor import Vendor
from trust_store.settings import StoreSettings, TrustSettings
from trust_store.storage.connection import connect
from trust_store.storage.migrations import migrate

if TYPE_CHECKING:
    from tests.simulator.vendor_pki import VendorPKI
    from tests.simulator.vendor_site import VendorSite

START = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
ANNOUNCEMENT = "<p>We rotated our code signing root certificate. From 2026-11-01 upgrade packages are signed under the new root:</p>"


@dataclass
class Listening:
    """A store and a vendor's site; ``poll`` polls the given source and moves the clock on by an hour."""

    connection: sqlite3.Connection
    site: VendorSite
    settings: MonitorSettings
    randomness: Callable[[int], bytes]
    at: datetime = START

    async def poll(self, *sources: Source, force: bool = True) -> tuple[PollOutcome, ...]:
        """Poll as the daemon would."""

        async def run(function: Callable[[sqlite3.Connection], Any]) -> Any:
            return function(self.connection)

        async with HTTPFetcher(self.settings.polling) as fetcher:
            outcomes = await poll_due(
                sources,
                fetcher=fetcher,
                storage_run=run,
                settings=self.settings,
                now=lambda: self.at,
                randomness=self.randomness,
                force=force,
            )
        self.at += timedelta(hours=1)
        return outcomes

    async def poll_one(self, source: Source) -> PollOutcome:
        """Poll one source whether due or not."""
        (outcome,) = await self.poll(source)
        return outcome

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of the store as tuples."""
        return [tuple(row) for row in self.connection.execute(query, values)]

    def with_polling(self, **changes: Any) -> None:
        """Change ``[polling]``."""
        self.settings = replace(self.settings, polling=replace(self.settings.polling, **changes))


def feed_source(site: VendorSite, **changes: Any) -> Source:
    """The site's feed as a source."""
    return Source(site.feed_url, SourceKind.FEED, "dten", "feed", allow_loopback_http=True, **changes)


def topic_source(url: str, **changes: Any) -> Source:
    """A topic as a source."""
    return Source(url, SourceKind.DISCOURSE, "dten", "forum", allow_loopback_http=True, **changes)


def open_listening(folder: Path, site: VendorSite, randomness: Callable[[int], bytes]) -> Listening:
    """A new store in ``folder`` for vendor ``dten``, whose own domain the loopback site is."""
    store = StoreSettings(directory=folder)
    connection = connect(store.database, create=True)
    migrate(connection, folder / "migration.lock", MIGRATION_SETS)
    vendor = Vendor("dten", "DTEN", domains=("127.0.0.1",))
    trust = TrustSettings(folder / "rootwarden.toml", store=store, vendors=(vendor,))
    return Listening(
        connection, site, MonitorSettings(trust, polling=PollingSettings(request_timeout_seconds=5.0)), randomness
    )


def chain_pre(pki: VendorPKI) -> str:
    """The vendor's chain as it is pasted into a post."""
    from cryptography.hazmat.primitives.serialization import Encoding

    signer = pki.signer.public_bytes(Encoding.PEM).decode()
    return f"<pre><code>{signer}{pki.root_pem}</code></pre>"
