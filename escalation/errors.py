"""Errors of alerts and their delivery, under the program's root."""

from __future__ import annotations

from trust_store.errors import TrustStoreError


class EscalationError(TrustStoreError):
    """Root of this package's errors."""


class AlertNotFoundError(EscalationError):
    """There is no alert of that id (exit 2)."""

    exit_code = 2


class DeliveryError(EscalationError):
    """A message was not delivered; the text is the server's answer or the fault, without secrets."""


class TransientDeliveryError(DeliveryError):
    """Worth another attempt. ``retry_after`` is in seconds, None where the other side named none.

    ``outcome_unknown`` is True where the message may have been taken although no answer was seen: the next attempt is
    then marked as a possible repeat.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, outcome_unknown: bool = False) -> None:
        super().__init__(message)
        self.retry_after, self.outcome_unknown = retry_after, outcome_unknown


class PermanentDeliveryError(DeliveryError):
    """The other side refused for good; repeating it cannot help."""


class DeliveryTakenError(DeliveryError):
    """Another run has begun to send this very row; nothing was sent by this one."""
