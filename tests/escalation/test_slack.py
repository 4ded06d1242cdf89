"""Slack against a strict stand-in that checks the documented limits, and against slack_sdk's own validators."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block

from escalation.config import DeliverySettings, SlackSettings
from escalation.delivery import slack as channel_module
from escalation.delivery import slack_blocks
from escalation.errors import DeliveryTakenError, PermanentDeliveryError, TransientDeliveryError
from escalation.model import Message, Severity
from tests.escalation.conftest import AT, THREAD
from tests.escalation.test_smtp import hostile_delivery, make_delivery
from tests.simulator.slack import Fault, SlackServer, shown
from tests.simulator.slack_blocks import InvalidBlocksError, check_message

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from escalation.delivery.protocol import Channel
    from escalation.model import Delivery

MENTIONS = ("<!channel>", "<!here> <!everyone>", "<@U123>", "<!subteam^S1>", "<https://evil|Click to remediate>", "`x`*b*_i_~s~",
            "&lt;!channel&gt;", "\u202e", "a & b", ":skull:", "\x1b]0;x\x07")  # fmt: skip


@pytest.fixture
def open_slack(clock: Callable[[], datetime], tmp_path: Path) -> Callable[..., Channel]:
    """Opens the channel for a webhook that is in a file."""

    def opened(webhook: str, timeout: float = 5.0) -> Channel:
        file = tmp_path / "webhook"
        file.write_text(webhook + "\n")
        chosen = DeliverySettings(tmp_path / "c.toml", slack=SlackSettings(webhook_file=file, timeout_seconds=timeout))
        channel = channel_module.open_channel(chosen, {}, clock)
        assert channel is not None
        return channel

    return opened


class Mark:
    """Counts announcements."""

    def __init__(self) -> None:
        self.count = 0

    async def __call__(self) -> None:
        self.count += 1


async def deliver(channel: Channel, delivery: Delivery | None = None) -> tuple[Any, Mark]:
    """Send; return receipt (or the error) and the mark."""
    mark = Mark()
    try:
        return await channel.deliver(delivery or make_delivery(), mark), mark
    except (TransientDeliveryError, PermanentDeliveryError) as error:
        return error, mark
    finally:
        await channel.close()


async def test_a_message_arrives_and_names_the_thread(slack: SlackServer, open_slack: Callable[..., Channel]) -> None:
    """The stand-in takes it; it names the vendor's post, the contact and the alert."""
    receipt, mark = await deliver(open_slack(slack.webhook))
    assert receipt.answer == "200 ok"
    assert mark.count == 1
    text = shown(slack.accepted[0])
    for part in (THREAD, "Security desk +1 408 555 0100", "alert_1", "update.zip"):
        assert part in text


@pytest.mark.parametrize(
    ("fault", "error", "unknown"),
    [
        (Fault(500, "server_error"), TransientDeliveryError, False),
        (Fault(503, ""), TransientDeliveryError, False),
        (Fault(404, "no_service"), PermanentDeliveryError, False),
        (Fault(403, "invalid_token"), PermanentDeliveryError, False),
        (Fault(400, "invalid_payload"), PermanentDeliveryError, False),
        (Fault(302, "", {"Location": "http://127.0.0.1:1/"}), PermanentDeliveryError, False),
        (Fault(200, "<html>login</html>"), TransientDeliveryError, True),
        (Fault(200, "x" * 100_000), TransientDeliveryError, True),
        (Fault(drop=True), TransientDeliveryError, True),
        (Fault(accept=True, drop=True), TransientDeliveryError, True),
        (Fault(hang=True), TransientDeliveryError, True),
    ],
)
async def test_faults_of_slack(
    fault: Fault, error: type[Exception], unknown: bool, slack: SlackServer, open_slack: Callable[..., Channel]  # noqa: FBT001
) -> None:  # fmt: skip
    """5xx later, 4xx never, no answer or a strange one: later and marked; the webhook stands in no error."""
    slack.faults.append(fault)
    found, mark = await deliver(open_slack(slack.webhook, 0.3))
    assert isinstance(found, error)
    assert getattr(found, "outcome_unknown", False) is unknown
    assert mark.count == 1
    assert slack.path not in str(found)
    assert "SIMULATEDWEBHOOK" not in repr(found)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), (format_datetime(AT + timedelta(seconds=30), usegmt=True), 30.0), ("1000000000", 3600.0), ("-1", None), (None, None)],
)  # fmt: skip
async def test_429_in_every_form(
    header: str | None, seconds: float | None, slack: SlackServer, open_slack: Callable[..., Channel]
) -> None:
    """Retry-After in seconds and as a date, capped; without one it is an ordinary retry."""
    slack.faults.append(Fault(429, "rate_limited", {"Retry-After": header} if header else {}))
    found, _ = await deliver(open_slack(slack.webhook))
    assert isinstance(found, TransientDeliveryError)
    assert (found.retry_after, found.outcome_unknown) == (seconds, False)


async def test_refused_blocks_are_sent_once_more_as_text(
    slack: SlackServer, open_slack: Callable[..., Channel]
) -> None:
    """400 invalid_blocks: plain text once; refused again, it is dead."""
    slack.faults.append(Fault(400, "invalid_blocks"))
    receipt, mark = await deliver(open_slack(slack.webhook))
    assert receipt.answer == "200 ok"
    assert "blocks" not in slack.accepted[0]
    assert mark.count == 1
    slack.faults += [Fault(400, "invalid_blocks"), Fault(400, "invalid_blocks")]
    found, _ = await deliver(open_slack(slack.webhook))
    assert isinstance(found, PermanentDeliveryError)


async def test_no_connection_announces_nothing(open_slack: Callable[..., Channel]) -> None:
    """A server that is down: the row stays queued and will be no repeat."""
    with SlackServer() as server:
        webhook = server.webhook
    found, mark = await deliver(open_slack(webhook))
    assert isinstance(found, TransientDeliveryError)
    assert (mark.count, found.outcome_unknown) == (0, False)


async def test_a_refused_announcement_sends_nothing(slack: SlackServer, open_slack: Callable[..., Channel]) -> None:
    """If another run has the row, no body leaves."""

    async def taken() -> None:
        raise DeliveryTakenError("taken")

    channel = open_slack(slack.webhook)
    with pytest.raises(DeliveryTakenError):
        await channel.deliver(make_delivery(), taken)
    await channel.close()
    assert slack.accepted == []
    assert "webhook" in repr(channel)


async def test_a_repeat_says_so(slack: SlackServer, open_slack: Callable[..., Channel]) -> None:
    """A possible repeat is marked in the notification and in the message."""
    await deliver(open_slack(slack.webhook), make_delivery(possible_repeat_of="delivery_1"))
    assert slack.accepted[0]["text"].startswith("[possible repeat of delivery_1]")
    assert "Possible repeat of delivery_1" in shown({"blocks": slack.accepted[0]["blocks"]})


@pytest.mark.parametrize("value", MENTIONS)
async def test_outside_text_cannot_mention_link_or_format(
    value: str, slack: SlackServer, open_slack: Callable[..., Channel]
) -> None:
    """Outside text stands in plain_text objects, escaped; nothing is mrkdwn, nothing unfurls."""
    await deliver(open_slack(slack.webhook), hostile_delivery(value))
    (message,) = slack.accepted
    raw = json.dumps(message, ensure_ascii=False)
    assert "<" not in raw
    assert ">" not in raw
    assert '"mrkdwn"' not in raw.replace('"mrkdwn": false', "")
    assert (message["mrkdwn"], message["unfurl_links"], message["unfurl_media"]) == (False, False, False)
    assert not any(c in raw for c in "\u202e\x1b")


def validate(delivery: Delivery) -> None:
    """Both oracles take the payload."""
    payload = slack_blocks.payload(delivery)
    check_message(payload)
    for block in Block.parse_all(payload["blocks"]):
        block.validate_json()
    assert len(payload["text"]) <= 3000
    check_message(slack_blocks.fallback(delivery))


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=60), st.sampled_from([1, 3, 50, 400]), st.integers(0, 60))
def test_any_text_of_any_length_is_within_the_limits(text: str, times: int, lines: int) -> None:
    """Whatever the texts, the blocks are valid for Slack."""
    long = text * times
    message = Message("alert_1", Severity.LOW, long, long, ((long, long),) * lines, (long,) * lines, long, "s", long)
    validate(replace(make_delivery(), message=message, possible_repeat_of="delivery_1"))


@pytest.mark.parametrize("filler", ["&", "<", "\U0001f600", "x", " ", "\x00", "é"])
@pytest.mark.parametrize("length", [0, 1, 149, 150, 151, 1999, 2000, 2001, 2999, 3000, 3001, 40_000])
def test_the_edges_of_every_limit(filler: str, length: int) -> None:
    """At, below and above each limit, with characters that grow when escaped."""
    validate(hostile_delivery(filler * length))


def test_no_entity_is_cut_in_half() -> None:
    """Cutting counts the escaped length and never leaves a broken entity."""
    assert slack_blocks.escaped("a&&&", 7) == "a&amp;"
    assert slack_blocks.escaped("\U0001f600" * 3, 5) == "\U0001f600" * 2
    assert slack_blocks.plain("", 5)["text"] == "-"


@pytest.mark.parametrize(
    "message",
    [
        {"blocks": [{"type": "divider"}] * 51},
        {"blocks": [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}]},
        {"blocks": [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}]},
        {"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}]},
        {"blocks": [{"type": "section", "text": {"type": "plain_text", "text": ""}}]},
        {"blocks": [{"type": "section"}]},
        {"blocks": [{"type": "section", "fields": [{"type": "plain_text", "text": "x"}] * 11}]},
        {"blocks": [{"type": "section", "fields": [{"type": "plain_text", "text": "x" * 2001}]}]},
        {"blocks": [{"type": "actions", "elements": [{"type": "button", "text": {"type": "plain_text", "text": "x" * 76}}]}]},
        {"blocks": [{"type": "divider", "block_id": "a"}, {"type": "divider", "block_id": "a"}]},
        {"blocks": [{"type": "divider", "block_id": "a" * 256}]},
        {"blocks": [{"type": "divider", "colour": "red"}]},
        {"blocks": [{"type": "marquee"}]},
        {"text": "x", "colour": "red"},
    ],
)  # fmt: skip
def test_the_stand_in_refuses_what_slack_refuses(message: dict[str, Any]) -> None:
    """The simulator is strict: each documented limit is checked."""
    with pytest.raises(InvalidBlocksError):
        check_message(message)


def test_the_stand_in_answers_like_slack(slack: SlackServer) -> None:
    """Statuses and bodies are Slack's own."""
    good = json.dumps({"text": "x"}).encode()
    wrong_token = slack.path.rsplit("/", 1)[0] + "/WRONG"
    assert slack.answer("/services/T/B", "application/json", good) == (404, "no_service", {})
    assert slack.answer("/elsewhere", "application/json", good) == (404, "no_service", {})
    assert slack.answer(wrong_token, "application/json", good) == (403, "invalid_token", {})
    assert slack.answer(slack.path, "text/plain", good) == (400, "invalid_payload", {})
    assert slack.answer(slack.path, "application/json", b"{") == (400, "invalid_payload", {})
    assert slack.answer(slack.path, "application/json", b"[]") == (400, "invalid_payload", {})
    assert slack.answer(slack.path, "application/json", b"{}") == (400, "no_text", {})
    assert slack.answer(slack.path, "application/json", b'{"blocks": [1]}') == (400, "invalid_blocks", {})
    assert slack.answer(slack.path, "application/json", good) == (200, "ok", {})
    assert slack.accepted == [{"text": "x"}]
    assert len(slack.refusals) == 8
    assert isinstance(slack.seen, threading.Event)
