"""The handful of fixed jobs: what runs every now and then, and that one which fails ends no other."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from escalation.digest import send_due
from monitor.expiry_alerts import HORIZON, tell
from monitor.retention import enforce
from monitor.sd_notify import notify
from trust_store.errors import TrustStoreError
from trust_store.forecaster import what_ends
from trust_store.storage.connection import connect
from trust_store.terminal import safe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from monitor.config import MonitorSettings
    from monitor.revocation import RevocationRefresh
    from monitor.storage_thread import StorageThread
    from trust_store.forecast import Expiry

log = structlog.get_logger("rootwarden")


class PeriodicJobs:
    """Runs each job every so many seconds, never twice at a time; those in ``at_once`` also at the start. ``after`` each: alerts go out."""

    def __init__(
        self,
        jobs: Mapping[str, tuple[float, Callable[[], Awaitable[None]]]],
        *,
        at_once: Collection[str] = (),
        after: Callable[[], None],
    ) -> None:
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        for name, (seconds, job) in jobs.items():
            begin = {"next_run_time": datetime.now(UTC)} if name in at_once else {}
            self._scheduler.add_job(
                _quietly(name, job, after),
                "interval",
                seconds=seconds,
                coalesce=True,
                max_instances=1,
                misfire_grace_time=None,
                **begin,
            )

    def start(self) -> None:
        """Begin; an event loop must be running."""
        self._scheduler.start()

    def stop(self) -> None:
        """Start no job any more."""
        self._scheduler.shutdown(wait=False)


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Jobs that only keep things in order."""

    settings: MonitorSettings
    storage: StorageThread
    refresh: RevocationRefresh
    channels: tuple[str, ...]
    digest_hour: int
    now: Callable[[], datetime]
    randomness: Callable[[int], bytes]

    async def enforce_retention(self) -> None:
        """Remove what is older or more than is to be kept."""
        gone = await self.storage.run(lambda c: enforce(c, self.settings.trust.store, self.now()))
        if gone:
            log.info("retention", removed=gone)

    async def tell_digest(self) -> None:
        """Queue the daily digest of observed vendors when it is due."""
        await self.storage.run(
            lambda c: send_due(
                c, hour=self.digest_hour, channels=self.channels, at=self.now(), randomness=self.randomness
            )
        )

    async def tell_forecast(self) -> None:
        """Alert about what will stop verifying; it is found out beside the storage thread, which others wait for."""
        trust, at = self.settings.trust, self.now()

        def look() -> tuple[Expiry, ...]:
            with contextlib.closing(connect(trust.store.database, read_only=True)) as connection:
                return what_ends(connection, trust.vendors, None, at=at, horizon=HORIZON).expiries

        expiries = await asyncio.to_thread(look)
        await self.storage.run(lambda c: tell(c, expiries, channels=self.channels, at=at, randomness=self.randomness))

    async def refresh_revocation(self) -> frozenset[str]:
        """Ask for revocation lists and responses that are due; returns the anchors under which something new came."""
        refreshed = await self.refresh.refresh()
        for one in refreshed:
            told = {"kind": one.place.kind, "url": safe(one.place.url, 200)}
            if one.problem:
                log.warning("revocation material", **told, problem=safe(one.problem, 300))
            elif one.new:
                log.info("revocation material", **told)
        return frozenset(one.place.anchor_id for one in refreshed if one.new)

    async def heartbeat(self) -> None:
        """Tell systemd that the loop turns and the store answers."""
        await self.storage.run(lambda c: c.execute("SELECT revision FROM store_revision").fetchone())
        notify("WATCHDOG=1")


def _quietly(name: str, job: Callable[[], Awaitable[None]], after: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    """A job whose failure is told and does not end the others."""

    async def run() -> None:
        try:
            await job()
        except (OSError, TrustStoreError) as error:
            log.error("job failed", job=name, error=safe(str(error)))
        finally:
            after()

    return run
