"""Readings for the API: slots of its own, so that no asker keeps the intake or others from theirs, and an end when the asker goes."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol, TypeVar

from trust_store.api.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractContextManager

    from starlette.requests import Request

    from trust_store.verifier import FactReader

    class EndableReader(FactReader, Protocol):
        """A reader whose workers can be killed."""

        def close(self) -> None: ...

    class ReaderServer(Protocol):
        """Gives out readers that end alone."""

        def apart(self) -> AbstractContextManager[EndableReader]: ...


_T = TypeVar("_T")
READINGS_OF_A_USER, READINGS = 2, 4
WAIT_SECONDS = 60.0
"""Who has no slot by then is told to come again."""


class Readings:
    """Runs readings on threads that nothing else uses: two of one user at a time, four in all. Belongs to one event loop."""

    def __init__(self, server: ReaderServer, *, of_a_user: int = READINGS_OF_A_USER, in_all: int = READINGS) -> None:
        self._server, self._of_a_user, self._in_all = server, of_a_user, in_all
        self._threads = ThreadPoolExecutor(in_all, thread_name_prefix="api-reading")
        self._running: Counter[str] = Counter()
        self._freed = asyncio.Condition()

    async def run(self, asker: str, read: Callable[[FactReader], _T]) -> _T:
        """``read(reader)`` on a thread; cancelled, its workers are killed and its end is awaited. Raises ProblemError (503)."""
        async with self._slot(asker):
            with self._server.apart() as reader:
                reading = asyncio.get_running_loop().run_in_executor(self._threads, read, reader)
                try:
                    return await asyncio.shield(reading)
                except asyncio.CancelledError as error:
                    reader.close()
                    if reading.done():  # nobody cancelled this wait: the daemon has closed every reader
                        raise _busy("the daemon is stopping") from error
                    await asyncio.wait({reading})  # whose files stay open as long as it may look at them
                    raise

    @asynccontextmanager
    async def _slot(self, asker: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(WAIT_SECONDS), self._freed:
                await self._freed.wait_for(lambda: self._free(asker))
                self._running[asker] += 1
        except TimeoutError as error:
            raise _busy("too many packages are being read; ask again later") from error
        try:
            yield
        finally:
            self._running[asker] -= 1
            self._running += Counter()  # forgets whoever has none
            async with self._freed:
                self._freed.notify_all()

    def _free(self, asker: str) -> bool:
        return self._running[asker] < self._of_a_user and self._running.total() < self._in_all


async def while_connected(request: Request, work: Awaitable[_T]) -> _T:
    """What ``work`` gives; it is cancelled when the asker hangs up. Call it once the whole body has been received."""
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ProblemError(HTTPStatus.REQUEST_TIMEOUT, "the asker hung up")
    finally:
        gone.cancel()
        task.cancel()
        await asyncio.wait({task, gone})


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _busy(detail: str) -> ProblemError:
    return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, detail)
