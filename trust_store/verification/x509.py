"""One signature whose signer is named by an X.509 certificate (CMS, Android OTA): integrity, signer, paths, anchors. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from trust_store.chain.building import SignatureBudget, find_paths
from trust_store.chain.validation import ValidationParameters, validate_path
from trust_store.decode.x509 import load_certificate
from trust_store.errors import UnsupportedError
from trust_store.model.identifiers import IdentifierKind
from trust_store.model.verdict import MissingIssuer, PathNode, Reason, Signer
from trust_store.verification.material import (
    UNREADABLE,
    anchor_moments,
    scope_findings,
    state_findings,
    vendor_findings,
)
from trust_store.verification.question import NO_MATCH, Finding, PathOutcome
from trust_store.verification.signer_rule import rule_findings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trust_store.model.certificate import Certificate
    from trust_store.model.package_facts import SignatureFact
    from trust_store.model.trust_anchor import TrustAnchor
    from trust_store.verification.material import TrustMaterial
    from trust_store.verification.question import Question

SIGNATURE_CHECKS = 200
"""Public-key operations spent on the paths of one signature."""
MAX_SIGNERS = 16
TIMELESS_SCHEMES = frozenset({"android-ota"})
"""Schemes whose verifiers know no expiry: only times that the anchor sets count."""
_TIMES = frozenset({Reason.EXPIRED, Reason.NOT_YET_VALID})
_EARLIEST, _LATEST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


class X509Judging:
    """Judges one signature of a package. ``judge`` is the list of the steps; the results stand in the attributes."""

    def __init__(
        self,
        fact: SignatureFact,
        material: TrustMaterial,
        question: Question,
        *,
        container: str | None,
        accept_claimed_time: bool = False,
    ) -> None:
        self._fact, self._material, self._question = fact, material, question
        self._container, self._accept_claimed_time = container, accept_claimed_time
        self._budget = SignatureBudget(SIGNATURE_CHECKS)
        self._carried, self._refused = _decoded(fact.certificates)
        self._at_hand = {c.sha256: c for c in (*material.helping, *self._carried)}
        self.integrity = "unchecked"
        self.signer: Signer | None = None
        self.missing: MissingIssuer | None = None
        self.key: str | None = None
        self.known_key = False
        self.findings: list[Finding] = []
        self.outcomes: list[PathOutcome] = []

    def judge(self) -> None:
        """Fill the attributes; ``findings`` are about the signature itself, ``outcomes`` about its paths."""
        # (1) Arithmetic: a key that holds, else a key that is named and does not, else nobody to ask.
        holding = [check.key for check in self._fact.key_checks if check.holds]
        named = [check.key for check in self._fact.key_checks if not check.holds]
        if not self._fact.content_matches or (named and not holding):
            self._broken(named)
            return
        if not holding:
            self._nobody()
            return
        self.integrity = "intact"
        # (2) The signer is the certificate under whose key the signature holds, wherever it was found.
        signers = [self._at_hand[key] for key in holding if key in self._at_hand][:MAX_SIGNERS]
        if not signers:
            self._undecodable(holding)
            return
        self.signer, self.key = _signer(signers[0]), signers[0].spki_sha256
        # (3) A buried signing key always wins, whatever other path there is.
        for certificate in signers:
            self.findings += self._material.tombstones((certificate.sha256, certificate.spki_sha256), "the signer")
        # (4) Every path of every certificate of that key, to every anchor it reaches.
        for certificate in signers:
            self._paths(certificate)
        # (5) No anchor reached: a package that carries a buried certificate is told apart from one nobody knows.
        if not self.outcomes:
            self.findings.append(Finding(Reason.UNKNOWN_ROOT, "no path from the signer ends at a trusted anchor"))
            for certificate in self._carried:
                self.findings += self._material.tombstones(
                    (certificate.sha256, certificate.spki_sha256), "a certificate that it carries"
                )

    def _paths(self, signer: Certificate) -> None:
        untrusted = [*self._carried, *self._material.helping]
        anchors = {certificate.sha256: certificate for _, certificate in self._material.certificates}
        search = find_paths(signer, untrusted, tuple(anchors.values()), self._budget)
        for path in search.paths:
            for anchor, certificate in self._material.certificates:
                # An anchor is a name and a key (RFC 5280 6.1.1 (d)): one that was issued anew is the same anchor.
                same = (certificate.subject_der, certificate.spki_sha256) == (
                    path[-1].subject_der,
                    path[-1].spki_sha256,
                )
                if same or certificate.sha256 == path[-1].sha256:
                    self.outcomes.append(self._outcome(path, anchor))
        if search.exhausted and not any(not outcome.findings for outcome in self.outcomes):
            self.findings.append(Finding(Reason.RESOURCE_LIMIT, "more paths than are tried"))
        if not search.paths and search.missing is not None and self.missing is None:
            top = search.missing
            own = top.subject_key_identifier if top.self_issued else None
            self.missing = MissingIssuer(
                top.issuer, top.authority_key_identifier or own, same_name_new_key=search.same_name_new_key
            )

    def _outcome(self, path: tuple[Certificate, ...], anchor: TrustAnchor) -> PathOutcome:
        findings: list[Finding] = []
        for certificate in path[1:]:
            findings += self._material.tombstones(
                (certificate.sha256, certificate.spki_sha256), "a certificate in the path"
            )
        findings += state_findings(anchor, self._question.at)
        # RFC 5280 6.1.4 (l): self-issued certificates do not count towards the length of a path.
        intermediates = sum(not certificate.self_issued for certificate in path[1:-1])
        findings += scope_findings(anchor, self._question, self._container, intermediates)
        findings += rule_findings(anchor, path)
        problems, steps = self._validate(path)
        findings += problems
        findings += vendor_findings(anchor, self._question)
        moments = [moment for certificate in path for moment in (certificate.not_before, certificate.not_after)]
        return PathOutcome(
            signer=_signer(path[0]),
            nodes=tuple(PathNode(certificate.subject, certificate.sha256) for certificate in path),
            anchor=anchor,
            findings=tuple(findings),
            steps=steps,
            moments=(*moments, *anchor_moments(anchor)),
        )

    def _validate(self, path: tuple[Certificate, ...]) -> tuple[list[Finding], int]:
        """RFC 5280 section 6 at the validation time, or at another one where the rules say so."""
        problems, steps = self._validate_at(path, self._question.at)
        if not any(problem.reason in _TIMES for problem in problems):
            return problems, steps
        if self._fact.scheme in TIMELESS_SCHEMES:
            return self._validate_timeless(path)
        claimed = self._fact.claimed_at
        expired_since = all(problem.reason is Reason.EXPIRED for problem in problems)
        if self._accept_claimed_time and expired_since and claimed is not None and claimed <= self._question.at:
            then, steps_then = self._validate_at(path, claimed)
            if not then:
                return then, steps_then
        return problems, steps

    def _validate_timeless(self, path: tuple[Certificate, ...]) -> tuple[list[Finding], int]:
        """Every rule but the certificates' own times."""
        timeless = tuple(replace(certificate, not_before=_EARLIEST, not_after=_LATEST) for certificate in path)
        return self._validate_at(timeless, self._question.at)

    def _validate_at(self, path: tuple[Certificate, ...], at: datetime) -> tuple[list[Finding], int]:
        result = validate_path(path, ValidationParameters(at=at, purpose="code-signing"), self._budget)
        return [Finding(problem.reason, problem.detail) for problem in result.problems], result.steps

    def _broken(self, named: list[str]) -> None:
        self.integrity = "broken"
        self.findings.append(Finding(Reason.INVALID_SIGNATURE, NO_MATCH))
        signer = next((self._at_hand[key] for key in named if key in self._at_hand), None)
        if signer is None:
            return
        self.signer = _signer(signer)
        # A key is known if an anchor was decided about it, or if it stands below one that is.
        anchors = {certificate.sha256: certificate for _, certificate in self._material.certificates}
        self.known_key = bool(
            find_paths(signer, [*self._carried, *self._material.helping], tuple(anchors.values()), self._budget).paths
        )

    def _nobody(self) -> None:
        hint = self._fact.hint
        identifiers = (
            ((IdentifierKind.SUBJECT_KEY_IDENTIFIER.value, hint.subject_key_identifier),)
            if hint.subject_key_identifier
            else ()
        )
        self.signer = Signer("x509", None, identifiers)
        self.missing = MissingIssuer(hint.issuer, None)
        self.findings.append(Finding(Reason.UNKNOWN_ROOT, "the signer's certificate is not at hand"))

    def _undecodable(self, holding: list[str]) -> None:
        reason = next((self._refused[key] for key in holding if key in self._refused), Reason.UNKNOWN_ROOT)
        what = "not at hand" if reason is Reason.UNKNOWN_ROOT else "not readable"
        self.findings.append(Finding(reason, f"the signer's certificate is {what}"))


def _decoded(carried: Iterable[bytes]) -> tuple[tuple[Certificate, ...], dict[str, Reason]]:
    """Certificates that can be read, in their order, and why the others cannot (by SHA-256)."""
    certificates: list[Certificate] = []
    refused: dict[str, Reason] = {}
    for der in carried:
        try:
            certificates.append(load_certificate(der))
        except UNREADABLE as error:
            unsupported = isinstance(error, UnsupportedError)
            reason = Reason.UNSUPPORTED_FORMAT if unsupported else Reason.MALFORMED
            refused[hashlib.sha256(der).hexdigest()] = reason
    return tuple(certificates), refused


def _signer(certificate: Certificate) -> Signer:
    kinds = (IdentifierKind.SHA256, IdentifierKind.SPKI_SHA256, IdentifierKind.SUBJECT_KEY_IDENTIFIER)
    return Signer(
        kind="x509",
        name=certificate.subject,
        identifiers=tuple((i.kind.value, i.value) for i in certificate.identifiers if i.kind in kinds),
        not_before=certificate.not_before,
        not_after=certificate.not_after,
    )
