"""The outbox with both real channels: alert to mail and Slack, killed at the points that matter."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from escalation.config import DeliverySettings, SlackSettings, SMTPSettings
from escalation.delivery import open_channels
from escalation.dispatch import dispatch_due, recover
from escalation.model import DeliveryState
from escalation.rules import decide
from escalation.storage.rows import deliveries
from escalation.triage import raise_alert
from tests.escalation.conftest import AT, THREAD, make_context
from tests.escalation.test_dispatch import CrashError, Run
from tests.simulator.slack import Fault, SlackServer, shown

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

    from tests.simulator.smtp import SMTPServer


class House:
    """A store, both channels and their counterparts."""

    def __init__(
        self, store: sqlite3.Connection, slack: SlackServer, smtp: SMTPServer, folder: Path, randomness: Callable[[int], bytes]
    ) -> None:  # fmt: skip
        self.store, self.slack, self.smtp, self.randomness, self.time = store, slack, smtp, randomness, AT
        (folder / "webhook").write_text(slack.webhook)
        self.settings = DeliverySettings(
            folder / "c.toml",
            SMTPSettings(
                host="127.0.0.1", port=smtp.port, sender="r@example.org", recipients=("soc@example.org",), starttls=False, timeout_seconds=5
            ),
            SlackSettings(webhook_file=folder / "webhook", timeout_seconds=5),
        )  # fmt: skip
        self.alert = raise_alert(
            store, decide(make_context()), channels=("slack", "smtp"), at=AT, randomness=randomness
        )

    async def run(self, *, die_before: int | None = None, die_after: int | None = None) -> Any:
        """One life of the daemon: recover, one pass, end."""
        run = Run(self.store)
        recover(self.store, self.time)
        run.die_before, run.die_after = die_before, die_after
        channels = open_channels(self.settings, {}, lambda: self.time)
        try:
            return await dispatch_due(run, channels, lambda: self.time, self.randomness)
        except CrashError:
            return None
        finally:
            for channel in channels.values():
                await channel.close()


@pytest.fixture
def house(
    store: sqlite3.Connection, slack: SlackServer, smtp: SMTPServer, tmp_path: Path, randomness: Callable[[int], bytes]
) -> House:
    """The whole way out."""
    return House(store, slack, smtp, tmp_path, randomness)


async def test_both_channels_name_the_thread(house: House) -> None:
    """Mail and Slack each arrive once and name the vendor's post."""
    assert {a.state for a in await house.run()} == {DeliveryState.SENT}
    assert await house.run() == ()
    assert len(house.slack.accepted) == len(house.smtp.messages) == 1
    assert THREAD in shown(house.slack.accepted[0])
    assert THREAD in house.smtp.messages[0].mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]


@pytest.mark.parametrize("side", ["die_before", "die_after"])
@pytest.mark.parametrize("call", range(1, 10))
async def test_killed_at_any_commit_nothing_is_lost(house: House, side: str, call: int) -> None:
    """Whichever commit is the last one, each channel shows it at least once and at most one marked repeat."""
    await house.run(**{side: call})
    for _ in range(2):
        house.time += timedelta(minutes=20)
        await house.run()
    assert {d.state for d in deliveries(house.store, house.alert)} == {DeliveryState.SENT}
    marks = {
        "slack": ["possible repeat" in m["text"] for m in house.slack.accepted],
        "smtp": ["possible repeat" in m.mail["Subject"] for m in house.smtp.messages],
    }
    for seen in marks.values():
        assert 1 <= len(seen) <= 2
        assert seen.count(False) <= 1
        assert seen.count(True) <= 1
    assert len({m.mail["Message-ID"] for m in house.smtp.messages}) == 1


async def test_slack_posts_it_but_the_answer_is_lost(house: House) -> None:
    """Slack cannot deduplicate: the second message says that it may be a repeat; the mail is not touched by it."""
    house.slack.faults.append(Fault(accept=True, drop=True))
    await house.run()
    house.time += timedelta(minutes=20)
    await house.run()
    assert [m["text"].startswith("[possible repeat of delivery_") for m in house.slack.accepted] == [False, True]
    assert len(house.smtp.messages) == 1


async def test_a_refused_mail_is_visible_and_slack_still_arrives(house: House) -> None:
    """550: dead with the server's answer on the row; the other channel has told the team."""
    house.smtp.faults.append("550")
    await house.run()
    rows = {d.channel: d for d in deliveries(house.store, house.alert)}
    assert rows["smtp"].state is DeliveryState.DEAD
    assert "550" in str(rows["smtp"].last_error)
    assert len(house.slack.accepted) == 1
