"""Verdicts: outcome, reason and everything a person needs to follow them (ETSI EN 319 102-1 section 5.1 for the outcomes)."""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING, NoReturn

from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from trust_store.model.claim import Evidence
    from trust_store.model.package_facts import Coverage, SideFile
    from trust_store.model.ratchet import Strength


class Outcome(StrEnum):
    """PASSED: trusted. FAILED: evidence against. INDETERMINATE: evidence lacking."""

    PASSED = "passed"
    FAILED = "failed"
    INDETERMINATE = "indeterminate"


class Reason(StrEnum):
    """Why; in the order in which the first that applies is the reason and the others stand in ``also``."""

    RESOURCE_LIMIT = "resource_limit"
    UNREADABLE = "unreadable"
    UNSUPPORTED_FORMAT = "unsupported_format"
    MALFORMED = "malformed"
    UNSIGNED = "unsigned"
    INVALID_SIGNATURE = "invalid_signature"
    UNCOVERED_CONTENT = "uncovered_content"
    COMPROMISED = "compromised"
    DISTRUSTED = "distrusted"
    REVOKED = "revoked"
    WITHDRAWN = "withdrawn"
    WEAK_ALGORITHM = "weak_algorithm"
    UNKNOWN_ROOT = "unknown_root"
    OUT_OF_SCOPE = "out_of_scope"
    UNEXPECTED_SIGNER = "unexpected_signer"
    PATH_INVALID = "path_invalid"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    REVOCATION_UNKNOWN = "revocation_unknown"
    DOWNGRADE = "downgrade"
    ROLLBACK = "rollback"
    VENDOR_UNSTATED = "vendor_unstated"
    TRUSTED = "trusted"


PRECEDENCE: tuple[Reason, ...] = tuple(Reason)
FAILED_REASONS = frozenset(
    {
        Reason.INVALID_SIGNATURE,
        Reason.MALFORMED,
        Reason.UNCOVERED_CONTENT,
        Reason.REVOKED,
        Reason.COMPROMISED,
        Reason.DISTRUSTED,
        Reason.WITHDRAWN,
        Reason.WEAK_ALGORITHM,
        Reason.PATH_INVALID,
    }
)


def outcome_of(reason: Reason) -> Outcome:
    """The outcome a reason belongs to."""
    if reason is Reason.TRUSTED:
        return Outcome.PASSED
    return Outcome.FAILED if reason in FAILED_REASONS else Outcome.INDETERMINATE


@dataclass(frozen=True, slots=True)
class ExpectedVendor:
    """Whose package the asker says it is; ``basis`` is stated, folder, any or none; ``suggested`` comes from the file name."""

    id: str | None
    basis: str
    suggested: str | None = None


@dataclass(frozen=True, slots=True)
class Signer:
    """Who made a signature: ``kind`` x509 or openpgp; ``identifiers`` holds known ones only (kind -> hex)."""

    kind: str
    name: str | None
    identifiers: tuple[tuple[str, str], ...] = ()
    not_before: datetime | None = None
    not_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class PathNode:
    """One certificate or key of a path."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Relative:
    """An anchor that is like the missing issuer: ``kind`` same_name_new_key, same_key_new_certificate or sibling."""

    anchor_id: str
    name: str
    state: str
    kind: str


MAX_RELATIVES = 3
RELATIVES = {
    "same_name_new_key": "has the missing issuer's name and another key",
    "same_key_new_certificate": "has the missing issuer's key in another certificate",
    "sibling": "belongs to the same organisation or issuer as the missing one",
}
"""How an anchor is like an issuer that is missing; it vouches for nothing by that."""


@dataclass(frozen=True, slots=True)
class MissingIssuer:
    """The issuer no candidate could stand in for; ``same_name_new_key`` where a known key has the name but not the key."""

    name: str | None
    authority_key_identifier: str | None
    same_name_new_key: bool = False
    relatives: tuple[Relative, ...] = ()


@dataclass(frozen=True, slots=True)
class SignatureVerdict:
    """The verdict on one signature. ``integrity`` (intact, broken, unchecked) is arithmetic alone."""

    scheme: str
    file: SideFile | None
    integrity: str
    signer: Signer | None
    path: tuple[PathNode, ...]
    anchor: tuple[str, str] | None
    missing_issuer: MissingIssuer | None
    claimed_at: datetime | None
    timestamped_at: datetime | None
    reason: Reason
    also: tuple[Reason, ...] = ()
    detail: str = ""
    known_key: bool = False

    @property
    def outcome(self) -> Outcome:
        """The outcome of ``reason``."""
        return outcome_of(self.reason)


@dataclass(frozen=True, slots=True)
class Basis:
    """What a verdict rests on: trust is store, bundle, supplied, store+supplied or digest_decision; time is now or requested.

    ``decision`` is how the anchor became valid (a ``TrustBasis``), or the id of the digest decision.
    """

    trust: str
    store_id: str | None
    store_revision: int | None
    time: str
    decision: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer about one package. There is no truth value: ask ``outcome``, or call ``require_passed``.

    ``strength`` is what its signatures that count show, for the product's ratchets; no part of what is told.
    """

    path: str | None
    name: str
    size: int | None
    sha256: str | None
    format: str | None
    vendor: ExpectedVendor
    reason: Reason
    also: tuple[str, ...]
    summary: str
    checked_at: datetime
    validation_time: datetime
    valid_until: datetime
    basis: Basis
    signatures: tuple[SignatureVerdict, ...]
    coverage: Coverage
    members: tuple[Verdict, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    evidence_available: bool = False
    needs_file: bool = False
    advice: tuple[str, ...] = field(default=())
    strength: Strength | None = None

    @property
    def outcome(self) -> Outcome:
        """The outcome of ``reason``."""
        return outcome_of(self.reason)

    def __bool__(self) -> NoReturn:
        raise TypeError("a verdict is not true or false: compare .outcome with Outcome.PASSED or call require_passed()")


class NotPassedError(Exception):
    """Raised by ``require_passed``; carries the verdict."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(f"{verdict.name}: {verdict.outcome} / {verdict.reason}: {verdict.summary}")
        self.verdict = verdict


def require_passed(verdict: Verdict) -> None:
    """Return only if the package passed; raises NotPassedError otherwise."""
    if verdict.outcome is not Outcome.PASSED:
        raise NotPassedError(verdict)
