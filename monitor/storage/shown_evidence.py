"""Evidence as commands show it: without the values that a vendor must still read out (what awaits decision is never shown)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from monitor.storage.evidence import StoredEvidence
from monitor.storage.schema import MIGRATIONS
from trust_store import query
from trust_store.model.trust_anchor import AnchorState
from trust_store.storage.migrations import require_schema

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from trust_store.model.claim import Evidence
    from trust_store.model.identifiers import Identifier

EXCERPT_CHARACTERS = 500


def shown_evidence(connection: sqlite3.Connection) -> ShownEvidence | None:
    """The evidence in an open store, None where nothing ever listened to a channel; raises SchemaMismatchError."""
    listened = connection.execute(
        "SELECT 1 FROM _sqlite_migrations WHERE migration_set = ? LIMIT 1", (MIGRATIONS.package,)
    ).fetchone()
    if listened is None:
        return None
    require_schema(connection, (MIGRATIONS,))
    return ShownEvidence(connection)


class ShownEvidence:
    """An ``EvidenceSource`` for people and programs, over one connection and on its thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def evidence_for(self, identifiers: Iterable[Identifier]) -> tuple[Evidence, ...]:
        """As ``StoredEvidence`` finds it, with everything withheld that would spell out a pending key."""
        found = StoredEvidence(self._connection).evidence_for(identifiers)
        if not found:
            return ()
        from escalation.redaction import anchor_secrets, redactor_of  # not free, and of most keys nobody said anything

        pending = query.anchors(self._connection, None, {AnchorState.PENDING})
        redactor = redactor_of(secret for anchor in pending for secret in anchor_secrets(anchor))
        return tuple(
            replace(e, excerpt=redactor.text(e.excerpt, EXCERPT_CHARACTERS), url=redactor.url(e.url) or None)
            for e in found
        )
