"""One question about a certification path, answered: is there a path from this certificate to one of these anchors that holds?

Pure. Whatever stands in the certificates ends in an answer, never in an exception, and what is not done is answered as not done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.chain.building import SignatureBudget, find_paths
from trust_store.chain.names import same_name
from trust_store.chain.revocation import check_path
from trust_store.chain.revocation_material import RevocationSet
from trust_store.chain.validation import PathProblem, PathResult, ValidationParameters, validate_path
from trust_store.decode import asn1
from trust_store.decode.x509 import decode_certificates, decode_readable
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.model.verdict import PRECEDENCE, Outcome, Reason, outcome_of
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from trust_store.chain.building import PathSearch
    from trust_store.model.certificate import Certificate

MAX_DETAIL = 500
"""Characters of an answer's detail."""
_VERSION, _SUBJECT = 0xA0, 5
"""Tag of TBSCertificate.version; position of subject where the version is written (RFC 5280 section 4.1)."""


@dataclass(frozen=True, slots=True)
class PathQuestion:
    """``leaf``, ``untrusted`` and ``anchors`` are PEM, DER or PKCS#7, ``crls`` PEM or DER.

    Any list makes revocation required: the status of every certificate below the anchor must be known.
    """

    leaf: bytes
    anchors: tuple[bytes, ...]
    parameters: ValidationParameters
    untrusted: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class PathAnswer:
    """``path`` is end entity first, anchor last: the one that holds, else the one that came furthest.

    ``missing`` is the topmost certificate whose issuer is not at hand, ``same_name_new_key`` whether one of that name is.
    """

    reason: Reason
    detail: str
    path: tuple[Certificate, ...] = ()
    missing: Certificate | None = None
    same_name_new_key: bool = False

    @property
    def outcome(self) -> Outcome:
        """What the reason stands for."""
        return outcome_of(self.reason)


def answer(question: PathQuestion) -> PathAnswer:
    """Answer ``question``; ``trusted`` only where a path passed every check and every demand was checked."""
    leaf = _leaf(question.leaf)
    if isinstance(leaf, PathAnswer):
        return leaf
    anchors = _anchors(question.anchors)
    if isinstance(anchors, PathAnswer):
        return anchors
    untrusted, unreadable = _untrusted(question.untrusted)
    budget = SignatureBudget()
    search = find_paths(leaf, untrusted, anchors, budget, at=question.parameters.at)
    revocation = RevocationSet.decode(question.crls) if question.crls else None
    furthest: tuple[tuple[bool, int, bool], PathAnswer] | None = None
    for path in search.paths:
        result = validate_path(path, question.parameters, budget)
        if revocation is not None:
            result = _with_revocation(path, result, revocation, untrusted, question.parameters, budget)
        if not result.problems:
            return PathAnswer(Reason.TRUSTED, _good(path), path)
        rank, found = _failed(path, result)
        if furthest is None or rank > furthest[0]:
            furthest = rank, found
    if search.exhausted or (furthest is not None and budget.exhausted):
        return PathAnswer(Reason.RESOURCE_LIMIT, "more paths than are tried, and none of those tried holds")
    return furthest[1] if furthest is not None else _nowhere(search, unreadable, anchors)


def _leaf(data: bytes) -> Certificate | PathAnswer:
    try:
        found = decode_certificates(data)
    except (MalformedError, ResourceLimitError) as error:
        return _unreadable(error, "the end entity's certificate")
    if len(found) != 1:
        return PathAnswer(
            Reason.MALFORMED,
            f"{len(found)} certificates where the end entity's is expected; the others are untrusted ones",
        )
    return found[0]


def _anchors(blocks: tuple[bytes, ...]) -> tuple[Certificate, ...] | PathAnswer:
    found: list[Certificate] = []
    for number, data in enumerate(blocks, 1):
        try:
            found += decode_certificates(data)
        except (MalformedError, ResourceLimitError) as error:
            return _unreadable(error, f"anchor {number}")
    return tuple(found)


def _untrusted(blocks: tuple[bytes, ...]) -> tuple[tuple[Certificate, ...], tuple[bytes, ...]]:
    """The certificates that may help, and what cannot be read: an attacker's garbage must not hide a good path."""
    found: list[Certificate] = []
    refused: list[bytes] = []
    for data in blocks:
        certificates, unreadable = decode_readable(data)
        found += certificates
        refused += unreadable
    return tuple(found), tuple(refused)


def _unreadable(error: MalformedError | ResourceLimitError, what: str) -> PathAnswer:
    reason = Reason.RESOURCE_LIMIT if isinstance(error, ResourceLimitError) else Reason.MALFORMED
    return PathAnswer(reason, f"{what}: {error}"[:MAX_DETAIL])


def _good(path: tuple[Certificate, ...]) -> str:
    anchor = path[-1].subject or path[-1].sha256
    return f"{len(path)} certificates up to {anchor}"[:MAX_DETAIL]


def _with_revocation(
    path: tuple[Certificate, ...],
    result: PathResult,
    revocation: RevocationSet,
    untrusted: tuple[Certificate, ...],
    parameters: ValidationParameters,
    budget: SignatureBudget,
) -> PathResult:
    """Section 6.3 beside 6.1: a revoked certificate is told even where another rule is broken as well."""
    found = check_path(
        path, revocation, policy="required", at=parameters.at, budget=budget, untrusted=untrusted,
        profile=parameters.profile, web_pki=parameters.profile and parameters.purpose == "server-auth",
    )  # fmt: skip
    return PathResult((*result.problems, *found), result.steps)


def _failed(path: tuple[Certificate, ...], result: PathResult) -> tuple[tuple[bool, int, bool], PathAnswer]:
    """The answer for one path, and its rank: revoked before all, then how far it came, then evidence against it."""

    def weight(problem: PathProblem) -> tuple[bool, int]:
        return outcome_of(problem.reason) is not Outcome.FAILED, PRECEDENCE.index(problem.reason)

    problems = sorted(result.problems, key=weight)
    details = dict.fromkeys(problem.detail for problem in problems)
    found = PathAnswer(problems[0].reason, "; ".join(details)[:MAX_DETAIL], path)
    return (found.reason is Reason.REVOKED, result.steps, found.outcome is Outcome.FAILED), found


def _nowhere(search: PathSearch, refused: tuple[bytes, ...], anchors: tuple[Certificate, ...]) -> PathAnswer:
    """No path ends at an anchor."""
    top = search.missing
    if not anchors:
        return PathAnswer(Reason.UNKNOWN_ROOT, "there is no anchor", missing=top)
    wanted = f" by {top.issuer or 'a nameless issuer'}" if top is not None else ""
    if top is not None and any(_is_subject(top.issuer_der, data) for data in refused):
        return PathAnswer(Reason.MALFORMED, f"a certificate{wanted} cannot be read"[:MAX_DETAIL], missing=top)
    other = "; one of that name is at hand, with another key" if search.same_name_new_key else ""
    left_out = f"; {len(refused)} untrusted certificates cannot be read" if refused else ""
    return PathAnswer(
        Reason.UNKNOWN_ROOT,
        f"no path ends at an anchor: the last certificate reached was issued{wanted}{other}{left_out}"[:MAX_DETAIL],
        missing=top,
        same_name_new_key=search.same_name_new_key,
    )


def _is_subject(name: bytes, data: bytes) -> bool:
    """Whether ``data`` is structured like a certificate whose subject is ``name``."""
    try:
        fields = asn1.read_one(data, "certificate").children()[0].children()
        return same_name(fields[_SUBJECT if fields[0].tag == _VERSION else _SUBJECT - 1].raw, name)
    except (MalformedError, ResourceLimitError, IndexError):
        return False
