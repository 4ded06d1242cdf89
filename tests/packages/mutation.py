"""Changed bytes in package fixtures: ``python -m tests.packages.mutation`` flips every byte of every fixture that passes.

A byte that the coverage map does not call inert must matter: with it changed the package does not pass. ``make test`` runs a sample.
"""

from __future__ import annotations

import multiprocessing
import random
import sys
import time
from typing import TYPE_CHECKING

from tests.packages.table import Case, cases, verdict_of
from trust_store.model.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

SMALL_BYTES = 4096
SAMPLED = 512
PIECE = 2048
"""Positions that one process tries at a time."""


def mutated() -> tuple[Case, ...]:
    """The cases whose bytes are changed."""
    return tuple(case for case in cases() if case.values.get("mutate"))


def sample(case: Case, size: int) -> list[int]:
    """Every byte of a small file, a seeded sample of a larger one."""
    if size <= SMALL_BYTES:
        return list(range(size))
    return sorted(random.Random(case.id).sample(range(size), SAMPLED))  # noqa: S311 - the same sample each time


def inert_at(verdict: Verdict, position: int) -> bool:
    """Whether the coverage map says that no signature covers the byte, and that it may be so: only ranges say it of a byte."""
    return any(
        u.inert and u.start is not None and u.end is not None and u.start <= position < u.end
        for u in verdict.coverage.uncovered
    )


def survivors(case: Case, positions: Iterable[int]) -> list[int]:
    """Positions at which a changed byte leaves the package passed although the coverage map does not let it."""
    data = case.file.read_bytes()
    verdict = verdict_of(case)
    if verdict.outcome is not Outcome.PASSED:
        raise AssertionError(f"{case.id} does not pass to begin with: {verdict.summary}")
    found: list[int] = []
    for position in positions:
        if inert_at(verdict, position):
            continue
        changed = bytearray(data)
        changed[position] ^= 1 << (position % 8)
        if verdict_of(case, bytes(changed)).outcome is Outcome.PASSED:
            found.append(position)
    return found


def raised(case: Case, positions: Iterable[int]) -> list[int]:
    """Inert positions at which a changed byte makes anything but a verdict: they are tried for crashes alone."""
    data = case.file.read_bytes()
    found: list[int] = []
    for position in positions:
        changed = bytearray(data)
        changed[position] ^= 0xFF
        try:
            verdict_of(case, bytes(changed))
        except Exception:  # noqa: BLE001 - that is the finding
            found.append(position)
    return found


def _piece(task: tuple[Case, int, int]) -> tuple[str, int, list[int]]:
    case, start, end = task
    positions = range(start, end)
    return case.id, len(positions), survivors(case, positions) + raised(case, positions)


def main() -> int:
    """Flip every byte; exit 1 if one that matters does not."""
    tasks = [
        (case, start, min(start + PIECE, case.file.stat().st_size))
        for case in mutated()
        for start in range(0, case.file.stat().st_size, PIECE)
    ]
    tally: dict[str, tuple[int, list[int]]] = {}
    begun = time.monotonic()
    with multiprocessing.get_context("spawn").Pool() as pool:
        for done, (name, tried, found) in enumerate(pool.imap_unordered(_piece, tasks), 1):
            before = tally.get(name, (0, []))
            tally[name] = (before[0] + tried, before[1] + found)
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{done}/{len(tasks)} pieces, {time.monotonic() - begun:.0f} s")
    sys.stdout.write("| fixture | bytes changed | survivors |\n|---|---:|---:|\n")
    for name in sorted(tally):
        tried, found = tally[name]
        sys.stdout.write(f"| {name} | {tried} | {len(found)} |" + (f" at {sorted(found)[:20]}\n" if found else "\n"))
    totals = sum(t for t, _ in tally.values()), sum(len(f) for _, f in tally.values())
    sys.stdout.write(f"| all {len(tally)} | {totals[0]} | {totals[1]} |\n")
    return 1 if any(found for _, found in tally.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
