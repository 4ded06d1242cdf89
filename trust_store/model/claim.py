"""What a channel says: claims, the evidence shown for them, and the proposals made of them. None of it is trusted."""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING

from trust_store.model.trust_anchor import Constraints, SignerRule
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from trust_store.model.identifiers import Identifier
    from trust_store.model.trust_anchor import AnchorKind


class Authority(StrEnum):
    """On whose word; the first three are vendor-authenticated."""

    VENDOR_SITE = "vendor_site"
    SIGNED_ADVISORY = "signed_advisory"
    STAFF = "staff"
    THIRD_PARTY = "third_party"
    UNAUTHENTICATED = "unauthenticated"

    @property
    def authenticated(self) -> bool:
        """Whether the vendor itself is known to have said it."""
        return self in (Authority.VENDOR_SITE, Authority.SIGNED_ADVISORY, Authority.STAFF)


class ClaimKind(StrEnum):
    """What is said to have happened to a key."""

    ROTATED = "rotated"
    EXPIRED = "expired"
    EXTENDED = "extended"
    REVOKED = "revoked"
    COMPROMISED = "compromised"
    DISTRUSTED = "distrusted"
    NEW_ROOT_ADDED = "new_root_added"
    HOST_KEY = "host_key"


@dataclass(frozen=True, slots=True)
class ClaimKey:
    """A key named in a text: ``role`` old, new or unknown; ``algorithm`` sha1, sha256, openpgp, key_id, name ...

    ``value`` is normalised: hex without separators, or the name.
    """

    role: str
    algorithm: str
    value: str


@dataclass(frozen=True, slots=True)
class Claim:
    """One assertion found in a document. Dates are ISO 8601 (YYYY-MM-DD or YYYY-MM); ``start``/``end`` are character offsets."""

    kind: ClaimKind
    keys: tuple[ClaimKey, ...]
    effective_dates: tuple[str, ...]
    urls: tuple[str, ...]
    excerpt: str
    author: str | None
    authority: Authority
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """A claim as it is shown beside a verdict: where it was said, when, by whom, on what authority."""

    claim: str
    url: str | None
    published: datetime | None
    author: str | None
    authority: Authority
    excerpt: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """Key material found in a channel, proposed as a pending anchor of ``vendor_id``; ``reference`` is the URL it came from.

    ``constraints`` and ``signer_rule`` are suggested with it. ``distrusted`` is True where the source lists the key as one not to
    be trusted, False where it lists it as trusted, None where it does not say.
    """

    vendor_id: str
    kind: AnchorKind
    name: str
    key_sha256: str
    material: bytes
    identifiers: tuple[Identifier, ...]
    authority: Authority
    reference: str
    constraints: Constraints = field(default_factory=Constraints)
    signer_rule: SignerRule = field(default_factory=SignerRule)
    distrusted: bool | None = None
