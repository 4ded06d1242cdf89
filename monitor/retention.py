"""Keeps packages that did not pass for another look, up to the configured bytes and days.

Kept as ``retained/<sha256>``: a hard link where that is possible, else a copy. What is kept is hashed again whenever it is read,
so a file changed behind our back is never taken for the one that was checked. Proposals that nobody decides are not kept open for
ever either.
"""

from __future__ import annotations

import os
import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

from trust_store.anchor_management import lapse_proposals
from trust_store.storage import facts as stored
from trust_store.storage.connection import transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from trust_store.model.vendor import Vendor
    from trust_store.settings import StoreSettings
    from trust_store.storage.facts import Retained


def keep(package: Path, sha256: str, settings: StoreSettings) -> Path | None:
    """Link or copy ``package`` into the retained folder; None where neither is possible (the alert does not depend on it)."""
    target = settings.retained / sha256
    try:
        settings.retained.mkdir(mode=0o700, parents=True, exist_ok=True)
        if target.exists():
            return target
        try:
            os.link(package, target, follow_symlinks=False)
        except OSError:
            _copy(package, target)
    except OSError:
        return None
    return target


def surplus(kept: tuple[Retained, ...], settings: StoreSettings, at: datetime) -> tuple[Retained, ...]:
    """Which of ``kept`` (oldest first) go: those older than ``retain_days``, then the oldest until ``retain_bytes`` holds (pure)."""
    limit = at - timedelta(days=settings.retain_days)
    gone = [r for r in kept if r.retained_at < limit]
    left = [r for r in kept if r.retained_at >= limit]
    total = sum(r.size for r in left)
    for oldest in left:
        if total <= settings.retain_bytes:
            break
        gone.append(oldest)
        total -= oldest.size
    return tuple(gone)


def enforce(connection: sqlite3.Connection, settings: StoreSettings, at: datetime) -> int:
    """Remove what is surplus, file first, and return how many packages went; a file that cannot be removed goes up after the others."""
    gone: list[Retained] = []
    faults: list[OSError] = []
    for package in surplus(stored.retained(connection), settings, at):
        try:
            package.path.unlink(missing_ok=True)
        except OSError as error:
            faults.append(error)
        else:
            gone.append(package)
    with transaction(connection):
        for package in gone:
            stored.forget_retained(connection, package.package_sha256)
    if faults:
        raise faults[0]
    return len(gone)


def _copy(package: Path, target: Path) -> None:
    """Copy to a temporary name, flush, rename: a half copy never has the final name."""
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with package.open("rb") as source, draft.open("xb") as copy:
            shutil.copyfileobj(source, copy, 1024 * 1024)
            copy.flush()
            os.fsync(copy.fileno())
        draft.rename(target)
    finally:
        draft.unlink(missing_ok=True)


def lapse(connection: sqlite3.Connection, vendors: Iterable[Vendor], at: datetime) -> tuple[str, ...]:
    """Close the proposals that nobody decided within their vendor's ``proposal_lapse_days``; returns their anchors' ids."""
    closed: list[str] = []
    for vendor in vendors:
        closed += lapse_proposals(connection, at, vendor.policy.proposal_lapse_days, vendor.id)
    return tuple(closed)
