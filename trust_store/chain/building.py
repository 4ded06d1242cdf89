"""Certification path building (RFC 4158): depth first, by name, every public-key operation counted.

An issuer candidate is a certificate with the right subject whose key verifies the signature; a key identifier only says which to
try first. An anchor is a name and a key (RFC 5280 section 6.1.1(d)), however its certificate was issued.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.chain.algorithms import signature_holds
from trust_store.chain.names import CanonicalName, canonical
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from trust_store.model.certificate import Certificate

DEFAULT_BUDGET = 200
MAX_COMPARISONS = 100_000
"""Comparisons of names with name constraints, over every path of a question."""
MAX_PATH_CERTIFICATES = 16
MAX_PATHS = 32
MAX_STEPS = 5000
LONG_KEY_BYTES = 1024
"""A SubjectPublicKeyInfo of RSA with 8192 bits is a little longer: each such length costs one operation more."""
MAX_SEARCHES = 24
"""Searches for the paths of those who sign revocation lists and OCSP responses, over every path of a question."""


class SignatureBudget:
    """How many public-key operations a question may cost; shared by building and validation."""

    def __init__(self, limit: int = DEFAULT_BUDGET) -> None:
        self.left = limit
        self._comparisons = MAX_COMPARISONS
        self._searches = MAX_SEARCHES
        self._known: dict[tuple[str, str], bool] = {}

    @property
    def exhausted(self) -> bool:
        """Whether something was asked for that could not be paid."""
        return self.left < 0

    def spend(self) -> bool:
        """Take one; False where none is left."""
        self.left -= 1
        return self.left >= 0

    def compare(self, count: int) -> bool:
        """Take ``count`` comparisons of names; False where so many are not left."""
        if count > self._comparisons:
            return False
        self._comparisons -= count
        return True

    def holds(self, issuer: Certificate, certificate: Certificate) -> bool | None:
        """Whether the issuer's key signed it; what was found out once is free. None where there is nothing left to pay with."""
        return self.proved(issuer, certificate.sha256, lambda: signature_holds(issuer.spki, certificate))

    def proved(self, signer: Certificate, signed_sha256: str, check: Callable[[], bool]) -> bool | None:
        """What ``check``, an operation with the signer's key, says about what has that digest; a very long key costs more than one."""
        key = (signer.spki_sha256, signed_sha256)
        if key not in self._known:
            self.left -= len(signer.spki) // LONG_KEY_BYTES
            if not self.spend():
                return None
            self._known[key] = check()
        return self._known[key]

    def search(self) -> bool:
        """Take one search for the path of somebody else than the end entity; False where none is left."""
        self._searches -= 1
        return self._searches >= 0


@dataclass(frozen=True, slots=True)
class PathSearch:
    """What was found. ``paths`` are end entity first, anchor last.

    ``missing`` is the topmost certificate reached whose issuer is not at hand (None where a path was found or nothing is missing);
    ``same_name_new_key``: somebody of that issuer's name is at hand, with another key; ``exhausted``: the search was cut off.
    """

    paths: tuple[tuple[Certificate, ...], ...]
    missing: Certificate | None = None
    same_name_new_key: bool = False
    exhausted: bool = False


def find_paths(
    leaf: Certificate,
    untrusted: Iterable[Certificate],
    anchors: Iterable[Certificate],
    budget: SignatureBudget,
    *,
    at: datetime | None = None,
) -> PathSearch:
    """Every path (at most 32) from ``leaf`` to an anchor; a leaf that is an anchor gives the path ``(leaf,)``.

    Issuers that are valid ``at`` that time are tried before others (RFC 4158 section 3.5.5); none is left out for its dates.
    """
    search = _Search(tuple(anchors), tuple(untrusted), budget, at)
    search.extend((leaf,))
    missing = None if search.paths else search.top
    return PathSearch(tuple(search.paths), missing, not search.paths and search.same_name_new_key, search.cut_off)


class _Search:
    """One depth-first search; certificates whose names cannot be read are nobody's issuer."""

    def __init__(
        self,
        anchors: tuple[Certificate, ...],
        untrusted: tuple[Certificate, ...],
        budget: SignatureBudget,
        at: datetime | None,
    ) -> None:
        self.paths: list[tuple[Certificate, ...]] = []
        self.top: Certificate | None = None
        self.same_name_new_key = False
        self.cut_off = False
        self._top_depth = 0
        self._steps = 0
        self._budget, self._at = budget, at
        self._anchors = _by_subject(anchors)
        self._untrusted = _by_subject(untrusted)
        self._distance = _distances(self._anchors, self._untrusted)

    def extend(self, path: tuple[Certificate, ...]) -> None:
        """Follow every issuer of the last certificate."""
        last = path[-1]
        if self._anchored(path):
            return
        used = {(_name(c.subject_der), c.spki_sha256) for c in path}
        found, other_key = False, False
        for candidate, is_anchor in self._issuers(last):
            if self._cut():
                return
            if not is_anchor and (_name(candidate.subject_der), candidate.spki_sha256) in used:
                continue
            holds = self._budget.holds(candidate, last)
            if holds is None:
                self.cut_off = True
                return
            other_key = other_key or not holds
            if not holds:
                continue
            found = True
            if is_anchor:
                self.paths.append((*path, candidate))
            elif len(path) >= MAX_PATH_CERTIFICATES:
                self.cut_off = True
            else:
                self.extend((*path, candidate))
        if not found and len(path) > self._top_depth:
            self.top, self._top_depth, self.same_name_new_key = last, len(path), other_key

    def _cut(self) -> bool:
        """Whether enough was tried; every candidate looked at is a step."""
        self._steps += 1
        self.cut_off = self.cut_off or self._steps > MAX_STEPS or len(self.paths) >= MAX_PATHS
        return self.cut_off

    def _issuers(self, certificate: Certificate) -> list[tuple[Certificate, bool]]:
        """Anchors first, then the others: those that by their names are nearest to an anchor, then those in time, and those that the
        authority key identifier points at, before the rest. So a way that exists is found before a maze is walked to its limits.
        """
        name = _name(certificate.issuer_der)
        if name is None:
            return []

        def order(candidate: Certificate) -> tuple[int, bool, bool]:
            in_time = self._at is None or candidate.not_before <= self._at <= candidate.not_after
            above = _name(candidate.issuer_der)
            far = MAX_PATH_CERTIFICATES if above is None else self._distance.get(above, MAX_PATH_CERTIFICATES)
            return far, certificate.authority_key_identifier != candidate.subject_key_identifier, not in_time

        anchors = [(c, True) for c in sorted(self._anchors.get(name, []), key=order)]
        return anchors + [(c, False) for c in sorted(self._untrusted.get(name, []), key=order)]

    def _anchored(self, path: tuple[Certificate, ...]) -> bool:
        """Whether the path ends here: its last certificate has the name and the key of an anchor.

        Above the end entity the anchor's own certificate takes its place. An end entity stands for itself, so that it must be
        the anchor's certificate or carry a signature of the anchor's key: what nobody signed says nothing.
        """
        last = path[-1]
        name = _name(last.subject_der)
        same = [] if name is None else [a for a in self._anchors.get(name, []) if a.spki_sha256 == last.spki_sha256]
        exact = next((a for a in same if a.sha256 == last.sha256), None)
        if not same:
            return False
        if len(path) > 1:
            # Each anchor of that name was tried as an issuer already, before any other candidate.
            return True
        if exact is None and not (_name(last.issuer_der) == name and self._budget.holds(last, last)):
            return False
        self.paths.append(path)
        return True


def _by_subject(certificates: tuple[Certificate, ...]) -> dict[CanonicalName, list[Certificate]]:
    found: dict[CanonicalName, list[Certificate]] = {}
    seen: set[str] = set()
    for certificate in certificates:
        name = _name(certificate.subject_der)
        if name is not None and certificate.sha256 not in seen:
            seen.add(certificate.sha256)
            found.setdefault(name, []).append(certificate)
    return found


def _distances(
    anchors: dict[CanonicalName, list[Certificate]], untrusted: dict[CanonicalName, list[Certificate]]
) -> dict[CanonicalName, int]:
    """How many certificates, by names alone, lie between a name and the nearest anchor; names without a way are left out."""
    below: dict[CanonicalName, set[CanonicalName]] = {}
    for subject, certificates in untrusted.items():
        for issuer in {_name(certificate.issuer_der) for certificate in certificates} - {None, subject}:
            if issuer is not None:
                below.setdefault(issuer, set()).add(subject)
    found = dict.fromkeys(anchors, 0)
    reached = set(anchors)
    for distance in range(1, MAX_PATH_CERTIFICATES):
        reached = {name for above in reached for name in below.get(above, ()) if name not in found}
        found.update(dict.fromkeys(reached, distance))
    return found


def _name(der: bytes) -> CanonicalName | None:
    try:
        return canonical(der)
    except (MalformedError, ResourceLimitError):
        return None
