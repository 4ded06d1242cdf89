"""What the team decided against is held in observe mode, whatever else is wrong with the package."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.escalation.conftest import make_verdict
from trust_store.cli.gate import HELD_ANYWAY, held_anyway
from trust_store.model.verdict import Reason


@pytest.mark.parametrize("decided", sorted(HELD_ANYWAY))
@pytest.mark.parametrize("before", [Reason.UNCOVERED_CONTENT, Reason.INVALID_SIGNATURE, Reason.UNSIGNED])
def test_a_decision_against_the_package_counts_beside_another_reason(decided: str, before: Reason) -> None:
    """A blocked package with a member smuggled in is a blocked package: the reason that goes before hides nothing."""
    assert held_anyway(make_verdict(Reason(decided)))
    assert held_anyway(replace(make_verdict(before), also=("unknown_root", decided)))
    assert not held_anyway(replace(make_verdict(before), also=("unknown_root",)))
