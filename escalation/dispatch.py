"""Sends what is due in the outbox (shell). The order of the commits is the promise:

    queued  --commit sending-->  first byte leaves  -->  answer  --commit sent-->  done

Killed before the first commit: the row is still ``queued`` and is simply sent, exactly once. Killed between the commits: the
outcome is not known; ``recover`` puts the row back, marked as a possible repeat of itself, so it arrives at least once and at
most one marked repeat comes of one crash. An answer that refuses was an answer: its repetition is not marked.
"""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from escalation.backoff import next_attempt
from escalation.errors import (
    DeliveryTakenError,
    EscalationError,
    PermanentDeliveryError,
    TransientDeliveryError,
)
from escalation.model import Delivery, DeliveryState, Receipt
from escalation.storage.rows import delivery_of
from trust_store.checkpoints import newest_line
from trust_store.errors import StoreInconsistentError, StoreUnavailableError
from trust_store.model.identifiers import format_time
from trust_store.storage.connection import transaction
from trust_store.terminal import safe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from typing import Protocol

    from escalation.delivery.protocol import Channel

    T = TypeVar("T")

    class StorageRun(Protocol):
        """Runs a function with the store's connection on the storage thread and returns its result."""

        async def __call__(self, function: Callable[[sqlite3.Connection], T], /) -> T: ...


MAX_PER_PASS = 50
DELIVERY_SECONDS = 300.0
# No living attempt lasts so long; a row that is older in ``sending`` has lost its sender.
ABANDONED_SECONDS = 900.0
_JITTER_BYTES = 8


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one attempt ended, for the journal; ``error`` is empty where the message was sent."""

    delivery_id: str
    channel: str
    state: DeliveryState
    error: str = ""


def recover(connection: sqlite3.Connection, at: datetime, *, before: datetime | None = None) -> int:
    """Put rows whose attempt was cut off back into the queue, marked as possible repeats; return how many.

    To be called once when the daemon starts, before the first ``dispatch_due``. ``before`` limits it to older attempts.
    """
    with transaction(connection):
        cursor = connection.execute(
            "UPDATE delivery SET state = 'queued', sending_since = NULL, possible_repeat_of = id, next_attempt_at = ?,"
            " attempts = attempts + 1, last_error = 'the program stopped while this was being sent'"
            " WHERE state = 'sending' AND sending_since <= ?",
            [format_time(at), format_time(before or at + timedelta(days=3650))],
        )
        return cursor.rowcount


def next_due(connection: sqlite3.Connection, channels: tuple[str, ...]) -> str | None:
    """When the next delivery of ``channels`` is due (stored text form), None where nothing is queued."""
    marks = ", ".join("?" for _ in channels)
    row = connection.execute(
        f"SELECT min(next_attempt_at) FROM delivery WHERE state = 'queued' AND channel IN ({marks})",  # noqa: S608
        channels,
    ).fetchone()
    return str(row[0]) if row and row[0] else None


async def dispatch_due(
    storage_run: StorageRun,
    channels: Mapping[str, Channel],
    clock: Callable[[], datetime],
    randomness: Callable[[int], bytes],
    *,
    delivery_seconds: float = DELIVERY_SECONDS,
) -> tuple[Attempt, ...]:
    """Send everything due, channel beside channel, one after another within each; return what happened.

    A channel that hangs or is down holds up no other one. ``delivery_seconds`` bounds one attempt as a whole.
    """
    now = clock()
    await storage_run(lambda c: recover(c, now, before=now - timedelta(seconds=ABANDONED_SECONDS)))
    passes = [_Pass(storage_run, channel, clock, randomness, delivery_seconds) for channel in channels.values()]
    # Every channel finishes its turn before an error goes up: cancelling one in mid-sending would cost a marked repeat.
    done = await asyncio.gather(*(one.run() for one in passes), return_exceptions=True)
    attempts: list[Attempt] = []
    for result in done:
        if isinstance(result, BaseException):
            raise result
        attempts += result
    return tuple(attempts)


@dataclass(frozen=True, slots=True)
class _Pass:
    """One channel's turn."""

    storage_run: StorageRun
    channel: Channel
    clock: Callable[[], datetime]
    randomness: Callable[[int], bytes]
    delivery_seconds: float

    async def run(self) -> list[Attempt]:
        """Send due rows until none is left or the channel is in trouble: then the others wait for the next turn."""
        attempts: list[Attempt] = []
        for _ in range(MAX_PER_PASS):
            now = self.clock()
            try:
                delivery = await self.storage_run(lambda c, now=now: _take(c, self.channel.name, now))  # type: ignore[misc]
            except _UnreadableError as error:
                attempts.append(Attempt(error.delivery_id, self.channel.name, DeliveryState.DEAD, str(error)))
                continue
            if delivery is None:
                break
            attempt = await self._attempt(delivery)
            if attempt is None:
                break
            attempts.append(attempt)
            if attempt.state is DeliveryState.QUEUED:
                break
        return attempts

    async def _attempt(self, delivery: Delivery) -> Attempt | None:
        """One attempt with its outcome committed; None where another run has the row."""
        announced = False

        async def announce_first_byte() -> None:
            nonlocal announced
            now = self.clock()
            await self.storage_run(lambda c: _begin(c, delivery.id, now))
            announced = True

        try:
            async with asyncio.timeout(self.delivery_seconds):
                receipt = await self.channel.deliver(delivery, announce_first_byte)
        except DeliveryTakenError:
            return None
        except PermanentDeliveryError as error:
            return await self._record_dead(delivery, str(error))
        except TransientDeliveryError as error:
            return await self._record_retry(delivery, error)
        except TimeoutError:
            late = TransientDeliveryError(f"no end after {self.delivery_seconds:g} s", outcome_unknown=announced)
            return await self._record_retry(delivery, late)
        except (StoreUnavailableError, StoreInconsistentError, sqlite3.Error):
            raise
        except Exception as error:  # noqa: BLE001 - a message that its channel cannot be given holds up no other one
            return await self._record_dead(delivery, f"internal error: {type(error).__name__}: {error}")
        now = self.clock()
        await self.storage_run(lambda c: _sent(c, delivery.id, receipt, now))
        return Attempt(delivery.id, delivery.channel, DeliveryState.SENT)

    async def _record_dead(self, delivery: Delivery, error: str) -> Attempt:
        await self.storage_run(lambda c: _dead(c, delivery.id, error))
        return Attempt(delivery.id, delivery.channel, DeliveryState.DEAD, error)

    async def _record_retry(self, delivery: Delivery, error: TransientDeliveryError) -> Attempt:
        due = next_attempt(self.clock(), delivery.attempts + 1, error.retry_after, self.randomness(_JITTER_BYTES))
        await self.storage_run(lambda c: _again(c, delivery, error, due))
        return Attempt(delivery.id, delivery.channel, DeliveryState.QUEUED, str(error))


class _UnreadableError(EscalationError):
    """A row's payload is damaged; it was set aside as dead."""

    def __init__(self, delivery_id: str, message: str) -> None:
        super().__init__(message)
        self.delivery_id = delivery_id


def _take(connection: sqlite3.Connection, channel: str, now: datetime) -> Delivery | None:
    """The next due row; it stays ``queued`` until its first byte is announced."""
    row = connection.execute(
        "SELECT * FROM delivery WHERE state = 'queued' AND channel = ? AND next_attempt_at <= ?"
        " ORDER BY next_attempt_at, id LIMIT 1",
        [channel, format_time(now)],
    ).fetchone()
    if row is None:
        return None
    try:
        return replace(delivery_of(row), checkpoint=newest_line(connection))
    except (EscalationError, ValueError) as error:
        _dead(connection, row["id"], str(error))
        raise _UnreadableError(row["id"], str(error)) from error


def _begin(connection: sqlite3.Connection, delivery_id: str, now: datetime) -> None:
    """queued -> sending, by one run only; raises DeliveryTakenError."""
    with transaction(connection):
        cursor = connection.execute(
            "UPDATE delivery SET state = 'sending', sending_since = ? WHERE id = ? AND state = 'queued'",
            [format_time(now), delivery_id],
        )
        if cursor.rowcount != 1:
            raise DeliveryTakenError(f"{delivery_id} is being sent by another run")


def _sent(connection: sqlite3.Connection, delivery_id: str, receipt: Receipt, now: datetime) -> None:
    refused = f"not taken for: {'; '.join(receipt.refused)}" if receipt.refused else None
    with transaction(connection):
        connection.execute(
            "UPDATE delivery SET state = 'sent', sending_since = NULL, sent_at = ?, answer = ?, last_error = ? WHERE id = ?",
            [format_time(now), safe(receipt.answer, 500), refused, delivery_id],
        )


def _dead(connection: sqlite3.Connection, delivery_id: str, error: str) -> None:
    with transaction(connection):
        connection.execute(
            "UPDATE delivery SET state = 'dead', sending_since = NULL, attempts = attempts + 1, last_error = ? WHERE id = ?",
            [safe(error, 500), delivery_id],
        )


def _again(connection: sqlite3.Connection, delivery: Delivery, error: TransientDeliveryError, due: datetime) -> None:
    """Back into the queue; where the other side named a time, its other messages wait as well."""
    with transaction(connection):
        connection.execute(
            "UPDATE delivery SET state = 'queued', sending_since = NULL, attempts = attempts + 1, next_attempt_at = ?,"
            " last_error = ?, possible_repeat_of = coalesce(?, possible_repeat_of) WHERE id = ?",
            [format_time(due), safe(str(error), 500), delivery.id if error.outcome_unknown else None, delivery.id],
        )
        if error.retry_after is not None:
            connection.execute(
                "UPDATE delivery SET next_attempt_at = ? WHERE state = 'queued' AND channel = ? AND next_attempt_at < ?",
                [format_time(due), delivery.channel, format_time(due)],
            )
