"""The trust view decoded once for all signatures of a package: which anchors may be reached, which keys are buried."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from trust_store.chain.named_key import certificate_of, name_of
from trust_store.decode.bare_keys import canonical_sha256
from trust_store.decode.public_keys import canonical_spki_sha256, key_kind
from trust_store.decode.x509 import load_certificate
from trust_store.errors import READ_ERRORS
from trust_store.model.identifiers import IdentifierKind
from trust_store.model.trust_anchor import AnchorKind, AnchorState
from trust_store.model.trust_view import ANY_VENDOR
from trust_store.model.verdict import Reason
from trust_store.quick_dataclass import dataclass
from trust_store.verification.anchor_state import spared, tombstone_reason
from trust_store.verification.question import Finding
from trust_store.verification.revocation import decode_revocation

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from trust_store.chain.revocation import RevocationSet
    from trust_store.model.certificate import Certificate
    from trust_store.model.openpgp_key import OpenPGPKey
    from trust_store.model.trust_anchor import TrustAnchor
    from trust_store.model.trust_view import TrustView
    from trust_store.verification.question import Question

_REACHABLE = frozenset({AnchorState.VALID, AnchorState.SUPERSEDED, AnchorState.REVOKED})
_UNDECIDED = frozenset({AnchorState.PENDING, AnchorState.REJECTED})
_KEY_KINDS = frozenset(
    {IdentifierKind.SHA256, IdentifierKind.SPKI_SHA256, IdentifierKind.OPENPGP, IdentifierKind.OPENPGP_SUBKEY}
)
_PUBLIC_KEYS = frozenset({AnchorKind.SPKI, AnchorKind.RAW, AnchorKind.NPM})
"""Kinds whose material is a SubjectPublicKeyInfo."""
_BARE = frozenset({AnchorKind.MINISIGN, AnchorKind.SSH})
"""Kinds whose material holds a key in a shape of its own."""


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A key that is recorded as compromised or distrusted from a time on; ``value`` is a digest or fingerprint of it."""

    value: str
    reason: Reason
    effective_from: datetime


@dataclass(frozen=True, slots=True)
class TrustMaterial:
    """Each anchor that may be reached paired with its decoded key, tombstones included.

    ``certificates``: X.509 anchors, and names with a key (kind ``spki``) in the shape of one. ``keys``: OpenPGP. ``raw``: keys that sign
    packages themselves, with their canonical digest; ``raw_keys`` the keys of such anchors in any state: (SHA-256, SPKI). ``bare``: keys
    of the kinds ``decode.bare_keys`` knows, with the SHA-256 of their material; ``bare_keys`` those in any state: (SHA-256, anchor).
    ``helping`` and ``helping_keys`` are everything at hand that names a
    signer or fills a gap in a path and is not trusted; of an OpenPGP key every copy, those of anchors first. ``buried`` are keys of any
    vendor that are compromised or distrusted. ``revocation`` is all that is known of it, what was handed over with the question
    (``demanded_revocation``) included. ``view`` is what all of it came from.
    """

    view: TrustView
    certificates: tuple[tuple[TrustAnchor, Certificate], ...]
    keys: tuple[tuple[TrustAnchor, OpenPGPKey], ...]
    raw: tuple[tuple[TrustAnchor, str], ...]
    raw_keys: tuple[tuple[str, bytes], ...]
    bare: tuple[tuple[TrustAnchor, str], ...]
    bare_keys: tuple[tuple[str, TrustAnchor], ...]
    helping: tuple[Certificate, ...]
    helping_keys: tuple[OpenPGPKey, ...]
    buried: frozenset[Tombstone]
    revocation: RevocationSet | None = None
    demanded_revocation: RevocationSet | None = None

    def copies_of(self, fingerprint: str) -> tuple[OpenPGPKey, ...]:
        """Every copy at hand of an OpenPGP certificate, of any vendor and standing: what its key withdraws in one is withdrawn."""
        return tuple(key for key in self.helping_keys if key.fingerprint == fingerprint)

    def tombstones(self, values: Iterable[str], name: str, proven_at: datetime | None = None) -> list[Finding]:
        """A finding for each reason for which one of ``values`` (digests, fingerprints) is buried and not spared."""
        wanted = set(values)
        reasons = {
            one.reason
            for one in self.buried
            if one.value in wanted and not spared(one.reason, one.effective_from, proven_at)
        }
        return [Finding(reason, f"the key of {name} is recorded as {reason}") for reason in sorted(reasons)]

    def tombstones_on(self, certificate: Certificate, name: str, proven_at: datetime | None = None) -> list[Finding]:
        """The same for a certificate and its key, however the key is encoded in it."""
        if not self.buried:
            return []
        key = canonical_spki_sha256(certificate.spki)
        return self.tombstones((certificate.sha256, certificate.spki_sha256, key), name, proven_at)


def prepare(view: TrustView, question: Question) -> TrustMaterial:
    """Decode what may count for this question; an anchor that cannot be decoded is never reached, but its tombstone counts."""
    gathered = _Gathered(view)
    for anchor in view.anchors:
        reason = tombstone_reason(anchor)
        if reason:
            gathered.bury(anchor, reason, _values(anchor))
        try:
            gathered.add(anchor, reason, reachable=reachable(anchor, question))
        except READ_ERRORS:
            continue
    return gathered.material()


class _Gathered:
    """What was decoded so far."""

    def __init__(self, view: TrustView) -> None:
        self._view = view
        self._certificates: list[tuple[TrustAnchor, Certificate]] = []
        self._keys: list[tuple[TrustAnchor, OpenPGPKey]] = []
        self._raw: list[tuple[TrustAnchor, str]] = []
        self._raw_keys: dict[str, bytes] = {}
        self._bare: list[tuple[TrustAnchor, str]] = []
        self._bare_keys: dict[str, TrustAnchor] = {}
        self._helping = {certificate.sha256: certificate for certificate in view.untrusted}
        self._helping_keys: dict[tuple[str, bytes], OpenPGPKey] = {}
        self._proposed_keys: dict[tuple[str, bytes], OpenPGPKey] = {}
        self._buried: set[Tombstone] = set()

    def bury(self, anchor: TrustAnchor, reason: Reason, values: Iterable[str]) -> None:
        """Note a tombstone under each of its values."""
        self._buried |= {Tombstone(value, reason, anchor.effective_from) for value in values}

    def add(self, anchor: TrustAnchor, reason: Reason | None, *, reachable: bool) -> None:
        """Decode one anchor; raises one of READ_ERRORS."""
        if anchor.kind is AnchorKind.X509:
            self._add_certificate(anchor, reason, reachable=reachable)
        elif anchor.kind in _PUBLIC_KEYS:
            self._add_public_key(anchor, reason, reachable=reachable)
        elif anchor.kind is AnchorKind.OPENPGP:
            self._add_openpgp(anchor, reason, reachable=reachable)
        if anchor.kind in _PUBLIC_KEYS | _BARE and anchor.kind is not AnchorKind.SPKI:
            self._add_bare(anchor, reason, reachable=reachable)

    def _add_bare(self, anchor: TrustAnchor, reason: Reason | None, *, reachable: bool) -> None:
        digest = hashlib.sha256(anchor.material).hexdigest()
        self._bare_keys.setdefault(digest, anchor)
        if reason:
            self.bury(anchor, reason, (digest,))
        canonical = canonical_sha256(anchor.kind.value, anchor.material)
        if reason:
            self.bury(anchor, reason, (canonical,))
        if reachable:
            self._bare.append((anchor, digest))

    def _add_certificate(self, anchor: TrustAnchor, reason: Reason | None, *, reachable: bool) -> None:
        certificate = load_certificate(anchor.material)
        self._helping.setdefault(certificate.sha256, certificate)
        if reachable:
            self._certificates.append((anchor, certificate))
        if reason:
            key = canonical_spki_sha256(certificate.spki)
            self.bury(anchor, reason, (certificate.sha256, certificate.spki_sha256, key))

    def _add_public_key(self, anchor: TrustAnchor, reason: Reason | None, *, reachable: bool) -> None:
        digest = canonical_spki_sha256(anchor.material)
        if anchor.kind is AnchorKind.RAW:
            self._raw_keys[hashlib.sha256(anchor.material).hexdigest()] = anchor.material
        if reason:
            self.bury(anchor, reason, (digest,))
        if not reachable or key_kind(anchor.material) is None:
            return
        if anchor.kind is AnchorKind.SPKI:
            self._certificates.append((anchor, certificate_of(_issuing_name(anchor), anchor.material)))
        elif anchor.kind is AnchorKind.RAW:
            self._raw.append((anchor, digest))

    def _add_openpgp(self, anchor: TrustAnchor, reason: Reason | None, *, reachable: bool) -> None:
        from trust_store.decode.openpgp import load_keys  # most questions are about certificates only

        found = load_keys(anchor.material)
        for key in found:
            helping = self._proposed_keys if anchor.state in _UNDECIDED else self._helping_keys
            helping.setdefault((key.fingerprint, key.data), key)
            if reason:
                self.bury(anchor, reason, (component.fingerprint for component in key.components))
        # An anchor is one key. Of a bundle nobody can say which of its keys the approver meant.
        if reachable and len(found) == 1:
            self._keys.append((anchor, found[0]))

    def material(self) -> TrustMaterial:
        """All of it, frozen."""
        lists = self._view.revocation
        untrusted = {(key.fingerprint, key.data): key for key in self._view.untrusted_keys}
        # What anybody may propose comes last: a flood of it puts none of the others out.
        keys = self._helping_keys | untrusted | self._proposed_keys
        return TrustMaterial(
            view=self._view,
            certificates=tuple(self._certificates),
            keys=tuple(self._keys),
            raw=tuple(self._raw),
            raw_keys=tuple(self._raw_keys.items()),
            bare=tuple(self._bare),
            bare_keys=tuple(self._bare_keys.items()),
            helping=tuple(self._helping.values()),
            helping_keys=tuple(keys.values()),
            buried=frozenset(self._buried),
            revocation=decode_revocation((*lists.demanded, *lists.crls, *lists.ocsp)),
            demanded_revocation=decode_revocation(lists.demanded),
        )


def reachable(anchor: TrustAnchor, question: Question) -> bool:
    """Whether it may be judged by: one that counts for this question, or a tombstone, which condemns what it is about."""
    return tombstone_reason(anchor) is not None or (anchor.state in _REACHABLE and counts_for(anchor, question))


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


def _issuing_name(anchor: TrustAnchor) -> bytes:
    """The name under which the key issues: the one identifier of that kind, else the anchor's name; raises MalformedError."""
    stated = [i.value for i in anchor.identifiers if i.kind is IdentifierKind.SUBJECT]
    return name_of(stated[0] if len(stated) == 1 else anchor.name)


def _values(anchor: TrustAnchor) -> set[str]:
    named = {identifier.value for identifier in anchor.identifiers if identifier.kind in _KEY_KINDS}
    return named | {anchor.key_sha256, hashlib.sha256(anchor.material).hexdigest()}
