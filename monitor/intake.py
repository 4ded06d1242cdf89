"""Takes in packages: looks at the folder, examines what ``intake_plan`` says, and commits facts, alert and status together (shell)."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from monitor.faults import STORE_ERRORS, fault_text
from monitor.intake_folder import look
from monitor.intake_plan import Examine, IntakeRow, IntakeStatus, IntakeTiming, Steady, plan_intake
from monitor.places import Place
from monitor.retention import keep
from monitor.storage.intake import load_rows, save_row
from trust_store import query
from trust_store.formats.protocol import ReadLimits
from trust_store.model.package_facts import PackageFacts, Problem
from trust_store.model.trust_view import ANY_VENDOR
from trust_store.model.verdict import Outcome, Reason
from trust_store.native.comparison import ask_tools, keys_at_hand
from trust_store.package_files import PackageUnreadableError
from trust_store.storage.connection import transaction
from trust_store.storage.facts import forget_retained
from trust_store.stored_verdict import hints_of
from trust_store.verifier import read_with_keys

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime
    from pathlib import Path

    from monitor.alerting import Alerting
    from monitor.storage_thread import StorageThread
    from trust_store.model.identifiers import Identifier
    from trust_store.model.verdict import Verdict
    from trust_store.signatures.protocol import CandidateKey
    from trust_store.verifier import FactReader

SHORTEST_LOOK_SECONDS = 0.05
FAULT_PAUSE = timedelta(minutes=15)
"""A file that ended in an internal error is left alone for so long, unless it changes."""


@dataclass(frozen=True, slots=True)
class Taken:
    """One package that was examined: its verdict, or None while it waits for side files.

    ``fault`` says which internal error kept it from being examined; it was alerted about then.
    """

    path: str
    verdict: Verdict | None
    fault: str | None = None


class Intake:
    """The incoming folder. ``rescan`` may be called at any time and as often as one likes; one runs at a time."""

    def __init__(
        self, alerting: Alerting, storage: StorageThread, reader: FactReader, *, now: Callable[[], datetime]
    ) -> None:
        self._alerting = alerting
        self._storage = storage
        self._reader = reader
        self._now = now
        self._settings = alerting.settings.intake
        self._timing = IntakeTiming(
            timedelta(seconds=self._settings.settle_seconds), timedelta(seconds=self._settings.sidecar_wait_seconds)
        )
        self._steady: Mapping[str, Steady] = {}
        self._faulty: dict[str, tuple[str, datetime]] = {}
        self._turn = asyncio.Lock()

    @property
    def directory(self) -> Path:
        """The watched folder."""
        return self._settings.directory

    async def rescan(self) -> tuple[tuple[Taken, ...], float, tuple[str, ...]]:
        """Look once and examine what is ready.

        Returns what was taken, in how many seconds the next look is due at the latest, and the paths passed over as no files.
        """
        async with self._turn:
            sights, odd = await asyncio.to_thread(look, self.directory)
            rows = await self._storage.run(load_rows)
            plan = plan_intake(sights, rows, self._steady, self._timing, self._now())
            self._steady = plan.steady
            self._faulty = {path: known for path, known in self._faulty.items() if path in plan.steady}
            taken = [await self._examine_alone(step) for step in plan.examine if not self._rests(step)]
        wait = self._settings.rescan_seconds
        if plan.next_look is not None:
            wait = min(wait, max((plan.next_look - self._now()).total_seconds(), SHORTEST_LOOK_SECONDS))
        if any(t.verdict is None and t.fault is None for t in taken):
            wait = min(wait, max(self._settings.settle_seconds, SHORTEST_LOOK_SECONDS))
        return tuple(taken), wait, odd

    async def reread(self, sha256: str, place: Place, kept: Path) -> Verdict | None:
        """Read a retained package again because a key arrived that its stored facts cannot be tried with."""
        try:
            facts = await self._read(kept, (), place.vendor_id)
            if not isinstance(facts, PackageFacts) or facts.sha256 != sha256:
                return None  # what lies there is not what was checked: the old verdict, not passed, stands
            return await self._storage.run(lambda c: self._alerting.record(c, facts, place, kept))
        except STORE_ERRORS:
            raise
        except Exception as error:  # noqa: BLE001 - the old verdict stands, and the other packages are read again
            fault, what = error, f"reading {place.path} again"
            await self._storage.run(lambda c: self._alerting.report_fault(c, what, fault))
            return None

    def _rests(self, step: Examine) -> bool:
        stamp, until = self._faulty.get(step.path, ("", self._now()))
        return stamp == step.stamp and self._now() < until

    async def _examine_alone(self, step: Examine) -> Taken:
        """Examine one file; an error that nobody foresaw is alerted about with the file's name, and keeps no other file out."""
        try:
            return Taken(step.path, await self._examine(step))
        except STORE_ERRORS:
            raise
        except Exception as error:  # noqa: BLE001 - whoever made the file may have meant it to end the intake
            fault, what = error, self._name_of(step)
            await self._storage.run(lambda c: self._alerting.report_fault(c, what, fault))
            self._faulty[step.path] = (step.stamp, self._now() + FAULT_PAUSE)
            return Taken(step.path, None, fault_text(error))

    def _name_of(self, step: Examine) -> str:
        return str(self.directory / step.path)

    async def _examine(self, step: Examine) -> Verdict | None:
        place = Place(self.directory / step.path, self._known_vendor(step.vendor_id))
        sides = tuple(self.directory / side for side in step.side_paths)
        facts = await self._read(place.path, sides, place.vendor_id)
        if isinstance(facts, Problem):
            if not await asyncio.to_thread(os.path.lexists, place.path):
                return None  # it went away between looking and opening; nothing is left to be told
            return await self._storage.run(lambda c: self._unread(c, step, place, facts))
        # bytes of no known format may be a package all the same: then their signature lies beside them, or will
        bare = facts.problem is None or facts.problem.reason is Reason.UNSUPPORTED_FORMAT
        if not step.final and not facts.signatures and bare:
            await self._storage.run(lambda c: self._remember(c, step, IntakeStatus.WAITING, facts.sha256))
            return None
        kept = await asyncio.to_thread(keep, place.path, facts.sha256, self._alerting.settings.trust.store)
        verdict = await self._storage.run(lambda c: self._commit(c, step, facts, place, kept))
        if self._settings.compare:
            await self._compare(facts, verdict, place, kept or place.path, sides)
        if verdict.outcome is Outcome.PASSED and kept is not None:
            await self._storage.run(lambda c: self._let_go(c, facts.sha256, kept))
        return verdict

    async def _compare(
        self, facts: PackageFacts, verdict: Verdict, place: Place, package: Path, sides: tuple[Path, ...]
    ) -> None:
        """Ask installed native tools about the same file, and alert where one disagrees; the verdict stays what it is."""
        hints, vendor = hints_of(facts), place.vendor_id or ANY_VENDOR
        candidates = await self._storage.run(lambda c: query.candidates(c, vendor, hints))
        keys = keys_at_hand(facts, candidates)
        try:
            compared = await asyncio.to_thread(ask_tools, verdict, package, sides, keys)
        except OSError as error:
            fault = error
            await self._storage.run(
                lambda c: self._alerting.report_fault(c, f"asking native tools about {place.path}", fault)
            )
            return
        await self._storage.run(lambda c: self._alerting.report_disagreement(c, verdict, place, compared))

    async def _read(self, path: Path, sides: tuple[Path, ...], vendor_id: str | None) -> PackageFacts | Problem:
        loop = asyncio.get_running_loop()

        def candidates_for(hints: Iterable[Identifier]) -> tuple[CandidateKey, ...]:
            known = tuple(hints)
            asked = self._storage.run(lambda c: query.candidates(c, vendor_id or ANY_VENDOR, known))
            return asyncio.run_coroutine_threadsafe(asked, loop).result()

        try:
            facts = await asyncio.to_thread(read_with_keys, path, sides, self._reader, candidates_for, ReadLimits())
        except PackageUnreadableError as error:
            return Problem(Reason.UNREADABLE, str(error)[:500])
        if not facts.sha256:  # not read to its end, so there is nothing that could be saved about it
            return facts.problem or Problem(Reason.UNREADABLE, "the file could not be read to its end")
        return facts

    def _commit(
        self, connection: sqlite3.Connection, step: Examine, facts: PackageFacts, place: Place, kept: Path | None
    ) -> Verdict:
        """Facts, verdict, alert and the file's status in one transaction: after a crash either all of it is there or none."""
        with transaction(connection):
            verdict = self._alerting.record(connection, facts, place, kept)
            self._remember(connection, step, IntakeStatus.CHECKED, facts.sha256)
        return verdict

    def _unread(self, connection: sqlite3.Connection, step: Examine, place: Place, problem: Problem) -> Verdict:
        """A file that cannot be read is told once; it is tried again when it, its owner or its mode changes."""
        with transaction(connection):
            verdict = self._alerting.report_unread(connection, place, problem)
            self._remember(connection, step, IntakeStatus.CHECKED, None)
        return verdict

    def _remember(
        self, connection: sqlite3.Connection, step: Examine, status: IntakeStatus, sha256: str | None
    ) -> None:
        row = IntakeRow(step.path, step.stamp, status, step.first_seen_at)
        save_row(connection, row, step.vendor_id, sha256, self._now())
        self._alerting.settle_fault(connection, self._name_of(step))

    def _let_go(self, connection: sqlite3.Connection, sha256: str, kept: Path) -> None:
        """A package that passed needs no second look."""
        with transaction(connection):
            forget_retained(connection, sha256)
        kept.unlink(missing_ok=True)

    def _known_vendor(self, vendor_id: str | None) -> str | None:
        """The folder's vendor if it is configured; an unknown folder states nobody."""
        return vendor_id if vendor_id and self._alerting.settings.trust.vendor(vendor_id) else None


def drop_folder(directory: Path, vendors: tuple[str, ...]) -> None:
    """Create the incoming folder and one for each vendor, as open as the incoming folder; existing ones keep their modes.

    Call it before there are other threads: the umask belongs to the whole process.
    """
    directory.mkdir(mode=0o770, parents=True, exist_ok=True)
    opened = directory.stat().st_mode & 0o777
    mask = os.umask(0o777 & ~opened)  # chmod would take away the set-group-id bit that a folder inherits
    try:
        for vendor in vendors:
            (directory / vendor).mkdir(mode=opened, exist_ok=True)
    finally:
        os.umask(mask)
    for folder in (directory, *(directory / vendor for vendor in vendors)):
        if not os.access(folder, os.R_OK | os.X_OK):
            raise PermissionError(f"{folder} cannot be read")
