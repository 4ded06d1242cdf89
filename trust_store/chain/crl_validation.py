"""Revocation lists judged for one certificate (RFC 5280 section 6.3.3), with the paragraph at each step.

Where the standard stops at the first list that decides, every list at hand is asked: a certificate that one current list revokes is
revoked, whatever the others say. Who asks about an earlier time is told what later lists know of it: their revocations that had
happened by then count, and nothing else in them does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.chain.certificate_points import freshest_of, points_of
from trust_store.chain.names import same_name
from trust_store.chain.revocation_material import SOFT_REASONS, Demands, Kind, Run, Status
from trust_store.decode.distribution_points import (
    ALL_REASONS,
    DIRECTORY_NAME,
    URI,
    DistributionPoint,
    GeneralName,
    PointName,
    relative_to,
)
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from trust_store.chain.revocation_signers import Path, Signers
    from trust_store.decode.crl import RevocationList
    from trust_store.decode.crl_entries import RevokedEntry
    from trust_store.model.certificate import Certificate

_HOLD, _REMOVE = "certificateHold", "removeFromCRL"


@dataclass(frozen=True, slots=True)
class _Applied:
    """A list that may be used: whose key signed it, and what it says about the certificate."""

    listed: RevocationList
    signer: Certificate
    reasons: int
    entry: RevokedEntry | None


class ListCheck:
    """Asks every list about one certificate. ``above`` is the path from its issuer up to the anchor."""

    def __init__(
        self, run: Run, signers: Signers, certificate: Certificate, above: Path, *, signed_at: datetime | None = None
    ) -> None:
        self._run, self._signers, self._signed_at = run, signers, signed_at
        self._certificate, self._above = certificate, above
        self._notes: list[str] = []
        self._limit: Status | None = None
        self._complete = [listed for listed in run.material.lists if listed.base_number is None]
        self._deltas = [listed for listed in run.material.lists if listed.base_number is not None]

    def status(self) -> Status:
        """REVOKED, GOOD once every reason is covered, UNKNOWN where lists are there and do not decide, else NONE."""
        covered = 0
        for point in self._points():
            for applied in _newest([a for a in (self._apply(listed, point) for listed in self._complete) if a]):
                if applied.entry is not None and not was_before(applied.entry, self._signed_at):
                    return Status(Kind.REVOKED, _revoked(applied.entry, applied.listed))
                covered |= applied.reasons  # (l)
            if (told := self._told_later(point)) is not None:
                return told
            if self._limit is not None:
                return self._limit
        if covered == ALL_REASONS:
            return Status(Kind.GOOD)
        if covered:
            return Status(Kind.UNKNOWN, "; ".join(["the lists do not cover every reason (6.3.3(e))", *self._notes]))
        if self._notes:
            return Status(Kind.UNKNOWN, "; ".join(dict.fromkeys(self._notes)))
        return self._stray_delta()

    def _told_later(self, point: DistributionPoint) -> Status | None:
        """REVOKED where a list of a later time than the one asked about has the certificate as revoked by then (5.1.2.6), else None.

        Steps (b), (f), (g) and (j) of 6.3.3 with a list that (a) does not call current: it is no proof that nothing was revoked, but the
        issuer takes no revocation back by making a newer list. A delta says as much (5.2.4), but for what it takes off hold.
        """
        at = _asked_at(self._run.demands)
        for listed in self._run.material.lists:
            if listed.this_update <= at or self._limit is not None or not self._in_scope(listed, point):
                continue
            try:
                entry = None if _unusable(listed, self._run.demands) else self._entry(listed)
            except (MalformedError, ResourceLimitError):
                continue
            if entry is None or _since(entry) > at or was_before(entry, self._signed_at):
                continue
            if listed.base_number is not None and entry.reason == _REMOVE:
                continue
            if self._signed(listed, f"the list of {listed.issuer}") is not None:
                return Status(Kind.REVOKED, f"{_revoked(entry, listed)}, made later than the time asked about")
        return None

    def _points(self) -> list[DistributionPoint]:
        """The certificate's own, then the issuer as if it were one: 6.3.3, last paragraph."""
        own = [] if (found := points_of(self._certificate)) is None else list(found)
        if self._run.demands.web_pki:  # BR 7.1.2.11.2: nothing but URIs
            own = [p for p in own if p.name is None or all(name.tag == URI for name in p.name.full)]
        issuer = GeneralName(DIRECTORY_NAME, self._certificate.issuer_der)
        return [*own, DistributionPoint(PointName(full=(issuer,)))]

    def _apply(self, listed: RevocationList, point: DistributionPoint) -> _Applied | None:
        """Steps (b) to (k) with one list; None where it is not about the certificate or cannot be used, which is noted."""
        if self._limit is not None or not self._in_scope(listed, point):  # (b)
            return None
        what = f"the list of {listed.issuer}"
        if (fault := _unusable(listed, self._run.demands)) is not None:
            self._notes.append(f"{what}: {fault}")
            return None
        signer = self._signed(listed, what)  # (f), (g)
        if signer is None:
            return None
        delta = self._delta(listed, signer)  # (c), (h)
        if (stale := _stale(listed, self._run.demands)) is not None and not (delta and self._freshest(listed)):  # (a)
            self._notes.append(f"{what} {stale}")
            return None
        if listed.this_update > self._certificate.not_after:
            self._notes.append(f"{what} was made after the certificate expired: those are left out of lists")
            return None
        try:
            entry = self._decided(listed, delta)  # (i), (j), (k)
        except (MalformedError, ResourceLimitError) as error:
            self._notes.append(f"{what}: {error}")
            return None
        reasons = (ALL_REASONS if point.reasons is None else point.reasons) & (
            ALL_REASONS if listed.scope.reasons is None else listed.scope.reasons
        )  # (d)
        return _Applied(listed, signer, reasons, entry)

    def _in_scope(self, listed: RevocationList, point: DistributionPoint) -> bool:
        """(b): the right issuer, the right distribution point, the right kind of certificate."""
        scope, certificate = listed.scope, self._certificate
        if point.crl_issuer:  # (b)(1): a list of somebody else
            if not scope.indirect or not _names(point.crl_issuer, listed.issuer_der):
                return False
        elif not same_name(listed.issuer_der, certificate.issuer_der):
            return False
        if scope.only_attribute or (scope.only_user if certificate.is_ca else scope.only_ca):  # (b)(2)(ii)-(iv)
            return False
        return scope.name is None or self._same_point(scope.name, listed, point)  # (b)(2)(i)

    def _same_point(self, name: PointName, listed: RevocationList, point: DistributionPoint) -> bool:
        """(b)(2)(i): one name of the list's distribution point is one of the certificate's, or of cRLIssuer where it has none."""
        try:
            ours = _full(name, listed.issuer_der)
            base = next((n.content for n in point.crl_issuer if n.tag == DIRECTORY_NAME), self._certificate.issuer_der)
            theirs = point.crl_issuer if point.name is None else _full(point.name, base)
        except (MalformedError, ResourceLimitError):
            return False
        return any(_same(one, other) for one in ours for other in theirs)

    def _signed(self, listed: RevocationList, what: str) -> Certificate | None:
        signer, status = self._signers.of_list(listed, self._above)
        if status.kind is Kind.LIMIT:
            self._limit = status
        elif signer is None:
            self._notes.append(f"{what}: {status.detail}")
        return signer

    def _delta(self, listed: RevocationList, signer: Certificate) -> RevocationList | None:
        """(c), (h): the newest delta of the same issuer, scope and key that starts from ``listed`` or before. None is no fault."""
        fitting = [
            delta
            for delta in self._deltas
            if same_name(delta.issuer_der, listed.issuer_der)  # (c)(1)
            and delta.scope.raw == listed.scope.raw  # (c)(2)
            and delta.authority_key == listed.authority_key  # (c)(3)
            and listed.number is not None and delta.number is not None and delta.base_number is not None
            and delta.base_number <= listed.number < delta.number  # section 5.2.4
            and _unusable(delta, self._run.demands) is None and _stale(delta, self._run.demands) is None
        ]  # fmt: skip
        for delta in sorted(fitting, key=lambda d: d.number or 0, reverse=True):
            signed = self._signers.holds(signer, delta.signed)
            if signed is None:
                self._limit = Status(Kind.LIMIT, "too many public-key operations")
                return None
            if signed:
                return delta
        return None

    def _freshest(self, listed: RevocationList) -> bool:
        """6.3.3(a): a list that has run out may be brought up to date where list or certificate says that deltas are made."""
        return bool(listed.freshest) or bool(freshest_of(self._certificate))

    def _decided(self, listed: RevocationList, delta: RevocationList | None) -> RevokedEntry | None:
        """(i) the delta, (j) the complete list, (k) what was taken off hold again."""
        complete, later = self._entry(listed), self._entry(delta) if delta is not None else None
        if later is None:
            return complete
        if later.reason == _REMOVE:
            # Only a hold ends (5.3.1): another reason stands, whatever a delta says.
            return None if complete is None or complete.reason == _HOLD else complete
        return later

    def _entry(self, listed: RevocationList) -> RevokedEntry | None:
        """The entry about this certificate, in an indirect list among those of its issuer (5.3.3)."""
        found = [
            entry
            for issuer, entry in listed.entries.find(self._certificate.serial_number)
            if same_name(listed.issuer_der if issuer is None else issuer, self._certificate.issuer_der)
        ]
        # Of several the one that spares the least.
        return min(found, key=lambda e: (e.reason in (_REMOVE, _HOLD), e.reason in SOFT_REASONS), default=None)

    def _stray_delta(self) -> Status:
        """A delta without a complete list decides nothing (5.2.4), and says that there is something to know."""
        if any(same_name(delta.issuer_der, self._certificate.issuer_der) for delta in self._deltas):
            return Status(Kind.UNKNOWN, "a delta list without a complete one (5.2.4)")
        return Status(Kind.NONE)


def was_before(entry: RevokedEntry, signed_at: datetime | None) -> bool:
    """Whether what is judged was provably signed before a revocation that casts no doubt on what was signed earlier."""
    return signed_at is not None and entry.reason in SOFT_REASONS and signed_at < _since(entry)


def _since(entry: RevokedEntry) -> datetime:
    """The date of revocation (5.1.2.6), or the earlier one since which the certificate was not to be trusted (5.3.2)."""
    return min(entry.revoked_at, entry.invalid_from or entry.revoked_at)


def _revoked(entry: RevokedEntry, listed: RevocationList) -> str:
    return f"revoked on {entry.revoked_at:%Y-%m-%d} ({entry.reason}) by the list of {listed.issuer}"


def _newest(found: list[_Applied]) -> list[_Applied]:
    """Of lists of one issuer, scope and key those that no other takes the place of: one that is newer by number and by date."""

    def same(one: _Applied, other: _Applied) -> bool:
        mine, its = one.listed, other.listed
        return (mine.issuer_der, mine.scope.raw, one.signer.spki_sha256) == (
            its.issuer_der, its.scope.raw, other.signer.spki_sha256,
        )  # fmt: skip

    def older(one: _Applied, other: _Applied) -> bool:
        mine, its = _age(one), _age(other)
        return mine != its and mine[0] <= its[0] and mine[1] <= its[1]

    return [one for one in found if not any(same(one, other) and older(one, other) for other in found)]


def _age(applied: _Applied) -> tuple[int, float]:
    number = applied.listed.number
    return -1 if number is None else number, applied.listed.this_update.timestamp()


def _unusable(listed: RevocationList, demands: Demands) -> str | None:
    """Why nothing may be concluded from a list, however it is signed."""
    if listed.unknown_critical:  # section 5.2
        return f"unknown critical extension {listed.unknown_critical[0]} (5.2)"
    if listed.entries.unknown_critical:  # section 5.3
        return f"unknown critical entry extension {listed.entries.unknown_critical[0]} (5.3)"
    if listed.entries.issuers and not listed.scope.indirect:  # section 5.2.5
        return "entries of other issuers in a list that is not indirect (5.2.5)"
    if demands.profile and listed.faults:
        return listed.faults[0]
    if demands.web_pki and listed.scope.name is not None:  # BR 7.2.2.1
        name = listed.scope.name
        if listed.scope.indirect or name.relative is not None or any(n.tag != URI for n in name.full):
            return "a partition that is not named by URIs alone (CA/B BR 7.2.2.1)"
    return None


def _stale(listed: RevocationList, demands: Demands) -> str | None:
    at = _asked_at(demands)
    if listed.this_update > at:
        return f"is of {listed.this_update:%Y-%m-%d %H:%M}, later than the time asked about"
    if listed.next_update is None:
        return "does not say when the next one is due (5.1.2.5)"
    if listed.next_update < at:
        return f"ran out on {listed.next_update:%Y-%m-%d %H:%M} (6.3.3(a))"
    return None


def _asked_at(demands: Demands) -> datetime:
    """Lists know whole seconds (5.1.2.4)."""
    return demands.at.replace(microsecond=0)


def _full(name: PointName, issuer: bytes) -> tuple[GeneralName, ...]:
    if name.relative is None:
        return name.full
    return (GeneralName(DIRECTORY_NAME, relative_to(issuer, name.relative)),)


def _same(one: GeneralName, other: GeneralName) -> bool:
    if one.tag == other.tag == DIRECTORY_NAME:
        return same_name(one.content, other.content)
    return one == other


def _names(names: tuple[GeneralName, ...], issuer: bytes) -> bool:
    return any(name.tag == DIRECTORY_NAME and same_name(name.content, issuer) for name in names)
