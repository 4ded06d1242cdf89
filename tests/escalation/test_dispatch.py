"""The outbox: what happens at each commit when the program dies, when the other side refuses, and when it does not answer."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from escalation.dispatch import DELIVERY_SECONDS, dispatch_due, next_due, recover
from escalation.errors import PermanentDeliveryError, TransientDeliveryError
from escalation.model import Delivery, DeliveryState, Receipt
from escalation.rules import decide
from escalation.storage.rows import deliveries
from escalation.triage import raise_alert
from tests.escalation.conftest import make_context, make_verdict
from trust_store.errors import StoreUnavailableError
from trust_store.model.verdict import Reason

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable
    from datetime import datetime


class CrashError(BaseException):
    """The program is killed here; nothing below may catch it."""


class Run:
    """Stands for the storage thread; dies before or after the n-th call where told."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.die_before: int | None = None
        self.die_after: int | None = None
        self.calls = 0

    async def __call__(self, function: Callable[[sqlite3.Connection], Any], /) -> Any:
        self.calls += 1
        if self.calls == self.die_before:
            raise CrashError
        result = function(self.connection)
        if self.calls == self.die_after:
            raise CrashError
        return result


class Line:
    """A channel whose other side keeps what arrives; ``script`` holds what happens next."""

    name = "line"

    def __init__(self, *script: object) -> None:
        self.script = list(script)
        self.arrived: list[Delivery] = []

    async def deliver(self, delivery: Delivery, announce_first_byte: Callable[[], Awaitable[None]]) -> Receipt:
        step = self.script.pop(0) if self.script else "ok"
        if isinstance(step, Exception) and not getattr(step, "outcome_unknown", False):
            raise step
        await announce_first_byte()
        if step == "killed before it arrives":
            raise CrashError
        if step == "hangs":
            await asyncio.Event().wait()
        self.arrived.append(delivery)
        if step == "killed after it arrived":
            raise CrashError
        if isinstance(step, Exception):
            raise step
        return Receipt("ok")

    async def close(self) -> None:
        """Nothing to close."""


class Bench:
    """One store with queued alerts, and a clock that can be moved."""

    def __init__(self, connection: sqlite3.Connection, now: datetime, randomness: Callable[[int], bytes]) -> None:
        self.run, self.time, self.randomness = Run(connection), now, randomness
        self.connection = connection

    def queue(
        self, *channels: str, name: str = "update.zip", reason: Reason = Reason.UNKNOWN_ROOT, vendor: str = "dten"
    ) -> str:
        draft = decide(make_context(verdict=make_verdict(reason, vendor=vendor, name=name)))
        return raise_alert(
            self.connection, draft, channels=channels or ("line",), at=self.time, randomness=self.randomness
        )

    async def dispatch(self, *channels: Line, seconds: float = DELIVERY_SECONDS) -> Any:
        return await dispatch_due(
            self.run, {c.name: c for c in channels}, lambda: self.time, self.randomness, delivery_seconds=seconds
        )

    def restart(self) -> None:
        """What the daemon does when it starts."""
        self.run = Run(self.connection)
        recover(self.connection, self.time)

    def later(self, **delta: float) -> None:
        self.time += timedelta(**delta)


@pytest.fixture
def bench(store: sqlite3.Connection, now: datetime, randomness: Callable[[int], bytes]) -> Bench:
    """A store to queue in."""
    return Bench(store, now, randomness)


async def test_a_due_message_is_sent_once(bench: Bench) -> None:
    """queued -> sending -> sent; the next pass has nothing to do."""
    alert_id, line = bench.queue(), Line()
    assert next_due(bench.connection, ("line",)) is not None
    attempts = await bench.dispatch(line)
    assert [a.state for a in attempts] == [DeliveryState.SENT]
    assert await bench.dispatch(line) == ()
    assert len(line.arrived) == 1
    assert deliveries(bench.connection, alert_id)[0].sent_at == bench.time
    assert next_due(bench.connection, ("line",)) is None


@pytest.mark.parametrize("call", range(1, 6))
@pytest.mark.parametrize("side", ["before", "after"])
async def test_killed_at_any_commit(bench: Bench, call: int, side: str) -> None:
    """Killed before the first byte: exactly one. Killed later: at least one, and at most one marked repeat of a crash."""
    alert_id, line = bench.queue(), Line()
    setattr(bench.run, f"die_{side}", call)
    try:
        await bench.dispatch(line)
    except CrashError:
        bench.restart()
    before = deliveries(bench.connection, alert_id)[0]
    sent_before = len(line.arrived)
    await bench.dispatch(line)
    await bench.dispatch(line)
    assert deliveries(bench.connection, alert_id)[0].state is DeliveryState.SENT
    unmarked = [d for d in line.arrived if d.possible_repeat_of is None]
    marked = [d for d in line.arrived if d.possible_repeat_of == d.id]
    assert len(unmarked) <= 1
    assert len(marked) <= 1
    assert len(line.arrived) >= 1
    assert len({d.message_id for d in line.arrived}) == 1
    if before.possible_repeat_of is None:
        assert len(line.arrived) == 1
    if sent_before == 0 and before.possible_repeat_of is None:
        assert unmarked


@pytest.mark.parametrize(("step", "arrivals"), [("killed before it arrives", 1), ("killed after it arrived", 2)])
async def test_killed_while_sending_is_repeated_and_marked(bench: Bench, step: str, arrivals: int) -> None:
    """The outcome was not recorded: the repeat says what it may be a repeat of."""
    bench.queue()
    line = Line(step)
    with pytest.raises(CrashError):
        await bench.dispatch(line)
    bench.restart()
    await bench.dispatch(line)
    assert len(line.arrived) == arrivals
    assert line.arrived[-1].possible_repeat_of == line.arrived[-1].id


async def test_two_crashes_give_at_most_two_marked_repeats(bench: Bench) -> None:
    """Each crash accounts for one repeat at most."""
    bench.queue()
    line = Line("killed after it arrived", "killed after it arrived")
    for _ in range(2):
        with pytest.raises(CrashError):
            await bench.dispatch(line)
        bench.restart()
    await bench.dispatch(line)
    assert [d.possible_repeat_of is not None for d in line.arrived] == [False, True, True]


async def test_a_refusal_for_now_is_tried_again_unmarked(bench: Bench) -> None:
    """451 was an answer: the next attempt is no repeat."""
    alert_id, line = bench.queue(), Line(TransientDeliveryError("451 later"))
    attempts = await bench.dispatch(line)
    assert attempts[0].error == "451 later"
    row = deliveries(bench.connection, alert_id)[0]
    assert (row.state, row.attempts, row.last_error) == (DeliveryState.QUEUED, 1, "451 later")
    assert row.next_attempt_at > bench.time
    assert await bench.dispatch(line) == ()
    bench.later(minutes=20)
    await bench.dispatch(line)
    assert [d.possible_repeat_of for d in line.arrived] == [None]


async def test_no_answer_is_tried_again_marked(bench: Bench) -> None:
    """A timeout after the first byte leaves the outcome open."""
    bench.queue()
    line = Line(TransientDeliveryError("no answer", outcome_unknown=True))
    await bench.dispatch(line)
    bench.later(minutes=20)
    await bench.dispatch(line)
    assert [d.possible_repeat_of is None for d in line.arrived] == [True, False]


async def test_a_refusal_for_good_is_dead_and_visible(bench: Bench) -> None:
    """550: the row is dead with the server's answer; the next message goes out in the same pass."""
    first, second = bench.queue(), bench.queue(vendor="other")
    line = Line(PermanentDeliveryError("550 unknown\nuser"))
    attempts = await bench.dispatch(line)
    assert [a.state for a in attempts] == [DeliveryState.DEAD, DeliveryState.SENT]
    row = deliveries(bench.connection, first)[0]
    assert (row.state, row.last_error) == (DeliveryState.DEAD, "550 unknown\\u000auser")
    assert deliveries(bench.connection, second)[0].state is DeliveryState.SENT


async def test_retry_after_holds_the_whole_channel(bench: Bench) -> None:
    """One 429 with a time: the channel's other messages wait as long, and survive a restart."""
    alerts = [bench.queue(vendor=f"v{i}") for i in range(3)]
    line = Line(TransientDeliveryError("429", retry_after=60))
    await bench.dispatch(line)
    bench.restart()
    bench.later(seconds=59)
    assert await bench.dispatch(line) == ()
    bench.later(seconds=10)
    assert len(await bench.dispatch(line)) == 3
    assert all(deliveries(bench.connection, a)[0].state is DeliveryState.SENT for a in alerts)


async def test_a_hanging_channel_holds_up_no_other_one(bench: Bench) -> None:
    """The attempt is cut off after its time and marked; the other channel was served meanwhile."""
    alert_id = bench.queue("line", "other")
    line, other = Line("hangs"), Line()
    other.name = "other"  # type: ignore[misc]
    attempts = {a.channel: a for a in await bench.dispatch(line, other, seconds=0.05)}
    assert attempts["other"].state is DeliveryState.SENT
    assert "no end after" in attempts["line"].error
    row = next(d for d in deliveries(bench.connection, alert_id) if d.channel == "line")
    assert row.possible_repeat_of == row.id


async def test_two_runs_at_once_send_once(bench: Bench) -> None:
    """The commit before the first byte lets only one of two overlapping runs go on."""
    bench.queue()
    line = Line()
    await asyncio.gather(bench.dispatch(line), bench.dispatch(line))
    assert len(line.arrived) == 1


async def test_a_store_that_cannot_commit_sends_nothing(bench: Bench) -> None:
    """If the mark cannot be written, no byte leaves."""
    bench.queue()
    line = Line()
    bench.connection.execute(
        "CREATE TRIGGER full BEFORE UPDATE ON delivery BEGIN SELECT raise(abort, 'disk full'); END"
    )
    with pytest.raises(StoreUnavailableError):
        await bench.dispatch(line)
    assert line.arrived == []


async def test_an_abandoned_row_is_taken_up_without_a_restart(bench: Bench) -> None:
    """A row whose sender is gone for long is repeated, marked."""
    bench.queue()
    line = Line("killed before it arrives")
    with pytest.raises(CrashError):
        await bench.dispatch(line)
    assert await bench.dispatch(line) == ()
    bench.later(hours=1)
    await bench.dispatch(line)
    assert [d.possible_repeat_of is not None for d in line.arrived] == [True]


async def test_a_damaged_row_is_set_aside(bench: Bench) -> None:
    """A payload that cannot be read is dead and visible, and blocks nothing."""
    first, second = bench.queue(), bench.queue(vendor="other")
    bench.connection.execute("UPDATE delivery SET payload = '{}' WHERE alert_id = ?", [first])
    line = Line()
    attempts = await bench.dispatch(line)
    assert [a.state for a in attempts] == [DeliveryState.DEAD, DeliveryState.SENT]
    assert deliveries(bench.connection, second)[0].state is DeliveryState.SENT


async def test_a_message_that_ends_its_channel_holds_up_no_other(bench: Bench) -> None:
    """What a channel cannot be given is dead with the error, and the next message goes out in the same pass."""
    first, second = bench.queue(), bench.queue(vendor="other")
    line = Line(UnicodeEncodeError("ascii", "x\udc80", 1, 2, "crafted"))
    attempts = await bench.dispatch(line)
    assert [a.state for a in attempts] == [DeliveryState.DEAD, DeliveryState.SENT]
    assert "internal error: UnicodeEncodeError" in (deliveries(bench.connection, first)[0].last_error or "")
    assert deliveries(bench.connection, second)[0].state is DeliveryState.SENT


async def test_a_row_with_a_damaged_time_is_set_aside(bench: Bench) -> None:
    """A row that cannot be read for whatever reason blocks nothing."""
    first = bench.queue()
    bench.queue(vendor="other")
    bench.connection.execute("UPDATE delivery SET created_at = 'x' WHERE alert_id = ?", [first])
    attempts = await bench.dispatch(Line())
    assert [a.state for a in attempts] == [DeliveryState.DEAD, DeliveryState.SENT]
