"""Certification path validation (RFC 5280 section 6.1) for one prospective path, with the paragraph at each step.

Certificate policies are in ``policies``, the certificate profile in ``profile``. Revocation (6.3) is a question of its own.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from cryptography.x509.oid import ExtendedKeyUsageOID

from trust_store.chain.algorithms import weak_key, weak_signature
from trust_store.chain.extensions import Extensions, read_extensions
from trust_store.chain.name_constraints import Subtrees, comparisons, names_of, violation
from trust_store.chain.names import same_name
from trust_store.chain.peer_names import PeerName, matches
from trust_store.chain.policies import PolicyInputs, PolicyState
from trust_store.chain.profile import violations
from trust_store.chain.web_profile import web_violations
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.model.verdict import Reason
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509

    from trust_store.chain.building import SignatureBudget
    from trust_store.model.certificate import Certificate

PURPOSES = {
    "any": None,
    "code-signing": ExtendedKeyUsageOID.CODE_SIGNING.dotted_string,
    "server-auth": ExtendedKeyUsageOID.SERVER_AUTH.dotted_string,
    "client-auth": ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string,
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING.dotted_string,
}
_EKU = "2.5.29.37"
_ANY_EKU = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE.dotted_string
KEY_USAGES = {
    "digitalSignature": "digital_signature",
    "contentCommitment": "content_commitment",
    "nonRepudiation": "content_commitment",
    "keyEncipherment": "key_encipherment",
    "dataEncipherment": "data_encipherment",
    "keyAgreement": "key_agreement",
    "keyCertSign": "key_cert_sign",
    "cRLSign": "crl_sign",
    "encipherOnly": "encipher_only",
    "decipherOnly": "decipher_only",
}
"""Names of RFC 5280 section 4.2.1.3 -> the bit."""


@dataclass(frozen=True, slots=True)
class ValidationParameters:
    """The inputs of section 6.1.1 beside path and anchor. ``at`` is aware; ``eku`` are further dotted OIDs, all demanded.

    ``max_depth`` limits the intermediates between end entity and anchor that are not self-issued; ``key_usage`` names bits the
    end entity must have where it has the extension. ``profile``: certificates must conform to section 4 as well, not only to section 6.
    ``instead`` are purposes (dotted OIDs) that serve in place of ``purpose``; ``understood`` arcs of extensions that the caller knows to be
    marks and nothing else, so that they may be critical.
    """

    at: datetime
    purpose: str = "any"
    name: PeerName | None = None
    eku: tuple[str, ...] = ()
    key_usage: tuple[str, ...] = ()
    max_depth: int | None = None
    policies: PolicyInputs = field(default_factory=PolicyInputs)
    profile: bool = False
    instead: frozenset[str] = frozenset()
    understood: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PathProblem:
    """One rule that the path breaks."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class PathResult:
    """Empty ``problems``: the path is good. ``steps`` counts checks that held, to compare paths that fail."""

    problems: tuple[PathProblem, ...]
    steps: int


def validate_path(
    path: tuple[Certificate, ...], parameters: ValidationParameters, budget: SignatureBudget
) -> PathResult:
    """Validate ``path`` (end entity first, anchor last); never raises for what stands in it. An empty path is a problem."""
    run = _Validation(path, parameters, budget)
    if not path:
        run.against(Reason.PATH_INVALID, "an empty path")
    else:
        run.run()
    return PathResult(tuple(run.problems), run.steps)


class _Validation:
    """The state variables of section 6.1.2 and the steps of 6.1.3 to 6.1.5."""

    def __init__(
        self, path: tuple[Certificate, ...], parameters: ValidationParameters, budget: SignatureBudget
    ) -> None:
        self.problems: list[PathProblem] = []
        self.steps = 0
        self._path, self._parameters, self._budget = path, parameters, budget
        self._constraints: list[Subtrees] = []
        self._ekus: list[frozenset[str]] = []
        self._path_length: int | None = None
        self._policies = PolicyState(parameters.policies, max(len(path) - 1, 1))

    def against(self, reason: Reason, detail: str) -> None:
        """Note a broken rule."""
        self.problems.append(PathProblem(reason, detail))

    def run(self) -> None:
        """From the anchor down. The anchor gives name and key; its own dates and constraints are honoured as RFC 5937 advises."""
        # A limit on the path's length counts as 6.1.4(l) does: self-issued certificates are free.
        between = sum(not same_name(c.subject_der, c.issuer_der) for c in self._path[1:-1])
        if (depth := self._parameters.max_depth) is not None and between > depth:
            self.against(Reason.PATH_INVALID, f"{between} intermediates, {depth} are allowed")
        for index in range(len(self._path) - 1, -1, -1):
            before = len(self.problems)
            try:
                extensions = read_extensions(self._path[index])
            except MalformedError as error:
                self.against(Reason.PATH_INVALID, str(error))
            except ResourceLimitError as error:
                self.against(Reason.RESOURCE_LIMIT, str(error))
            else:
                self._one(index, extensions)
            self.steps += len(self.problems) == before

    def _one(self, index: int, extensions: Extensions) -> None:
        certificate = self._path[index]
        is_anchor, is_leaf = index == len(self._path) - 1, index == 0
        self._time(certificate)
        self._extensions(certificate, extensions, is_anchor=is_anchor, is_leaf=is_leaf)
        if not is_anchor:
            self._basic(certificate, self._path[index + 1])
            self._names(certificate, extensions, is_leaf=is_leaf)
        if not is_anchor or is_leaf:
            exempt = not is_leaf and same_name(certificate.subject_der, certificate.issuer_der)
            self._invalid(self._policies.certificate(extensions, exempt=exempt))
        if is_leaf:
            self._invalid(self._policies.finish(extensions))
            self._end_entity(certificate, extensions)
        else:
            self._prepare_for_next(certificate, extensions, is_anchor=is_anchor)

    def _invalid(self, detail: str | None) -> None:
        if detail is not None:
            self.against(Reason.PATH_INVALID, detail)

    def _time(self, certificate: Certificate) -> None:
        """6.1.3(a)(2), and for the anchor's certificate as well: a root that has run out vouches for nothing new."""
        # Certificates count whole seconds (4.1.2.5), both ends included: the question's time is cut to the second it lies in.
        at = self._parameters.at.replace(microsecond=0)
        if at < certificate.not_before:
            self.against(
                Reason.NOT_YET_VALID,
                f"{certificate.subject or 'a certificate'} is valid from {certificate.not_before:%Y-%m-%d} on",
            )
        elif at > certificate.not_after:
            self.against(
                Reason.EXPIRED, f"{certificate.subject or 'a certificate'} expired on {certificate.not_after:%Y-%m-%d}"
            )

    def _basic(self, certificate: Certificate, issuer: Certificate) -> None:
        """6.1.3(a)(1) signature, (a)(4) name chaining; the strength of what the issuer's key and digest prove."""
        holds = self._budget.holds(issuer, certificate)
        if holds is None:
            self.against(Reason.RESOURCE_LIMIT, "too many public-key operations")
        elif not holds:
            self.against(
                Reason.PATH_INVALID, f"the signature on {certificate.subject or 'a certificate'} does not hold"
            )
        if not same_name(certificate.issuer_der, issuer.subject_der):
            self.against(Reason.PATH_INVALID, "issuer and subject names do not chain")
        for weak in (weak_signature(certificate), weak_key(issuer)):
            if weak:
                self.against(Reason.WEAK_ALGORITHM, weak)

    def _extensions(self, certificate: Certificate, extensions: Extensions, *, is_anchor: bool, is_leaf: bool) -> None:
        """6.1.4(o), 6.1.5(f): unknown critical extensions, the anchor's included; the profile where it is asked for."""
        for oid in extensions.unknown_critical:
            if oid.startswith(self._parameters.understood):
                continue
            self.against(
                Reason.PATH_INVALID, f"unknown critical extension {oid} in {certificate.subject or 'a certificate'}"
            )
        if extensions.eku is not None and not extensions.eku:
            self.against(Reason.PATH_INVALID, "extended key usage without a purpose")
        if self._parameters.profile:
            web_pki = self._parameters.purpose == "server-auth"
            rules = violations(certificate, extensions, is_anchor=is_anchor, web_pki=web_pki)
            if web_pki:
                rules += web_violations(certificate, extensions, is_anchor=is_anchor, is_leaf=is_leaf)
            for rule in rules:
                self.against(Reason.PATH_INVALID, rule)

    def _names(self, certificate: Certificate, extensions: Extensions, *, is_leaf: bool) -> None:
        """6.1.3(b), (c): names within the subtrees; self-issued certificates are exempt unless they are the last."""
        if not self._constraints or (same_name(certificate.subject_der, certificate.issuer_der) and not is_leaf):
            return
        try:
            names = names_of(extensions.names, extensions.email, self._constraints)
            if not self._budget.compare(comparisons(names, self._constraints)):
                self.against(Reason.RESOURCE_LIMIT, "too many comparisons of names with name constraints")
                return
            reason = violation(certificate.subject_der, names, self._constraints)
        except MalformedError as error:
            reason = str(error)
        except ResourceLimitError as error:
            self.against(Reason.RESOURCE_LIMIT, str(error))
            return
        if reason:
            self.against(Reason.PATH_INVALID, f"name constraints: {reason}")

    def _prepare_for_next(self, certificate: Certificate, extensions: Extensions, *, is_anchor: bool) -> None:
        """6.1.4(g), (k)-(n). A version 1 certificate may be an anchor, which is a decision of its own, and nobody else's issuer."""
        subject = certificate.subject or "a certificate"
        basic = extensions.basic
        if (basic is None or not basic.ca) and not (is_anchor and extensions.version == 1):
            self.against(Reason.PATH_INVALID, f"{subject} is no CA")
        if extensions.usage is not None and not extensions.usage.key_cert_sign:
            self.against(Reason.PATH_INVALID, f"{subject} may not sign certificates")
        self_issued = same_name(certificate.subject_der, certificate.issuer_der)
        if is_anchor:
            self._policies.anchor(extensions)
        else:
            self._invalid(self._policies.prepare(extensions, self_issued=self_issued))
        if not is_anchor and not self_issued:
            if self._path_length is not None and self._path_length <= 0:
                self.against(Reason.PATH_INVALID, f"{subject} makes the path longer than allowed")
            self._path_length = None if self._path_length is None else self._path_length - 1
        if basic is not None and basic.ca and basic.path_length is not None:
            self._path_length = min(
                basic.path_length, basic.path_length if self._path_length is None else self._path_length
            )
        if extensions.constraints is not None:
            self._constraints.append(
                Subtrees(
                    tuple(extensions.constraints.permitted_subtrees or ()),
                    tuple(extensions.constraints.excluded_subtrees or ()),
                )
            )
        if extensions.eku is not None:
            self._ekus.append(extensions.eku)

    def _end_entity(self, certificate: Certificate, extensions: Extensions) -> None:
        """6.1.5 and what the caller wants: purpose, key usage, name. An EKU of a CA limits everything below it."""
        if weak := weak_key(certificate):
            self.against(Reason.WEAK_ALGORITHM, weak)
        purpose = PURPOSES[self._parameters.purpose]
        wanted = [*([purpose] if purpose else []), *self._parameters.eku]
        for held in (*self._ekus, *([extensions.eku] if extensions.eku is not None else [])):
            missing = [oid for oid in wanted if oid not in held and _ANY_EKU not in held]
            if missing == [purpose] and held & self._parameters.instead:
                continue
            if missing:
                self.against(Reason.PATH_INVALID, f"extended key usage: {', '.join(missing)} is not among the purposes")
        if self._parameters.eku and extensions.eku is None:
            self.against(Reason.PATH_INVALID, "extended key usage: the end entity has none")
        stamping = PURPOSES["timestamping"]
        if purpose == stamping and (extensions.eku != frozenset([stamping]) or _EKU not in extensions.critical):
            self.against(
                Reason.PATH_INVALID,
                "extended key usage: a time stamp authority has time stamping, critical and alone (RFC 3161 2.3)",
            )
        usage = extensions.usage
        bits = [
            *self._parameters.key_usage,
            *(["digital_signature"] if purpose in _SIGNING and usage is not None else []),
        ]
        for bit in bits:
            if (
                usage is not None
                and not _has(usage, bit)
                and not (bit == "digital_signature" and usage.content_commitment and purpose in _SIGNING)
            ):
                self.against(Reason.PATH_INVALID, f"key usage: {bit} is not set")
        if self._parameters.name is not None and not matches(self._parameters.name, extensions.names or ()):
            self.against(Reason.PATH_INVALID, f"the certificate is not for this {self._parameters.name.kind} name")


_SIGNING = frozenset({PURPOSES["code-signing"], PURPOSES["timestamping"]})


def _has(usage: x509.KeyUsage, bit: str) -> bool:
    try:
        return bool(getattr(usage, bit))
    except ValueError:  # encipher_only and decipher_only have no meaning without key_agreement
        return False
