"""RFC 3161 timestamps of a sigstore bundle against the time-stamp authorities of one trusted root. Pure.

What is stamped is the signature's value. One that proves nothing is told and takes nothing away: anybody could have added it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.chain.building import SignatureBudget
from trust_store.chain.timestamping import prove
from trust_store.chain.validation import PathProblem
from trust_store.decode.timestamp_response import token_of
from trust_store.errors import READ_ERRORS
from trust_store.model.trust_anchor import AnchorKind, AnchorState, Constraints, Purpose, TrustAnchor
from trust_store.model.trust_view import ANY_VENDOR
from trust_store.model.verdict import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from trust_store.decode.sigstore_bundle import Bundle
    from trust_store.decode.timestamp_token import TimestampToken
    from trust_store.decode.trusted_root import Authority, TrustedRoot
    from trust_store.model.certificate import Certificate

TOKEN_CHECKS = 32
MAX_TOKENS = 8
"""Of the bundle's timestamps that are looked at."""


def stamped_times(bundle: Bundle, root: TrustedRoot, *, at: datetime) -> tuple[list[datetime], list[PathProblem]]:
    """The times that the root's authorities prove, asked ``at``, and what is wrong with the other timestamps.

    They have a budget of their own: what somebody adds takes nothing from the path.
    """
    proven: list[datetime] = []
    told: list[PathProblem] = []
    for response in bundle.timestamps[:MAX_TOKENS]:
        try:
            token = token_of(response)
        except READ_ERRORS as error:
            told.append(PathProblem(Reason.MALFORMED, str(error)))
            continue
        times, problems = _of_token(token, bundle.signature, root, at)
        proven += times
        told += [] if times else problems
    return proven, told


def _of_token(
    token: bytes, signature: bytes, root: TrustedRoot, at: datetime
) -> tuple[list[datetime], list[PathProblem]]:
    told: list[PathProblem] = []
    for authority in root.timestamp_authorities:
        budget = SignatureBudget(TOKEN_CHECKS)
        anchors = [(_anchor(authority, at), authority.chain[-1])]
        found = prove(
            token, signature, anchors, authority.chain[:-1], at=at, budget=budget, objections=_Window(authority)
        )
        if found.latest is not None and found.at is not None:
            return [found.at], []
        told += found.problems
    return [], told or [PathProblem(Reason.UNKNOWN_ROOT, "timestamp: the root has no time-stamp authorities")]


class _Window:
    """An authority stamps within its window (CertificateAuthority.valid_for), both ends included; and only with its own signer."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority

    def __call__(
        self, anchor: TrustAnchor, path: tuple[Certificate, ...], token: TimestampToken
    ) -> Iterable[PathProblem]:
        del anchor
        if not self._authority.window.holds(token.info.generated_at):
            yield PathProblem(Reason.PATH_INVALID, "timestamp: its authority was not in use then")
        listed = self._authority.chain
        if len(listed) > 1 and not listed[0].is_ca and path[0].sha256 != listed[0].sha256:
            yield PathProblem(Reason.UNKNOWN_ROOT, "timestamp: it is by another signer than the root's authority")


def _anchor(authority: Authority, at: datetime) -> TrustAnchor:
    top = authority.chain[-1]
    return TrustAnchor(
        id=f"sigstore:{top.sha256}",
        vendor_id=ANY_VENDOR,
        kind=AnchorKind.X509,
        name=top.subject,
        key_sha256=top.sha256,
        material=top.der,
        state=AnchorState.VALID,
        recorded_at=at,
        effective_from=at,
        constraints=Constraints(purposes=(Purpose.TIMESTAMP.value,)),
    )
