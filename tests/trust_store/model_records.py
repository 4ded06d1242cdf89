"""What the model of the store remembers: anchors, approvals, vendor files, digest decisions, sets."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.trust_store.model_world import KEYS, VendorFile

OPEN = ("pending", "valid", "superseded")
BURIED = ("distrusted", "compromised")
SOFT = ("superseded", "cessation-of-operation", "affiliation-changed")
TABLE = {
    (None, "pending"), (None, "distrusted"), ("pending", "distrusted"), ("pending", "valid"), ("pending", "rejected"),
    ("valid", "superseded"), ("valid", "revoked"), ("valid", "compromised"), ("valid", "distrusted"),
    ("superseded", "revoked"), ("superseded", "compromised"), ("superseded", "distrusted"), ("valid", "removed"),
    ("superseded", "removed"),
}  # fmt: skip
"""The table of docs/trust-model.md, written out once more."""
REMOVAL_WAIT = timedelta(days=7)
LONGEST_ALLOWANCE = timedelta(days=30)


class RefusedError(Exception):
    """The decision is refused and nothing changes."""


@dataclass(frozen=True)
class Told:
    """What a decision came to."""

    outcome: str
    given: int | None = None
    needed: int | None = None


@dataclass(frozen=True)
class Given:
    """One approval."""

    who: str
    needed: int
    way: str = "plain"
    called: str = ""
    waits: datetime | None = None
    at: datetime | None = None


@dataclass
class Anchor:
    """One anchor as the model has it; ``ticks`` count what was recorded, whatever the clock said."""

    vendor: str
    key: str
    state: str
    first_at: datetime
    first_actor: str
    rule: str = "none"
    limit: str = "none"
    cause: str | None = None
    basis: str = "none"
    effective_from: datetime | None = None
    accepted: list[Given] = field(default_factory=list)
    retiring: dict[tuple[object, ...], list[Given]] = field(default_factory=dict)
    valid_since: int = 0
    buried_since: int = 0
    narrowed: int = 0
    moved: int = 0

    @property
    def node(self) -> str:
        """Name and key."""
        return KEYS[self.key].node


@dataclass
class VendorState:
    """A vendor file on disk, as recorded last, and as it counts."""

    file: VendorFile
    latest: VendorFile | None = None
    awaiting: bool = False
    held: VendorFile | None = None
    approvals: list[Given] = field(default_factory=list)


@dataclass
class Digest:
    """A block or an allowance."""

    package: str
    vendor: str
    effect: str
    until: datetime | None
    state: str = "pending"
    since: datetime | None = None
    approvals: list[Given] = field(default_factory=list)
    endings: list[Given] = field(default_factory=list)


@dataclass
class Baseline:
    """A set proposed as one: (index of an anchor, its rules then)."""

    vendor: str
    members: tuple[tuple[int, str, str], ...]
    proposed_by: str
    state: str = "pending"
    approvals: list[Given] = field(default_factory=list)
