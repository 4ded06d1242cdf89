"""What every channel is: a module with ``NAME`` and ``open_channel``, whose channel has one method that delivers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from escalation.model import Delivery, Receipt


class Channel(Protocol):
    """One configured way out. Belongs to one event loop; deliveries of one channel are never run side by side."""

    @property
    def name(self) -> str:
        """The module's ``NAME``; also the value in the outbox."""

    async def deliver(self, delivery: Delivery, announce_first_byte: Callable[[], Awaitable[None]]) -> Receipt:
        """Send one message and return what the other side answered.

        ``announce_first_byte`` is awaited right before the first byte of the message itself leaves (connecting, TLS and
        authentication come before): it makes the attempt durable, and if it raises nothing may be sent.
        ``delivery.possible_repeat_of`` is to be shown in the message. Raises TransientDeliveryError or
        PermanentDeliveryError, whose texts hold no secret; nothing else.
        """

    async def close(self) -> None:
        """Let go of connections; safe to call twice."""
