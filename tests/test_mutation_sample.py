"""A handful of mutants of decisions that must never go unnoticed, and that the mutation run itself tells dead from alive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import mutation
from tests.mutation import Mutant, mutants_of

if TYPE_CHECKING:
    from pathlib import Path

PICKED = (
    ("monitor/intake_plan.py", "writing or at < ready", "Or -> And"),
    ("monitor/intake_plan.py", "row.status is IntakeStatus.CHECKED", "Is -> IsNot"),
    ("monitor/intake_plan.py", "at < deadline:", "Lt -> LtE"),
    ("escalation/rules.py", "rule.purpose is CallPurpose.CONFIRM_KEY", "Is -> IsNot"),
    ("escalation/deduplication.py", "return _joined(kind", "returns None"),
)


def picked(module: str, text: str, what: str) -> Mutant:
    """The mutant of this kind on the line that holds this text."""
    lines = (mutation.CHECKOUT / module).read_text().splitlines()
    return next(m for m in mutants_of(module) if text in lines[m.line - 1] and m.what == what)


def test_mutants_of_decisions_are_killed(tmp_path: Path) -> None:
    """Examined too early or twice, a call to confirm a key that nobody has, two matters as one: the tests notice each."""
    fates = mutation.run([picked(*choice) for choice in PICKED], tmp_path, known_good=True)
    assert [f.mutant for f in fates if not f.killed] == []
    assert len(fates) == len(PICKED)


def test_a_mutant_that_no_test_sees_survives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that do not look at a module kill none of its mutants: "killed" is earned."""
    monkeypatch.setattr(mutation, "TESTS", (("escalation/deduplication.py", ("escalation/test_backoff.py",)),))
    fates = mutation.run([picked(*PICKED[-1])], tmp_path)
    assert [f.killed for f in fates] == [False]


@pytest.mark.parametrize("module", mutation.modules())
def test_every_mutant_differs_and_compiles(module: str) -> None:
    """A mutant equal to the original would survive for nothing; one that does not compile would die for nothing."""
    import ast

    original = ast.unparse(ast.parse((mutation.CHECKOUT / module).read_text()))
    mutants = mutants_of(module)
    for mutant in mutants[:: max(1, len(mutants) // 10)]:
        source = mutation.source_of(mutant)
        assert source != original
        compile(source, module, "exec")


def test_every_deciding_module_has_tests() -> None:
    """Each module is mapped to test files that exist."""
    assert len(mutation.modules()) > 20
    for module in mutation.modules():
        assert all((mutation.CHECKOUT / file).is_file() for file in mutation.tests_of(module))
