"""State of every source and the validators of every URL read, as rows. Called on the storage thread."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trust_store.model.identifiers import format_time, parse_time

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping
    from datetime import datetime, timedelta

    from monitor.config import Source


@dataclass(frozen=True, slots=True)
class SourceState:
    """Separate clocks for the last answer, the last body read and the last new version; ``failures`` in a row since the last answer.

    ``stream`` are the post ids of a topic as last listed; ``polls`` counts finished polls.
    """

    vendor_id: str
    url: str
    next_due_at: datetime
    polls: int = 0
    failures: int = 0
    last_attempt_at: datetime | None = None
    last_ok_at: datetime | None = None
    last_parsed_at: datetime | None = None
    last_new_at: datetime | None = None
    last_error: str | None = None
    stream: tuple[int, ...] = ()

    @property
    def status(self) -> str:
        """``new`` (never answered), ``ok`` or ``failing``."""
        return "failing" if self.failures else "ok" if self.last_ok_at else "new"


@dataclass(frozen=True, slots=True)
class Validators:
    """What to send back for one URL, and the digest of its last body that was read whole."""

    etag: str | None
    last_modified: str | None
    body_sha256: str


@dataclass(frozen=True, slots=True)
class ReadResource:
    """A URL that was read, with the validators to keep for it."""

    url: str
    validators: Validators


def state_of(connection: sqlite3.Connection, source: Source, now: datetime) -> SourceState:
    """The state of one source; one never polled is due ``now``."""
    row = connection.execute(
        "SELECT * FROM source_state WHERE vendor_id = ? AND url = ?", (source.vendor_id, source.url)
    ).fetchone()
    return _state(row) if row else SourceState(source.vendor_id, source.url, next_due_at=now)


def claim_due(
    connection: sqlite3.Connection, sources: Iterable[Source], now: datetime, lease: timedelta
) -> tuple[Source, ...]:
    """The sources that are due, each put off by ``lease`` in the same step, so that no second tick and no restart takes it too."""
    taken: list[Source] = []
    for source in sources:
        row = connection.execute(
            """INSERT INTO source_state (vendor_id, url, kind, name, next_due_at) VALUES (?, ?, ?, ?, ?)
               ON CONFLICT (vendor_id, url) DO UPDATE SET next_due_at = excluded.next_due_at, name = excluded.name, kind = excluded.kind
               WHERE source_state.next_due_at <= ? RETURNING url""",
            (source.vendor_id, source.url, source.kind.value, source.name, format_time(now + lease), format_time(now)),
        ).fetchone()
        if row:
            taken.append(source)
    return tuple(taken)


def record(connection: sqlite3.Connection, source: Source, state: SourceState) -> None:
    """Write the state that a poll ended in."""
    times = (state.last_attempt_at, state.last_ok_at, state.last_parsed_at, state.last_new_at)
    connection.execute(
        """INSERT INTO source_state (vendor_id, url, kind, name, polls, failures, next_due_at, last_attempt_at, last_ok_at,
               last_parsed_at, last_new_at, last_error, stream) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (vendor_id, url) DO UPDATE SET kind = excluded.kind, name = excluded.name, polls = excluded.polls,
               failures = excluded.failures, next_due_at = excluded.next_due_at, last_attempt_at = excluded.last_attempt_at,
               last_ok_at = excluded.last_ok_at, last_parsed_at = excluded.last_parsed_at, last_new_at = excluded.last_new_at,
               last_error = excluded.last_error, stream = excluded.stream""",
        (
            source.vendor_id, source.url, source.kind.value, source.name, state.polls, state.failures,
            format_time(state.next_due_at), *(t and format_time(t) for t in times), state.last_error, json.dumps(state.stream),
        ),
    )  # fmt: skip


def validators_of(connection: sqlite3.Connection, source: Source) -> Mapping[str, Validators]:
    """The validators of every URL of a source, by URL."""
    rows = connection.execute(
        "SELECT * FROM resource WHERE vendor_id = ? AND source_url = ?", (source.vendor_id, source.url)
    )
    return {row["url"]: Validators(row["etag"], row["last_modified"], row["body_sha256"]) for row in rows}


def forget_resources(connection: sqlite3.Connection, source: Source) -> None:
    """Drop every validator of a source: its pages are to be read again."""
    connection.execute("DELETE FROM resource WHERE vendor_id = ? AND source_url = ?", (source.vendor_id, source.url))


def save_resources(connection: sqlite3.Connection, source: Source, read: Iterable[ReadResource], now: datetime) -> None:
    """Keep the validators of what was read and stored whole; those of other pages than these stay as they are."""
    connection.executemany(
        """INSERT INTO resource VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (vendor_id, source_url, url) DO UPDATE SET
               etag = excluded.etag, last_modified = excluded.last_modified, body_sha256 = excluded.body_sha256,
               fetched_at = excluded.fetched_at""",
        [
            (source.vendor_id, source.url, r.url, r.validators.etag, r.validators.last_modified, r.validators.body_sha256, format_time(now))
            for r in read
        ],
    )  # fmt: skip


def _state(row: sqlite3.Row) -> SourceState:
    def time(name: str) -> datetime | None:
        return parse_time(row[name]) if row[name] else None

    return SourceState(
        vendor_id=row["vendor_id"],
        url=row["url"],
        next_due_at=parse_time(row["next_due_at"]),
        polls=row["polls"],
        failures=row["failures"],
        last_attempt_at=time("last_attempt_at"),
        last_ok_at=time("last_ok_at"),
        last_parsed_at=time("last_parsed_at"),
        last_new_at=time("last_new_at"),
        last_error=row["last_error"],
        stream=tuple(json.loads(row["stream"])),
    )
