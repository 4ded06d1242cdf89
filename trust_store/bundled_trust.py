"""What a signed bundle trusts, in the shape in which the store answers: for machines that have no store. Pure."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from trust_store.errors import READ_ERRORS, UsageError
from trust_store.exchange.bundle import TOLD_STATES
from trust_store.model.ratchet import names_of
from trust_store.model.trust_anchor import AnchorKind, AnchorState
from trust_store.model.trust_view import ANY_VENDOR, RevocationMaterial, TrustView
from trust_store.signatures.protocol import MAX_CANDIDATE_KEYS, CandidateKey
from trust_store.storage import revocation_material
from trust_store.storage.fact_identifiers import identifiers_in, tried_in
from trust_store.verification import verify_package

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from trust_store.exchange.bundle import Bundle
    from trust_store.model.identifiers import Identifier
    from trust_store.model.openpgp_key import OpenPGPKey
    from trust_store.model.package_facts import PackageFacts
    from trust_store.model.ratchet import Ratchet
    from trust_store.model.trust_anchor import TrustAnchor
    from trust_store.model.verdict import Verdict
    from trust_store.verification import Question

_TOMBSTONES = frozenset({AnchorState.DISTRUSTED, AnchorState.COMPROMISED})
TRIED = frozenset(AnchorKind) - {AnchorKind.SIGSTORE_IDENTITY, AnchorKind.SIGSTORE_ROOT}
"""Kinds of keys that some signature scheme reads signatures by."""


class BundledTrust:
    """Answers out of one bundle, which was opened and found good."""

    TRUST = "bundle"

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    def candidates(
        self, vendor_id: str, hints: Iterable[Identifier], *, known_at: datetime | None
    ) -> tuple[CandidateKey, ...]:
        """The vendor's keys and every tombstone, those that a hint points at first, at most 64."""
        _now_only(known_at)
        wanted = set(hints)
        order = sorted(
            (a for a in self._counting(vendor_id) if a.kind in TRIED),
            key=lambda a: (not wanted & set(a.identifiers), a.state is not AnchorState.VALID, a.id),
        )
        unique = {a.material: CandidateKey(a.kind.value, a.material) for a in reversed(order)}
        return tuple(reversed(unique.values()))[:MAX_CANDIDATE_KEYS]

    def view(
        self,
        facts: PackageFacts,
        vendor_id: str | None,
        *,
        at: datetime,
        known_at: datetime | None,
        name: str = "",
    ) -> TrustView:
        """All that the bundle says about a package of this vendor at ``at``, in a file of this name."""
        _now_only(known_at)
        digests = facts.every_digest
        decisions = tuple(d for d in self._bundle.decisions if d.package_sha256 in digests and d.counts(vendor_id, at))
        anchors = self._counting(vendor_id or ANY_VENDOR)
        return TrustView(
            anchors=anchors,
            untrusted_keys=self._copies(facts),
            revocation=self._revocation(facts, anchors),
            vendor=next((v for v in self._bundle.vendors if v.id == vendor_id), None),
            decisions=decisions,
            trust=self.TRUST,
            store_id=self._bundle.store_id,
            store_revision=self._bundle.revision,
            ratchets=self._ratchets(facts, vendor_id, name),
        )

    def first_seen(self, facts: PackageFacts, known_at: datetime | None) -> datetime | None:
        """A bundle tells of keys, not of packages."""
        del facts, known_at
        return None

    def judge(self, facts: PackageFacts, view: TrustView, question: Question, known_at: datetime | None) -> Verdict:
        """The verdict; all that the bundle knows of the vendor is in view already."""
        _now_only(known_at)
        return verify_package(facts, view, question)

    def _copies(self, facts: PackageFacts) -> tuple[OpenPGPKey, ...]:
        """Every vendor's copies of the OpenPGP keys that the package names: in one of them the key may be revoked."""
        if all(signature.scheme != AnchorKind.OPENPGP.value for signature in facts.every_signature):
            return ()
        from trust_store.decode.openpgp import load_keys  # most packages carry no such signature

        named = identifiers_in(facts) | tried_in(facts)
        found: list[OpenPGPKey] = []
        for anchor in self._bundle.anchors:
            if anchor.kind is AnchorKind.OPENPGP and named & set(anchor.identifiers):
                with contextlib.suppress(*READ_ERRORS):
                    found += load_keys(anchor.material)
        return tuple(found)

    def _revocation(self, facts: PackageFacts, anchors: tuple[TrustAnchor, ...]) -> RevocationMaterial:
        """What its store knew of the certificates at hand."""
        wanted = revocation_material.about(facts, anchors) if self._bundle.revocation else frozenset()
        kept = [(kind, material) for about, kind, material in self._bundle.revocation if about in wanted]
        lists, responses = (
            tuple(dict.fromkeys(m for kind, m in kept if kind == wanted_kind))
            for wanted_kind in (revocation_material.CRL, revocation_material.OCSP)
        )
        return RevocationMaterial(crls=lists, ocsp=responses)

    def _ratchets(self, facts: PackageFacts, vendor_id: str | None, name: str) -> tuple[Ratchet, ...]:
        """What the store had seen of the vendor's product under the names that the package has."""
        names = names_of(facts.product, name)
        return tuple(r for r in self._bundle.ratchets if r.vendor_id == vendor_id and (r.kind, r.name) in names)

    def _counting(self, vendor_id: str) -> tuple[TrustAnchor, ...]:
        """The vendor's anchors (``any``: all), and whatever is buried, unless it was accepted again over the tombstone."""
        lifted = set(self._bundle.lifted)
        return tuple(
            anchor
            for anchor in self._bundle.anchors
            if anchor.state in TOLD_STATES
            and (anchor.state in _TOMBSTONES or vendor_id in (ANY_VENDOR, anchor.vendor_id))
            and not {(anchor.id, anchor.vendor_id), (anchor.id, vendor_id)} & lifted
        )


def _now_only(known_at: datetime | None) -> None:
    if known_at is not None:
        raise UsageError("a bundle tells what was known at one revision: --as-known-at needs the store")
