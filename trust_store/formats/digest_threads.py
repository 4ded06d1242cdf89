"""Several digests of one large stream, each in a thread of its own: hashlib lets go of the interpreter lock while it works."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trust_store.signatures.protocol import DigestState

MAX_DIGEST_THREADS = 4
READ_AHEAD_CHUNKS = 4


class DigestThreads:
    """Feeds every chunk to every state, in order. The states may be looked at only after ``drain``."""

    def __init__(self, states: Sequence[DigestState]) -> None:
        count = min(len(states), MAX_DIGEST_THREADS)
        self._groups = [states[start::count] for start in range(count)]
        self._executors = [ThreadPoolExecutor(1) for _ in self._groups]  # one thread each keeps the order
        self._pending: deque[list[Future[None]]] = deque()

    def update(self, data: bytes) -> None:
        """Take the next chunk; waits where the slowest digest is READ_AHEAD_CHUNKS behind."""
        pairs = zip(self._executors, self._groups, strict=True)
        self._pending.append([executor.submit(_update, group, data) for executor, group in pairs])
        if len(self._pending) > READ_AHEAD_CHUNKS:
            self._wait()

    def drain(self) -> None:
        """Wait until every chunk is in every digest."""
        while self._pending:
            self._wait()

    def close(self) -> None:
        """End the threads."""
        self.drain()
        for executor in self._executors:
            executor.shutdown()

    def _wait(self) -> None:
        for future in self._pending.popleft():
            future.result()


def _update(states: Sequence[DigestState], data: bytes) -> None:
    for state in states:
        state.update(data)
