"""When keys cease by themselves: certificates, OpenPGP keys by their current self-signatures, and what standards end. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from trust_store.chain.openpgp_self_signatures import Clock, SelfSignatures
from trust_store.decode.public_keys import rsa_bits
from trust_store.errors import TrustStoreError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from datetime import timedelta

    from trust_store.decode.openpgp_signature import OpenPGPSignature
    from trust_store.model.openpgp_key import OpenPGPComponentKey, OpenPGPKey

_SIGN_FLAG = 0x02


@dataclass(frozen=True, slots=True)
class KeyEnd:
    """``what`` ceases ``at`` that time."""

    at: datetime
    what: str


@dataclass(frozen=True, slots=True)
class CutOff:
    """From ``at`` on a standard allows no new signatures by RSA keys shorter than ``rsa_bits``."""

    at: datetime
    rsa_bits: int
    source: str


CUT_OFFS = (CutOff(datetime(2031, 1, 1, tzinfo=UTC), 3072, "NIST SP 800-57 Part 1 Rev. 5, table 4"),)
"""Dates that standards set. No verdict depends on them: what is too weak for this program is too weak at any time."""


def cut_off(spki: bytes) -> CutOff | None:
    """The first end that a standard sets to a key (DER SubjectPublicKeyInfo) of this length, or None."""
    bits = rsa_bits(spki)
    return None if bits is None else next((one for one in CUT_OFFS if bits < one.rsa_bits), None)


def openpgp_ends(key: OpenPGPKey, at: datetime) -> tuple[KeyEnd, ...]:
    """When the primary key and each signing subkey expire, as their self-signatures that hold ``at`` say (RFC 9580 5.2.3.13)."""
    statements, clock = SelfSignatures(key), Clock(at)
    found: list[KeyEnd | None] = []
    try:
        about = statements.about_primary(clock)
        current = [one.signature for one in (about.direct, about.certification) if one]
        # Where a direct-key signature and a user id disagree the earlier end counts, as in the judgement of signatures.
        ends = [_end(key.components[0], signature) for signature in current]
        found.append(_first("the primary key expires", [end for end in ends if end is not None]))
        for component in key.components[1:]:
            binding = statements.binding(component.fingerprint, clock)
            if binding is None or not _signs(binding.signature):
                continue
            end = _end(component, binding.signature)
            found.append(_first("a signing subkey expires", [] if end is None else [end]))
    except TrustStoreError:  # a key that cannot be judged ceases to count in other ways
        return tuple(end for end in found if end is not None)
    return tuple(end for end in found if end is not None)


def _end(component: OpenPGPComponentKey, signature: OpenPGPSignature) -> datetime | None:
    validity: timedelta | None = signature.key_validity
    try:
        return component.created + validity if validity else None
    except OverflowError:
        return None


def _signs(signature: OpenPGPSignature) -> bool:
    return bool(signature.key_flags and signature.key_flags[0] & _SIGN_FLAG)


def _first(what: str, ends: list[datetime]) -> KeyEnd | None:
    return KeyEnd(min(ends), what) if ends else None
