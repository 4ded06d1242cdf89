"""What is fuzzed of package formats: every reader, on the packages of the table that pass, under the anchors that let them pass."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.packages.table import Case, cases, facts_and_verdict
from trust_store.decode.facts_json import facts_from_json, facts_to_json
from trust_store.model.verdict import Outcome

if TYPE_CHECKING:
    from tests.fuzz_targets import Target
    from trust_store.model.verdict import Verdict


def targets() -> tuple[Target, ...]:
    """One target a format: the first case whose bytes are changed, seeded with all packages of its folder."""
    from tests.fuzz_targets import Target  # joins these to its own

    found: list[Target] = []
    everything = cases()
    for folder in dict.fromkeys(case.folder for case in everything):
        case = next((c for c in everything if c.folder == folder and c.values.get("mutate")), None)
        if case is not None:
            seeds = {c.file: c.file.read_bytes() for c in everything if c.folder == folder and c.file.is_file()}
            run = partial(_judge, case, tuple(seeds.values()))
            found.append(Target(f"package: {case.id}", run, (case.file.read_bytes(), *seeds.values()), ()))
    return tuple(found)


def _judge(case: Case, seeds: tuple[bytes, ...], data: bytes) -> None:
    """Read and judge in place of the case's file; what passes must be a package of the table, but for bytes that may be others."""
    from tests.fuzz_targets import LieError

    facts, verdict = facts_and_verdict(case, data)
    if facts is not None and facts_from_json(facts_to_json(facts)) != facts:
        raise LieError("the facts do not survive the worker's wire")
    if verdict.outcome is Outcome.PASSED and covered(data, verdict) not in _passing(case, seeds):
        raise LieError("passed, and the content is not what was signed")


_PASSING: dict[str, frozenset[bytes]] = {}


def _passing(case: Case, seeds: tuple[bytes, ...]) -> frozenset[bytes]:
    """The covered bytes of every seed that passes in place of the case's file."""
    if case.id not in _PASSING:
        verdicts = ((seed, facts_and_verdict(case, seed)[1]) for seed in seeds)
        _PASSING[case.id] = frozenset(covered(seed, v) for seed, v in verdicts if v.outcome is Outcome.PASSED)
    return _PASSING[case.id]


def covered(data: bytes, verdict: Verdict) -> bytes:
    """The bytes that no range of the coverage map calls inert."""
    pieces: list[bytes] = []
    position = 0
    ranges = [
        (u.start, u.end) for u in verdict.coverage.uncovered if u.inert and u.start is not None and u.end is not None
    ]
    for start, end in sorted(ranges):
        pieces.append(data[position : max(start, position)])
        position = max(position, end)
    return b"".join((*pieces, data[position:]))
