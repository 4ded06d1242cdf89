"""Writes down how polls ended, many at a time: one commit for up to 200 of them or what came within 250 ms.

Only clocks and validators go through here. What is lost in a crash is fetched again; what a vendor said is stored before.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from monitor.storage.sources import forget_resources, record, save_resources
from trust_store.storage.connection import transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Coroutine
    from datetime import datetime

    from monitor.config import Source
    from monitor.pipeline import StorageRun
    from monitor.storage.sources import ReadResource, SourceState

MAX_ENTRIES = 200
WAIT_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The state a source's poll ended in, and the validators of what was read whole; ``recut`` drops all earlier ones."""

    source: Source
    state: SourceState
    resources: tuple[ReadResource, ...]
    recut: bool
    at: datetime


class Ledger:
    """Collects conclusions; ``close`` waits until all are written and raises what writing raised."""

    def __init__(self, storage_run: StorageRun) -> None:
        self._run = storage_run
        self._entries: list[Conclusion] = []
        self._writing: set[asyncio.Task[None]] = set()
        self._timer: asyncio.Task[None] | None = None
        self._resting = False  # the timer only sleeps, so cancelling it loses nothing

    def add(self, conclusion: Conclusion) -> None:
        """Take a conclusion; it is written within WAIT_SECONDS."""
        self._entries.append(conclusion)
        if len(self._entries) >= MAX_ENTRIES:
            self._start(self._write())
        elif self._timer is None or self._timer.done():
            self._timer = self._start(self._write_later())

    async def close(self) -> None:
        """Write what is left; raises StoreUnavailableError where something could not be written."""
        if self._timer is not None and self._resting:
            self._timer.cancel()
        await self._write()
        for done in await asyncio.gather(*self._writing, return_exceptions=True):
            if isinstance(done, Exception):
                raise done

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._writing.add(task)
        return task

    async def _write_later(self) -> None:
        self._resting = True
        await asyncio.sleep(WAIT_SECONDS)
        self._resting = False
        await self._write()

    async def _write(self) -> None:
        entries, self._entries = self._entries, []
        if entries:
            await self._run(lambda c: _write_all(c, entries))


def _write_all(connection: sqlite3.Connection, entries: list[Conclusion]) -> None:
    with transaction(connection):
        for entry in entries:
            if entry.recut:
                forget_resources(connection, entry.source)
            save_resources(connection, entry.source, entry.resources, entry.at)
            record(connection, entry.source, entry.state)
