"""The Slack channel: an incoming webhook (https://api.slack.com/messaging/webhooks), with its own sender over httpx.

slack_sdk is not used: it does not retry 429 by default and fails on a Retry-After that is an HTTP date.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx

from escalation.backoff import retry_after_seconds
from escalation.config import read_secret, require_webhook
from escalation.delivery import slack_blocks
from escalation.errors import PermanentDeliveryError, TransientDeliveryError
from escalation.model import Receipt
from trust_store.terminal import safe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from datetime import datetime

    from escalation.config import DeliverySettings
    from escalation.delivery.protocol import Channel
    from escalation.model import Delivery

NAME = "slack"
DOC = (
    "Slack incoming webhook, Block Kit. Slack cannot deduplicate: an attempt without an answer is repeated and marked."
)
MAX_ANSWER_BYTES = 4096


def open_channel(
    settings: DeliverySettings, environment: Mapping[str, str], now: Callable[[], datetime]
) -> Channel | None:
    """The channel, None where it is not configured; raises ConfigError where the webhook cannot be read or is no address."""
    chosen = settings.slack
    if chosen is None:
        return None
    webhook = read_secret(
        chosen.webhook_file,
        chosen.webhook_credential,
        chosen.webhook_env,
        environment=environment,
        name="delivery.slack",
        file=settings.file,
    )
    return SlackChannel(require_webhook(webhook, file=settings.file), chosen.timeout_seconds, now)


class SlackChannel:
    """One webhook and its long-lived client. The address is the secret: it stands in no error and no log."""

    name = NAME

    def __init__(self, webhook: str, timeout_seconds: float, now: Callable[[], datetime]) -> None:
        self._webhook, self._now = webhook, now
        self._client = httpx.AsyncClient(
            timeout=timeout_seconds,
            follow_redirects=False,
            trust_env=False,
            limits=httpx.Limits(max_connections=2, max_keepalive_connections=1, keepalive_expiry=5.0),
        )

    def __repr__(self) -> str:
        return "SlackChannel(<webhook>)"

    async def deliver(self, delivery: Delivery, announce_first_byte: Callable[[], Awaitable[None]]) -> Receipt:
        """See ``Channel.deliver``. Blocks that Slack refuses are sent once more as text: that refusal was an answer."""
        status, answer, retry_after = await self._post(slack_blocks.payload(delivery), announce_first_byte)
        if status == 400 and answer.startswith("invalid_blocks"):
            status, answer, retry_after = await self._post(slack_blocks.fallback(delivery), None)
        if status == 200 and answer == "ok":
            return Receipt(f"{status} {answer}")
        told = f"Slack answered {status} {safe(answer, 200)}"
        if status == 200:
            # Not Slack's word: a proxy or login page may have taken it, or passed it on.
            raise TransientDeliveryError(f"{told} instead of ok", outcome_unknown=True)
        if status == 429 or status == 408 or status >= 500:
            raise TransientDeliveryError(told, retry_after=retry_after_seconds(retry_after, self._now()))
        raise PermanentDeliveryError(told)

    async def _post(
        self, body: dict[str, Any], announce: Callable[[], Awaitable[None]] | None
    ) -> tuple[int, str, str | None]:
        """Send ``body``; return status, answer and Retry-After. Without ``announce`` the attempt is announced already."""
        data = json.dumps(body).encode()
        began = announce is None

        async def content() -> AsyncIterator[bytes]:
            # httpx asks for the body when connection and TLS stand: what fails before has shown nothing to anybody.
            nonlocal began
            if announce is not None:
                await announce()
            began = True
            yield data

        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Content-Length": str(len(data)),
            "Accept-Encoding": "identity",
        }
        try:
            async with self._client.stream("POST", self._webhook, content=content(), headers=headers) as response:
                answer = b""
                async for chunk in response.aiter_raw():
                    answer += chunk
                    if len(answer) > MAX_ANSWER_BYTES:
                        break
                return (
                    response.status_code,
                    answer[:MAX_ANSWER_BYTES].decode(errors="replace").strip(),
                    response.headers.get("Retry-After"),
                )
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            # Only the kind of the error: its text may repeat the address.
            raise TransientDeliveryError(f"Slack: {type(error).__name__}", outcome_unknown=began) from error

    async def close(self) -> None:
        """Close the client's connections."""
        await self._client.aclose()
