"""Looks, each minute and before each decision, at what could have been changed behind the daemon's back.

The newest part of the audit log, its signature, the checkpoint beside the database, the vendor files and the approvers on disk. What
is wrong with the store stops decisions; files that were edited wait for a restart, which is when their change is recorded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from escalation.deduplication import notice_key
from escalation.model import Severity
from escalation.rules import notice
from escalation.triage import raise_alert, resolve_matter, stands
from monitor.set_alerts import STORE_KIND
from trust_store import audit, checkpoints
from trust_store.errors import StoreInconsistentError
from trust_store.query import OPENING_WALK_ENTRIES, snapshot
from trust_store.settings import load_trust_settings
from trust_store.storage.vendors import changes_between, digest_of
from trust_store.terminal import safe

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from datetime import datetime

    from escalation.model import AlertDraft
    from trust_store.settings import TrustSettings

EDITED_KIND, REKEYED_KIND = "policy_edited", "instance_rekeyed"
APPROVERS = "approvers"


@dataclass(frozen=True, slots=True)
class Edit:
    """Something on disk that is not what the daemon loaded: ``subject`` a vendor id, approvers or the configuration itself."""

    subject: str
    what: str
    mark: str


def edits(loaded: TrustSettings, disk: TrustSettings) -> tuple[Edit, ...]:
    """What differs in vendors and approvers between what was loaded and what is on disk; pure."""
    found = []
    before, after = {v.id: v for v in loaded.vendors}, {v.id: v for v in disk.vendors}
    for vendor_id in sorted(before.keys() | after.keys()):
        old, new = before.get(vendor_id), after.get(vendor_id)
        if old == new:
            continue
        fields = [c.field for c in changes_between(old, new)] if old and new else []
        what = f"{', '.join(fields) or 'something'} edited" if old and new else "file removed" if old else "file added"
        found.append(Edit(vendor_id, what, digest_of(new) if new else "removed"))
    if loaded.approvers != disk.approvers:
        found.append(Edit(APPROVERS, "edited", repr(disk.approvers)[:500]))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class TamperWatch:
    """One installation's watch; ``loaded`` is what the daemon works with, ``channels`` those an alert is queued for."""

    loaded: TrustSettings
    channels: tuple[str, ...]
    now: Callable[[], datetime]
    randomness: Callable[[int], bytes]

    def look(self, connection: sqlite3.Connection) -> tuple[Edit, ...]:
        """Compare and alert; return what was edited on disk. Raises StoreInconsistentError, alerted, where the store was changed."""
        edited = self.look_at_files(connection)
        try:
            kept = checkpoints.read_checkpoint(self.loaded.store.directory / checkpoints.CHECKPOINT_NAME)
            with snapshot(connection):
                audit.verify(connection, last=OPENING_WALK_ENTRIES)
                checkpoints.require_checkpoint(connection, kept)
        except StoreInconsistentError as error:
            told = safe(str(error), 400)
            self._raise(
                connection,
                notice(
                    STORE_KIND,
                    "inconsistent",
                    Severity.CRITICAL,
                    "the trust store was changed behind the program's back: no decision is taken",
                    subject=told,
                    summary=f"{told}; treat it as an incident: rootwarden audit verify",
                ),
            )
            raise
        return edited

    def look_at_files(self, connection: sqlite3.Connection) -> tuple[Edit, ...]:
        """Alert about policy and contacts on disk that are not what was loaded; settle what is as it was again."""
        try:
            found = edits(self.loaded, load_trust_settings(self.loaded.file))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a file, the store is looked at all the same
            found = (Edit("configuration", f"cannot be read any more: {safe(str(error), 300)}", ""),)
        drafts = [
            notice(
                EDITED_KIND,
                "not_loaded",
                Severity.HIGH,
                f"{edit.subject}: {edit.what} on disk while the daemon runs",
                subject=f"{edit.subject}:{edit.mark}",
                summary="nothing of it counts before a restart, which records the change and asks for approval of what weakens: "
                "if nobody of you did this, treat it as an incident; else systemctl restart rootwarden",
            )
            for edit in found
        ]
        for draft in drafts:
            self._raise(connection, draft)
        standing = {draft.dedup_key for draft in drafts}
        for row in connection.execute(
            "SELECT dedup_key FROM alert WHERE kind = ? AND status <> 'resolved'", (EDITED_KIND,)
        ).fetchall():
            if row[0] not in standing:
                resolve_matter(connection, str(row[0]), "what is on disk is what is loaded", self.now())
        return found

    def report_rekeyed(self, connection: sqlite3.Connection) -> None:
        """Alert once about each instance key that took a lost one's place."""
        replaced = connection.execute("SELECT * FROM audit_log WHERE kind = ?", (audit.REKEYED,)).fetchall()
        audit.require_all(connection, replaced)
        for row in replaced:
            subject = f"entry {row['seq']}"
            key = notice_key(REKEYED_KIND, None, subject)
            if connection.execute("SELECT 1 FROM alert WHERE dedup_key = ?", (key,)).fetchone() is None:
                said = json.loads(row["body"])
                self._raise(
                    connection,
                    notice(
                        REKEYED_KIND,
                        "rekeyed",
                        Severity.HIGH,
                        f"{row['actor']} replaced the key that signs the audit log",
                        subject=subject,
                        summary=f"at {row['recorded_at']}, because: {said.get('reason')}; if that was not agreed, treat it as an incident",
                    ),
                )

    def _raise(self, connection: sqlite3.Connection, draft: AlertDraft) -> None:
        """Alert where it does not stand already: looking each minute counts nothing up."""
        if not stands(connection, draft.dedup_key):
            raise_alert(connection, draft, channels=self.channels, at=self.now(), randomness=self.randomness)
