"""Keeps the revocation lists and OCSP responses of trusted chains fresh: asks whoever the certificates name, and keeps what parses.

What is kept is not believed: whoever judges by it checks its signature, its scope and its times.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from monitor.errors import FetchError
from monitor.faults import STORE_ERRORS, fault_text
from monitor.fetch.protocol import Expected, FetchRequest
from trust_store.decode.crl import load_list
from trust_store.decode.ocsp import load_response
from trust_store.decode.x509 import load_certificate
from trust_store.errors import READ_ERRORS, MalformedError
from trust_store.revocation_sources import due, is_proven, published
from trust_store.storage.connection import transaction
from trust_store.storage.revocation_material import CRL, MAX_MATERIAL_BYTES, FetchedMaterial, save

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from datetime import datetime

    from monitor.fetch.protocol import Fetcher
    from monitor.storage_thread import StorageThread
    from trust_store.revocation_sources import Published

FIRST_PAUSE = timedelta(minutes=5)
LONGEST_PAUSE = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What came of one place; ``problem`` None where something was kept. ``new``: it was not there before."""

    place: Published
    problem: str | None = None
    new: bool = False


@dataclass(slots=True)
class RevocationRefresh:
    """Asks the places that are due, one after another; a place that fails is left alone for a while that doubles."""

    fetcher: Fetcher
    storage: StorageThread
    now: Callable[[], datetime]
    allow_loopback_http: bool = False
    _waiting: dict[str, tuple[datetime, timedelta]] = field(default_factory=dict)

    async def refresh(self) -> tuple[Refreshed, ...]:
        """Fetch whatever is due; what one place does, or an error about it, keeps no other from being asked."""
        at = self.now()
        places = await self.storage.run(lambda c: due(c, published(c), at))
        wanted = {p.url: p for p in places if p.url not in self._waiting or self._waiting[p.url][0] <= at}
        return tuple([await self._one(place) for place in wanted.values()])

    async def _one(self, place: Published) -> Refreshed:
        request = FetchRequest(
            place.url,
            Expected.ANYTHING,
            MAX_MATERIAL_BYTES,
            allow_loopback_http=self.allow_loopback_http,
            signed_content=True,
        )
        try:
            body = (await self.fetcher.fetch(request)).body
            kept = _read(place, body, self.now())
            new = await self.storage.run(lambda c: _keep(c, kept))
        except STORE_ERRORS:
            raise
        except (FetchError, *READ_ERRORS) as error:
            return self._left_alone(place, str(error)[:300])
        except Exception as error:  # noqa: BLE001 - what one answer does to its reader is told, and ends no other
            return self._left_alone(place, fault_text(error))
        self._waiting.pop(place.url, None)
        return Refreshed(place, new=new)

    def _left_alone(self, place: Published, problem: str) -> Refreshed:
        pause = min(self._waiting.get(place.url, (None, FIRST_PAUSE / 2))[1] * 2, LONGEST_PAUSE)
        self._waiting[place.url] = (self.now() + pause, pause)
        return Refreshed(place, problem)


def _read(place: Published, body: bytes, at: datetime) -> FetchedMaterial:
    """The answer with the times it says of itself; raises what the decoders raise."""
    if place.kind == CRL:
        found = load_list(body)
        return FetchedMaterial(
            CRL, place.about, place.url, body, found.this_update, found.next_update, at, proven=_proven(place, body)
        )
    response = load_response(body)
    updates = [s.this_update for s in response.statuses]
    if not updates:
        raise MalformedError("an OCSP response about nothing")
    until = [s.next_update for s in response.statuses if s.next_update]
    return FetchedMaterial(
        place.kind, place.about, place.url, body, min(updates), min(until) if until else None, at,
        proven=_proven(place, body),
    )  # fmt: skip


def _proven(place: Published, body: bytes) -> bool:
    return is_proven(place.kind, body, load_certificate(place.issuer))


def _keep(connection: sqlite3.Connection, fetched: FetchedMaterial) -> bool:
    """Save it; returns whether these bytes are new."""
    with transaction(connection):
        before = connection.execute("SELECT count(*) FROM revocation_material").fetchone()[0]
        save(connection, fetched)
        return bool(connection.execute("SELECT count(*) FROM revocation_material").fetchone()[0] > before)
