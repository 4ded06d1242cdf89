"""What an OpenPGP key says of itself in all copies of its certificate that are at hand (RFC 9580 sections 5.2.1.11 and 10.1).

A revocation reaches people as a newer copy of the certificate, and whoever has the older one must not miss it. From other copies only
what the primary key itself has signed is taken; what nobody can check in them says nothing, else anybody could withdraw a key.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from trust_store.decode.openpgp_arithmetic import signature_holds
from trust_store.decode.openpgp_signature import parse_signature
from trust_store.errors import TrustStoreError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trust_store.decode.openpgp_signature import OpenPGPSignature
    from trust_store.model.openpgp_key import OpenPGPComponentKey, OpenPGPKey, OpenPGPSelfSignature

MAX_COPIES = 1024
"""More than a view holds: no flood of proposals puts out a copy that tells of a revocation."""
MAX_CHECKS_PER_COPY = 16
"""Each copy has a budget of its own, so that a poisoned one hides no revocation that stands in another."""
_WITHDRAWING = ("key_revocation", "subkey_revocation", "certification_revocation")


@lru_cache(maxsize=32)
def with_copies(key: OpenPGPKey, copies: tuple[OpenPGPKey, ...]) -> OpenPGPKey:
    """``key`` with what it has signed about itself in ``copies`` too; ``key`` as it is where they say nothing more.

    No component and no user id is added. Copies are certificates of the very same primary key; others are passed over, as are those
    beyond MAX_COPIES. What is added was verified, and each statement stands there once, however its unsigned part is written.
    """
    others = dict.fromkeys(
        one.self_signatures for one in copies if one.components[0] == key.components[0] and one.data != key.data
    )
    gathering = _Gathering(key)
    for signatures in list(others)[:MAX_COPIES]:
        gathering.add(signatures)
    return replace(key, self_signatures=(*key.self_signatures, *gathering.added)) if gathering.added else key


class _Gathering:
    """What was added so far, and which signatures were checked with which result."""

    def __init__(self, key: OpenPGPKey) -> None:
        self._primary: OpenPGPComponentKey = key.components[0]
        self._components = {component.fingerprint for component in key.components}
        self._own = {(one.role, one.covered, one.packet) for one in key.self_signatures}
        self._checked: dict[tuple[bytes, bytes], bool] = {}
        self._said: set[tuple[str, bytes, bytes]] = set()
        self.added: list[OpenPGPSelfSignature] = []

    def add(self, signatures: Iterable[OpenPGPSelfSignature]) -> None:
        """Take what holds out of one copy: revocations first, then the newest."""
        left = MAX_CHECKS_PER_COPY
        for kept, signature in self._readable(signatures):
            identity = (signature.trailer + signature.values, kept.covered)
            if identity not in self._checked:
                if left <= 0:
                    return
                left -= 1
                self._checked[identity] = self._holds(signature, kept.covered)
            said = (kept.role, signature.trailer, kept.covered)
            if self._checked[identity] and said not in self._said:
                self._said.add(said)
                self.added.append(kept)

    def _readable(
        self, signatures: Iterable[OpenPGPSelfSignature]
    ) -> list[tuple[OpenPGPSelfSignature, OpenPGPSignature]]:
        found: list[tuple[OpenPGPSelfSignature, OpenPGPSignature]] = []
        for kept in signatures:
            if kept.component not in self._components or (kept.role, kept.covered, kept.packet) in self._own:
                continue
            try:
                found.append((kept, parse_signature(kept.packet)))
            except TrustStoreError:
                continue
        return sorted(found, key=_order)

    def _holds(self, signature: OpenPGPSignature, covered: bytes) -> bool:
        """By the primary key over what the role says that it covers (RFC 9580 5.2.4); a revoker it appointed is not asked."""
        try:
            return signature_holds(self._primary, signature, signature.digest(covered))
        except TrustStoreError:
            return False


def _order(said: tuple[OpenPGPSelfSignature, OpenPGPSignature]) -> tuple[bool, float]:
    kept, signature = said
    created = signature.created.timestamp() if signature.created is not None else 0.0
    return kept.role not in _WITHDRAWING, -created
