"""The shell of ``verification``: opens the package, has it read in isolation, gathers what is trusted, answers with a verdict.

Writes nothing: whoever wants the facts kept (the daemon) gets them beside the verdict.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Protocol

from trust_store.decode.public_keys import canonical_spki_sha256
from trust_store.errors import UsageError
from trust_store.formats.protocol import ReadLimits, SideMaterial
from trust_store.model.package_facts import KeyCheck, PackageFacts, Problem, SideFile, SignatureFact, SignatureOrigin
from trust_store.model.trust_anchor import AnchorKind
from trust_store.model.trust_view import ANY_VENDOR, TrustView
from trust_store.model.verdict import ExpectedVendor, Reason
from trust_store.package_files import PackageUnreadableError, open_package, shown, side_paths
from trust_store.quick_dataclass import dataclass
from trust_store.signatures.protocol import MAX_CANDIDATE_KEYS, MAX_SIGNATURE_FILE_BYTES
from trust_store.stored_verdict import hints_of, with_evidence, with_keys
from trust_store.verification import Question, verify_package
from trust_store.verification.question import DEFAULT_NAMESPACE, NOW, REQUESTED, ExpectedIdentity
from trust_store.verification.supplied import SuppliedMaterial, supplied_anchors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime
    from pathlib import Path

    from trust_store.model.identifiers import Identifier
    from trust_store.model.vendor import Vendor
    from trust_store.model.verdict import Verdict
    from trust_store.native.comparison import Compared
    from trust_store.native.protocol import NativeTool
    from trust_store.query import EvidenceSource
    from trust_store.signatures.protocol import CandidateKey

UNREAD_SCHEME = "unknown"
MAX_SIDE_BYTES = 3 * MAX_SIGNATURE_FILE_BYTES
"""Of all files beside a package together."""
MAX_SIDE_FILES = 64


class FactReader(Protocol):
    """Reads an open package in isolation; whatever goes wrong stands in the facts' ``problem``, nothing is raised."""

    def read(
        self, package_fd: int, side: tuple[SideMaterial, ...], candidates: tuple[CandidateKey, ...], limits: ReadLimits
    ) -> PackageFacts: ...


class TrustSource(Protocol):
    """Where what is trusted comes from: the store, or a signed bundle of one."""

    def candidates(
        self, vendor_id: str, hints: Iterable[Identifier], *, known_at: datetime | None
    ) -> tuple[CandidateKey, ...]:
        """Keys to try on signatures, those that a hint points at first."""
        ...

    def view(
        self,
        facts: PackageFacts,
        vendor_id: str | None,
        *,
        at: datetime,
        known_at: datetime | None,
        name: str = "",
    ) -> TrustView:
        """All that is trusted as to these facts, of a file of this name, for this vendor."""
        ...

    def first_seen(self, facts: PackageFacts, known_at: datetime | None) -> datetime | None:
        """Since when the package is known with these signatures."""
        ...

    def judge(self, facts: PackageFacts, view: TrustView, question: Question, known_at: datetime | None) -> Verdict:
        """The verdict, with what the source knows of issuers that are missing."""
        ...


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """One question about one file. ``signatures`` None: look beside it; ``at`` None: now. ``only_supplied``: leave the store out.

    ``given`` is the path as it was written, where that is not what ``path`` makes of it (``./a``, ``a/``, nothing at all).
    ``known_at`` (None: now): what the store recorded later does not count.
    ``revocation`` are lists and OCSP responses in DER: they make revocation required for the issuers they cover. ``require_anchor``: a
    decision about the package's digest does not let it pass.
    """

    path: Path
    vendor: ExpectedVendor
    at: datetime | None = None
    known_at: datetime | None = None
    signatures: tuple[Path, ...] | None = None
    anchors: SuppliedMaterial = field(default_factory=SuppliedMaterial)
    untrusted: SuppliedMaterial = field(default_factory=SuppliedMaterial)
    only_supplied: bool = False
    identity: ExpectedIdentity | None = None
    namespace: str = DEFAULT_NAMESPACE
    revocation: tuple[bytes, ...] = ()
    require_anchor: bool = False
    given: str | None = None

    @property
    def place(self) -> str:
        """What is opened and told."""
        return str(self.path) if self.given is None else self.given


class Verifier:
    """Answers questions about files. ``source`` None: only supplied anchors can be asked about.

    Belongs to the thread that owns the source. ``evidence`` is what vendor channels said, where somebody knows.
    """

    def __init__(
        self,
        reader: FactReader,
        *,
        now: Callable[[], datetime],
        source: TrustSource | None = None,
        evidence: EvidenceSource | None = None,
        limits: ReadLimits | None = None,
    ) -> None:
        self._reader, self._now, self._source, self._evidence = reader, now, source, evidence
        self._limits = limits or ReadLimits()

    def examine(self, request: CheckRequest) -> tuple[PackageFacts | None, Verdict]:
        """Facts and verdict; no facts where the file could not be opened. Raises UsageError for a bad ``signatures`` file."""
        at = self._now()
        question = Question(
            vendor=request.vendor,
            at=request.at or at,
            checked_at=at,
            time_basis=REQUESTED if request.at or request.known_at else NOW,
            name=request.path.name or request.place,
            path=request.place,
            identity=request.identity,
            namespace=request.namespace,
            require_anchor=request.require_anchor,
        )
        try:
            facts = self._facts(request)
        except PackageUnreadableError as error:
            unread = PackageFacts("", 0, None, 0, problem=Problem(Reason.UNREADABLE, str(error)))
            view = replace(self._view(request, unread, at), anchors=())
            return None, replace(verify_package(unread, view, question), size=None)
        source = None if request.only_supplied else self._source
        view = self._view(request, facts, at)
        if source is None:
            verdict = verify_package(facts, view, question)
        else:
            question = replace(question, first_seen_at=source.first_seen(facts, request.known_at))
            verdict = source.judge(facts, view, question, request.known_at)
        return facts, with_evidence(verdict, facts, self._evidence)

    def verify(self, request: CheckRequest) -> Verdict:
        """The verdict alone; raises like ``examine``."""
        return self.examine(request)[1]

    def compare(
        self, request: CheckRequest, tools: Iterable[NativeTool] | None = None
    ) -> tuple[Verdict, tuple[Compared, ...]]:
        """The verdict, with what installed native tools say under the keys at hand; raises like ``examine``."""
        from trust_store.native import comparison

        facts, verdict = self.examine(request)
        if facts is None:
            return verdict, ()
        sides = request.signatures if request.signatures is not None else tuple(side_paths(request.path))
        keys = comparison.keys_at_hand(facts, self._candidates(request, hints_of(facts)))
        asked = {} if tools is None else {"tools": tools}
        try:
            compared = comparison.ask_tools(verdict, request.path, sides, keys, **asked)
        except OSError as error:
            raise UsageError(f"native tools cannot be asked: {error.strerror or error}") from error
        return comparison.with_opinions(verdict, compared), compared

    def _facts(self, request: CheckRequest) -> PackageFacts:
        given = request.signatures is not None
        paths = request.signatures if request.signatures is not None else tuple(side_paths(request.path))
        origin = SignatureOrigin.GIVEN if given else SignatureOrigin.FOUND
        return read_with_keys(
            request.place,
            paths,
            self._reader,
            lambda hints: self._candidates(request, hints),
            self._limits,
            origin=origin,
        )

    def _candidates(self, request: CheckRequest, hints: Iterable[Identifier]) -> tuple[CandidateKey, ...]:
        """What was handed over first, then the store's."""
        supplied = request.anchors.candidates + request.untrusted.candidates
        if request.only_supplied or self._source is None:
            return supplied
        stored = self._source.candidates(request.vendor.id or ANY_VENDOR, hints, known_at=request.known_at)
        return tuple(dict.fromkeys((*supplied, *stored)))

    def _view(self, request: CheckRequest, facts: PackageFacts, at: datetime) -> TrustView:
        anchors = supplied_anchors(request.anchors, at)
        if request.only_supplied or self._source is None:
            view = TrustView(trust="supplied")
        else:
            looked_up = _with_supplied(facts, request)
            view = self._source.view(
                looked_up, request.vendor.id, at=request.at or at, known_at=request.known_at, name=request.path.name
            )
            view = replace(view, trust=f"{view.trust}+supplied") if anchors else view
        return replace(
            view,
            anchors=view.anchors + anchors,
            untrusted=request.untrusted.certificates + view.untrusted,
            untrusted_keys=request.untrusted.keys + view.untrusted_keys,
            revocation=replace(view.revocation, demanded=request.revocation),
        )


def _with_supplied(facts: PackageFacts, request: CheckRequest) -> PackageFacts:
    """``facts`` as if the package carried what was handed over: the source is asked about every key that a path may go over."""
    handed = request.untrusted + request.anchors
    certificates = [c.der for c in handed.certificates]
    certificates += [key.material for key in handed.others if key.kind is AnchorKind.X509]
    # A key without a certificate is known by one digest, however it is written.
    digests = [canonical_spki_sha256(key.material) for key in handed.others if key.kind is AnchorKind.RAW]
    if not (certificates or digests) or not facts.signatures:
        return facts
    first, *others = facts.signatures
    first = replace(
        first,
        certificates=(*first.certificates, *certificates),
        key_checks=(*first.key_checks, *(KeyCheck(digest, digest, holds=False) for digest in digests)),
    )
    return replace(facts, signatures=(first, *others))


def suggested_vendor(name: str, vendors: Iterable[Vendor]) -> str | None:
    """The one vendor whose package patterns fit a file name; a suggestion only, and none where two fit."""
    fitting = [v.id for v in vendors if any(fnmatchcase(name.lower(), p.lower()) for p in v.package_patterns)]
    return fitting[0] if len(fitting) == 1 else None


def read_package(
    path: str | Path,
    sides: Iterable[Path],
    reader: FactReader,
    candidates: tuple[CandidateKey, ...],
    limits: ReadLimits,
    *,
    origin: SignatureOrigin = SignatureOrigin.FOUND,
) -> PackageFacts:
    """Open ``path`` and have it read with the signatures in ``sides``; it is the open file that every digest is about.

    Raises PackageUnreadableError. A side file that cannot be read is a usage error if it was given, else a signature with
    that problem: it is never left out. Of more files than are read the others are one such signature together.
    """
    with open_package(path) as descriptor:
        material: list[SideMaterial] = []
        unread: list[SignatureFact] = []
        room = MAX_SIDE_BYTES
        for side in dict.fromkeys(sides):
            try:
                one = _side_material(side, origin)
                room -= len(one.data)
                if room < 0 or len(material) == MAX_SIDE_FILES:
                    detail = f"more signature files than are read: at most {MAX_SIDE_FILES}, of {MAX_SIDE_BYTES} bytes together"
                    unread.append(SignatureFact(UNREAD_SCHEME, origin, None, Problem(Reason.RESOURCE_LIMIT, detail)))
                    break
                material.append(one)
            except PackageUnreadableError as error:
                if origin is SignatureOrigin.GIVEN:
                    raise UsageError(str(error)) from error
                problem = Problem(Reason.UNREADABLE, str(error)[:500])
                unread.append(SignatureFact(UNREAD_SCHEME, origin, None, problem))
        facts = reader.read(descriptor, tuple(material), candidates, limits)
    return replace(facts, signatures=facts.signatures + tuple(unread))


def read_with_keys(
    path: str | Path,
    sides: Iterable[Path],
    reader: FactReader,
    candidates_for: Callable[[Iterable[Identifier]], tuple[CandidateKey, ...]],
    limits: ReadLimits,
    *,
    origin: SignatureOrigin = SignatureOrigin.FOUND,
) -> PackageFacts:
    """Read a package with the keys at hand, and those that its own signatures point at; raises like ``read_package``."""
    sides = tuple(sides)
    candidates = candidates_for(())
    facts = read_package(path, sides, reader, candidates, limits, origin=origin)
    wider = candidates_for(hints_of(facts))
    if len(candidates) <= MAX_CANDIDATE_KEYS and set(wider) <= set(candidates):
        return facts  # the reader has tried them all
    tried = with_keys(facts, wider)
    if _opinion_missing(tried) and set(wider) - set(candidates):
        # A key found by what the signature says of itself: the second OpenPGP reader has to see the file under it.
        return read_package(path, sides, reader, wider, limits, origin=origin)
    return tried


def _side_material(path: Path, origin: SignatureOrigin) -> SideMaterial:
    with open_package(path) as descriptor:
        data = b""
        try:
            while len(data) <= MAX_SIGNATURE_FILE_BYTES:
                piece = os.read(descriptor, MAX_SIGNATURE_FILE_BYTES + 1 - len(data))
                if not piece:
                    break
                data += piece
        except OSError as error:
            raise PackageUnreadableError(f"{shown(path)} cannot be read: {error.strerror or 'input error'}") from error
    if len(data) > MAX_SIGNATURE_FILE_BYTES:
        raise PackageUnreadableError(f"{shown(path)} is larger than {MAX_SIGNATURE_FILE_BYTES} bytes")
    return SideMaterial(SideFile(_text(path.name), hashlib.sha256(data).hexdigest()), origin, data)


def _text(name: str) -> str:
    """A file name of any bytes as text."""
    return os.fsencode(name).decode(errors="backslashreplace")[:1024]


def _opinion_missing(facts: PackageFacts) -> bool:
    return any(
        check.holds and check.second_opinion is None
        for fact in facts.every_signature
        if fact.scheme == "openpgp"
        for check in fact.key_checks
    )
