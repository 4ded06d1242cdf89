"""Documents, their parts in every version, and the claims heard in them, as rows. Called on the storage thread."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trust_store.anchor_management import propose
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.model.identifiers import RANDOM_BYTES, format_time, new_id
from trust_store.storage.connection import transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from monitor.config import Source
    from monitor.documents.protocol import Document
    from monitor.extraction import HeardClaim, HeardPart
    from trust_store.model.claim import Proposal


@dataclass(frozen=True, slots=True)
class KnownDocument:
    """What is stored of a document: its title, and the content digest of every part that has not vanished, by part key."""

    id: str
    title: str
    parts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Stored:
    """What one document added to the store."""

    versions: int = 0
    claims: int = 0
    removed: int = 0
    new: bool = False
    proposals: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def known_documents(connection: sqlite3.Connection, source: Source) -> Mapping[str, KnownDocument]:
    """Every document of a source by its key."""
    rows = connection.execute(
        """SELECT d.id, d.key, d.title, p.key AS part, p.content_sha256 AS digest, p.removed_at FROM document d
           LEFT JOIN document_part p ON p.document_id = d.id WHERE d.vendor_id = ? AND d.source_url = ?""",
        (source.vendor_id, source.url),
    )
    heads: dict[str, tuple[str, str]] = {}
    parts: dict[str, dict[str, str]] = {}
    for row in rows:
        heads[row["key"]] = (row["id"], row["title"])
        known = parts.setdefault(row["key"], {})
        if row["part"] is not None and row["removed_at"] is None:
            known[row["part"]] = row["digest"]
    return {key: KnownDocument(*head, parts[key]) for key, head in heads.items()}


def store_document(
    connection: sqlite3.Connection,
    source: Source,
    document: Document,
    heard: Iterable[HeardPart],
    *,
    at: datetime,
    randomness: Callable[[int], bytes],
) -> Stored:
    """Write new versions, their claims and proposals, and which parts vanished, in one transaction; nothing is ever overwritten."""
    writer = _Writer(connection, source, at, randomness)
    with transaction(connection):
        document_id, new = writer.document(document)
        for part in heard:
            writer.version(document_id, part)
        removed = writer.remove(document_id, document.removed)
    return Stored(
        writer.versions, writer.claims, removed, new, tuple(dict.fromkeys(writer.proposals)), tuple(writer.problems)
    )


def propose_each(
    connection: sqlite3.Connection,
    proposals: Iterable[Proposal],
    *,
    at: datetime,
    randomness: Callable[[int], bytes],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Anchor ids of what was proposed, and what could not be: a key that is refused spoils no other."""
    ids: list[str] = []
    problems: list[str] = []
    for proposal in proposals:
        try:
            ids.append(propose(connection, proposal, at=at, randomness=randomness))
        except (MalformedError, ResourceLimitError) as error:
            problems.append(f"{proposal.reference}: key not proposed: {error}")
    return tuple(ids), tuple(problems)


def insert_claim(
    connection: sqlite3.Connection,
    part: tuple[str, int],
    claim: HeardClaim,
    *,
    vendor_id: str,
    url: str | None,
    author: str | None,
    published_at: str | None,
    at: datetime,
    randomness: Callable[[int], bytes],
) -> str:
    """Write one claim of (part id, version) with its identifiers; returns its id."""
    claim_id = new_id("claim", at, randomness(RANDOM_BYTES))
    said = claim.claim
    keys = [[k.role, k.algorithm, k.value] for k in said.keys] if said else []
    connection.execute(
        "INSERT INTO claim VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            claim_id, vendor_id, *part, claim.kind, json.dumps(keys), json.dumps(said.effective_dates if said else []),
            json.dumps(said.urls if said else []), claim.excerpt, author, claim.authority.value, url, published_at,
            claim.start, claim.end, format_time(at),
        ),
    )  # fmt: skip
    index_claim(connection, claim_id, claim)
    return claim_id


def index_claim(connection: sqlite3.Connection, claim_id: str, claim: HeardClaim) -> None:
    """Make a claim findable by its identifiers."""
    connection.executemany(
        "INSERT OR IGNORE INTO identifier VALUES (?, ?, 'claim', ?)",
        [(i.kind.value, i.value, claim_id) for i in claim.identifiers],
    )


class _Writer:
    """Writes one document inside the caller's transaction and counts what it wrote."""

    def __init__(
        self, connection: sqlite3.Connection, source: Source, at: datetime, randomness: Callable[[int], bytes]
    ) -> None:
        self._connection, self._source, self._at, self._randomness = connection, source, at, randomness
        self.versions = self.claims = 0
        self.proposals: list[str] = []
        self.problems: list[str] = []

    def document(self, document: Document) -> tuple[str, bool]:
        now = format_time(self._at)
        fresh = self._id("document")
        row = self._connection.execute(
            """INSERT INTO document VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (vendor_id, source_url, key)
               DO UPDATE SET title = excluded.title, url = excluded.url, updated_at = excluded.updated_at RETURNING id""",
            (fresh, self._source.vendor_id, self._source.url, document.key, document.title, document.url, now, now),
        ).fetchone()
        return str(row[0]), row[0] == fresh

    def version(self, document_id: str, heard: HeardPart) -> None:
        part, digest, now = heard.part, heard.part.content_sha256, format_time(self._at)
        row = self._connection.execute(
            """INSERT INTO document_part VALUES (?, ?, ?, ?, 1, ?, NULL) ON CONFLICT (document_id, key)
               DO UPDATE SET content_sha256 = excluded.content_sha256, version = version + 1, removed_at = NULL
               RETURNING id, version""",
            (self._id("part"), document_id, part.key, digest, now),
        ).fetchone()
        place = (str(row["id"]), int(row["version"]))
        published = format_time(part.published) if part.published else None
        self._connection.execute(
            "INSERT INTO document_version VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *place, digest, heard.title, part.text, part.url, part.author, heard.authority.value, int(part.hidden),
                json.dumps(part.links), heard.label, json.dumps(heard.cves), published, now,
            ),
        )  # fmt: skip
        self.versions += 1
        for claim in heard.claims:
            insert_claim(
                self._connection, place, claim, vendor_id=self._source.vendor_id, url=part.url, author=part.author,
                published_at=published, at=self._at, randomness=self._randomness,
            )  # fmt: skip
            self.claims += 1
        for url in heard.key_files:
            self._connection.execute(
                "INSERT INTO attachment (part_id, version, url, status, updated_at) VALUES (?, ?, ?, 'pending', ?)",
                (*place, url, now),
            )
        ids, problems = propose_each(self._connection, heard.proposals, at=self._at, randomness=self._randomness)
        self.proposals += ids
        self.problems += [*problems, *(f"{part.url or part.key}: {u}" for u in heard.unreadable)]

    def remove(self, document_id: str, keys: Iterable[str]) -> int:
        removed = 0
        for key in keys:
            removed += self._connection.execute(
                "UPDATE document_part SET removed_at = ? WHERE document_id = ? AND key = ? AND removed_at IS NULL",
                (format_time(self._at), document_id, key),
            ).rowcount
        return removed

    def _id(self, prefix: str) -> str:
        return new_id(prefix, self._at, self._randomness(RANDOM_BYTES))
