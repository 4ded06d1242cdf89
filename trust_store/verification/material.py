"""The trust view decoded once for all signatures of a package: which anchors may be reached, which keys are buried."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from trust_store.decode.x509 import load_certificate
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.model.identifiers import IdentifierKind
from trust_store.model.trust_anchor import AnchorKind, AnchorState
from trust_store.model.verdict import Reason
from trust_store.verification.question import ANY_VENDOR, Finding

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from trust_store.model.certificate import Certificate
    from trust_store.model.openpgp_key import OpenPGPKey
    from trust_store.model.trust_anchor import TrustAnchor
    from trust_store.model.trust_view import TrustView
    from trust_store.verification.question import Question

PURPOSE = "code"
DISOWNED = "disowned"
SOFT_CAUSES = frozenset({"superseded", "cessation-of-operation", "affiliation-changed"})
"""Causes that leave older signatures alone (RFC 5280 5.3.1); every other one, and none, does not."""
_REACHABLE = frozenset({AnchorState.VALID, AnchorState.SUPERSEDED, AnchorState.REVOKED})
_KEY_KINDS = frozenset(
    {IdentifierKind.SHA256, IdentifierKind.SPKI_SHA256, IdentifierKind.OPENPGP, IdentifierKind.OPENPGP_SUBKEY}
)
UNREADABLE = (MalformedError, ResourceLimitError, UnsupportedError)


@dataclass(frozen=True, slots=True)
class TrustMaterial:
    """``certificates`` and ``keys`` pair each anchor that may be reached with its decoded key, tombstones included.

    ``helping`` and ``helping_keys`` are everything at hand that names a signer or fills a gap in a path and is not trusted.
    ``buried`` are (digest or fingerprint, reason) of compromised and distrusted keys of any vendor.
    """

    certificates: tuple[tuple[TrustAnchor, Certificate], ...]
    keys: tuple[tuple[TrustAnchor, OpenPGPKey], ...]
    helping: tuple[Certificate, ...]
    helping_keys: tuple[OpenPGPKey, ...]
    buried: frozenset[tuple[str, Reason]]

    def tombstones(self, values: Iterable[str], name: str) -> list[Finding]:
        """A finding for each reason for which one of ``values`` (digests, fingerprints) is buried."""
        wanted = set(values)
        reasons = sorted({reason for value, reason in self.buried if value in wanted})
        return [Finding(reason, f"the key of {name} is recorded as {reason}") for reason in reasons]


def tombstone_reason(anchor: TrustAnchor) -> Reason | None:
    """COMPROMISED or DISTRUSTED for a buried key (a disowned one is distrusted), else None."""
    if anchor.state is AnchorState.COMPROMISED:
        return Reason.COMPROMISED
    disowned = anchor.state is AnchorState.REJECTED and anchor.cause == DISOWNED
    return Reason.DISTRUSTED if disowned or anchor.state is AnchorState.DISTRUSTED else None


def prepare(view: TrustView, question: Question) -> TrustMaterial:
    """Decode what may count for this question; an anchor that cannot be decoded is never reached, but its tombstone counts."""
    certificates: list[tuple[TrustAnchor, Certificate]] = []
    keys: list[tuple[TrustAnchor, OpenPGPKey]] = []
    helping: dict[str, Certificate] = {certificate.sha256: certificate for certificate in view.untrusted}
    helping_keys: dict[str, OpenPGPKey] = {key.fingerprint: key for key in view.untrusted_keys}
    buried: set[tuple[str, Reason]] = set()
    for anchor in view.anchors:
        reason = tombstone_reason(anchor)
        if reason:
            buried |= {(value, reason) for value in _values(anchor)}
        reachable = reason is not None or (anchor.state in _REACHABLE and counts_for(anchor, question))
        try:
            if anchor.kind is AnchorKind.X509:
                certificate = load_certificate(anchor.material)
                helping.setdefault(certificate.sha256, certificate)
                if reachable:
                    certificates.append((anchor, certificate))
                if reason:
                    buried |= {(certificate.sha256, reason), (certificate.spki_sha256, reason)}
                continue
            from trust_store.decode.openpgp import load_keys  # most questions are about certificates only

            found = load_keys(anchor.material)
        except UNREADABLE:
            continue
        for key in found:
            helping_keys.setdefault(key.fingerprint, key)
            if reason:
                buried |= {(component.fingerprint, reason) for component in key.components}
        # An anchor is one key. Of a bundle nobody can say which of its keys the approver meant.
        if reachable and len(found) == 1:
            keys.append((anchor, found[0]))
    return TrustMaterial(
        tuple(certificates), tuple(keys), tuple(helping.values()), tuple(helping_keys.values()), frozenset(buried)
    )


def counts_for(anchor: TrustAnchor, question: Question) -> bool:
    """Whether the anchor is the expected vendor's or was supplied with the question.

    Where no vendor is stated every vendor's anchor is looked at, so that the answer can say what stating it would change;
    such a path never passes.
    """
    return anchor.vendor_id == ANY_VENDOR or question.vendor.id in (None, ANY_VENDOR, anchor.vendor_id)


def vendor_findings(anchor: TrustAnchor, question: Question) -> list[Finding]:
    """VENDOR_UNSTATED for a stored anchor where nobody said whose package it is; supplied anchors need no vendor."""
    if question.vendor.id is not None or anchor.vendor_id == ANY_VENDOR:
        return []
    return [
        Finding(Reason.VENDOR_UNSTATED, f"nobody said whose package this is; the key is one of {anchor.vendor_id}'s")
    ]


def state_findings(anchor: TrustAnchor, at: datetime) -> list[Finding]:
    """What the anchor's state says against a signature at ``at``.

    Superseded and softly revoked anchors spare what is proven older. Nothing proves that yet, so only a question about a time
    before the change is spared; then the anchor still stood.
    """
    reason = tombstone_reason(anchor)
    if reason:
        return [Finding(reason, f"the anchor is recorded as {reason}")]
    if anchor.state is AnchorState.VALID:
        return []
    soft = anchor.state is AnchorState.SUPERSEDED or anchor.cause in SOFT_CAUSES
    if soft and at < anchor.effective_from:
        return []
    return [Finding(Reason.REVOKED, f"the anchor is {anchor.state}, and nothing proves that the signature is older")]


def scope_findings(anchor: TrustAnchor, question: Question, container: str | None, intermediates: int) -> list[Finding]:
    """What the anchor's own constraints say: products, formats, purpose, times, length of the path (RFC 5914 section 2)."""
    limits = anchor.constraints
    told: list[str] = []
    if limits.products and not any(fnmatchcase(question.name, pattern) for pattern in limits.products):
        told.append("the anchor is not for this product")
    if limits.formats and container not in limits.formats:
        told.append("the anchor is not for this package format")
    if PURPOSE not in limits.purposes:
        told.append("the anchor is not for signing code")
    if limits.valid_from and question.at < limits.valid_from:
        told.append("the anchor is accepted only from a later time on")
    if limits.valid_until and question.at > limits.valid_until:
        told.append("the anchor is not accepted any more")
    if limits.max_path_length is not None and intermediates > limits.max_path_length:
        told.append("the path is longer than the anchor allows")
    return [Finding(Reason.OUT_OF_SCOPE, sentence) for sentence in told]


def anchor_moments(anchor: TrustAnchor) -> tuple[datetime, ...]:
    """When the anchor itself may begin or cease to count without a decision."""
    limits = anchor.constraints
    moments = (limits.valid_from, limits.valid_until, anchor.effective_from)
    return tuple(moment for moment in moments if moment)


def _values(anchor: TrustAnchor) -> set[str]:
    named = {identifier.value for identifier in anchor.identifiers if identifier.kind in _KEY_KINDS}
    return named | {anchor.key_sha256, hashlib.sha256(anchor.material).hexdigest()}
