from __future__ import annotations

import random

import pytest

from tests.packages.table import Case, cases, verdict_of
from trust_store.model.verdict import Outcome, Verdict

SMALL_BYTES = 4096
SAMPLED = 512
MUTATED = tuple(case for case in cases() if case.values.get("mutate"))


def positions(case: Case, size: int, *, everything: bool = False) -> list[int]:
    """Every byte of a small file, a seeded sample of a larger one."""
    if everything or size <= SMALL_BYTES:
        return list(range(size))
    return sorted(random.Random(case.id).sample(range(size), SAMPLED))  # noqa: S311 - the same sample each time


def inert_at(verdict: Verdict, position: int) -> bool:
    """Whether the coverage map says that no signature covers the byte, and why it may."""
    return any(
        u.inert
        and (u.member is not None or (u.start is not None and u.end is not None and u.start <= position < u.end))
        for u in verdict.coverage.uncovered
    )


def survivors(case: Case, *, everything: bool = False) -> list[int]:
    """Positions at which a changed byte leaves the package passed although the coverage map does not let it."""
    data = case.file.read_bytes()
    verdict = verdict_of(case)
    assert verdict.outcome is Outcome.PASSED, (case.id, verdict.summary)
    found: list[int] = []
    for position in positions(case, len(data), everything=everything):
        changed = bytearray(data)
        changed[position] ^= 1 << (position % 8)
        if verdict_of(case, bytes(changed)).outcome is Outcome.PASSED and not inert_at(verdict, position):
            found.append(position)
    return found


@pytest.mark.parametrize("case", MUTATED, ids=lambda case: case.id)
def test_every_covered_byte_matters(case: Case) -> None:
    """A package that passes does not pass with any covered byte changed: only bytes that the map calls inert may be others."""
    assert survivors(case) == []
