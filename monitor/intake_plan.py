"""What to do about the files in the incoming folder: pure, so that every race is a row in a test's table.

A file is *settled* when its size, times, inode and those of its side files have not changed for ``settle`` seconds. A settled
package is examined; one without any signature waits ``sidecar_wait`` seconds from its first sighting for side files and is
then examined for good. A change of the file or of its side files, at any time, opens it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from trust_store.package_files import SIDE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

HIDDEN_SETTLE = timedelta(hours=1)


class IntakeStatus(StrEnum):
    """Where a file in the incoming folder stands; none of these is a verdict, and only ``checked`` has one."""

    WAITING = "waiting"
    CHECKED = "checked"


@dataclass(frozen=True, slots=True)
class Sight:
    """One regular file as just seen: path below the incoming folder, stat fingerprint, and whether someone still writes."""

    path: str
    stamp: str
    being_written: bool = False

    @property
    def vendor_id(self) -> str | None:
        """The first folder of the path; None for a file that lies in no vendor's folder."""
        head, slash, _ = self.path.partition("/")
        return head if slash else None


@dataclass(frozen=True, slots=True)
class IntakeRow:
    """What the store remembers of a file. ``stamp`` is the fingerprint of the file and its side files when last examined."""

    path: str
    stamp: str
    status: IntakeStatus
    first_seen_at: datetime


@dataclass(frozen=True, slots=True)
class Steady:
    """Since when a file has shown the same fingerprint."""

    stamp: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Examine:
    """Examine this package now. ``final`` says that no side file is waited for any more."""

    path: str
    vendor_id: str | None
    stamp: str
    side_paths: tuple[str, ...]
    first_seen_at: datetime
    final: bool


@dataclass(frozen=True, slots=True)
class IntakePlan:
    """What to examine now, what to remember until the next look, and when that look is due at the latest."""

    examine: tuple[Examine, ...]
    steady: Mapping[str, Steady]
    next_look: datetime | None


@dataclass(frozen=True, slots=True)
class IntakeTiming:
    """The two waits, as configured."""

    settle: timedelta
    sidecar_wait: timedelta


def plan_intake(
    sights: tuple[Sight, ...],
    rows: Mapping[str, IntakeRow],
    steady: Mapping[str, Steady],
    timing: IntakeTiming,
    at: datetime,
) -> IntakePlan:
    """Decide for every file seen. ``rows`` and ``steady`` are keyed by path; unknown rows are new files."""
    by_path = {sight.path: sight for sight in sights}
    kept: dict[str, Steady] = {}
    examine: list[Examine] = []
    due: list[datetime] = []
    for sight in sorted(sights, key=lambda s: s.path):
        if _package_of(sight.path, by_path) is not None:
            continue
        sides = tuple(sight.path + suffix for suffix in SIDE_SUFFIXES if sight.path + suffix in by_path)
        stamp = "|".join([sight.stamp, *(f"{side}={by_path[side].stamp}" for side in sides)])
        before = steady.get(sight.path)
        kept[sight.path] = before if before is not None and before.stamp == stamp else Steady(stamp, at)
        row = rows.get(sight.path)
        if row is not None and row.stamp == stamp and row.status is IntakeStatus.CHECKED:
            continue
        writing = sight.being_written or any(by_path[side].being_written for side in sides)
        first = row.first_seen_at if row is not None else kept[sight.path].since
        ready = kept[sight.path].since + _settle(sight.path, timing)
        deadline = first + timing.sidecar_wait
        if writing or at < ready:
            due.append(max(ready, at + timing.settle))
        elif row is not None and row.stamp == stamp and at < deadline:
            due.append(deadline)
        else:
            lone_side = sight.path.endswith(SIDE_SUFFIXES)
            if lone_side and at < deadline:
                due.append(deadline)
                continue
            examine.append(
                Examine(sight.path, sight.vendor_id, stamp, sides, first, final=bool(sides) or at >= deadline)
            )
    return IntakePlan(tuple(examine), kept, min(due, default=None))


def _package_of(path: str, by_path: Mapping[str, Sight]) -> str | None:
    """The package a side file lies beside, or None if ``path`` is no side file of anything there."""
    for suffix in SIDE_SUFFIXES:
        if path.endswith(suffix) and path.removesuffix(suffix) in by_path:
            return path.removesuffix(suffix)
    return None


def _settle(path: str, timing: IntakeTiming) -> timedelta:
    """Hidden files are uploads in progress by the custom of rsync and others: they get an hour, then are examined too."""
    return HIDDEN_SETTLE if path.rpartition("/")[2].startswith(".") else timing.settle
