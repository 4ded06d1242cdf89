from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.intake_plan import IntakeRow, IntakeStatus, IntakeTiming, Sight, Steady, plan_intake

T0 = datetime(2026, 1, 1, tzinfo=UTC)
TIMING = IntakeTiming(settle=timedelta(seconds=2), sidecar_wait=timedelta(seconds=30))


def at(seconds: float) -> datetime:
    """Seconds after the start of the test's time."""
    return T0 + timedelta(seconds=seconds)


def paths(plan: object) -> list[str]:
    """The paths a plan examines."""
    return [e.path for e in plan.examine]  # type: ignore[attr-defined]


def test_new_file_is_left_alone_until_it_has_settled() -> None:
    """A file seen for the first time is not examined before it was unchanged for the settle time."""
    first = plan_intake((Sight("dten/a.zip", "1"),), {}, {}, TIMING, at(0))
    early = plan_intake((Sight("dten/a.zip", "1"),), {}, first.steady, TIMING, at(1.9))
    ready = plan_intake((Sight("dten/a.zip", "1"),), {}, early.steady, TIMING, at(2))
    assert (paths(first), paths(early), paths(ready)) == ([], [], ["dten/a.zip"])
    assert first.next_look == at(2)
    assert ready.examine[0].vendor_id == "dten"


def test_growing_file_starts_to_settle_anew() -> None:
    """Every change of the fingerprint starts the settle time again."""
    first = plan_intake((Sight("v/a", "1"),), {}, {}, TIMING, at(0))
    grown = plan_intake((Sight("v/a", "2"),), {}, first.steady, TIMING, at(2))
    assert paths(grown) == []
    assert paths(plan_intake((Sight("v/a", "2"),), {}, grown.steady, TIMING, at(4))) == ["v/a"]


def test_file_open_for_writing_is_never_examined() -> None:
    """A writer that pauses longer than the settle time keeps the file from being examined."""
    plan = plan_intake((Sight("v/a", "1", being_written=True),), {}, {"v/a": Steady("1", at(0))}, TIMING, at(60))
    assert paths(plan) == []


def test_side_file_is_part_of_its_package() -> None:
    """A side file is not a package of its own, and is handed over with the package as final."""
    sights = (Sight("v/a", "1"), Sight("v/a.asc", "7"))
    plan = plan_intake(sights, {}, {"v/a": Steady("1|v/a.asc=7", at(0))}, TIMING, at(5))
    assert paths(plan) == ["v/a"]
    assert plan.examine[0].side_paths == ("v/a.asc",)
    assert plan.examine[0].final


def test_side_file_being_written_holds_the_package_back() -> None:
    """A package is not examined while one of its side files is still open for writing."""
    sights = (Sight("v/a", "1"), Sight("v/a.asc", "7", being_written=True))
    assert paths(plan_intake(sights, {}, {"v/a": Steady("1|v/a.asc=7", at(0))}, TIMING, at(5))) == []


def test_package_without_side_files_is_examined_again_at_the_deadline() -> None:
    """A waiting package is looked at again when the wait for side files is over, and then for good."""
    row = IntakeRow("v/a", "1", IntakeStatus.WAITING, at(0))
    steady = {"v/a": Steady("1", at(0))}
    waiting = plan_intake((Sight("v/a", "1"),), {"v/a": row}, steady, TIMING, at(10))
    over = plan_intake((Sight("v/a", "1"),), {"v/a": row}, steady, TIMING, at(30))
    assert (paths(waiting), waiting.next_look) == ([], at(30))
    assert over.examine[0].final


def test_later_side_file_opens_a_checked_package_again() -> None:
    """A side file that arrives after the verdict reopens the check."""
    row = IntakeRow("v/a", "1", IntakeStatus.CHECKED, at(0))
    sights = (Sight("v/a", "1"), Sight("v/a.p7s", "3"))
    plan = plan_intake(sights, {"v/a": row}, {"v/a": Steady("1|v/a.p7s=3", at(100))}, TIMING, at(102))
    assert paths(plan) == ["v/a"]


def test_checked_package_is_not_examined_twice() -> None:
    """An unchanged checked file costs nothing."""
    row = IntakeRow("v/a", "1", IntakeStatus.CHECKED, at(0))
    assert plan_intake((Sight("v/a", "1"),), {"v/a": row}, {"v/a": Steady("1", at(0))}, TIMING, at(99)).examine == ()


@pytest.mark.parametrize(("seconds", "expected"), [(29, []), (30, ["v/lost.asc"])])
def test_side_file_without_package_is_examined_in_the_end(seconds: int, expected: list[str]) -> None:
    """A side file whose package never comes is not forgotten."""
    plan = plan_intake((Sight("v/lost.asc", "1"),), {}, {"v/lost.asc": Steady("1", at(0))}, TIMING, at(seconds))
    assert paths(plan) == expected


def test_hidden_file_gets_an_hour() -> None:
    """A dot file counts as an upload in progress for an hour, then is examined like any other."""
    steady = {"v/.a.part": Steady("1", at(0))}
    sights = (Sight("v/.a.part", "1"),)
    assert paths(plan_intake(sights, {}, steady, TIMING, at(3599))) == []
    assert paths(plan_intake(sights, {}, steady, TIMING, at(3600))) == ["v/.a.part"]


def test_file_in_no_vendor_folder_has_no_vendor() -> None:
    """A file dropped beside the vendor folders is examined, for no vendor."""
    plan = plan_intake((Sight("a.zip", "1"),), {}, {"a.zip": Steady("1", at(0))}, TIMING, at(5))
    assert plan.examine[0].vendor_id is None


@given(
    st.lists(st.tuples(st.sampled_from(["v/a", "v/a.asc", "v/b", "c"]), st.integers(0, 2)), unique_by=lambda t: t[0])
)
def test_every_file_is_in_the_end_examined(files: list[tuple[str, int]]) -> None:
    """Whatever lies in the folder unchanged is examined after the waits, alone or as a side file: nothing is lost."""
    sights = tuple(Sight(path, str(stamp)) for path, stamp in files)
    first = plan_intake(sights, {}, {}, TIMING, at(0))
    last = plan_intake(sights, {}, first.steady, TIMING, at(40))
    seen = {p for e in last.examine for p in (e.path, *e.side_paths)}
    assert seen == {path for path, _ in files}
