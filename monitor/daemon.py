"""The running program: assembles everything, keeps a handful of fixed jobs going, and stops cleanly.

Order at the start: the writer's lock, the reader processes' fork server (before any thread), the schema, the whole audit log,
the control socket, the jobs, READY=1. Order at the end: the socket, the jobs, the deliveries in flight, the storage thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import structlog
from watchfiles import awatch

from escalation.config import load_delivery_settings
from escalation.decisions import COMMANDS as ALERT_COMMANDS
from escalation.decisions import perform as perform_alert_command
from escalation.delivery import open_channels
from escalation.dispatch import dispatch_due, recover
from escalation.model import DeliveryState
from monitor.alerting import Alerting
from monitor.config import load_monitor_settings
from monitor.control import ControlServer
from monitor.fault_watch import FaultWatch
from monitor.fetch.http import HTTPFetcher
from monitor.intake import Intake, drop_folder
from monitor.jobs import PeriodicJobs, Upkeep
from monitor.pipeline import poll_due
from monitor.places import Place, places_of
from monitor.process_setup import bound_arenas, finished_before, log_to_journal
from monitor.revocation import RevocationRefresh
from monitor.schema import open_store
from monitor.sd_notify import notify, watchdog_seconds
from monitor.serving import api_server
from monitor.storage.marks import JUDGED, mark_of, move_mark
from monitor.storage_thread import StorageThread
from monitor.tamper_watch import TamperWatch
from trust_store import audit, checkpoints, decisions
from trust_store.errors import DecisionRefusedError, TrustStoreError
from trust_store.formats.worker import ForkServerReader
from trust_store.model.identifiers import format_time
from trust_store.policy_approval import person_deciding
from trust_store.storage.affected import by_anchors, since
from trust_store.storage.connection import connect, transaction
from trust_store.storage.writer_lock import writer_lock
from trust_store.terminal import safe

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable
    from datetime import datetime
    from pathlib import Path

    from monitor.config import MonitorSettings, Source
    from monitor.pipeline import PollOutcome
    from trust_store.model.verdict import Verdict

OUTBOX_SECONDS = 1.0
RETENTION_SECONDS = 3600.0
DIGEST_SECONDS = 300.0
REVOCATION_SECONDS = 900.0
FORECAST_SECONDS = 6 * 3600.0
STOP_SECONDS = 1.5
HEARTBEAT_SECONDS = 15.0
WATCH_SECONDS = 60.0
RECONSIDER_BATCH = 200
log = structlog.get_logger("rootwarden")


def run_daemon(config: Path, *, now: Callable[[], datetime], randomness: Callable[[int], bytes]) -> int:
    """Run until SIGTERM or SIGINT; return the exit code. Raises ConfigError, StoreUnavailableError, StoreInconsistentError."""
    log_to_journal()
    bound_arenas()
    loaded_at = now()
    settings = load_monitor_settings(config)
    with writer_lock(settings.trust.store.lock):
        reader = ForkServerReader()
        try:
            open_store(settings.trust.store).close()
            return asyncio.run(Daemon(settings, reader, loaded_at=loaded_at, now=now, randomness=randomness).serve())
        finally:
            reader.close()


class Daemon:
    """Everything that runs on the event loop. One instance, one ``serve``."""

    def __init__(
        self,
        settings: MonitorSettings,
        reader: ForkServerReader,
        *,
        loaded_at: datetime,
        now: Callable[[], datetime],
        randomness: Callable[[int], bytes],
    ) -> None:
        self._loaded_at = loaded_at
        self.settings, self._reader, self._now, self._randomness = settings, reader, now, randomness
        delivery = load_delivery_settings({"delivery": settings.delivery_tables}, settings.trust.file)
        self._channels = open_channels(delivery, os.environ, now)
        self._digest_hour = delivery.digest_hour
        self.storage = StorageThread(lambda: connect(settings.trust.store.database))
        self.alerting = Alerting(settings, tuple(self._channels), now, randomness)
        self.intake = Intake(self.alerting, self.storage, reader, now=now)
        self._faults = FaultWatch(self.alerting, self.storage)
        self._control = ControlServer(
            settings.trust.control,
            self.answer,
            decides=self._decides,
            internal_error=lambda e: log.error("request failed", error=e),
        )
        self._tamper_watch = TamperWatch(settings.trust, tuple(self._channels), now, randomness)
        self._told_head: audit.Head | None = None
        self._api = api_server(self.alerting, self.storage, reader, now) if settings.trust.api.enabled else None
        self._stop = asyncio.Event()
        self._look = asyncio.Event()
        self._send = asyncio.Event()
        self._polling = asyncio.Lock()
        self._fetcher = HTTPFetcher(settings.polling, version=version("rootwarden"))

    async def serve(self) -> int:
        """Run until told to stop; the exit code is 0 for an orderly end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        try:
            await self.storage.run(self._begin)
            drop_folder(self.settings.intake.directory, tuple(v.id for v in self.settings.trust.vendors))
            await self._control.start()
            if self._api is not None:
                await self._api.start()
            if await finished_before(self._stop, self._reconsider()):
                await self._run_jobs()
        finally:
            notify("STOPPING=1")
            self._reader.close()
            await self._control.stop()
            if self._api is not None:
                await self._api.stop()
            await self._fetcher.aclose()
            for channel in self._channels.values():
                await channel.close()
            with contextlib.suppress(TrustStoreError):
                await self.storage.run(self._tell_checkpoint)
            self.storage.close()
        log.info("stopped")
        return 0

    async def answer(self, command: str, arguments: dict[str, Any], uid: int) -> dict[str, Any]:
        """Carry out one request of the control socket for the peer with this uid."""
        if command == "ping":
            return {
                "store": str(self.settings.trust.store.database),
                "uid": uid,
                "loaded_at": format_time(self._loaded_at),
            }
        if command == "poll":
            return {"sources": [o.to_dict() for o in await self._poll(arguments.get("source"), force=True)]}
        try:
            person = await self._person(uid)
        except DecisionRefusedError:
            log.warning("refused", command=safe(command, 60), uid=uid)
            raise
        if command in ALERT_COMMANDS:
            return await self.storage.run(
                lambda c: perform_alert_command(
                    c, command, arguments, identity=person, at=self._now(), randomness=self._randomness
                )
            )
        return await self._decide(command, arguments, person)

    async def _person(self, uid: int) -> str:
        trust = self.settings.trust
        return await self.storage.run(lambda c: person_deciding(c, trust.approvers, f"uid:{uid}", trust.file))

    async def _decides(self, uid: int) -> bool:
        """Whether this user is one of those who decide."""
        with contextlib.suppress(DecisionRefusedError):
            return bool(await self._person(uid))
        return False

    async def _decide(self, command: str, arguments: dict[str, Any], person: str) -> dict[str, Any]:
        """One decision about trust, then everything that it may have changed."""
        try:
            result = await self.storage.run(lambda c: self._perform(c, command, arguments, person))
        finally:
            self._send.set()
        log.info("decided", command=command, by=person, anchor=safe(str(arguments.get("anchor", "")), 60))
        await self._reconsider()
        return result

    def _perform(
        self, connection: sqlite3.Connection, command: str, arguments: dict[str, Any], person: str
    ) -> dict[str, Any]:
        self._tamper_watch.look(connection)
        try:
            return decisions.perform(
                connection,
                command,
                arguments,
                identity=person,
                vendors=self.settings.trust.vendors,
                at=self._now(),
                randomness=self._randomness,
                within=lambda c, result: self.alerting.report_decision(c, result, person),
            )
        finally:
            self._checkpoint(connection)

    async def _reconsider(self) -> None:
        """Judge the packages again that what was decided since the last time may concern; read those again whose facts cannot answer."""
        places, newest = await self.storage.run(self._concerned)
        await self._judge_again(places)
        await self.storage.run(lambda c: move_mark(c, JUDGED, newest))

    async def _judge_again(self, places: tuple[tuple[str, Place], ...]) -> None:
        for first in range(0, len(places), RECONSIDER_BATCH):
            batch = places[first : first + RECONSIDER_BATCH]
            needing = await self.storage.run(lambda c, batch=batch: self.alerting.reconsider(c, batch))  # type: ignore[misc]
            for sha256, place in batch:
                if sha256 in needing and not place.asker and (self.settings.trust.store.retained / sha256).is_file():
                    await self.intake.reread(sha256, place, self.settings.trust.store.retained / sha256)
        self._send.set()

    def _concerned(self, connection: sqlite3.Connection) -> tuple[tuple[tuple[str, Place], ...], int]:
        affected, newest = since(connection, mark_of(connection, JUDGED))
        return places_of(connection, affected), newest

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Before anything is answered: the whole log is walked, interrupted deliveries are put back, policy changes recorded."""
        folder = self.settings.trust.store.directory
        audit.verify(connection)
        checkpoints.require_checkpoint(connection, checkpoints.read_checkpoint(folder / checkpoints.CHECKPOINT_NAME))
        repeats = recover(connection, self._now())
        with transaction(connection):
            self.alerting.report_missed(connection)
            changes = self.alerting.record_configuration(connection)
            self._tamper_watch.report_rekeyed(connection)
        self._tamper_watch.look_at_files(connection)
        self._tell_checkpoint(connection)
        log.info("store opened", interrupted_deliveries=repeats, policy_changes=changes)

    def _checkpoint(self, connection: sqlite3.Connection) -> checkpoints.Checkpoint | None:
        path = self.settings.trust.store.directory / checkpoints.CHECKPOINT_NAME
        return checkpoints.keep_checkpoint(connection, path, self._now())

    def _tell_checkpoint(self, connection: sqlite3.Connection) -> None:
        """Have the journal, which may be kept elsewhere, know the head of the log where it changed."""
        kept = self._checkpoint(connection)
        if kept is not None and kept.head != self._told_head:
            self._told_head = kept.head
            log.info("checkpoint", line=kept.line)

    async def _look_for_tampering(self) -> None:
        """What was changed behind the daemon's back, and the checkpoint of the minute."""
        try:
            for edit in await self.storage.run(self._tamper_watch.look):
                log.warning("edited on disk, not loaded", subject=safe(edit.subject, 60), what=safe(edit.what, 200))
            await self.storage.run(self._tell_checkpoint)
        finally:
            self._send.set()

    async def _run_jobs(self) -> None:
        """The fixed jobs, until stopped; a job that fails is told and goes on, one that ends is a reason to stop."""
        jobs = self._jobs()
        jobs.start()
        sending = [self._deliver(name) for name in self._channels]
        loops = [asyncio.create_task(job) for job in (self._take_in(), self._watch(), *sending)]
        try:
            notify("READY=1\nSTATUS=watching " + safe(str(self.intake.directory), 200))
            log.info("ready", incoming=str(self.intake.directory), channels=list(self._channels))
            stopped = asyncio.create_task(self._stop.wait())
            done, _ = await asyncio.wait([stopped, *loops], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopped}:
                task.result()
        finally:
            jobs.stop()
            for task in loops:
                task.cancel()
            await asyncio.wait(loops, timeout=STOP_SECONDS)

    def _jobs(self) -> PeriodicJobs:
        refresh = RevocationRefresh(self._fetcher, self.storage, self._now)
        upkeep = Upkeep(
            self.settings, self.storage, refresh, tuple(self._channels), self._digest_hour, self._now, self._randomness
        )
        return PeriodicJobs(
            {
                "poll": (self.settings.polling.tick_seconds, self._poll_due),
                "retention": (RETENTION_SECONDS, upkeep.enforce_retention),
                "digest": (DIGEST_SECONDS, upkeep.tell_digest),
                "forecast": (FORECAST_SECONDS, upkeep.tell_forecast),
                "revocation": (REVOCATION_SECONDS, lambda: self._refresh_revocation(upkeep)),
                "heartbeat": (watchdog_seconds() or HEARTBEAT_SECONDS, upkeep.heartbeat),
                "tampering": (WATCH_SECONDS, self._look_for_tampering),
            },
            at_once=("poll", "revocation", "forecast"),
            guard=self._faults.run,
            after=self._send.set,
        )

    async def _refresh_revocation(self, upkeep: Upkeep) -> None:
        """Fetch what is due; where something new came the packages under those roots are judged again."""
        changed = await upkeep.refresh_revocation()
        if changed:
            await self._judge_again(await self.storage.run(lambda c: places_of(c, by_anchors(c, changed))))

    async def _take_in(self) -> None:
        """Look at the incoming folder when something moved there, when a wait is over, and every now and then anyway."""
        odd: frozenset[str] = frozenset()
        while not self._stop.is_set():
            self._look.clear()
            wait = self.settings.intake.rescan_seconds
            looked = await self._faults.run("the incoming folder", self.intake.rescan)
            if looked is not None:
                taken, wait, passed_over = looked
                for package in taken:
                    log.info("package", path=safe(package.path), verdict=package.fault or _words(package.verdict))
                if taken:
                    self._send.set()
                    # What a package proposed may be other rules of a key that other packages' scripts show.
                    await self._faults.run("what new packages change", self._reconsider)
                new, odd = frozenset(passed_over) - odd, frozenset(passed_over)
                await self._faults.run("what was passed over", lambda new=new: self._tell_odd(new))  # type: ignore[misc]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._look.wait()

    async def _tell_odd(self, paths: Iterable[str]) -> None:
        for path in sorted(paths):
            log.warning("passed over", path=safe(path, 200))
            await self.storage.run(lambda c, path=path: self.alerting.report_odd(c, path))  # type: ignore[misc]

    async def _watch(self) -> None:
        """Wake the intake at once; where watching fails the rescan alone does the work."""
        while not self._stop.is_set():
            try:
                async for _ in awatch(
                    self.intake.directory, stop_event=self._stop, debounce=50, step=20, recursive=True
                ):
                    self._look.set()
            except (OSError, RuntimeError) as error:
                log.warning("cannot watch, rescanning instead", error=safe(str(error)))
                await asyncio.sleep(self.settings.intake.rescan_seconds)

    async def _deliver(self, name: str) -> None:
        """Empty one channel's outbox when something was put in, and at least every second; one that hangs delays no other."""
        while not self._stop.is_set():
            self._send.clear()
            await self._faults.run(f"delivery by {name}", lambda: self._dispatch(name))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(OUTBOX_SECONDS):
                    await self._send.wait()

    async def _dispatch(self, name: str) -> None:
        channel = {name: self._channels[name]}
        for attempt in await dispatch_due(self.storage.run, channel, self._now, self._randomness):
            told = {"id": attempt.delivery_id, "channel": attempt.channel, "state": str(attempt.state)}
            log.info("delivery", **told, **({"error": attempt.error} if attempt.error else {}))
            if attempt.state is DeliveryState.DEAD:
                dead = (attempt.channel, attempt.delivery_id, attempt.error)
                await self.storage.run(lambda c, dead=dead: self.alerting.report_delivery(c, *dead))  # type: ignore[misc]

    async def _poll_due(self) -> None:
        await self._poll(None, force=False)

    async def _poll(self, source: object, *, force: bool) -> tuple[PollOutcome, ...]:
        """Poll the sources that are due, or with ``force`` the named one or all; then look again at what the news may explain."""
        chosen = [s for s in self.settings.sources if source in (None, s.name)]
        async with self._polling:
            outcomes = await poll_due(
                chosen,
                fetcher=self._fetcher,
                storage_run=self.storage.run,
                settings=self.settings,
                now=self._now,
                randomness=self._randomness,
                force=force,
            )
        for outcome in outcomes:
            log.info("polled", **outcome.to_dict())
        polled = {outcome.source for outcome in outcomes}
        for heard in (s for s in chosen if s.name in polled):
            await self._faults.run(f"the state of {heard.name}", lambda heard=heard: self._tell_source(heard))  # type: ignore[misc]
        self._send.set()
        if any(o.proposals for o in outcomes):
            await self._reconsider()
        return outcomes

    async def _tell_source(self, source: Source) -> None:
        await self.storage.run(lambda c: self.alerting.report_source(c, source))


def _words(verdict: Verdict | None) -> str:
    return "waiting for a signature" if verdict is None else f"{verdict.outcome} / {verdict.reason}"
