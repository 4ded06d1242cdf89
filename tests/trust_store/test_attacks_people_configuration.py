"""What a configuration may say so that one person is two, or a wait overflows: refused when it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trust_store.errors import ConfigError
from trust_store.settings import load_trust_settings, load_vendor

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("other", ["ALICE", "\uff21lice", "alice\u200b", " alice", "\ufb01ona"])
def test_two_names_that_look_alike_are_no_two_people(other: str, tmp_path: Path) -> None:
    """One person does not become two by capitals, wide letters, ligatures or what nobody sees."""
    first = "fiona" if "ona" in other else "alice"
    file = tmp_path / "rootwarden.toml"
    file.write_text(f'[approvers]\n"{first}" = 4001\n"{other}" = 4002\n')
    with pytest.raises(ConfigError):
        load_trust_settings(file)


@pytest.mark.parametrize("field", ["hold_down_days", "proposal_lapse_days"])
@pytest.mark.parametrize("days", [-1, 36_501, 10**12])
def test_a_wait_beyond_every_date_is_refused(field: str, days: int, tmp_path: Path) -> None:
    """A number of days that no date can hold, or a negative one, is an error of the file and not of a decision."""
    file = tmp_path / "dten.toml"
    file.write_text(f'[vendor]\nid = "dten"\nname = "DTEN"\n[vendor.policy]\n{field} = {days}\n')
    with pytest.raises(ConfigError, match=field):
        load_vendor(file)
