"""What a verdict is asked about, and the findings that an answer is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.model.verdict import PRECEDENCE, Reason
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from trust_store.model.package_facts import SignatureFact
    from trust_store.model.trust_anchor import TrustAnchor
    from trust_store.model.verdict import ExpectedVendor, PathNode, SignatureVerdict, Signer

NOW, REQUESTED = "now", "requested"
DEFAULT_NAMESPACE = "file"
"""What ``ssh-keygen -Y sign -n`` is usually given for files (ssh-keygen(1))."""
NO_MATCH = "content or signature was changed, or they do not belong together"


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason against a signature or package, with a sentence for people."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class ExpectedIdentity:
    """Who must have signed, as a Fulcio certificate says it: subject alternative name and OIDC issuer; None is not asked for."""

    name: str | None
    issuer: str | None


@dataclass(frozen=True, slots=True)
class Question:
    """``at`` is the validation time, ``checked_at`` when it is asked; ``time_basis`` is now or requested.

    ``identity`` is whose sigstore signature it must be, where the asker says so: a demand that every signature has to meet, of whatever
    scheme. ``namespace`` is what an SSHSIG must have been made for; another one than ``file`` is such a demand too. ``first_seen_at`` is
    when this program first saw this very package with these signatures: it counts for keys that have merely expired since.
    ``require_anchor``: a digest decision does not do.
    """

    vendor: ExpectedVendor
    at: datetime
    checked_at: datetime
    time_basis: str
    name: str
    path: str | None = None
    identity: ExpectedIdentity | None = None
    namespace: str = DEFAULT_NAMESPACE
    first_seen_at: datetime | None = None
    require_anchor: bool = False

    def __post_init__(self) -> None:
        if self.at.tzinfo is None or self.checked_at.tzinfo is None:
            raise ValueError("a time without a zone has no meaning here; write it with Z or an offset")


@dataclass(frozen=True, slots=True)
class PathOutcome:
    """One path to one anchor; ``findings`` is empty if it passes. ``moments`` are times at which it may change by itself."""

    signer: Signer
    nodes: tuple[PathNode, ...]
    anchor: TrustAnchor
    findings: tuple[Finding, ...]
    steps: int = 0
    moments: tuple[datetime, ...] = ()
    needs_file: bool = False


@dataclass(frozen=True, slots=True)
class JudgedSignature:
    """The verdict on one signature, with what only the verdict on the package needs.

    ``key`` identifies the signer's key, so that two signatures by one key count once. ``at`` is its validation time, ``decision`` how
    the anchor it reached became valid.
    """

    fact: SignatureFact
    verdict: SignatureVerdict
    key: str | None = None
    moments: tuple[datetime, ...] = ()
    needs_file: bool = False
    at: datetime | None = None
    decision: str | None = None


def ordered(findings: Iterable[Finding]) -> tuple[Reason, ...]:
    """The reasons found, each once, in the order of precedence."""
    found = {finding.reason for finding in findings}
    return tuple(reason for reason in PRECEDENCE if reason in found)


def detail_of(findings: Iterable[Finding]) -> str:
    """The sentences of the findings, the most important reason's first, each once."""
    sentences = sorted(findings, key=lambda finding: PRECEDENCE.index(finding.reason))
    return "; ".join(dict.fromkeys(finding.detail for finding in sentences if finding.detail))
