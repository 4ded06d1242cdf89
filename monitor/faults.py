"""What an unexpected error about one item comes to: that item is told of and never passes, and every other one goes on.

Errors of the store are everybody's matter (``STORE_ERRORS``): they are never taken for one item's.
"""

from __future__ import annotations

import contextlib
import sqlite3
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from escalation.deduplication import notice_key
from escalation.model import Severity
from escalation.rules import notice
from trust_store.errors import StoreInconsistentError, StoreUnavailableError
from trust_store.model.verdict import Basis, Reason, Verdict
from trust_store.terminal import safe
from trust_store.verification.question import NOW

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from escalation.model import AlertDraft
    from trust_store.model.package_facts import PackageFacts
    from trust_store.model.verdict import ExpectedVendor

STORE_ERRORS = (StoreUnavailableError, StoreInconsistentError, sqlite3.Error)
FAULT_KIND = "internal_fault"


@contextlib.contextmanager
def taken_back_alone(connection: sqlite3.Connection) -> Iterator[None]:
    """A part of an open transaction: on any exception what was written in here is taken back, and nothing else."""
    connection.execute("SAVEPOINT one_item")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK TO one_item")
        connection.execute("RELEASE one_item")
        raise
    connection.execute("RELEASE one_item")


def fault_text(error: Exception) -> str:
    """One line for journal and alert: what went wrong, and where in the program."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return safe(f"{type(error).__name__}: {safe(str(error), 250)}{place}", 400)


def fault_key(what: str) -> str:
    """The key of the alert about ``what``."""
    return notice_key(FAULT_KIND, None, what)


def fault_notice(what: str, error: Exception, *, secrets: Iterable[str] = ()) -> AlertDraft:
    """The alert about an item that was left out; ``what`` names it and is what the alert is about."""
    return notice(
        FAULT_KIND,
        "internal_error",
        Severity.HIGH,
        f"an internal error, this was left out: {what}",
        subject=what,
        summary=f"{fault_text(error)}; nothing passes by that, and everything else goes on. Look at it by hand, and report the error",
        lines=(what,),
        secrets=secrets,
    )


def unjudged(
    facts: PackageFacts, expected: ExpectedVendor, *, name: str, path: str, at: datetime, error: Exception
) -> Verdict:
    """The verdict on a package that an internal error kept from being judged: indeterminate, whatever its signatures are."""
    return Verdict(
        path=path,
        name=name,
        size=facts.size,
        sha256=facts.sha256 or None,
        format=facts.format,
        vendor=expected,
        reason=Reason.UNREADABLE,
        also=(),
        summary=f"An internal error kept this package from being judged: {fault_text(error)}.",
        checked_at=at,
        validation_time=at,
        valid_until=at,
        basis=Basis(trust="store", store_id=None, store_revision=None, time=NOW),
        signatures=(),
        coverage=facts.coverage,
        advice=("do not install; keep the package, and report the error: whoever made the package may have meant it",),
    )
