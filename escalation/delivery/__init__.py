"""The channels: one module each, registered here and nowhere else, alphabetically."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalation.delivery import slack, smtp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from escalation.config import DeliverySettings
    from escalation.delivery.protocol import Channel

CHANNELS = (slack, smtp)


def open_channels(
    settings: DeliverySettings, environment: Mapping[str, str], now: Callable[[], datetime]
) -> dict[str, Channel]:
    """Every configured channel by name; raises ConfigError where a secret cannot be read."""
    opened: dict[str, Channel] = {}
    for module in CHANNELS:
        channel = module.open_channel(settings, environment, now)
        if channel is not None:
            opened[module.NAME] = channel
    return opened
