"""One frozen type per stage: context -> draft -> alert -> script -> message -> delivery. No rows or dicts cross a module border."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from trust_store.model.claim import Evidence
    from trust_store.model.trust_anchor import TrustAnchor
    from trust_store.model.vendor import Vendor
    from trust_store.model.verdict import Verdict


class Severity(StrEnum):
    """How soon somebody should look."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class AlertStatus(StrEnum):
    """``open`` until somebody says he has it (``acknowledged``) or the matter is settled (``resolved``)."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class DeliveryState(StrEnum):
    """``queued``: not a byte sent; ``sending``: the outcome is not recorded; ``sent``; ``dead``: refused for good."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DEAD = "dead"


class CallPurpose(StrEnum):
    """What the call to the vendor is about; one wording of sheet and script each."""

    CONFIRM_KEY = "confirm_key"
    OBTAIN_KEY = "obtain_key"
    REPORT_ATTACK = "report_attack"
    ASK_PACKAGE = "ask_package"
    INSPECT = "inspect"


@dataclass(frozen=True, slots=True)
class AlertContext:
    """All that is known when a verdict is turned into an alert; put together by the caller, nothing is looked up later.

    ``proposals`` are the pending anchors that fit the package's signer or missing issuer. Paths are those of this host;
    ``rotation_note`` is one sentence about the rotation case, if there is one. ``owner`` is another vendor a valid anchor of which
    vouches for the package. ``asker`` is the origin of what was read over the API, empty for the incoming folders.
    """

    verdict: Verdict
    vendor: Vendor | None = None
    evidence: tuple[Evidence, ...] = ()
    proposals: tuple[TrustAnchor, ...] = ()
    package_path: str | None = None
    retained_path: str | None = None
    config_path: str | None = None
    rotation_note: str | None = None
    owner: Vendor | None = None
    asker: str = ""


@dataclass(frozen=True, slots=True)
class AlertDraft:
    """What ``rules`` decided to say; every text in it is safe to show (redacted, one line, no control characters).

    ``first`` is what to look at before anything else is done; the summary begins with it.
    """

    dedup_key: str
    kind: str
    reason: str
    severity: Severity
    title: str
    summary: str
    lines: tuple[str, ...] = ()
    vendor_id: str | None = None
    package_sha256: str | None = None
    purpose: CallPurpose | None = None
    context: AlertContext | None = None
    first: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert as stored."""

    id: str
    dedup_key: str
    kind: str
    reason: str
    severity: Severity
    vendor_id: str | None
    package_sha256: str | None
    title: str
    summary: str
    lines: tuple[str, ...]
    status: AlertStatus
    opened_at: datetime
    updated_at: datetime
    resolved_at: datetime | None = None
    resolution: str | None = None
    acknowledged_by: str | None = None
    repeat_count: int = 0


@dataclass(frozen=True, slots=True)
class EscalationScript:
    """The call sheet (text) and the runnable POSIX script of one alert, made from the same facts."""

    alert_id: str
    sheet: str
    script: str


@dataclass(frozen=True, slots=True)
class Message:
    """What a channel shows, before it is put into the channel's own form. All texts are already redacted.

    ``facts`` are (label, value) pairs; ``said`` one line for each thing a vendor channel said.
    """

    alert_id: str
    severity: Severity
    title: str
    summary: str
    facts: tuple[tuple[str, str], ...] = ()
    said: tuple[str, ...] = ()
    warning: str = ""
    sheet: str = ""
    script: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One row of the outbox: one message for one channel. ``attempts`` counts those that ended without success.

    ``checkpoint`` is the newest signed line about the audit log, for a channel that keeps what it was given.
    """

    id: str
    alert_id: str
    channel: str
    message_id: str
    message: Message
    state: DeliveryState
    attempts: int
    created_at: datetime
    next_attempt_at: datetime
    sending_since: datetime | None = None
    sent_at: datetime | None = None
    last_error: str | None = None
    possible_repeat_of: str | None = None
    checkpoint: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the other side answered when it took the message; ``refused`` lists recipients it did not take."""

    answer: str
    refused: tuple[str, ...] = field(default=())
