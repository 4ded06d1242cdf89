"""The handful of fixed jobs: what runs every now and then, and that one which fails ends no other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from monitor.retention import enforce
from monitor.sd_notify import notify
from trust_store.errors import TrustStoreError
from trust_store.terminal import safe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from monitor.config import MonitorSettings
    from monitor.revocation import RevocationRefresh
    from monitor.storage_thread import StorageThread

log = structlog.get_logger("rootwarden")


class PeriodicJobs:
    """Runs each job every so many seconds, never twice at a time; those in ``at_once`` also at the start."""

    def __init__(
        self, jobs: Mapping[str, tuple[float, Callable[[], Awaitable[None]]]], *, at_once: Collection[str] = ()
    ) -> None:
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        for name, (seconds, job) in jobs.items():
            begin = {"next_run_time": datetime.now(UTC)} if name in at_once else {}
            self._scheduler.add_job(
                _quietly(name, job),
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
    now: Callable[[], datetime]
    randomness: Callable[[int], bytes]

    async def enforce_retention(self) -> None:
        """Remove what is older or more than is to be kept."""
        gone = await self.storage.run(lambda c: enforce(c, self.settings.trust.store, self.now()))
        if gone:
            log.info("retention", removed=gone)

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


def _quietly(name: str, job: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    """A job whose failure is told and does not end the others."""

    async def run() -> None:
        try:
            await job()
        except (OSError, TrustStoreError) as error:
            log.error("job failed", job=name, error=safe(str(error)))

    return run
