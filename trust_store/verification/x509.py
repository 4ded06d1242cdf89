"""One signature whose signer is named by an X.509 certificate (CMS, Android OTA): integrity, signer, paths, anchors. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography.x509.oid import ExtendedKeyUsageOID

from trust_store.chain.algorithms import weak_spki
from trust_store.chain.building import find_paths
from trust_store.chain.named_key import same_key
from trust_store.chain.names import same_name
from trust_store.chain.validation import ValidationParameters, validate_path
from trust_store.decode.public_keys import canonical_spki_sha256, rsa_bits
from trust_store.decode.x509 import load_certificate
from trust_store.errors import READ_ERRORS, UnsupportedError
from trust_store.model.identifiers import IdentifierKind
from trust_store.model.package_facts import SignatureOrigin
from trust_store.model.trust_anchor import AnchorKind, AnchorState
from trust_store.model.verdict import MissingIssuer, PathNode, Reason, Signer
from trust_store.verification.anchor_scope import anchor_moments, key_scope_findings, path_scope_findings
from trust_store.verification.judging import SignatureJudging
from trust_store.verification.material import counts_for, vendor_findings
from trust_store.verification.question import NO_MATCH, Finding, PathOutcome
from trust_store.verification.relatives import missing_issuer
from trust_store.verification.revocation import revocation_findings
from trust_store.verification.signer_rule import key_rule_findings, rule_findings
from trust_store.verification.validation_time import ends_with, validation_time, without_timestamps

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trust_store.model.certificate import Certificate
    from trust_store.model.package_facts import SignatureFact
    from trust_store.model.trust_anchor import TrustAnchor
    from trust_store.verification.material import TrustMaterial
    from trust_store.verification.question import Question

MAX_SIGNERS = 16
MAX_ROUNDS = 8
"""Searches for paths of one certificate, each without the anchors that were reached before and do not count."""
MAX_OUTCOMES = 128
"""Paths to anchors that are judged for one signature."""
_WITHDRAWN = frozenset({AnchorState.SUPERSEDED, AnchorState.REVOKED})
TIMELESS_SCHEMES = frozenset(
    {
        "android-ota",
        "android-payload",
        "android-payload-metadata",
        "apk-v1",
        "apk-v2",
        "apk-v3",
        "apk-v3.1",
        "apk-v4",
        "source-stamp",
    }
)
"""Schemes whose verifiers know no expiry: only times that the anchor sets count."""
RAW_SCHEME = "raw"
"""Its signatures name nobody."""
APPLE_SCHEMES = frozenset({"mach-o", "xar-cms", "xar-rsa"})
"""Schemes whose certificates are Apple's, with purposes and marks of its own (Apple, Developer ID Certification Practice Statement)."""
_APPLE_PURPOSES = frozenset({"1.2.840.113635.100.4.9", "1.2.840.113635.100.4.13"})
_APPLE_MARKS = ("1.2.840.113635.100.6.",)
MAIL_FORMATS = frozenset({"rauc", "swupdate"})
"""Formats whose installers ask OpenSSL for ``smimesign`` unless told otherwise: certificates for mail alone sign in them."""
_MAIL_PURPOSE = frozenset({ExtendedKeyUsageOID.EMAIL_PROTECTION.dotted_string})
_TIMES = frozenset({Reason.EXPIRED, Reason.NOT_YET_VALID})
_EARLIEST, _LATEST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


class X509Judging(SignatureJudging):
    """The steps for a signature whose signer is named by a certificate."""

    def __init__(
        self,
        fact: SignatureFact,
        material: TrustMaterial,
        question: Question,
        *,
        container: str | None,
        accept_claimed_time: bool = False,
    ) -> None:
        super().__init__(fact, material, question, container=container, accept_claimed_time=accept_claimed_time)
        self._carried, self._refused = _decoded(fact.certificates)
        self._at_hand = {c.sha256: c for c in (*material.helping, *self._carried)}

    def judge(self) -> None:
        """Fill the attributes; ``findings`` are about the signature itself, ``outcomes`` about its paths."""
        # (1) Arithmetic: a key that holds, else a key that is named and does not, else nobody to ask.
        holding = [check.key for check in self._holding]
        if self._is_broken:
            self._broken([check.key for check in self._failing])
            return
        if not holding:
            self._nobody()
            return
        self.integrity = "intact"
        # (2) The signer is the certificate under whose key the signature holds, wherever it was found.
        signers = [self._at_hand[key] for key in holding if key in self._at_hand][:MAX_SIGNERS]
        if not signers:
            self._without_certificate(holding)
            return
        self.signer = _signer(signers[0])
        # (2a) The validation time is that of a timestamp if one is proven: the signature itself holds, so that it means something.
        time = validation_time(self._fact, self._material, self._question, container=self._container)
        self._judged_at(without_timestamps(time, self._question) if ends_with(self._fact, signers) else time)
        # (3) A buried signing key always wins, whatever other path there is.
        for certificate in signers:
            self.findings += self._material.tombstones_on(certificate, "the signer", self._proven_at)
        # (4) Every path of every certificate of that key, to every anchor it reaches; every anchor that is that key.
        for certificate in signers:
            self._paths(certificate)
            self._raw_key(certificate.spki, certificate.subject, _signer(certificate))
        # (5) No anchor reached: a package that carries a buried certificate is told apart from one nobody knows.
        if not self.outcomes:
            self.findings.append(Finding(Reason.UNKNOWN_ROOT, "no path from the signer ends at a trusted anchor"))
            for certificate in self._carried:
                self.findings += self._material.tombstones_on(
                    certificate, "a certificate that it carries", self._proven_at
                )

    def _paths(self, signer: Certificate) -> None:
        untrusted = [*self._carried, *self._material.helping]
        left = self._material.certificates
        cut = False
        for _ in range(MAX_ROUNDS):
            anchors = {certificate.sha256: certificate for _, certificate in left}
            search = find_paths(signer, untrusted, tuple(anchors.values()), self._budget)
            reached = [
                (anchor, path)
                for path in search.paths
                for anchor, certificate in left
                if _is_anchor(certificate, path[-1])
            ]
            room = MAX_OUTCOMES - len(self.outcomes)
            for anchor, path in reached[:room]:
                self._reached(self._outcome(path, anchor), signer.spki)
            cut = search.exhausted or len(reached) > room
            if cut or not reached or self._passes():
                break
            # A path ends at the first anchor it meets. One that does not count hides none that stands above it.
            met = {id(anchor) for anchor, _ in reached}
            left = tuple(pair for pair in left if id(pair[0]) not in met)
        if cut and not self._passes():
            self.findings.append(Finding(Reason.RESOURCE_LIMIT, "more paths than are tried"))
        if not self.outcomes and self.missing is None:
            self.missing = missing_issuer(search, self._material.view, self._budget)

    def _passes(self) -> bool:
        return any(not outcome.findings for outcome in self.outcomes)

    def _without_certificate(self, holding: list[str]) -> None:
        """A key that is at hand as such, without a certificate: it is an anchor or nobody's."""
        at_hand = dict(self._material.raw_keys)
        digest = next((key for key in holding if key in at_hand), None)
        if digest is None:
            if not any(key in self._refused for key in holding):  # a key that came along, or was handed over as helping
                self.signer = Signer("raw", None, ((IdentifierKind.SHA256.value, holding[0]),))
            self._undecodable(holding)
            return
        spki = at_hand[digest]
        self.signer = Signer("raw", None, ((IdentifierKind.SHA256.value, digest),))
        self._judged_at(validation_time(self._fact, self._material, self._question, container=self._container))
        self.findings += self._material.tombstones((digest, canonical_spki_sha256(spki)), "the signer", self._proven_at)
        self._raw_key(spki, "the signer's key", self.signer)
        if not self.outcomes:
            self.findings.append(Finding(Reason.UNKNOWN_ROOT, "the signer's key is no trusted anchor"))

    def _raw_key(self, spki: bytes, name: str, signer: Signer) -> None:
        """Anchors that are the signing key itself: its certificate is a wrapping that vouches for nothing and ends nothing."""
        for anchor, digest in self._material.raw:
            if digest != canonical_spki_sha256(spki):
                continue
            findings = self._state(anchor)
            findings += key_scope_findings(anchor, self._use(), [(name, rsa_bits(spki))])
            findings += key_rule_findings(anchor)
            if weak := weak_spki(spki, name):
                findings.append(Finding(Reason.WEAK_ALGORITHM, weak))
            findings += vendor_findings(anchor, self._question)
            node = PathNode(anchor.name, anchor.key_sha256)
            outcome = PathOutcome(signer, (node,), anchor, tuple(findings), moments=anchor_moments(anchor))
            self._reached(outcome, spki)

    def _reached(self, outcome: PathOutcome, spki: bytes) -> None:
        """Another vendor's tombstone condemns what it is about, and where it spares a signature it still vouches for nothing."""
        if not outcome.findings and not counts_for(outcome.anchor, self._question):
            return
        # Anybody can compute other keys under which a value verifies: the one that counts is the one that the anchor vouches for.
        if not outcome.findings and not self._passes():
            self.key = canonical_spki_sha256(spki)
        self.outcomes.append(outcome)

    def _outcome(self, path: tuple[Certificate, ...], anchor: TrustAnchor) -> PathOutcome:
        findings: list[Finding] = []
        for certificate in path[1:]:
            findings += self._material.tombstones_on(certificate, "a certificate in the path", self._proven_at)
        findings += self._state(anchor)
        findings += self._withdrawn_below(path)
        findings += path_scope_findings(anchor, self._use(), path, self._budget)
        findings += rule_findings(anchor, path)
        problems, steps = self._validate(path)
        findings += problems
        findings += revocation_findings(
            anchor, path, self._material,
            at=self._question.at, signed_at=self._proven_at, budget=self._budget, carried=self._carried,
        )  # fmt: skip
        findings += vendor_findings(anchor, self._question)
        moments = [moment for certificate in path for moment in (certificate.not_before, certificate.not_after)]
        nodes = [PathNode(certificate.subject, certificate.sha256) for certificate in path]
        if anchor.kind is AnchorKind.SPKI:
            nodes[-1] = PathNode(anchor.name, anchor.key_sha256)
        return PathOutcome(
            signer=_signer(path[0]),
            nodes=tuple(nodes),
            anchor=anchor,
            findings=tuple(findings),
            steps=steps,
            moments=(
                *moments,
                *anchor_moments(anchor),
                *(self._material.revocation.ends if self._material.revocation else ()),
            ),
        )

    def _withdrawn_below(self, path: tuple[Certificate, ...]) -> list[Finding]:
        """What was decided about the keys below the anchor: one that is superseded or revoked does not count again by way of its issuer."""
        return [
            finding
            for anchor, certificate in self._material.certificates
            if anchor.state in _WITHDRAWN and any(same_key(certificate.spki, below.spki) for below in path[:-1])
            for finding in self._state(anchor)
        ]

    def _validate(self, path: tuple[Certificate, ...]) -> tuple[list[Finding], int]:
        """RFC 5280 section 6 at the validation time, or at another one where the rules say so."""
        problems, steps = self._validate_at(path, self.at)
        if not any(problem.reason in _TIMES for problem in problems):
            return problems, steps
        if self._fact.scheme in TIMELESS_SCHEMES:
            return self._validate_timeless(path)
        if all(problem.reason is Reason.EXPIRED for problem in problems):
            for then in self._forgiven_at():
                found, steps_then = self._validate_at(path, then)
                if not found:
                    return found, steps_then
        return problems, steps

    def _validate_timeless(self, path: tuple[Certificate, ...]) -> tuple[list[Finding], int]:
        """Every rule but the certificates' own times."""
        timeless = tuple(replace(certificate, not_before=_EARLIEST, not_after=_LATEST) for certificate in path)
        return self._validate_at(timeless, self.at)

    def _validate_at(self, path: tuple[Certificate, ...], at: datetime) -> tuple[list[Finding], int]:
        apple = self._fact.scheme in APPLE_SCHEMES
        parameters = ValidationParameters(
            at=at,
            purpose="code-signing",
            instead=_APPLE_PURPOSES if apple else self._mail_purpose(),
            understood=_APPLE_MARKS if apple else (),
        )
        result = validate_path(path, parameters, self._budget)
        return [Finding(problem.reason, problem.detail) for problem in result.problems], result.steps

    def _mail_purpose(self) -> frozenset[str]:
        """Of a signature inside a package only: what lies beside it no installer has asked about."""
        inside = self._fact.origin is SignatureOrigin.EMBEDDED and self._container in MAIL_FORMATS
        return _MAIL_PURPOSE if inside else frozenset()

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
        bare = self._fact.scheme == RAW_SCHEME
        self.signer = Signer("raw" if bare else "x509", None, identifiers)
        self.needs_file = bare and not self._fact.signed and not self._fact.packet
        self.missing = MissingIssuer(hint.issuer, None)
        self.findings.append(Finding(Reason.UNKNOWN_ROOT, "the signer's certificate is not at hand"))

    def _undecodable(self, holding: list[str]) -> None:
        reason = next((self._refused[key] for key in holding if key in self._refused), Reason.UNKNOWN_ROOT)
        what = "not at hand" if reason is Reason.UNKNOWN_ROOT else "not readable"
        self.findings.append(Finding(reason, f"the signer's certificate is {what}"))


def _is_anchor(anchor: Certificate, last: Certificate) -> bool:
    """An anchor is a name and a key (RFC 5280 6.1.1(d)): one that was issued anew is the same anchor."""
    return anchor.sha256 == last.sha256 or (
        anchor.spki_sha256 == last.spki_sha256 and same_name(anchor.subject_der, last.subject_der)
    )


def _decoded(carried: Iterable[bytes]) -> tuple[tuple[Certificate, ...], dict[str, Reason]]:
    """Certificates that can be read, in their order, and why the others cannot (by SHA-256)."""
    certificates: list[Certificate] = []
    refused: dict[str, Reason] = {}
    for der in carried:
        try:
            certificates.append(load_certificate(der))
        except READ_ERRORS as error:
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
