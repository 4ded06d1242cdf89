"""One sigstore signature: whose identity, proven when, by which root's authorities and logs; or a bare key's, with its log entry. Pure.

A known root is not a known signer: everybody who can log in somewhere gets a certificate. So an identity must be stated, by an anchor
of that kind, or with the question where the root is handed over with it as well. What the question states beside anchors of the store
is one demand more; it makes nobody known.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from trust_store.chain.fulcio import certificate_log_problems, fulcio_path
from trust_store.chain.timestamping import readable
from trust_store.chain.transparency_log import inconsistencies, logged
from trust_store.chain.validation import PathProblem
from trust_store.decode.fulcio import fulcio_identity
from trust_store.decode.sigstore_bundle import PYPI, parse
from trust_store.decode.sigstore_identity import canonical_identity, identity_of, is_pattern
from trust_store.decode.trusted_root import read_trusted_root
from trust_store.decode.x509 import load_certificate
from trust_store.errors import READ_ERRORS
from trust_store.model.identifiers import IdentifierKind
from trust_store.model.trust_anchor import AnchorKind
from trust_store.model.trust_view import ANY_VENDOR
from trust_store.model.verdict import MissingIssuer, PathNode, Reason, Signer
from trust_store.verification.anchor_scope import anchor_moments, key_scope_findings, path_scope_findings
from trust_store.verification.bare_key import BareKeyJudging
from trust_store.verification.material import counts_for, reachable, vendor_findings
from trust_store.verification.question import NO_MATCH, Finding, PathOutcome
from trust_store.verification.revocation import revocation_findings
from trust_store.verification.signer_rule import rule_findings
from trust_store.verification.sigstore_time import stamped_times

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from trust_store.chain.fulcio import FulcioPath
    from trust_store.decode.fulcio import FulcioIdentity
    from trust_store.decode.sigstore_bundle import Bundle
    from trust_store.decode.trusted_root import TrustedRoot
    from trust_store.model.certificate import Certificate
    from trust_store.model.trust_anchor import TrustAnchor

MAX_ROOTS = 16
_PYPI_PREDICATES = frozenset({"https://docs.pypi.org/attestations/publish/v1", "https://slsa.dev/provenance/v1"})
_BURIED = frozenset({Reason.COMPROMISED, Reason.DISTRUSTED})


class SigstoreJudging(BareKeyJudging):
    """The steps for a bundle; where it brings no certificate those for a bare key, and then its log entry."""

    def judge(self) -> None:
        """Fill the attributes; ``findings`` are about the signature itself, ``outcomes`` about the roots and identities it reaches."""
        # (1) What the bundle says, as it was read before.
        try:
            bundle = parse(self._fact.packet)
            leaf = load_certificate(bundle.certificates[0]) if bundle.certificates else None
        except READ_ERRORS as error:
            self.findings.append(Finding(Reason.MALFORMED, str(error)))
            return
        if leaf is None:
            self._by_key(bundle)
        else:
            self._by_certificate(bundle, leaf)

    def _by_certificate(self, bundle: Bundle, leaf: Certificate) -> None:
        identity = self._identity(leaf)
        self.signer = _signer(leaf, identity)
        # (2) Arithmetic: under the key of the certificate that the bundle brings, and no other.
        checks = {check.key: check.holds for check in self._fact.key_checks}
        if not self._fact.content_matches or not checks.get(leaf.sha256, False):
            self.integrity = "broken"
            self.findings.append(Finding(Reason.INVALID_SIGNATURE, NO_MATCH))
            return
        self.integrity = "intact"
        # (3) The log entry says the same as the bundle (CVE-2022-36056), whoever keeps the log.
        self._against(inconsistencies(bundle, self._fact.digest, self._fact.digest_algorithm, None))
        self._named_like_the_file(bundle)
        # (4) A buried key always wins.
        self.findings += self._material.tombstones_on(leaf, "the signer")
        if identity is None:
            return
        # (5) Every root that counts.
        for anchor, root in self._roots():
            self._under(anchor, root, bundle, leaf, identity)
            if any(not outcome.findings for outcome in self.outcomes):
                break
        if not self.outcomes:
            self.missing = self.missing or MissingIssuer(leaf.issuer, leaf.authority_key_identifier)
            self.findings.append(
                Finding(Reason.UNKNOWN_ROOT, "no sigstore root that is trusted issued the certificate")
            )

    def _under(
        self, anchor: TrustAnchor, root: TrustedRoot, bundle: Bundle, leaf: Certificate, identity: FulcioIdentity
    ) -> None:
        """The outcomes under one root; none where it did not issue the certificate."""
        # (6) The log entries: each is proven, and one that is not takes the whole bundle down.
        entries = [logged(bundle, entry, root.tlogs) for entry in bundle.entries]
        problems = [problem for entry in entries for problem in entry.problems]
        if not entries:
            problems.append(_problem(Reason.UNKNOWN_ROOT, "there is no transparency log entry"))
        # (7) When it was signed: what the log vouches for, and timestamps of the root's authorities.
        stamps, told = stamped_times(bundle, root, at=self._question.checked_at)
        self.told = tuple(Finding(problem.reason, problem.detail) for problem in told)
        times = tuple(sorted({*(entry.at for entry in entries if entry.at is not None), *stamps}))
        known = [at for at in times if at <= self._question.at]
        if not times:
            problems.append(
                _problem(Reason.EXPIRED, "nothing proves when it was signed: neither promise nor timestamp")
            )
        elif len(known) < len(times):
            problems.append(_problem(Reason.NOT_YET_VALID, "it was signed after the time that is asked about"))
        for entry in entries:
            if entry.at is None and entry.log is not None and not all(entry.log.window.holds(at) for at in times):
                problems.append(_problem(Reason.INVALID_SIGNATURE, "the log's key was not in use then"))
        if times:
            self.at, self.timestamped_at, self._proven_at = times[0], times[0], times[0]
        # (8) The certificate is one of the root's authorities, at every one of these times.
        path = fulcio_path(leaf, root.authorities, times, self._budget)
        if path is None:
            return
        problems += path.problems
        # (8a) Older signers put the root into the chain, where it says nothing; another one would vouch for itself.
        own = {certificate.sha256 for authority in root.authorities for certificate in authority.chain}
        carried = readable(bundle.certificates[1:])
        if any(certificate.self_issued and certificate.sha256 not in own for certificate in carried):
            problems.append(
                _problem(Reason.MALFORMED, "a root that is not the instance's stands in the bundle's chain")
            )
        # (9) It is logged.
        problems += certificate_log_problems(path.path, root.ctlogs)
        findings = [Finding(problem.reason, problem.detail) for problem in problems]
        self._identified(anchor, path, identity, findings)

    def _identified(
        self, anchor: TrustAnchor, path: FulcioPath, identity: FulcioIdentity, findings: list[Finding]
    ) -> None:
        """(10) The identity is one that somebody stated: an outcome for each anchor on it, or one for the root alone."""
        for certificate in path.path[1:]:
            findings += self._material.tombstones_on(certificate, "a certificate in the path", self._proven_at)
        findings += self._of_anchor(anchor)
        findings += self._material.tombstones((anchor.key_sha256,), "the trusted root", self._proven_at)
        findings += path_scope_findings(anchor, self._use(), path.path, self._budget)
        findings += revocation_findings(
            anchor, path.path, self._material, at=self._question.at, signed_at=self._proven_at, budget=self._budget
        )
        if anchor.signer_rule.conditional:
            findings += rule_findings(anchor, path.path)
        asked = self._asked(identity)
        stated = [known for known in self._identities() if _is_one(identity, known.material)]
        for known in stated:
            own = [*self._of_anchor(known), *key_scope_findings(known, self._use(), ())]
            # A buried identity always wins, whatever wider one would let it pass.
            self.findings += [one for one in own if one.reason in _BURIED]
            self._outcome(known, path, [*findings, *asked, *own], identity, root=anchor)
        if stated:
            return
        alone = anchor.vendor_id == ANY_VENDOR and self._question.identity is not None
        if not alone:
            asked = asked or [
                Finding(
                    Reason.UNEXPECTED_SIGNER,
                    "nobody said that this identity is the vendor's; the root vouches for anybody's",
                )
            ]
        self._outcome(anchor, path, [*findings, *asked], identity, root=anchor)

    def _outcome(
        self,
        anchor: TrustAnchor,
        path: FulcioPath,
        findings: list[Finding],
        identity: FulcioIdentity,
        *,
        root: TrustAnchor,
    ) -> None:
        if not findings and not counts_for(anchor, self._question):
            return
        if not findings and self.key is None:
            # Every signing has its own key: it is the identity that counts once.
            said = canonical_identity(identity.issuer or "", identity.names[0])
            self.key = hashlib.sha256(said).hexdigest()
        nodes = tuple(PathNode(certificate.subject, certificate.sha256) for certificate in path.path)
        self.outcomes.append(
            PathOutcome(
                signer=_signer(path.path[0], identity),
                nodes=nodes,
                anchor=anchor,
                findings=tuple(findings),
                steps=path.steps,
                moments=(*anchor_moments(anchor), *anchor_moments(root)),
            )
        )

    def _of_anchor(self, anchor: TrustAnchor) -> list[Finding]:
        return [*self._state(anchor), *vendor_findings(anchor, self._question)]

    def _asked(self, identity: FulcioIdentity) -> list[Finding]:
        """What the asker demands: identity and issuer both, exactly."""
        asked = self._question.identity
        if asked is None:
            return []
        if not asked.name or not asked.issuer:
            return [Finding(Reason.UNEXPECTED_SIGNER, "an identity is a name and its issuer: state both")]
        if asked.issuer != identity.issuer:
            return [Finding(Reason.UNEXPECTED_SIGNER, "the identity was vouched for by another issuer")]
        if asked.name not in identity.names:
            return [Finding(Reason.UNEXPECTED_SIGNER, "the signer is another identity than the one asked for")]
        return []

    def _identity(self, leaf: Certificate) -> FulcioIdentity | None:
        try:
            identity = fulcio_identity(leaf.der)
        except READ_ERRORS as error:
            self.findings.append(
                Finding(Reason.PATH_INVALID, f"the identity in the certificate cannot be read: {error}")
            )
            return None
        if not identity.names:
            self.findings.append(
                Finding(Reason.PATH_INVALID, "the certificate names nobody (no subject alternative name)")
            )
            return None
        return identity

    def _named_like_the_file(self, bundle: Bundle) -> None:
        """PEP 740: the statement has one subject, and it is the distribution's file name."""
        if bundle.version != PYPI or bundle.envelope is None:
            return
        from trust_store.decode.distribution_names import same_distribution
        from trust_store.decode.dsse import parse_statement

        statement = parse_statement(bundle.envelope)
        name = statement.subjects[0].name or ""
        if statement.predicate_type not in _PYPI_PREDICATES:
            detail = (
                f"an attestation of the kind {statement.predicate_type[:80]!a} says nothing about publication (PEP 740)"
            )
            self.findings.append(Finding(Reason.OUT_OF_SCOPE, detail))
        if statement.count != 1 or not same_distribution(name, self._question.name):
            detail = f"the attestation is for {name[:80]!a}, not for a file of this name (PEP 740)"
            self.findings.append(Finding(Reason.OUT_OF_SCOPE, detail))

    def _by_key(self, bundle: Bundle) -> None:
        """A bundle that names its key by a hint: the key is an anchor or nobody's; a log entry that it has must be true."""
        roots = [(anchor, root) for anchor, root in self._roots() if not self._of_anchor(anchor)]
        logs = [self._logged(bundle, root) for _, root in roots]
        proven = [min(times) for times, problems in logs if times and not problems]
        if proven and min(proven) <= self._question.at:
            self.at = self.timestamped_at = self._proven_at = min(proven)
        super().judge()
        if self.integrity != "intact":
            return
        if self._question.identity is not None:
            self.findings.append(Finding(Reason.UNEXPECTED_SIGNER, "a key signed, which has no identity"))
        key = self._holding_key()
        self._against(inconsistencies(bundle, self._fact.digest, self._fact.digest_algorithm, key))
        if logs and all(problems for _, problems in logs):
            self._against(logs[0][1])
        # No log entry at all is wrong where a root with a log was handed over with the key: who does so asks for it.
        if not bundle.entries and any(root.tlogs for anchor, root in roots if anchor.vendor_id == ANY_VENDOR):
            self.findings.append(Finding(Reason.UNKNOWN_ROOT, "there is no transparency log entry"))

    def _logged(self, bundle: Bundle, root: TrustedRoot) -> tuple[list[datetime], list[PathProblem]]:
        """The times that log and timestamps prove, and what is wrong with them."""
        entries = [logged(bundle, entry, root.tlogs) for entry in bundle.entries]
        problems = [problem for entry in entries for problem in entry.problems]
        times = [entry.at for entry in entries if entry.at is not None]
        if any(at > self._question.checked_at for at in times):
            problems.append(_problem(Reason.NOT_YET_VALID, "the log took the entry in at a time that has not come yet"))
        if bundle.timestamps and root.timestamp_authorities:
            stamps, told = stamped_times(bundle, root, at=self._question.checked_at)
            problems += [] if stamps else told
            times += stamps
        return times, problems

    def _holding_key(self) -> bytes | None:
        holding = {check.key for check in self._fact.key_checks if check.holds}
        at_hand = [anchor.material for digest, anchor in self._material.bare_keys if digest in holding]
        at_hand += [k.material for k in self._fact.keys if hashlib.sha256(k.material).hexdigest() in holding]
        return at_hand[0] if at_hand else None

    def _roots(self) -> list[tuple[TrustAnchor, TrustedRoot]]:
        found = []
        for anchor in self._anchors(AnchorKind.SIGSTORE_ROOT)[:MAX_ROOTS]:
            try:
                found.append((anchor, read_trusted_root(anchor.material)))
            except READ_ERRORS:  # it never vouches for anything
                continue
        return found

    def _identities(self) -> list[TrustAnchor]:
        return self._anchors(AnchorKind.SIGSTORE_IDENTITY)

    def _anchors(self, kind: AnchorKind) -> list[TrustAnchor]:
        view = self._material.view
        return [anchor for anchor in view.anchors if anchor.kind is kind and reachable(anchor, self._question)]

    def _against(self, problems: Iterable[PathProblem]) -> None:
        self.findings += [Finding(problem.reason, problem.detail) for problem in problems]


def _is_one(identity: FulcioIdentity, material: bytes) -> bool:
    """Whether a stated identity is this one: the issuer exactly, a name exactly or by a pattern that matches it from end to end."""
    try:
        issuer, wanted = identity_of(material)
    except READ_ERRORS:
        return False
    if issuer != identity.issuer:
        return False
    if not is_pattern(wanted):
        return wanted in identity.names
    from re2 import compile as compile_re2  # takes linear time whatever the pattern
    from re2 import error

    try:
        pattern = compile_re2(wanted)
    except (error, re.error):
        return False
    return any(pattern.fullmatch(name) is not None for name in identity.names)


def _signer(leaf: Certificate, identity: FulcioIdentity | None) -> Signer:
    identifiers = [(IdentifierKind.SHA256.value, leaf.sha256), (IdentifierKind.SPKI_SHA256.value, leaf.spki_sha256)]
    name = identity.names[0] if identity else None
    if identity and identity.issuer:
        identifiers.append(("oidc_issuer", identity.issuer))
    return Signer("sigstore", name, tuple(identifiers), leaf.not_before, leaf.not_after)


def _problem(reason: Reason, detail: str) -> PathProblem:
    return PathProblem(reason, detail)
