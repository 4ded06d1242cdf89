"""Verdicts from what the store holds: facts seen before, keys known by now, what is trusted, evidence. Nothing is written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from trust_store import query
from trust_store.errors import UsageError
from trust_store.model.identifiers import Identifier, IdentifierKind
from trust_store.model.package_facts import PackageFacts, Problem
from trust_store.model.trust_anchor import AnchorState
from trust_store.model.trust_view import ANY_VENDOR
from trust_store.model.verdict import ExpectedVendor, Reason
from trust_store.quick_dataclass import dataclass
from trust_store.storage.fact_identifiers import hints_in, identifiers_in
from trust_store.storage.facts import INTAKE, Sighting, load_facts, sightings
from trust_store.storage.first_seen import first_seen
from trust_store.terminal import safe
from trust_store.verification import Question, verify_package
from trust_store.verification.question import NOW, REQUESTED

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from trust_store.model.trust_anchor import TrustAnchor
    from trust_store.model.trust_view import TrustView
    from trust_store.model.vendor import Vendor
    from trust_store.model.verdict import SignatureVerdict, Verdict
    from trust_store.query import EvidenceSource
    from trust_store.signatures.protocol import CandidateKey
    from trust_store.storage.anchors import StoredAnchor


_NO_FACTS = "what is stored is of an older reader, or was read by others with different signature files: the file must be read again"


class PackageUnknownError(UsageError):
    """No facts about this package are in the store."""


@dataclass(frozen=True, slots=True)
class AskedPlace:
    """What the asker calls a package and where it has it; None where that is not said.

    ``material``: SHA-256s of the side files it must have been read with. ``asker`` is the origin of what the asker had read before.
    """

    name: str | None = None
    path: str | None = None
    material: tuple[str, ...] | None = None
    asker: str | None = None


def verify_stored(
    connection: sqlite3.Connection,
    sha256: str,
    expected: ExpectedVendor,
    vendors: Iterable[Vendor],
    *,
    at: datetime,
    requested_at: datetime | None = None,
    known_at: datetime | None = None,
    evidence: EvidenceSource | None = None,
    asked: AskedPlace = AskedPlace(),  # noqa: B008 - frozen
    instead: StoredAnchor | None = None,
) -> Verdict:
    """The verdict on a package from its stored facts alone, as of ``at`` (now); raises PackageUnknownError.

    ``requested_at`` asks about another time, as known at ``known_at`` (None: now). ``instead`` is an anchor's version
    that counts though nobody recorded it: for questions beginning with "what if", whose answers are nobody's verdict.
    ``asked`` is the asker's own name for the package, in place of the one under which it was seen; nobody else's counts but the
    intake's, nor anybody else's side files. Where no facts are left that count the answer is ``unreadable`` and asks for the file.
    """
    seen = sightings(connection, sha256)
    place = _place(seen, expected.id, asked)
    facts = load_facts(connection, sha256, asked.material, asker=asked.asker)
    if facts is None and (not seen or asked.material is not None):
        raise PackageUnknownError(
            f"no package {sha256[:64]} has been seen; check the file itself: rootwarden check PATH"
        )
    stale = facts is None
    if facts is None:
        problem = Problem(Reason.UNREADABLE, _NO_FACTS)
        facts = PackageFacts(sha256, 0, None, 0, problem=problem)
    question = Question(
        vendor=expected,
        at=requested_at or at,
        checked_at=at,
        time_basis=REQUESTED if requested_at or known_at else NOW,
        name=place.name or "",
        path=place.path,
        first_seen_at=seen_before(connection, facts, known_at),
        # Nobody knows whether the file itself would be refused now: an allowance never overrides that.
        require_anchor=stale,
    )
    facts = with_stored_keys(connection, facts, expected.id, known_at)
    vendor = next((v for v in vendors if v.id == expected.id), None)
    view = stored_view(
        connection, facts, expected.id, vendor, at=question.at, known_at=known_at, instead=instead, name=question.name
    )
    verdict = judge(connection, facts, view, question, known_at)
    if stale:
        verdict = replace(verdict, size=None, needs_file=True)
    return with_evidence(verdict, facts, evidence)


def _place(seen: Iterable[Sighting], vendor_id: str | None, asked: AskedPlace) -> AskedPlace:
    """What the package is called: by the asker, or else where the intake or the asker saw it last, as this vendor's if it was that."""
    if asked.name is not None:
        return asked
    trusted = [one for one in seen if one.origin in (INTAKE, asked.asker)]
    found = next((one for one in trusted if one.vendor_id == vendor_id), trusted[0] if trusted else None)
    return AskedPlace(found.name, found.path) if found else asked


def stored_view(
    connection: sqlite3.Connection,
    facts: PackageFacts,
    vendor_id: str | None,
    vendor: Vendor | None,
    *,
    at: datetime,
    known_at: datetime | None = None,
    instead: StoredAnchor | None = None,
    name: str = "",
) -> TrustView:
    """What the store trusts for these facts at ``at``, under the policy that counts: a weakening nobody approved does not.

    ``name`` is what the file is called. Where no vendor is stated every vendor's anchors are looked at; ``verification`` lets none
    of them make anything pass.
    """
    return query.trust_view(
        connection, vendor_id or ANY_VENDOR, facts, vendor, at=at, known_at=known_at, instead=instead, name=name
    )


@dataclass(frozen=True, slots=True)
class StoredTrust:
    """The store as a source of trust, for whoever asks about a file."""

    connection: sqlite3.Connection
    vendors: tuple[Vendor, ...] = ()

    def candidates(
        self, vendor_id: str, hints: Iterable[Identifier], *, known_at: datetime | None
    ) -> tuple[CandidateKey, ...]:
        """Keys to try on signatures, those that a hint points at first."""
        return query.candidates(self.connection, vendor_id, hints, known_at=known_at)

    def view(
        self,
        facts: PackageFacts,
        vendor_id: str | None,
        *,
        at: datetime,
        known_at: datetime | None,
        name: str = "",
    ) -> TrustView:
        """What the store trusts for these facts at ``at``."""
        vendor = next((v for v in self.vendors if v.id == vendor_id), None)
        return stored_view(self.connection, facts, vendor_id, vendor, at=at, known_at=known_at, name=name)

    def first_seen(self, facts: PackageFacts, known_at: datetime | None) -> datetime | None:
        """Since when the package is known with these signatures."""
        return seen_before(self.connection, facts, known_at)

    def judge(self, facts: PackageFacts, view: TrustView, question: Question, known_at: datetime | None) -> Verdict:
        """The verdict, naming the anchors most like an issuer that is missing."""
        return judge(self.connection, facts, view, question, known_at)


def with_stored_keys(
    connection: sqlite3.Connection, facts: PackageFacts, vendor_id: str | None, known_at: datetime | None = None
) -> PackageFacts:
    """``facts`` with every signature tried with the keys that the store has by now; the file is not needed for that."""
    found = query.candidates(
        connection, vendor_id or ANY_VENDOR, hints_of(facts), fill=_unnamed_signer(facts), known_at=known_at
    )
    return with_keys(facts, found)


def seen_before(
    connection: sqlite3.Connection, facts: PackageFacts, known_at: datetime | None = None
) -> datetime | None:
    """Since when the package is known with these signatures; None where it was not, or not yet at ``known_at``."""
    found = first_seen(connection, facts)
    return None if found is not None and known_at is not None and found > known_at else found


def judge(
    connection: sqlite3.Connection,
    facts: PackageFacts,
    view: TrustView,
    question: Question,
    known_at: datetime | None = None,
) -> Verdict:
    """The verdict; where no root is known it names the vendor whose package it is instead, else the anchors most like the missing one."""
    return judge_with_owner(connection, facts, view, question, known_at)[0]


def judge_with_owner(
    connection: sqlite3.Connection,
    facts: PackageFacts,
    view: TrustView,
    question: Question,
    known_at: datetime | None = None,
) -> tuple[Verdict, TrustAnchor | None]:
    """The same, with the valid anchor of another vendor that vouches for a package whose root the stated one does not know."""
    verdict = verify_package(facts, view, question)
    owner = _owner(connection, facts, question, known_at) if verdict.reason is Reason.UNKNOWN_ROOT else None
    if owner is not None:
        return _of_another(verdict, owner), owner
    return _with_relatives(connection, verdict, facts, view, question, known_at), None


def _owner(
    connection: sqlite3.Connection, facts: PackageFacts, question: Question, known_at: datetime | None
) -> TrustAnchor | None:
    """The valid anchor of another vendor than was stated under which the package is signed; None where there is none such."""
    if question.vendor.id in (None, ANY_VENDOR):
        return None
    facts = with_stored_keys(connection, facts, ANY_VENDOR, known_at)
    view = stored_view(connection, facts, ANY_VENDOR, None, at=question.at, known_at=known_at)
    found = verify_package(facts, view, replace(question, vendor=ExpectedVendor(ANY_VENDOR, "any")))
    vouching = {s.anchor[0] for s in found.signatures if s.anchor is not None and s.reason is Reason.TRUSTED}
    named = (anchor for anchor in view.anchors if anchor.id in vouching)
    return next((a for a in named if a.state is AnchorState.VALID and a.vendor_id != question.vendor.id), None)


def _of_another(verdict: Verdict, owner: TrustAnchor) -> Verdict:
    """The same verdict, telling whose package it is; what is like the missing root is left out: nobody is to approve that here."""
    stated, other = safe(verdict.vendor.id or "", 80), safe(owner.vendor_id, 80)
    signatures = tuple(
        replace(s, missing_issuer=replace(s.missing_issuer, relatives=())) if s.missing_issuer else s
        for s in verdict.signatures
    )
    return replace(
        verdict,
        signatures=signatures,
        summary=f"Signed under the anchor '{safe(owner.name, 160)}' of vendor {other}, and no anchor of {stated} vouches for it.",
        advice=(
            f"see whose package it is: if it is meant to be {other}'s, check it again with --vendor {other}",
            f"if it is meant to be {stated}'s, do not install it, approve no key for it, and call {stated} on the number you recorded",
        ),
    )


def _with_relatives(
    connection: sqlite3.Connection,
    verdict: Verdict,
    facts: PackageFacts,
    view: TrustView,
    question: Question,
    known_at: datetime | None,
) -> Verdict:
    """The verdict, where an issuer is missing judged with the anchors in view that are most like it, so that it can name them.

    They are nowhere on a path, else they would have been in view already.
    """
    missing = {signature.missing_issuer for signature in verdict.signatures if signature.missing_issuer}
    known = {anchor.id: anchor for anchor in view.anchors}
    near = dict(known)
    for issuer in missing:
        found = query.neighbours(
            connection, question.vendor.id, issuer.name, issuer.authority_key_identifier, known_at=known_at
        )
        near = {anchor.id: anchor for anchor in found} | near
    if len(near) == len(known):
        return verdict
    told = verify_package(facts, replace(view, anchors=tuple(near[i] for i in sorted(near))), question)
    # Where the view was cut off they may be on a path after all; nothing was looked up about their keys, so that they decide nothing.
    return told if (told.reason, told.also) == (verdict.reason, verdict.also) else verdict


def with_evidence(verdict: Verdict, facts: PackageFacts, source: EvidenceSource | None) -> Verdict:
    """The verdict with what vendor channels said about the keys in it; nothing is said where nobody can be asked."""
    if source is None:
        return verdict
    # Nobody outside knows the digests under which this store finds names.
    wanted = {i for i in identifiers_in(facts) if i.kind not in (IdentifierKind.SUBJECT, IdentifierKind.ISSUER)}
    of_keys = {kind.value: kind for kind in IdentifierKind}  # a signer may be named by more: whom an issuer vouched for
    for signature in _every_signature(verdict):
        stated = signature.signer.identifiers if signature.signer else ()
        wanted |= {Identifier(of_keys[kind], value) for kind, value in stated if kind in of_keys}
        missing = signature.missing_issuer
        if missing and missing.authority_key_identifier:
            wanted.add(Identifier(IdentifierKind.SUBJECT_KEY_IDENTIFIER, missing.authority_key_identifier))
        if missing and missing.name:
            wanted.add(Identifier(IdentifierKind.SUBJECT, missing.name))
    return replace(verdict, evidence=source.evidence_for(sorted(wanted)), evidence_available=True)


def _every_signature(verdict: Verdict) -> Iterator[SignatureVerdict]:
    """Those of the package, then those of the packages inside."""
    yield from verdict.signatures
    for member in verdict.members:
        yield from _every_signature(member)


def hints_of(facts: PackageFacts) -> tuple[Identifier, ...]:
    """By what the store may know the signers: the signatures' hints and the carried certificates."""
    return tuple(sorted(hints_in(facts)))


def with_keys(facts: PackageFacts, candidates: tuple[CandidateKey, ...]) -> PackageFacts:
    """``facts`` with every signature tried with further keys."""
    from trust_store.signatures.schemes import (
        with_candidates,  # few packages need more than what their reader has tried
    )

    return replace(
        facts,
        signatures=tuple(with_candidates(fact, candidates) for fact in facts.signatures),
        members=tuple(replace(m, facts=with_keys(m.facts, candidates)) for m in facts.members),
    )


def _unnamed_signer(facts: PackageFacts) -> bool:
    """Whether some signature says neither which key made it nor carries a certificate."""
    return any(
        fact.problem is None
        and not fact.certificates
        and fact.hint.serial_number is None
        and not fact.keys
        and not (fact.hint.subject_key_identifier or fact.hint.openpgp or fact.hint.key_id or fact.hint.key_sha256)
        for fact in facts.every_signature
    )
