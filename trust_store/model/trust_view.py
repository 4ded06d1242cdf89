"""Everything trust-related that one verdict is computed from, taken out of the store (or the command line) beforehand."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from trust_store.model.certificate import Certificate
    from trust_store.model.openpgp_key import OpenPGPKey
    from trust_store.model.ratchet import Ratchet
    from trust_store.model.trust_anchor import TrustAnchor
    from trust_store.model.vendor import Vendor


ANY_VENDOR = "any"
"""Said of a package where every vendor's key will do."""
BLOCK, ALLOW = "block", "allow"
LONGEST_ALLOWANCE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class RevocationMaterial:
    """Revocation lists (RFC 5280 section 5) and OCSP responses (RFC 6960), DER, unverified.

    ``demanded`` are lists handed over with the question: they make revocation required for the issuers they cover.
    """

    crls: tuple[bytes, ...] = ()
    ocsp: tuple[bytes, ...] = ()
    demanded: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class DigestDecision:
    """A decision about one package digest of one vendor: ``block`` withdraws it, ``allow`` lets it pass for a while."""

    id: str
    package_sha256: str
    vendor_id: str
    effect: str
    reason: str
    effective_from: datetime
    effective_until: datetime | None

    def counts(self, vendor_id: str | None, at: datetime) -> bool:
        """Whether it counts for a package said to be of ``vendor_id`` (None: nobody said) at ``at``.

        A block speaks of the bytes, not of a period: it counts for every moment before its end, so that a clock that was set back
        does not lift it; where anybody's package will do, every vendor's block counts, and a block for ANY_VENDOR counts for each.
        An allowance counts for its own vendor alone, from the approval that completed it to its end, which it has, and not further
        off than LONGEST_ALLOWANCE.
        """
        if self.effective_until is not None and at >= self.effective_until:
            return False
        if self.effect == BLOCK:
            return self.vendor_id == ANY_VENDOR or vendor_id in (None, ANY_VENDOR, self.vendor_id)
        bounded = self.effective_until is not None and self.effective_until - self.effective_from <= LONGEST_ALLOWANCE
        own = vendor_id == self.vendor_id and vendor_id != ANY_VENDOR
        return self.effect == ALLOW and bounded and own and self.effective_from <= at


@dataclass(frozen=True, slots=True)
class TrustView:
    """Input of ``verification``. ``anchors`` in every state: the expected vendor's, supplied ones, and any vendor's tombstones.

    ``decisions`` are those in effect about this very package, ``ratchets`` what was seen of its product before: the version that counts
    now and, where that is another, the one that counted at the time asked about.
    ``untrusted`` and ``untrusted_keys`` are material that helps and is not trusted. ``trust`` is store, supplied or
    store+supplied; id and revision are None where no store was asked.
    """

    anchors: tuple[TrustAnchor, ...] = ()
    untrusted: tuple[Certificate, ...] = ()
    untrusted_keys: tuple[OpenPGPKey, ...] = ()
    vendor: Vendor | None = None
    revocation: RevocationMaterial = RevocationMaterial()
    decisions: tuple[DigestDecision, ...] = ()
    trust: str = "store"
    store_id: str | None = None
    store_revision: int | None = None
    ratchets: tuple[Ratchet, ...] = ()
