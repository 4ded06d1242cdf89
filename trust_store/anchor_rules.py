"""Pure rules of the anchor states: which change is allowed, how many people it needs and have given it, whether what was read out
is the key.

The shells are ``anchor_management`` and ``anchor_approval``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from trust_store.decode.sigstore_identity import canonical_identity, identity_of
from trust_store.errors import DecisionRefusedError, MalformedError, ResourceLimitError
from trust_store.model.identifiers import IdentifierKind, normalise_hex
from trust_store.model.trust_anchor import TRANSITIONS, AnchorKind, AnchorState, Approvals, TrustBasis

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from trust_store.model.trust_anchor import TrustAnchor
    from trust_store.model.vendor import Contact, Vendor

SHA256_DIGITS = 64
SHORTEST_TELLING_PART = 8
WITHHELD = "withheld until decided"
BREAK_GLASS_PEOPLE = 2
_MINISIGN_CHARACTERS = 56
"""Base64 of the 42 bytes of a minisign or signify public key."""
_NOT_HEX = re.compile(r"[^0-9a-f]+")
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]+")


class Reading(StrEnum):
    """What comes of a fingerprint that was read out."""

    MATCH = "match"
    MISMATCH = "mismatch"
    INCOMPLETE = "incomplete"


class Way(StrEnum):
    """How an approver accepts a key: after a call to the vendor, after waiting instead of a call, or in an emergency."""

    CALL = "call"
    HOLD_DOWN = "hold_down"
    BREAK_GLASS = "break_glass"


@dataclass(frozen=True, slots=True)
class Given:
    """One approval that counts: who gave it, how, and what policy asked for then."""

    approver: str
    way: Way
    needed: int
    counts_from: datetime | None


@dataclass(frozen=True, slots=True)
class Count:
    """``given`` of ``needed`` people; ``basis`` is set once that is enough, ``waits_until`` where only time is lacking."""

    given: int
    needed: int
    basis: TrustBasis | None = None
    waits_until: datetime | None = None


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


def count_accepted(given: Iterable[Given], *, needed: int, counts_from: datetime | None, at: datetime) -> Count:
    """How far the approvals after a call or a wait have got; the stricter of the policy of then and of now counts.

    Enough people who called: at once. Else those who waited count too, and nothing takes effect before the latest ``counts_from``
    of theirs and of now: somebody has to approve after that, time alone changes nothing.
    """
    counted = [g for g in given if g.way is not Way.BREAK_GLASS]
    wanted = max([needed, *(g.needed for g in counted)])
    everybody = {g.approver for g in counted}
    called = {g.approver for g in counted if g.way is Way.CALL}
    if len(called) >= wanted:
        return Count(len(called), wanted, TrustBasis.CALLED)
    if len(everybody) < wanted:
        return Count(len(everybody), wanted)
    times = [counts_from, *(g.counts_from for g in counted if g.way is Way.HOLD_DOWN)]
    earliest = max(t for t in times if t is not None) if any(times) else None
    if earliest is not None and at < earliest:
        return Count(len(everybody), wanted, waits_until=earliest)
    return Count(len(everybody), wanted, TrustBasis.HOLD_DOWN)


def count_break_glass(given: Iterable[Given]) -> Count:
    """Two people who each broke the glass, whatever policy asks for otherwise; no other approval counts for it."""
    people = {g.approver for g in given if g.way is Way.BREAK_GLASS}
    basis = TrustBasis.BREAK_GLASS if len(people) >= BREAK_GLASS_PEOPLE else None
    return Count(len(people), BREAK_GLASS_PEOPLE, basis)


def expected_fingerprint(anchor: TrustAnchor) -> str:
    """The whole fingerprint: the OpenPGP primary key's (RFC 9580 5.5.4), else SHA-256 of certificate or key. Never shown to anybody."""
    if anchor.kind is not AnchorKind.OPENPGP:
        return hashlib.sha256(anchor.material).hexdigest()
    found = {i.value for i in anchor.identifiers if i.kind is IdentifierKind.OPENPGP}
    if len(found) != 1:
        raise DecisionRefusedError(f"{anchor.id} does not name exactly one OpenPGP key; propose the keys one by one")
    return found.pop()


def compare_reading(anchor: TrustAnchor, typed: str) -> ReadingResult:
    """Compare what was read out with the whole fingerprint, in constant time.

    An SSH key's may be read as ``ssh-keygen -l`` prints it, a registry's key the same way, a minisign key whole as its file has it, a
    sigstore identity as "identity issuer", all of both. Anything else but hex of the full length is incomplete, a SHA-1 reading of a
    certificate included: part of a fingerprint or a broken digest identifies nothing.
    """
    expected = expected_fingerprint(anchor)
    read = normalise_hex(_as_hex(anchor.kind, typed)) or ""
    algorithm = "openpgp" if anchor.kind is AnchorKind.OPENPGP else "sha256"
    if len(read) != len(expected):
        return ReadingResult(Reading.INCOMPLETE, algorithm, len(read), len(expected))
    same = hmac.compare_digest(read.encode(), expected.encode())
    return ReadingResult(Reading.MATCH if same else Reading.MISMATCH, algorithm, len(read), len(expected))


def _as_hex(kind: AnchorKind, typed: str) -> str:
    """What keys of some kinds are read out as beside hex (base64, an identity), as hex of the SHA-256; other text as it is."""
    text = "".join(typed.split())
    try:
        if kind is AnchorKind.SIGSTORE_IDENTITY and len(typed.split()) > 1:
            identity, issuer = typed.strip().rsplit(maxsplit=1)
            return hashlib.sha256(canonical_identity(issuer, identity)).hexdigest()
        if kind in (AnchorKind.SSH, AnchorKind.NPM) and text.startswith("SHA256:"):
            return base64.b64decode(text.removeprefix("SHA256:").rstrip("=") + "=", validate=True).hex()
        if kind is AnchorKind.MINISIGN and len(text) == _MINISIGN_CHARACTERS:
            return hashlib.sha256(base64.b64decode(text, validate=True)).hexdigest()
    except (binascii.Error, ValueError):
        return typed
    return typed


def rules_code(proposal_digest: str) -> str:
    """A short name of the rules (and the key) that an approval would be bound to, for whoever looked at them to repeat: 80 bits."""
    return "rules_" + base64.b32encode(bytes.fromhex(proposal_digest)[:10]).decode()


def named_contact(vendor: Vendor, called: str) -> Contact | None:
    """The configured contact that ``called`` is the name, phone, mail or portal of, exactly; None if nobody is."""
    return next((c for c in vendor.contacts if called and called in (c.name, c.phone, c.mail, c.portal)), None)


def fingerprint_of(anchor: TrustAnchor) -> tuple[str, ...]:
    """What the vendor would read out of the key, as identifiers have it; two where the anchor is of two keys and so of none."""
    kind = IdentifierKind.OPENPGP if anchor.kind is AnchorKind.OPENPGP else IdentifierKind.SHA256
    return tuple(i.value for i in anchor.identifiers if i.kind is kind)


def disclosed(anchor: TrustAnchor, text: str, *, awaiting: bool = False) -> str:
    """``text`` about an anchor, unless the key awaits decision and the text gives a telling part of its fingerprint away.

    ``awaiting`` says that another anchor on the same key does.
    """
    if anchor.state is not AnchorState.PENDING and not awaiting:
        return text
    return WITHHELD if _tells(anchor, text) else text


def _tells(anchor: TrustAnchor, text: str) -> bool:
    """Whether a text holds so many characters of what identifies the key that somebody could read them out, however separated."""
    run = _NOT_HEX.sub("", text.lower().replace("0x", ""))
    plain = {i.value for i in anchor.identifiers if i.kind is not IdentifierKind.SUBJECT} | {anchor.key_sha256}
    if any(part in run for value in plain for part in _parts(value)):
        return True
    if anchor.kind is AnchorKind.SIGSTORE_IDENTITY and _names_identity(anchor.material, text):
        return True
    if anchor.kind not in (AnchorKind.SSH, AnchorKind.MINISIGN, AnchorKind.NPM):
        return False
    run = _NOT_BASE64.sub("", text)
    encoded = (base64.b64encode(m).decode() for m in (anchor.material, hashlib.sha256(anchor.material).digest()))
    return any(part in run for value in encoded for part in _parts(value))


def _parts(value: str) -> Iterator[str]:
    return (value[start : start + SHORTEST_TELLING_PART] for start in range(len(value) - SHORTEST_TELLING_PART + 1))


def _names_identity(material: bytes, text: str) -> bool:
    """Whether a text holds the identity that the vendor is to name, blanks and capitals apart."""
    try:
        return "".join(identity_of(material)[1].split()).casefold() in "".join(text.split()).casefold()
    except (MalformedError, ResourceLimitError):
        return False
