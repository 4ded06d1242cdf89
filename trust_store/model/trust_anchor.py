"""Trust anchors: a key, a name and the constraints under which a team accepts it (RFC 5914, RFC 6024)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from trust_store.model.identifiers import Identifier


class AnchorKind(StrEnum):
    """What the anchor's ``material`` holds: a DER certificate or an OpenPGP transferable public key."""

    X509 = "x509"
    OPENPGP = "openpgp"


class AnchorState(StrEnum):
    """Where an anchor stands; only ``valid`` (and, for older signatures, ``superseded``) makes anything pass."""

    PENDING = "pending"
    VALID = "valid"
    SUPERSEDED = "superseded"
    REVOKED = "revoked"
    COMPROMISED = "compromised"
    DISTRUSTED = "distrusted"
    REMOVED = "removed"
    REJECTED = "rejected"


class Approvals(StrEnum):
    """How many people a transition needs."""

    NONE = "none"
    ONE = "one"
    POLICY = "policy"


TRANSITIONS: dict[tuple[AnchorState | None, AnchorState], Approvals] = {
    (None, AnchorState.PENDING): Approvals.NONE,
    (None, AnchorState.DISTRUSTED): Approvals.ONE,
    (AnchorState.PENDING, AnchorState.DISTRUSTED): Approvals.ONE,
    (AnchorState.PENDING, AnchorState.VALID): Approvals.POLICY,
    (AnchorState.PENDING, AnchorState.REJECTED): Approvals.ONE,
    (AnchorState.VALID, AnchorState.SUPERSEDED): Approvals.POLICY,
    (AnchorState.VALID, AnchorState.REVOKED): Approvals.ONE,
    (AnchorState.VALID, AnchorState.COMPROMISED): Approvals.ONE,
    (AnchorState.VALID, AnchorState.DISTRUSTED): Approvals.ONE,
    (AnchorState.SUPERSEDED, AnchorState.REVOKED): Approvals.ONE,
    (AnchorState.SUPERSEDED, AnchorState.COMPROMISED): Approvals.ONE,
    (AnchorState.SUPERSEDED, AnchorState.DISTRUSTED): Approvals.ONE,
    (AnchorState.VALID, AnchorState.REMOVED): Approvals.POLICY,
    (AnchorState.SUPERSEDED, AnchorState.REMOVED): Approvals.POLICY,
}
"""Every transition there is; what is not listed is refused."""


@dataclass(frozen=True, slots=True)
class SignerRule:
    """Which end entities under a CA anchor belong to the vendor: ``dedicated``, or every given condition holds.

    ``subject`` pairs are (attribute short name as in RFC 4514, exact value); ``spki_sha256`` pins any one end entity key.
    """

    dedicated: bool = False
    subject: tuple[tuple[str, str], ...] = ()
    spki_sha256: tuple[str, ...] = ()

    @property
    def stated(self) -> bool:
        """Whether the rule says anything; a CA anchor without a stated rule cannot leave ``pending``."""
        return self.dedicated or bool(self.subject) or bool(self.spki_sha256)


@dataclass(frozen=True, slots=True)
class Constraints:
    """What an anchor may be used for; an empty tuple or None puts no limit."""

    products: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ("code",)
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    max_path_length: int | None = None


@dataclass(frozen=True, slots=True)
class TrustAnchor:
    """One version of one anchor. ``material`` is DER (x509) or a binary OpenPGP key; ``key_sha256`` its SHA-256.

    ``vendor_id`` ``any`` is for anchors supplied with one check. ``cause`` of a rejection is ``unconfirmed`` or
    ``disowned``; ``effective_from`` is when a revocation or compromise starts to count.
    """

    id: str
    vendor_id: str
    kind: AnchorKind
    name: str
    key_sha256: str
    material: bytes
    state: AnchorState
    recorded_at: datetime
    effective_from: datetime
    signer_rule: SignerRule = field(default_factory=SignerRule)
    constraints: Constraints = field(default_factory=Constraints)
    follow_rotation: bool = False
    identifiers: tuple[Identifier, ...] = ()
    authority: str = "unauthenticated"
    cause: str | None = None
    previous: str | None = None
    successor: str | None = None
