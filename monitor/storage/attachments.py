"""Key files that posts link to: fetched into quarantine, kept by digest, never opened by anything but the decoders."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.extraction import KEY_MATERIAL, HeardClaim
from monitor.storage.documents import index_claim, insert_claim, propose_each
from trust_store.model.claim import Authority
from trust_store.model.identifiers import format_time
from trust_store.storage.connection import transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from monitor.config import Source
    from trust_store.model.claim import Proposal
    from trust_store.model.identifiers import Identifier

MAX_ATTEMPTS = 8
_RANK = " ".join(f"WHEN '{authority.value}' THEN {rank}" for rank, authority in enumerate(Authority))


@dataclass(frozen=True, slots=True)
class PendingAttachment:
    """A link not fetched yet, with the part that gave it and on whose word."""

    part_id: str
    version: int
    url: str
    authority: Authority
    attempts: int
    title: str
    part_url: str | None
    author: str | None
    published_at: str | None


def pending_attachments(connection: sqlite3.Connection, source: Source, limit: int) -> tuple[PendingAttachment, ...]:
    """Links of a source that wait to be fetched: the best word first, so that nobody's links cannot crowd the vendor's out."""
    rows = connection.execute(
        f"""SELECT a.*, v.authority, v.title, v.url AS part_url, v.author, v.published_at FROM attachment a
            JOIN document_part p ON p.id = a.part_id JOIN document d ON d.id = p.document_id
            JOIN document_version v ON v.part_id = a.part_id AND v.version = a.version
            WHERE a.status = 'pending' AND d.vendor_id = ? AND d.source_url = ?
            ORDER BY CASE v.authority {_RANK} ELSE 9 END, a.updated_at, a.url LIMIT ?""",  # noqa: S608 - constants of this program
        (source.vendor_id, source.url, limit),
    )
    return tuple(
        PendingAttachment(
            part_id=row["part_id"],
            version=row["version"],
            url=row["url"],
            authority=Authority(row["authority"]),
            attempts=row["attempts"],
            title=row["title"],
            part_url=row["part_url"],
            author=row["author"],
            published_at=row["published_at"],
        )
        for row in rows
    )


def save_failure(connection: sqlite3.Connection, attachment: PendingAttachment, detail: str, at: datetime) -> bool:
    """Note that a fetch failed; True if it was given up, after MAX_ATTEMPTS polls."""
    last = attachment.attempts + 1 >= MAX_ATTEMPTS
    _update(connection, attachment, "given_up" if last else "pending", None, detail, at)
    return last


def save_file(
    connection: sqlite3.Connection,
    source: Source,
    attachment: PendingAttachment,
    body: bytes,
    *,
    authority: Authority,
    identifiers: tuple[Identifier, ...],
    proposals: Iterable[Proposal],
    unreadable: str | None,
    at: datetime,
    randomness: Callable[[int], bytes],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Keep the file, lend its keys to the claims of its part, propose them; returns anchor ids and problems. One transaction."""
    sha256 = hashlib.sha256(body).hexdigest()
    with transaction(connection):
        connection.execute(
            "INSERT INTO quarantine VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (sha256, body, format_time(at))
        )
        _update(connection, attachment, "unreadable" if unreadable else "fetched", sha256, unreadable, at)
        if identifiers:
            _lend(connection, source, attachment, authority, identifiers, at, randomness)
        return propose_each(connection, proposals, at=at, randomness=randomness)


def _lend(
    connection: sqlite3.Connection,
    source: Source,
    attachment: PendingAttachment,
    authority: Authority,
    identifiers: tuple[Identifier, ...],
    at: datetime,
    randomness: Callable[[int], bytes],
) -> None:
    """Every claim of the part that stands on the same word is about these keys too; without one, that it gave them is the claim."""
    excerpt = f"{attachment.title}: {attachment.url}"
    claim = HeardClaim(KEY_MATERIAL, None, excerpt, authority, identifiers)
    place = (attachment.part_id, attachment.version)
    rows = connection.execute(
        "SELECT id FROM claim WHERE part_id = ? AND version = ? AND authority = ?", (*place, authority.value)
    ).fetchall()
    for row in rows:
        index_claim(connection, str(row[0]), claim)
    if not rows:
        insert_claim(
            connection, place, claim, vendor_id=source.vendor_id, url=attachment.part_url, author=attachment.author,
            published_at=attachment.published_at, at=at, randomness=randomness,
        )  # fmt: skip


def _update(
    connection: sqlite3.Connection,
    attachment: PendingAttachment,
    status: str,
    sha256: str | None,
    detail: str | None,
    at: datetime,
) -> None:
    connection.execute(
        """UPDATE attachment SET status = ?, sha256 = ?, detail = ?, attempts = attempts + 1, updated_at = ?
           WHERE part_id = ? AND version = ? AND url = ?""",
        (status, sha256, detail, format_time(at), attachment.part_id, attachment.version, attachment.url),
    )
