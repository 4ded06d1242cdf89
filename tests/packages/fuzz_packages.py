"""What is fuzzed of package formats: every reader, on the packages of the table that pass, under the anchors that let them pass."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.packages.mutation import inert_at
from tests.packages.table import Case, cases, facts_and_verdict
from trust_store.decode.facts_json import facts_from_json, facts_to_json
from trust_store.model.verdict import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.fuzz_targets import Target


def targets() -> tuple[Target, ...]:
    """One target a format: the first case whose bytes are changed, seeded with all packages of its folder."""
    from tests.fuzz_targets import Target  # joins these to its own

    found: list[Target] = []
    everything = cases()
    for folder in dict.fromkeys(case.folder for case in everything):
        case = next((c for c in everything if c.folder == folder and c.values.get("mutate")), None)
        if case is not None:
            seeds = {c.file: c.file.read_bytes() for c in everything if c.folder == case.folder and c.file.is_file()}
            run = partial(_judge, case, tuple(seeds.values()))
            found.append(Target(f"package: {case.id}", run, (case.file.read_bytes(), *seeds.values()), ()))
    return tuple(found)


def _judge(case: Case, seeds: tuple[bytes, ...], data: bytes) -> None:
    """Read and judge in place of the case's file; what passes must be a package of the table, but for bytes that may be others."""
    from tests.fuzz_targets import LieError

    facts, verdict = facts_and_verdict(case, data)
    if facts is not None and facts_from_json(facts_to_json(facts)) != facts:
        raise LieError("the facts do not survive the worker's wire")
    if verdict.outcome is Outcome.PASSED and not any(_same(seed, data, verdict) for seed in seeds):
        raise LieError("passed, and the content is not what was signed")


def _same(seed: bytes, data: bytes, verdict: object) -> bool:
    """Whether the two differ only in bytes that the map of what passed calls inert."""
    if len(seed) != len(data):
        return False
    return all(inert_at(verdict, n) for n in _differences(seed, data))  # type: ignore[arg-type]


def _differences(one: bytes, other: bytes) -> Iterable[int]:
    return (n for n, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)
