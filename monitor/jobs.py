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
from monitor.faults import STORE_ERRORS
from monitor.retention import enforce
from monitor.sd_notify import notify
from trust_store import query
from trust_store.forecaster import what_ends
from trust_store.storage.connection import connect
from trust_store.terminal import safe

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from monitor.config import MonitorSettings
    from monitor.revocation import RevocationRefresh
    from monitor.storage_thread import StorageThread
    from trust_store.forecast import Expiry
    from trust_store.model.vendor import Vendor

log = structlog.get_logger("rootwarden")


class PeriodicJobs:
    """Runs each job every so many seconds, never twice at a time; those in ``at_once`` also at the start.

    ``guard`` runs it and keeps its failure to itself. ``after`` each: alerts go out.
    """

    def __init__(
        self,
        jobs: Mapping[str, tuple[float, Callable[[], Awaitable[None]]]],
        *,
        at_once: Collection[str] = (),
        guard: Callable[[str, Callable[[], Awaitable[None]]], Awaitable[None]],
        after: Callable[[], None],
    ) -> None:
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        for name, (seconds, job) in jobs.items():
            begin = {"next_run_time": datetime.now(UTC)} if name in at_once else {}
            self._scheduler.add_job(
                _guarded(name, job, guard, after),
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

        def look() -> tuple[list[Expiry], list[Exception]]:
            with contextlib.closing(connect(trust.store.database, read_only=True)) as connection:
                return _ending(connection, trust.vendors, at)

        expiries, faults = await asyncio.to_thread(look)
        await self.storage.run(lambda c: tell(c, expiries, channels=self.channels, at=at, randomness=self.randomness))
        if faults:
            raise faults[0]  # only after what is known of the others was told

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


def _ending(
    connection: sqlite3.Connection, vendors: tuple[Vendor, ...], at: datetime
) -> tuple[list[Expiry], list[Exception]]:
    """What ends, vendor by vendor, and what kept one from being looked at: it hides nothing of the others."""
    expiries: list[Expiry] = []
    faults: list[Exception] = []
    for vendor_id in sorted({v.id for v in vendors} | {a.vendor_id for a in query.anchors(connection)}):
        try:
            expiries += what_ends(connection, vendors, vendor_id, at=at, horizon=HORIZON).expiries
        except STORE_ERRORS:
            raise
        except Exception as error:  # noqa: BLE001 - what one vendor's package does to the forecast is told, and ends no other
            faults.append(error)
    return expiries, faults


def _guarded(
    name: str,
    job: Callable[[], Awaitable[None]],
    guard: Callable[[str, Callable[[], Awaitable[None]]], Awaitable[None]],
    after: Callable[[], None],
) -> Callable[[], Awaitable[None]]:
    """A job whose failure is told and does not end the others."""

    async def run() -> None:
        try:
            await guard(f"the job '{name}'", job)
        finally:
            after()

    return run
