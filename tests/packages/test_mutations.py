from __future__ import annotations

import pytest

from tests.packages.mutation import mutated, raised, sample, survivors
from tests.packages.table import Case


@pytest.mark.parametrize("case", mutated(), ids=lambda case: case.id)
def test_every_covered_byte_matters(case: Case) -> None:
    """A package that passes does not pass with any covered byte changed: only ranges that the map calls inert may hold others."""
    assert survivors(case, sample(case, case.file.stat().st_size)) == []


@pytest.mark.parametrize("case", mutated(), ids=lambda case: case.id)
def test_no_changed_byte_makes_anything_but_a_verdict(case: Case) -> None:
    """Whatever byte is changed, the answer is a verdict."""
    assert raised(case, sample(case, case.file.stat().st_size)[::8]) == []
