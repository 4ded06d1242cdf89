"""How the benchmarks measure: two things in turn, so that a machine that slows down slows both."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Row:
    """One line of the table; ``limit`` None: only told."""

    what: str
    measured: float
    limit: float | None = None

    @property
    def kept(self) -> bool:
        """Whether the limit is kept."""
        return self.limit is None or self.measured <= self.limit


def ratio(ours: Callable[[], object], baseline: Callable[[], object], *, rounds: int) -> float:
    """Median of the ratios of wall times."""
    ratios = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        ours()
        middle = time.perf_counter()
        baseline()
        ratios.append((middle - start) / (time.perf_counter() - middle))
    return statistics.median(ratios[1:])  # the first round fills the caches


def least_ratio(ours: Callable[[], object], baseline: Callable[[], object], *, rounds: int) -> float:
    """Ratio of the shortest wall times of each: for what takes so little that anything else running would be measured instead."""
    mine, theirs = [], []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        ours()
        middle = time.perf_counter()
        baseline()
        mine.append(middle - start)
        theirs.append(time.perf_counter() - middle)
    return min(mine[1:]) / min(theirs[1:])
