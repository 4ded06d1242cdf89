"""An X.509 certificate as this program sees it (RFC 5280): digests, names and times, decoded once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.model.identifiers import Identifier, IdentifierKind
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate; digests are lower-case hex, names RFC 4514 text beside their DER."""

    der: bytes
    sha256: str
    sha1: str
    spki: bytes
    spki_sha256: str
    subject: str
    subject_der: bytes
    subject_attributes: tuple[tuple[str, str], ...]
    issuer: str
    issuer_der: bytes
    serial_number: int
    subject_key_identifier: str | None
    authority_key_identifier: str | None
    not_before: datetime
    not_after: datetime
    is_ca: bool

    @property
    def self_issued(self) -> bool:
        """Whether subject and issuer are the same name (RFC 5280 section 3.2)."""
        return self.subject_der == self.issuer_der

    @property
    def identifiers(self) -> tuple[Identifier, ...]:
        """Everything by which someone may refer to this certificate or its key."""
        found = [
            Identifier(IdentifierKind.SHA256, self.sha256),
            Identifier(IdentifierKind.SHA1, self.sha1),
            Identifier(IdentifierKind.SPKI_SHA256, self.spki_sha256),
            Identifier(IdentifierKind.SUBJECT, self.subject),
        ]
        if self.subject_key_identifier:
            found.append(Identifier(IdentifierKind.SUBJECT_KEY_IDENTIFIER, self.subject_key_identifier))
        return tuple(found)
