"""An OpenPGP transferable public key (RFC 9580 section 10.1) as this program sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.model.identifiers import Identifier, IdentifierKind
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class OpenPGPComponentKey:
    """The primary key or one subkey: ``fingerprint`` is lower-case hex, ``body`` the key packet's body."""

    fingerprint: str
    key_id: str
    version: int
    algorithm: int
    created: datetime
    body: bytes
    is_primary: bool


@dataclass(frozen=True, slots=True)
class OpenPGPSelfSignature:
    """A signature packet inside the certificate, with the bytes it covers, kept for judging later at a time T.

    ``role`` is one of ``direct``, ``certification``, ``subkey_binding``, ``key_revocation``, ``subkey_revocation``,
    ``certification_revocation``; ``component`` the fingerprint it is about; ``covered`` what precedes the trailer.
    """

    role: str
    component: str
    packet: bytes
    covered: bytes


@dataclass(frozen=True, slots=True)
class OpenPGPKey:
    """One certificate: primary key first in ``components``; nothing in here has been verified yet."""

    data: bytes
    components: tuple[OpenPGPComponentKey, ...]
    user_ids: tuple[str, ...]
    self_signatures: tuple[OpenPGPSelfSignature, ...]

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the primary key, lower-case hex (40 digits for v4, 64 for v6)."""
        return self.components[0].fingerprint

    @property
    def name(self) -> str:
        """The first user id, or the fingerprint where there is none; text from outside, not verified."""
        return self.user_ids[0] if self.user_ids else self.fingerprint

    @property
    def identifiers(self) -> tuple[Identifier, ...]:
        """Fingerprints and key ids of the primary key and of every subkey."""
        found = [Identifier(IdentifierKind.OPENPGP, self.fingerprint)]
        for component in self.components:
            found.append(Identifier(IdentifierKind.KEY_ID, component.key_id))
            if not component.is_primary:
                found.append(Identifier(IdentifierKind.OPENPGP_SUBKEY, component.fingerprint))
        return tuple(found)
