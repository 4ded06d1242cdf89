"""The daemon's process: its memory bounded, its log in the journal, its end at once."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import sys
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import Coroutine

_M_ARENA_MAX, _ARENAS = -8, 2
_CANCEL_SECONDS = 1.0


def bound_arenas() -> None:
    """Keep glibc to two malloc arenas (mallopt(3)): with one a thread, memory that was used once is never used by another."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


def log_to_journal() -> None:
    """One line an event on standard error, without control characters; the journal adds the time."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.KeyValueRenderer(key_order=["level", "event"]),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.getLogger("apscheduler").setLevel(logging.WARNING)


async def finished_before(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Whether ``work`` came to its end before it was time to stop; else it is cancelled, and what is left is done at the next start."""
    task, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([task, stopped], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        return task.done()
    finally:
        stopped.cancel()
        task.cancel()
        await asyncio.wait([task], timeout=_CANCEL_SECONDS)
