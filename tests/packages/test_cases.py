from __future__ import annotations

import pytest

from tests.packages.table import Case, cases, verdict_of
from trust_store.formats.registry import READERS

EVERYTHING = cases()


@pytest.mark.parametrize("case", EVERYTHING, ids=lambda case: case.id)
def test_fixture_gets_the_verdict_of_the_table(case: Case) -> None:
    """A package made by the format's own tool (or from its specification) gets the format, outcome and reason in the table."""
    verdict = verdict_of(case)
    found = (verdict.format, verdict.outcome.value, verdict.reason.value)
    assert found == case.expected, (verdict.summary, verdict.also, verdict.coverage)


def test_every_reader_has_fixtures() -> None:
    """Every reader stands in the table as the format of a package that passes and of one that does not, but the catch-alls."""
    passing = {case.values["format"] for case in EVERYTHING if case.values["outcome"] == "passed"}
    others = {case.values["format"] for case in EVERYTHING if case.values["outcome"] != "passed"}
    assert {entry.name for entry in READERS} <= passing & others


def test_no_two_cases_have_one_name() -> None:
    """A case is known by its name."""
    names = [case.id for case in EVERYTHING]
    assert len(names) == len(set(names))
