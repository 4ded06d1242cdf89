"""What vendor channels said about keys: the trust store's ``EvidenceSource`` over the claim table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.key_material import key_id_of
from trust_store.model.claim import Authority, Evidence
from trust_store.model.identifiers import Identifier, IdentifierKind, parse_time

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

MAX_EVIDENCE = 50
MAX_IDENTIFIERS = 200
EDITED, REMOVED = "[edited since] ", "[removed since] "
_RANK = " ".join(f"WHEN '{authority.value}' THEN {rank}" for rank, authority in enumerate(Authority))
_FOUND = """
    SELECT DISTINCT c.id, c.kind, c.url, c.published_at, c.author, c.authority, c.excerpt, c.recorded_at,
        c.version < p.version AS edited, p.removed_at IS NOT NULL OR v.hidden AS removed, CASE c.authority {rank} ELSE 9 END AS rank
    FROM identifier i JOIN claim c ON c.id = i.owner_id
        JOIN document_part p ON p.id = c.part_id JOIN document_version v ON v.part_id = p.id AND v.version = p.version
    WHERE i.owner_kind = 'claim' AND (i.kind, i.value) IN (VALUES {pairs})
    ORDER BY rank, edited OR removed, coalesce(c.published_at, c.recorded_at) DESC, c.id DESC LIMIT {limit}"""


class StoredEvidence:
    """Reads claims over one connection, on the thread that owns it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def evidence_for(self, identifiers: Iterable[Identifier]) -> tuple[Evidence, ...]:
        """At most MAX_EVIDENCE claims that name one of ``identifiers``: best authority first, then the newest, each once."""
        wanted = sorted({i for given in identifiers for i in _meant(given)})[:MAX_IDENTIFIERS]
        if not wanted:
            return ()
        pairs = ",".join(["(?, ?)"] * len(wanted))
        rows = self._connection.execute(
            _FOUND.format(rank=_RANK, pairs=pairs, limit=MAX_EVIDENCE),
            [text for i in wanted for text in (i.kind.value, i.value)],
        ).fetchall()
        found = (
            Evidence(
                claim=row["kind"],
                url=row["url"],
                published=parse_time(row["published_at"]) if row["published_at"] else None,
                author=row["author"],
                authority=Authority(row["authority"]),
                excerpt=(REMOVED if row["removed"] else EDITED if row["edited"] else "") + row["excerpt"],
            )
            for row in rows
        )
        return tuple(dict.fromkeys(found))


def _meant(identifier: Identifier) -> tuple[Identifier, ...]:
    """The identifier and those under which a channel names the same key: hints for a look-up, nothing is decided on them."""
    kind, value = identifier.kind, identifier.value
    if kind is IdentifierKind.AUTHORITY_KEY_IDENTIFIER:  # the issuer is the certificate whose own identifier this is
        return (identifier, Identifier(IdentifierKind.SUBJECT_KEY_IDENTIFIER, value))
    if kind in (IdentifierKind.OPENPGP, IdentifierKind.OPENPGP_SUBKEY):
        same = tuple(Identifier(k, value) for k in (IdentifierKind.OPENPGP, IdentifierKind.OPENPGP_SUBKEY))
        return (*same, *key_id_of(value))
    return (identifier,)
