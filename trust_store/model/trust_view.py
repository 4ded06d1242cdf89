"""Everything trust-related that one verdict is computed from, taken out of the store (or the command line) beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trust_store.model.certificate import Certificate
    from trust_store.model.openpgp_key import OpenPGPKey
    from trust_store.model.trust_anchor import TrustAnchor
    from trust_store.model.vendor import Vendor


@dataclass(frozen=True, slots=True)
class TrustView:
    """Input of ``verification``. ``anchors`` in every state: the expected vendor's, supplied ones, and any vendor's tombstones.

    ``untrusted`` and ``untrusted_keys`` are material that helps and is not trusted. ``trust`` is store, supplied or
    store+supplied; id and revision are None where no store was asked.
    """

    anchors: tuple[TrustAnchor, ...] = ()
    untrusted: tuple[Certificate, ...] = ()
    untrusted_keys: tuple[OpenPGPKey, ...] = ()
    vendor: Vendor | None = None
    trust: str = "store"
    store_id: str | None = None
    store_revision: int | None = None
