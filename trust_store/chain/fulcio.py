"""A certificate that a sigstore instance issued for one signing: its path, at every proven time, and its log's timestamp. Pure.

Sigstore client specification, sections "Certificate" and "Signed certificate timestamp"; RFC 5280 section 6; RFC 6962.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.chain.building import find_paths
from trust_store.chain.validation import PathProblem, ValidationParameters, validate_path
from trust_store.decode.fulcio import fulcio_identity
from trust_store.decode.transparency import embedded_timestamps
from trust_store.errors import READ_ERRORS
from trust_store.model.verdict import Reason
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from trust_store.chain.building import SignatureBudget
    from trust_store.decode.trusted_root import Authority, Log
    from trust_store.model.certificate import Certificate

_CERTIFICATE_TRANSPARENCY = "1.3.6.1.4.1.11129.2.4.4"


@dataclass(frozen=True, slots=True)
class FulcioPath:
    """The path (end entity first), what is against it, and how many checks held, to compare those that fail."""

    path: tuple[Certificate, ...]
    problems: tuple[PathProblem, ...]
    steps: int


def fulcio_path(
    leaf: Certificate, authorities: Iterable[Authority], times: tuple[datetime, ...], budget: SignatureBudget
) -> FulcioPath | None:
    """The best path from ``leaf`` to the root of one of the authorities, judged at each of ``times``; None where there is none.

    Only certificates of the trusted root make a path: those that a bundle brings along vouch for nothing. An authority counts within
    its own window (sigstore_trustroot.proto, CertificateAuthority.valid_for).
    """
    best: FulcioPath | None = None
    for authority in authorities:
        anchors = (authority.chain[-1],)
        for path in find_paths(leaf, authority.chain[:-1], anchors, budget).paths:
            if len(path) < 2:  # an authority's own certificate signs certificates, not packages
                continue
            found = _judged(path, authority, times, budget)
            if not found.problems:
                return found
            best = found if best is None or found.steps > best.steps else best
    return best


def _judged(
    path: tuple[Certificate, ...], authority: Authority, times: tuple[datetime, ...], budget: SignatureBudget
) -> FulcioPath:
    problems: list[PathProblem] = []
    steps = 0
    for at in times:
        result = validate_path(path, ValidationParameters(at=at, purpose="code-signing"), budget)
        problems += result.problems
        steps += result.steps
        if not authority.window.holds(at):
            problems.append(PathProblem(Reason.PATH_INVALID, "the certificate authority was not in use then"))
    return FulcioPath(path, (*dict.fromkeys(problems), *_profile(path[0])), steps)


def _profile(leaf: Certificate) -> Iterable[PathProblem]:
    """Fulcio's certificate specification: digitalSignature and codeSigning are there, and it is no CA."""
    try:
        said = fulcio_identity(leaf.der)
    except READ_ERRORS as error:
        yield PathProblem(Reason.PATH_INVALID, f"the certificate's extensions cannot be read: {error}")
        return
    if leaf.is_ca or not said.digital_signature or not said.code_signing:
        yield PathProblem(Reason.PATH_INVALID, "the certificate is not one for signing code (key usage, EKU)")


def certificate_log_problems(path: tuple[Certificate, ...], logs: tuple[Log, ...]) -> list[PathProblem]:
    """Unless the end entity has a timestamp of one of ``logs`` that verifies, made while the log's key was in use.

    A precertificate names the key of the issuer, or of whoever stands above one that is for precertificates alone (RFC 6962 3.2).
    """
    try:
        issuer = path[2] if len(path) > 2 and _is_for_precertificates(path[1]) else path[1]
        stamps = embedded_timestamps(path[0].der, issuer.spki)
    except READ_ERRORS as error:
        return [PathProblem(Reason.MALFORMED, f"certificate transparency: {error}")]
    if not stamps:
        return [PathProblem(Reason.PATH_INVALID, "certificate transparency: the certificate is not logged (no SCT)")]
    known = [(stamp, log) for stamp in stamps for log in logs if stamp.log_id in log.ids]
    if not known:
        return [PathProblem(Reason.UNKNOWN_ROOT, "certificate transparency: logged by a log that is not known")]
    for stamp, log in known:
        if log.window.holds(stamp.at) and log.signed(stamp.signature, stamp.message):
            return []
    return [
        PathProblem(Reason.INVALID_SIGNATURE, "certificate transparency: the log's timestamp (SCT) does not verify")
    ]


def _is_for_precertificates(issuer: Certificate) -> bool:
    from trust_store.chain.extensions import read_extensions

    return _CERTIFICATE_TRANSPARENCY in (read_extensions(issuer).eku or ())
