"""Is a certificate of a path revoked? Lists (RFC 5280 section 6.3) and OCSP responses (RFC 6960), given beforehand. Pure.

Policy ``if_available``: a correctly signed, current list or response decides; that there is none is no fault; one that is stale or
badly signed leaves the answer unknown. ``required``: the status of every certificate below the anchor must be known. ``off``: nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.chain.crl_validation import ListCheck
from trust_store.chain.ocsp_validation import ResponseCheck
from trust_store.chain.revocation_material import POLICIES, Demands, Kind, RevocationSet, Run, Status
from trust_store.chain.revocation_signers import Signers
from trust_store.chain.validation import PathProblem
from trust_store.model.verdict import Reason

if TYPE_CHECKING:
    from datetime import datetime

    from trust_store.chain.building import SignatureBudget
    from trust_store.model.certificate import Certificate

__all__ = ["RevocationSet", "check_path"]

MAX_DEPTH = 4
"""Paths of signers of lists about signers of lists."""
_REASONS = {
    Kind.REVOKED: Reason.REVOKED,
    Kind.UNKNOWN: Reason.REVOCATION_UNKNOWN,
    Kind.NONE: Reason.REVOCATION_UNKNOWN,
    Kind.LIMIT: Reason.RESOURCE_LIMIT,
}


def check_path(
    path: tuple[Certificate, ...],
    revocation: RevocationSet,
    *,
    policy: str,
    at: datetime,
    budget: SignatureBudget,
    untrusted: tuple[Certificate, ...] = (),
    signed_at: datetime | None = None,
    demanded: RevocationSet | None = None,
    profile: bool = False,
    web_pki: bool = False,
) -> tuple[PathProblem, ...]:
    """What revocation says against ``path``, whose signatures hold (end entity first, anchor last, which is not asked about).

    REVOKED, REVOCATION_UNKNOWN or RESOURCE_LIMIT, at most one problem a certificate. ``at`` is when lists must be current; a revocation
    for a soft reason after ``signed_at``, a *proven* time of signing, does not count. ``untrusted`` may hold signers of lists.
    ``demanded`` are lists that make revocation required for the issuers they cover.
    ``profile``: lists are held to RFC 5280 section 5 as well, ``web_pki``: to the CA/Browser Forum's rules on distribution points.
    Raises ValueError for a policy that is none.
    """
    if policy not in POLICIES:
        raise ValueError(f"no revocation policy: {policy!r}")
    if policy == "off" or len(path) < 2:
        return ()
    demands = Demands(policy, at, signed_at, profile=profile, web_pki=web_pki)
    check = _PathCheck(Run(revocation, demands, budget, path[-1], (*path, *untrusted)))
    problems = []
    for index, certificate in enumerate(path[:-1]):
        status = check.status(path[index:])
        required = policy == "required" or (demanded is not None and demanded.covers(path[index + 1]))
        if status.kind is not Kind.GOOD and (required or status.kind is not Kind.NONE):
            problems.append(PathProblem(_REASONS[status.kind], _detail(certificate, status, revocation)))
    return tuple(problems)


class _PathCheck:
    """Status of one certificate, and of whole paths of those who sign about it."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._signers = Signers(run, self.path_status)
        self._depth = 0
        self._found: dict[tuple[str, str], Status] = {}

    def status(self, path: tuple[Certificate, ...]) -> Status:
        """The status of the first certificate; the others lead from its issuer up to the anchor."""
        certificate, above = path[0], path[1:]
        key = certificate.sha256, above[0].sha256
        if key in self._found:
            return self._found[key]
        self._run.in_progress.add(certificate.sha256)
        try:
            # A proven time is that of what is judged, not of a list that somebody signed about it.
            signed_at = self._run.demands.signed_at if self._depth == 0 else None
            lists = ListCheck(self._run, self._signers, certificate, above, signed_at=signed_at).status()
            responses = ResponseCheck(
                self._run, self._signers, certificate, above, self.path_status, signed_at=signed_at
            ).status()
        finally:
            self._run.in_progress.discard(certificate.sha256)
        found = self._of_all(_worst(lists, responses))
        if not self._run.in_progress and self._depth == 0:
            self._found[key] = found  # an answer found below another question may rest on that one
        return found

    def _of_all(self, status: Status) -> Status:
        """What was too much to be read may have revoked it."""
        left_out = self._run.material.left_out
        if status.kind is Kind.REVOKED or not left_out:
            return status
        return Status(Kind.LIMIT, f"{left_out} revocation lists or responses more than are read")

    def path_status(self, path: tuple[Certificate, ...]) -> Status:
        """The worst status along a signer's path, by the policy of the question: GOOD where nothing stands against it."""
        if self._depth >= MAX_DEPTH:
            return Status(Kind.LIMIT, "signers of revocation lists about signers of revocation lists, too many")
        self._depth += 1
        try:
            for index, certificate in enumerate(path[:-1]):
                if certificate.sha256 in self._run.in_progress:
                    continue  # being judged already, further up
                status = self.status(path[index:])
                if status.kind is Kind.GOOD or (status.kind is Kind.NONE and self._run.demands.policy != "required"):
                    continue
                detail = status.detail or "nothing is known about its revocation"
                kind = status.kind if status.kind is Kind.LIMIT else Kind.UNKNOWN
                return Status(kind, f"{certificate.subject} signed it: {detail}")
        finally:
            self._depth -= 1
        return Status(Kind.GOOD)


def _worst(lists: Status, responses: Status) -> Status:
    """Revoked wherever it is said; known wherever it is known, unless something that might say otherwise was not looked at."""
    for kind in (Kind.REVOKED, Kind.LIMIT, Kind.GOOD, Kind.UNKNOWN):
        for status in (lists, responses):
            if status.kind is kind:
                return status
    return Status(Kind.NONE)


def _detail(certificate: Certificate, status: Status, revocation: RevocationSet) -> str:
    subject = certificate.subject or "a certificate"
    if status.kind is Kind.NONE:
        unreadable = f"; {revocation.unreadable} lists cannot be read" if revocation.unreadable else ""
        return f"{subject}: no revocation list or response is about it{unreadable}"
    return f"{subject}: {status.detail}"
