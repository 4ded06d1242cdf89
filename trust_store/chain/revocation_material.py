"""What is at hand about revocation, what is asked of it, and the words for an answer. Everything here is unverified."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from trust_store.chain.names import same_name
from trust_store.decode.asn1 import read_one
from trust_store.decode.crl import MAX_LISTS, RevocationList, decode_lists
from trust_store.decode.crl_entries import read_bits
from trust_store.decode.ocsp import StatusResponse, load_response
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from trust_store.chain.building import SignatureBudget
    from trust_store.model.certificate import Certificate

MAX_RESPONSES = 1024
MAX_TOTAL_BYTES = 64 * 1024 * 1024
POLICIES = ("off", "if_available", "required")
SOFT_REASONS = frozenset({"affiliationChanged", "superseded", "cessationOfOperation"})
"""The key was not said to be in wrong hands: what was provably signed before stays signed."""


class Kind(StrEnum):
    """GOOD: not revoked, for every reason. UNKNOWN: something is there and does not decide. NONE: nothing is there.

    LIMIT: more would have to be computed than the question may cost.
    """

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"
    NONE = "none"
    LIMIT = "limit"


@dataclass(frozen=True, slots=True)
class Status:
    """What is known about one certificate; ``detail`` names list, reason and clause."""

    kind: Kind
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Demands:
    """``at``: when lists and signers must be current. ``signed_at``: *proven* time of what is judged, None where there is none.

    ``profile``: lists must conform to RFC 5280 section 5; ``web_pki``: and to CA/Browser Forum BR 7.1.2.11.2 and 7.2.2.1.
    """

    policy: str
    at: datetime
    signed_at: datetime | None = None
    profile: bool = False
    web_pki: bool = False


@dataclass(frozen=True, slots=True)
class RevocationSet:
    """Decoded lists and responses; ``unreadable`` counts what could not be decoded, ``left_out`` what was too much to be read."""

    lists: tuple[RevocationList, ...] = ()
    responses: tuple[StatusResponse, ...] = ()
    unreadable: int = 0
    left_out: int = 0

    @classmethod
    def decode(cls, crls: Iterable[bytes] = (), ocsp: Iterable[bytes] = ()) -> RevocationSet:
        """Lists in PEM or DER, responses in DER; never raises for what stands in them."""
        lists: dict[str, RevocationList] = {}
        responses: dict[str, StatusResponse] = {}
        unreadable, left_out, total = 0, 0, 0
        for data in crls:
            total += len(data)
            try:
                if total > MAX_TOTAL_BYTES or len(lists) >= MAX_LISTS:
                    left_out += 1
                    continue
                lists.update((found.signed.sha256, found) for found in decode_lists(data))
            except (MalformedError, ResourceLimitError):
                unreadable += 1
        for data in ocsp:
            try:
                if len(responses) >= MAX_RESPONSES:
                    left_out += 1
                    continue
                response = load_response(data)
                responses[response.signed.sha256] = response
            except READ_ERRORS:
                unreadable += 1
        return cls(tuple(lists.values()), tuple(responses.values()), unreadable, left_out)

    @property
    def ends(self) -> tuple[datetime, ...]:
        """When each of the lists and responses runs out, where it says so: answers that rest on one change then."""
        told = (status.next_update for response in self.responses for status in response.statuses)
        return tuple(at for at in (*(listed.next_update for listed in self.lists), *told) if at is not None)

    def covers(self, issuer: Certificate) -> bool:
        """Whether there is a list of that name, or a response about certificates of that name and key."""
        return any(same_name(listed.issuer_der, issuer.subject_der) for listed in self.lists) or any(
            issued_by(status.hash_name, status.issuer_name_hash, status.issuer_key_hash, issuer.subject_der, issuer)
            for response in self.responses
            for status in response.statuses
        )


@dataclass(slots=True)
class Run:
    """One question's state. ``in_progress`` are certificates (SHA-256) whose status is being looked for further up the stack."""

    material: RevocationSet
    demands: Demands
    budget: SignatureBudget
    anchor: Certificate
    untrusted: tuple[Certificate, ...]
    in_progress: set[str] = field(default_factory=set)


def issued_by(hash_name: str | None, name_hash: bytes, key_hash: bytes, name: bytes, issuer: Certificate) -> bool:
    """Whether a CertID (RFC 6960 section 4.1.1) speaks of certificates issued under ``name`` with the issuer's key."""
    if hash_name is None:
        return False
    return hashlib.new(hash_name, name, usedforsecurity=False).digest() == name_hash and key_hash == key_digest(
        issuer, hash_name
    )


def key_digest(certificate: Certificate, hash_name: str) -> bytes:
    """The digest of the public key's bits, without tag, length and unused bits; empty where the key cannot be read."""
    try:
        bits = read_bits(read_one(certificate.spki, "key").children()[1], "key")
    except (MalformedError, ResourceLimitError, IndexError):
        return b""
    return hashlib.new(hash_name, bits, usedforsecurity=False).digest()
