"""Slots for readings: so many of one user, so many in all, and one that nobody waits for is free again."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from trust_store.api import readings
from trust_store.api.problems import ProblemError
from trust_store.api.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trust_store.verifier import FactReader


class Server:
    """Readers that read until they are closed or released."""

    def __init__(self) -> None:
        self.released, self.begun, self.closed = threading.Event(), 0, 0

    @contextmanager
    def apart(self) -> Iterator[Any]:
        """One reader."""
        yield One(self)


class One:
    """One reading."""

    def __init__(self, server: Server) -> None:
        self.server, self.over = server, threading.Event()

    def read(self, *_: object) -> Any:
        """Wait."""
        self.server.begun += 1
        while not self.over.is_set() and not self.server.released.wait(0.01):
            pass

    def close(self) -> None:
        """End it."""
        self.server.closed += 1
        self.over.set()


def reading(reader: FactReader) -> str:
    """What an answer does with its reader."""
    reader.read(0, (), (), None)  # type: ignore[arg-type]
    return "read"


async def test_so_many_run_and_the_others_wait() -> None:
    """Two of one user and four in all run at a time; the others get their turn, and everybody his answer."""
    server = Server()
    slots = Readings(server)
    asked = [asyncio.create_task(slots.run(asker, reading)) for asker in ("a", "a", "a", "b", "b", "c", "c")]
    await asyncio.sleep(0.2)
    assert server.begun == 4
    server.released.set()
    assert await asyncio.gather(*asked) == ["read"] * 7


async def test_a_reading_that_is_cancelled_frees_its_slot() -> None:
    """Whoever goes away, waiting or being read for, leaves his place to the next."""
    server = Server()
    slots = Readings(server, of_a_user=1)
    first, second = (asyncio.create_task(slots.run("a", reading)) for _ in range(2))
    await asyncio.sleep(0.1)
    second.cancel()
    first.cancel()
    await asyncio.wait({first, second})
    assert (first.cancelled(), second.cancelled(), server.begun, server.closed) == (True, True, 1, 1)
    server.released.set()
    assert await slots.run("a", reading) == "read"


async def test_who_has_waited_long_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """No slot in a minute: 503, not an endless wait."""
    monkeypatch.setattr(readings, "WAIT_SECONDS", 0.1)
    server = Server()
    slots = Readings(server, of_a_user=1)
    first = asyncio.create_task(slots.run("a", reading))
    await asyncio.sleep(0)
    with pytest.raises(ProblemError) as refused:
        await slots.run("a", reading)
    server.released.set()
    await first
    assert refused.value.status == 503
