"""Pure rules of the anchor states: which change is allowed, how many people it needs, whether what was read out is the key.

The shell is ``anchor_management``.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from trust_store.errors import DecisionRefusedError
from trust_store.model.identifiers import IdentifierKind, normalise_hex
from trust_store.model.trust_anchor import TRANSITIONS, AnchorKind, AnchorState, Approvals

if TYPE_CHECKING:
    from trust_store.model.trust_anchor import TrustAnchor
    from trust_store.model.vendor import Contact, Vendor

SHA256_DIGITS = 64
SHORTEST_TELLING_PART = 8
WITHHELD = "withheld until decided"
_NOT_HEX = re.compile(r"[^0-9a-f]+")


class Reading(StrEnum):
    """What comes of a fingerprint that was read out."""

    MATCH = "match"
    MISMATCH = "mismatch"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True)
class ReadingResult:
    """``digits`` were typed of ``wanted``; nothing in here tells the expected value."""

    reading: Reading
    algorithm: str
    digits: int
    wanted: int


def require_transition(old: AnchorState | None, new: AnchorState) -> Approvals:
    """How many people a change needs; raises DecisionRefusedError for one that the table does not list."""
    needed = TRANSITIONS.get((old, new))
    if needed is None:
        raise DecisionRefusedError(f"an anchor that is {old or 'unknown'} cannot become {new}")
    return needed


def approvals_needed(needed: Approvals, vendor: Vendor, *, over_tombstone: bool) -> int:
    """How many distinct people; one more than policy asks where the key was disowned, distrusted or compromised before."""
    if needed is Approvals.POLICY:
        return vendor.policy.approvals + (1 if over_tombstone else 0)
    return 1 if needed is Approvals.ONE else 0


def expected_fingerprint(anchor: TrustAnchor) -> str:
    """The whole fingerprint: SHA-256 of the certificate, or the OpenPGP primary key's (RFC 9580 5.5.4). Never shown to anybody."""
    if anchor.kind is AnchorKind.X509:
        return hashlib.sha256(anchor.material).hexdigest()
    found = {i.value for i in anchor.identifiers if i.kind is IdentifierKind.OPENPGP}
    if len(found) != 1:
        raise DecisionRefusedError(f"{anchor.id} does not name exactly one OpenPGP key; propose the keys one by one")
    return found.pop()


def compare_reading(anchor: TrustAnchor, typed: str) -> ReadingResult:
    """Compare what was read out with the whole fingerprint, in constant time.

    Anything but hex of the full length is incomplete, a SHA-1 reading of a certificate included: part of a fingerprint or a
    broken digest identifies nothing.
    """
    expected = expected_fingerprint(anchor)
    read = normalise_hex(typed) or ""
    algorithm = "sha256" if anchor.kind is AnchorKind.X509 else "openpgp"
    if len(read) != len(expected):
        return ReadingResult(Reading.INCOMPLETE, algorithm, len(read), len(expected))
    same = hmac.compare_digest(read.encode(), expected.encode())
    return ReadingResult(Reading.MATCH if same else Reading.MISMATCH, algorithm, len(read), len(expected))


def named_contact(vendor: Vendor, called: str) -> Contact | None:
    """The configured contact that ``called`` is the name, phone, mail or portal of, exactly; None if nobody is."""
    return next((c for c in vendor.contacts if called and called in (c.name, c.phone, c.mail, c.portal)), None)


def disclosed(anchor: TrustAnchor, text: str) -> str:
    """``text`` about an anchor, unless the key awaits decision and the text gives a telling part of its fingerprint away."""
    if anchor.state is not AnchorState.PENDING:
        return text
    run = _NOT_HEX.sub("", text.lower().replace("0x", ""))
    plain = {i.value for i in anchor.identifiers if i.kind is not IdentifierKind.SUBJECT} | {anchor.key_sha256}
    for value in plain:
        for start in range(len(value) - SHORTEST_TELLING_PART + 1):
            if value[start : start + SHORTEST_TELLING_PART] in run:
                return WITHHELD
    return text
