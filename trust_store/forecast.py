"""What stops verifying when, and why, if nobody does anything: the times at which anchors end and packages cease to pass. Pure.

An anchor's times are read off it. A package's are found by asking: its verdict is computed at each moment at which it may change,
and the first one that is not ``passed`` is told. So a forecast and the check on that day say the same. Three things are left out
of account: revocation lists, which are taken to be kept current, ratchets, which time alone does not move, and that a package
which this store has seen before the end of a certificate keeps passing here: the forecast is for whoever meets the package then
for the first time.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from trust_store.chain.key_ends import cut_off, openpgp_ends
from trust_store.chain.openpgp import judge
from trust_store.chain.timestamping import readable
from trust_store.decode.openpgp import load_keys
from trust_store.decode.timestamp_token import parse_token
from trust_store.decode.x509 import load_certificate
from trust_store.errors import READ_ERRORS
from trust_store.model.identifiers import format_time
from trust_store.model.trust_anchor import AnchorKind, AnchorState
from trust_store.model.trust_view import RevocationMaterial
from trust_store.model.verdict import Outcome
from trust_store.verification import Question, verify_package
from trust_store.verification.question import NOW
from trust_store.verification.signature import OPENPGP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trust_store.model.package_facts import PackageFacts
    from trust_store.model.trust_anchor import TrustAnchor
    from trust_store.model.trust_view import TrustView
    from trust_store.model.verdict import ExpectedVendor, Verdict

ANCHOR, KEY, LIMIT, DISTRUST, STATE, ALGORITHM, PACKAGE = (
    "anchor_expires", "key_expires", "valid_until", "distrust_after", "state_takes_effect", "algorithm_cut_off",
    "package_stops",
)  # fmt: skip
_STANDING = frozenset({AnchorState.VALID, AnchorState.SUPERSEDED})
_PUBLIC_KEYS = frozenset({AnchorKind.SPKI, AnchorKind.RAW, AnchorKind.NPM})
_STEPS = (timedelta(0), timedelta(microseconds=1), timedelta(seconds=1))
"""A limit may count until its moment, through it, or through the second it lies in."""
MAX_NAME = 120
MAX_MOMENTS = 200
"""Moments of one package that are looked at, the earliest first."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A package to ask about: what it is called (``product``), whose it is said to be, what was seen in it, what is trusted now."""

    product: str
    vendor: ExpectedVendor
    facts: PackageFacts
    view: TrustView


@dataclass(frozen=True, slots=True)
class Expiry:
    """Something ends ``at`` that time: ``what`` is one of the words above, ``why`` a sentence that may hold text from outside.

    ``product`` is the package's name where it is about one, ``anchor_id`` the anchor that ends or that the package passed under.
    """

    at: datetime
    what: str
    why: str
    vendor: str
    product: str | None = None
    anchor_id: str | None = None


def forecast(
    anchors: Iterable[TrustAnchor], packages: Iterable[Subject], at: datetime, horizon: timedelta
) -> tuple[Expiry, ...]:
    """Everything that ends after ``at`` (aware) and within ``horizon``, the earliest first.

    Of anchors only valid and superseded ones can end, and others whose state begins to count later. Packages that do not pass at ``at``
    have nothing to lose and are left out. Raises ValueError for a naive time.
    """
    if at.tzinfo is None:
        raise ValueError("a time without a zone has no meaning here")
    try:
        end = at + horizon
    except OverflowError:
        end = datetime.max.replace(tzinfo=UTC)
    found = [expiry for anchor in anchors for expiry in _of_anchor(anchor, at) if at < expiry.at <= end]
    for subject in packages:
        stop = _of_package(subject, at, end)
        found += [stop] if stop is not None else []
    return tuple(sorted(found, key=lambda e: (e.at, e.vendor, e.what, e.product or "", e.anchor_id or "", e.why)))


def _of_anchor(anchor: TrustAnchor, at: datetime) -> Iterator[Expiry]:
    def told(when: datetime, what: str, why: str) -> Expiry:
        return Expiry(when, what, f"'{anchor.name[:MAX_NAME]}': {why}", anchor.vendor_id, None, anchor.id)

    buried = anchor.state not in _STANDING and anchor.state not in (AnchorState.PENDING, AnchorState.REJECTED)
    if buried or anchor.state is AnchorState.SUPERSEDED:
        yield told(anchor.effective_from, STATE, f"the anchor counts as {anchor.state} from then on")
    if anchor.state not in _STANDING:
        return
    limits, uses = anchor.constraints, ", ".join(anchor.constraints.purposes) or "nothing"
    if limits.valid_until is not None:
        yield told(limits.valid_until, LIMIT, f"the anchor is accepted until then (valid_until), for {uses}")
    if limits.distrust_after is not None:
        yield told(
            limits.distrust_after, DISTRUST, "what is issued or signed later does not count any more (distrust_after)"
        )
    for when, what, why in _of_material(anchor, at):
        yield told(when, what, f"{why}, for {uses}")


def _of_material(anchor: TrustAnchor, at: datetime) -> Iterator[tuple[datetime, str, str]]:
    """The ends of the key itself; one that cannot be read ends nothing."""
    try:
        if anchor.kind is AnchorKind.OPENPGP:
            for key in load_keys(anchor.material):
                for end in openpgp_ends(key, at):
                    yield end.at, KEY, end.what
            return
        if anchor.kind is AnchorKind.X509:
            certificate = load_certificate(anchor.material)
            yield certificate.not_after, ANCHOR, "the anchor's certificate expires"
        elif anchor.kind not in _PUBLIC_KEYS:
            return
        spki = certificate.spki if anchor.kind is AnchorKind.X509 else anchor.material
    except READ_ERRORS:
        return
    limit = cut_off(spki)
    if limit is not None:
        yield (
            limit.at, ALGORITHM,
            f"RSA keys shorter than {limit.rsa_bits} bits should sign nothing from then on ({limit.source}); no verdict changes by itself",
        )  # fmt: skip


def _of_package(subject: Subject, at: datetime, end: datetime) -> Expiry | None:
    """When the package ceases to pass, or None: it does not pass now, or still does at ``end``."""
    now = _verdict(subject, subject.view, at)
    if now.outcome is not Outcome.PASSED:
        return None
    lasting = _without_revocation(subject.view)
    passed_under = next((s.anchor[0] for s in now.signatures if s.outcome is Outcome.PASSED and s.anchor), None)
    for moment in _moments(subject, at, end):
        if _verdict(subject, lasting, _later(moment, _STEPS[-1])).outcome is Outcome.PASSED:
            continue
        for step in _STEPS:
            when = _later(moment, step)
            verdict = _verdict(subject, lasting, when)
            if verdict.outcome is not Outcome.PASSED and when > end:
                return None  # it passes through the last moment asked about
            if verdict.outcome is not Outcome.PASSED:
                why = f"{verdict.outcome} / {verdict.reason}: {verdict.summary}"
                return Expiry(when, PACKAGE, why, subject.vendor.id or "", subject.product, passed_under)
    return None


def _verdict(subject: Subject, view: TrustView, at: datetime) -> Verdict:
    return verify_package(subject.facts, view, Question(subject.vendor, at, at, NOW, subject.product))


def _without_revocation(view: TrustView) -> TrustView:
    """The same trust, with nothing asked of revocation lists: those at hand are stale long before anything else ends."""
    anchors = tuple(replace(a, constraints=replace(a.constraints, revocation="off")) for a in view.anchors)
    return replace(view, anchors=anchors, revocation=RevocationMaterial())


def _moments(subject: Subject, at: datetime, end: datetime) -> list[datetime]:
    """Every moment after ``at`` and up to ``end`` at which the verdict may change by itself."""
    found: set[datetime] = set()
    carried = [der for fact in subject.facts.signatures for der in (*fact.certificates, *_stamping(fact.timestamps))]
    for certificate in (*readable(carried), *subject.view.untrusted):
        found |= {certificate.not_before, certificate.not_after}
    found |= set(_of_openpgp(subject, at))
    for anchor in subject.view.anchors:
        limits = anchor.constraints
        stated = (limits.valid_from, limits.valid_until, limits.distrust_after, anchor.effective_from)
        found |= {moment for moment in stated if moment is not None}
        found |= {when for when, _, _ in _of_material(anchor, at)}
    for decision in subject.view.decisions:
        found |= {decision.effective_from, *([decision.effective_until] if decision.effective_until else [])}
    # A moment that has come lies a second back at most, and what it ends may end with that second.
    return sorted(moment for moment in found if _later(moment, _STEPS[-1]) > at and moment <= end)[:MAX_MOMENTS]


def _of_openpgp(subject: Subject, at: datetime) -> Iterator[datetime]:
    """When an OpenPGP signature expires, and the key that made it; who else is trusted makes no difference to it."""
    facts = [fact for fact in subject.facts.signatures if fact.scheme == OPENPGP and fact.problem is None]
    keys = list(subject.view.untrusted_keys)
    for anchor in subject.view.anchors if facts else ():
        if anchor.kind is AnchorKind.OPENPGP:
            with contextlib.suppress(*READ_ERRORS):
                keys += load_keys(anchor.material)
    for fact in facts:
        made_by = {check.owner for check in fact.key_checks if check.holds}
        for key in dict.fromkeys(key for key in keys if key.fingerprint in made_by):
            copies = tuple(other for other in keys if other.fingerprint == key.fingerprint)
            judged = judge(fact, key, at, copies=copies)
            yield from (moment for moment in (judged.not_after, judged.next_change) if moment is not None)
            yield from (end.at for end in openpgp_ends(key, at))


def _stamping(tokens: Iterable[bytes]) -> Iterator[bytes]:
    for token in tokens:
        try:
            yield from parse_token(token).certificates
        except READ_ERRORS:
            continue


def _later(moment: datetime, step: timedelta) -> datetime:
    try:
        return moment + step
    except OverflowError:
        return moment


def text_of(expiry: Expiry) -> str:
    """One line about it, in which text from outside is not escaped yet."""
    about = f"package {expiry.product}" if expiry.product is not None else f"anchor {expiry.anchor_id}"
    return f"{format_time(expiry.at)}  {expiry.vendor or '(no vendor)'}  {about}: {expiry.why}"
