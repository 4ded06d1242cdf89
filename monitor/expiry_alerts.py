"""Tells what will stop verifying: 90, 30, 7 and 1 day before, once each, all that ends together in one alert.

``trust_store.forecast`` says what ends; here is only how often and how loudly it is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from escalation.deduplication import notice_key
from escalation.model import Severity
from escalation.rules import notice
from escalation.triage import raise_alert, resolve_matter
from monitor.faults import STORE_ERRORS
from trust_store.forecast import PACKAGE
from trust_store.model.identifiers import format_time
from trust_store.storage.connection import transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from escalation.model import AlertDraft
    from trust_store.forecast import Expiry

KIND = "expiring"
STEPS: tuple[tuple[int, Severity], ...] = (
    (1, Severity.HIGH),
    (7, Severity.MEDIUM),
    (30, Severity.LOW),
    (90, Severity.LOW),
)
"""Days before the end and how loudly it is told then, the nearest first."""
HORIZON = timedelta(days=STEPS[-1][0])
MAX_LINES = 40


@dataclass(frozen=True, slots=True)
class ExpiryNotice:
    """One alert to raise, and the keys of the earlier ones that it takes the place of."""

    draft: AlertDraft
    replaces: tuple[str, ...]


def expiry_notices(expiries: Iterable[Expiry], at: datetime) -> tuple[ExpiryNotice, ...]:
    """One notice for each vendor and moment at which something ends within 90 days of ``at``; pure."""
    together: dict[tuple[str, datetime], list[Expiry]] = {}
    for expiry in expiries:
        if at < expiry.at <= at + HORIZON:
            together.setdefault((expiry.vendor, expiry.at), []).append(expiry)
    return tuple(_notice(vendor, when, found, at) for (vendor, when), found in sorted(together.items()))


def tell(
    connection: sqlite3.Connection,
    expiries: Iterable[Expiry],
    *,
    channels: Iterable[str],
    at: datetime,
    randomness: Callable[[int], bytes],
) -> None:
    """Raise what is to be told, each in one transaction; an alert that stands is only counted up, the one of the step before is resolved.

    What one of them raises goes up only after the others.
    """
    faults: list[Exception] = []
    for told in expiry_notices(expiries, at):
        try:
            with transaction(connection):
                for key in told.replaces:
                    resolve_matter(connection, key, "told again, nearer to the end", at)
                raise_alert(connection, told.draft, channels=channels, at=at, randomness=randomness)
        except STORE_ERRORS:
            raise
        except Exception as error:  # noqa: BLE001 - one notice that cannot be written keeps back no other
            faults.append(error)
    if faults:
        raise faults[0]


def _notice(vendor: str, when: datetime, found: list[Expiry], at: datetime) -> ExpiryNotice:
    days, severity = next(step for step in STEPS if when <= at + timedelta(days=step[0]))
    packages = sorted({e.product for e in found if e.what == PACKAGE and e.product})
    others = [e for e in found if e.what != PACKAGE]
    lines = [f"{e.what}: {e.why}" + (f" ({e.anchor_id})" if e.anchor_id else "") for e in others]
    lines += [f"does not pass any more: {name}" for name in packages]
    more = (
        [f"and {len(lines) - MAX_LINES} more: rootwarden anchor forecast --vendor {vendor}"]
        if len(lines) > MAX_LINES
        else []
    )
    what = f"{len(packages)} product(s) stop passing" if packages else "a trust anchor ends"
    draft = notice(
        KIND,
        f"within_{days}_days",
        severity,
        f"{vendor}: {what} on {when:%Y-%m-%d}",
        subject=_subject(when, days),
        summary=f"at {format_time(when)}; ask the vendor what takes its place, then: rootwarden anchor import",
        lines=[*lines[:MAX_LINES], *more],
        vendor_id=vendor,
    )
    return ExpiryNotice(
        draft, tuple(notice_key(KIND, vendor, _subject(when, step)) for step, _ in STEPS if step > days)
    )


def _subject(when: datetime, days: int) -> str:
    return f"{format_time(when)} within {days}"
