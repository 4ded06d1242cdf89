"""``SCHEMES`` is all the signature schemes there are: an explicit tuple, alphabetical, no registration by import."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from trust_store.signatures import android_ota, cms, openpgp
from trust_store.signatures.protocol import MAX_CANDIDATE_KEYS, CandidateKey

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trust_store.model.package_facts import KeyCheck, SignatureFact
    from trust_store.signatures.protocol import SignatureScheme

SCHEMES: tuple[SignatureScheme, ...] = (android_ota.SCHEME, cms.SCHEME, openpgp.SCHEME)
MAX_KEYS_LOOKED_AT = 1024


def recognising(data: bytes) -> tuple[SignatureScheme, ...]:
    """Every scheme that claims ``data``; more than one means that it is ambiguous."""
    return tuple(scheme for scheme in SCHEMES if scheme.recognises(data))


def with_candidates(fact: SignatureFact, candidates: Iterable[CandidateKey]) -> SignatureFact:
    """``fact`` with a check for each further key that it may be by.

    First the certificates it carries, then ``candidates`` in their order, until MAX_CANDIDATE_KEYS of either may have made it
    and were checked: keys that an attacker packs into a message take no place from those at hand. Checks made stay as they are.
    """
    scheme = next((scheme for scheme in SCHEMES if fact.scheme == scheme.NAME), None)
    if scheme is None or fact.problem is not None:
        return fact
    checks = {check.key: check for check in fact.key_checks}
    carried = (CandidateKey("x509", certificate) for certificate in fact.certificates)
    for keys in (carried, candidates):
        _try(scheme, fact, keys, checks)
    return replace(fact, key_checks=tuple(checks.values()))


def _try(
    scheme: SignatureScheme, fact: SignatureFact, keys: Iterable[CandidateKey], checks: dict[str, KeyCheck]
) -> None:
    found = 0
    for key in islice(keys, MAX_KEYS_LOOKED_AT):
        check = scheme.holds(fact, key)
        if check is None:
            continue
        checks.setdefault(check.key, check)
        found += 1
        if found >= MAX_CANDIDATE_KEYS:
            return
