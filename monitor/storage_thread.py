"""The daemon's one storage thread: it alone owns the connection, and everybody else awaits it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

T = TypeVar("T")


class StorageThread:
    """Runs functions of a connection one after another on a thread of its own; no connection or row leaves that thread."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="storage")
        self._connection: sqlite3.Connection | None = None

    async def run(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Return ``function(connection)``; what it raises comes back. A cancelled wait does not cancel the work."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._call, function)

    def close(self) -> None:
        """Finish what was handed in, then close the connection."""
        self._executor.submit(self._disconnect).result()
        self._executor.shutdown(wait=True)

    def _call(self, function: Callable[[sqlite3.Connection], T]) -> T:
        if self._connection is None:
            self._connection = self._connect()
        return function(self._connection)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
