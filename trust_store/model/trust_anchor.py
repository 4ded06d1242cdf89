"""Trust anchors: a key, a name and the constraints under which a team accepts it (RFC 5914, RFC 6024)."""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING

from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from trust_store.model.identifiers import Identifier


class AnchorKind(StrEnum):
    """What the anchor's ``material`` holds.

    ``x509``: a DER certificate. ``spki``: a DER SubjectPublicKeyInfo that may issue certificates under the anchor's name
    (RFC 5914 TrustAnchorInfo without a certificate). ``raw``: a DER SubjectPublicKeyInfo that signs packages itself (Android OTA,
    raw signatures). ``npm``: the same, for a registry's ECDSA key. ``openpgp``: one binary transferable public key. ``minisign``:
    the 42 bytes of a minisign or signify public key (algorithm, key number, Ed25519 key). ``ssh``: a key blob (RFC 4253 6.6).
    ``sigstore_identity``: canonical JSON of issuer and identity pattern. ``sigstore_root``: a trusted_root.json as published.
    """

    X509 = "x509"
    SPKI = "spki"
    RAW = "raw"
    NPM = "npm"
    OPENPGP = "openpgp"
    MINISIGN = "minisign"
    SSH = "ssh"
    SIGSTORE_IDENTITY = "sigstore_identity"
    SIGSTORE_ROOT = "sigstore_root"


class Purpose(StrEnum):
    """What an anchor may vouch for; one that is only for TLS never validates a package."""

    CODE = "code"
    FIRMWARE = "firmware"
    TIMESTAMP = "timestamp"
    TLS = "tls"
    ADVISORY = "advisory"


class TrustBasis(StrEnum):
    """How an anchor became valid; everything but ``called`` is weaker and is shown in every verdict.

    ``none``: it never was. ``hold_down``: approved without a call after the waiting time. ``supplied``: handed over with one
    question.
    """

    NONE = "none"
    CALLED = "called"
    BASELINE = "baseline"
    HOLD_DOWN = "hold_down"
    BREAK_GLASS = "break_glass"
    SUPPLIED = "supplied"


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
"""Every transition there is; what is not listed is refused.

A valid or superseded anchor's rules may be narrowed in its state by one person; what widens them takes a removal and a new proposal.
Breaking the glass takes two people instead of as many as policy asks, never over a tombstone.
"""


@dataclass(frozen=True, slots=True)
class SignerRule:
    """Which end entities under a CA anchor belong to the vendor: all of them (``dedicated``), or those that meet every given condition.

    A condition that is given beside ``dedicated`` holds as well. ``subject`` pairs are (attribute short name as in RFC 4514, value
    compared as RFC 5280 7.1 has it), all demanded. Of every other field one value suffices: ``san`` pairs (dns, email, uri, ip or dn;
    value), ``spki_sha256`` of the end entity, ``issuer_spki_sha256`` of a CA in the path below the anchor, ``team_id`` (the OU of a
    certificate issued by Apple), ``eku`` and certificate ``policy`` as dotted OIDs.
    """

    dedicated: bool = False
    subject: tuple[tuple[str, str], ...] = ()
    spki_sha256: tuple[str, ...] = ()
    san: tuple[tuple[str, str], ...] = ()
    issuer_spki_sha256: tuple[str, ...] = ()
    team_id: tuple[str, ...] = ()
    eku: tuple[str, ...] = ()
    policy: tuple[str, ...] = ()

    @property
    def conditional(self) -> bool:
        """Whether there is a condition that a signer can meet or miss."""
        conditions = (
            self.subject, self.spki_sha256, self.san, self.issuer_spki_sha256, self.team_id, self.eku, self.policy,
        )  # fmt: skip
        return any(conditions)

    @property
    def stated(self) -> bool:
        """Whether the rule says anything; a CA anchor without a stated rule cannot leave ``pending``."""
        return self.dedicated or self.conditional


@dataclass(frozen=True, slots=True)
class Constraints:
    """What an anchor may be used for; an empty tuple or None puts no limit.

    ``valid_from`` and ``valid_until`` bound the validation time. ``distrust_after``: certificates issued (not_before) or signatures
    made later do not count, older ones do. Names are pairs (dns, email, uri, ip or dn; value) as in RFC 5280 4.2.1.10.
    ``minimum_rsa_bits`` and ``digests`` (names such as ``sha256``) bound the keys and signatures of the whole path and of the package.
    ``revocation`` is off, if_available or required.
    """

    products: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ("code",)
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    distrust_after: datetime | None = None
    max_path_length: int | None = None
    permitted_names: tuple[tuple[str, str], ...] = ()
    excluded_names: tuple[tuple[str, str], ...] = ()
    minimum_rsa_bits: int | None = None
    digests: tuple[str, ...] = ()
    revocation: str = "if_available"


@dataclass(frozen=True, slots=True)
class TrustAnchor:
    """One version of one anchor. ``material`` is as its ``kind`` says; ``key_sha256`` its SHA-256.

    ``vendor_id`` ``any`` is for anchors supplied with one check. ``cause`` of a rejection is ``unconfirmed`` or
    ``disowned``; ``effective_from`` is when a revocation or compromise starts to count. ``basis``
    is how it became valid.
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
    basis: TrustBasis = TrustBasis.NONE
