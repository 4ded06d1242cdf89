"""Signatures in files: which scheme a file is of, what its signatures want digested, and the facts that come of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.errors import MalformedError, ResourceLimitError, TrustStoreError, UnsupportedError
from trust_store.formats.streaming import new_state
from trust_store.model.package_facts import Problem, SignatureFact
from trust_store.model.verdict import Reason
from trust_store.quick_dataclass import dataclass
from trust_store.signatures.protocol import MAX_SIGNATURE_FILE_BYTES
from trust_store.signatures.schemes import recognising

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trust_store.formats.protocol import SideMaterial
    from trust_store.model.package_facts import SideFile, SignatureOrigin
    from trust_store.signatures.protocol import DigestRequest, DigestState, PendingSignature

UNKNOWN_SCHEME = "unknown"


def problem_of(error: TrustStoreError) -> Problem:
    """The problem an error of this package stands for; what is no known kind is malformed."""
    reasons = {UnsupportedError: Reason.UNSUPPORTED_FORMAT, ResourceLimitError: Reason.RESOURCE_LIMIT}
    reason = next((reason for kind, reason in reasons.items() if isinstance(error, kind)), Reason.MALFORMED)
    return Problem(reason, str(error)[:500])


@dataclass(frozen=True, slots=True)
class SignatureFiles:
    """Signatures read from files, still waiting for the bytes they are over; unreadable ones are facts already."""

    pending: tuple[PendingSignature, ...]
    unreadable: tuple[SignatureFact, ...]

    @property
    def digests(self) -> tuple[DigestRequest, ...]:
        """Every digest that some signature wants, once."""
        return tuple(dict.fromkeys(request for pending in self.pending for request in pending.digests))

    def complete(self, states: Mapping[DigestRequest, DigestState]) -> tuple[SignatureFact, ...]:
        """The facts of all signatures, unreadable ones included."""
        return (*(pending.complete(states) for pending in self.pending), *self.unreadable)


def read_side(side: tuple[SideMaterial, ...]) -> SignatureFiles:
    """The signatures of all side files."""
    return joined(*(read_file(item.data, origin=item.origin, file=item.file) for item in side))


def joined(*files: SignatureFiles) -> SignatureFiles:
    """All of them as one."""
    return SignatureFiles(
        tuple(pending for item in files for pending in item.pending),
        tuple(fact for item in files for fact in item.unreadable),
    )


def read_file(data: bytes, *, origin: SignatureOrigin, file: SideFile | None) -> SignatureFiles:
    """The signatures of one file. What cannot be read becomes a fact with its problem: it is never left out."""
    name = UNKNOWN_SCHEME
    try:
        if len(data) > MAX_SIGNATURE_FILE_BYTES:
            raise ResourceLimitError(f"a signature file of {len(data)} bytes")
        schemes = recognising(data)
        if not schemes:
            raise UnsupportedError("no known kind of signature")
        if len(schemes) > 1:
            raise MalformedError(f"two kinds of signature at once: {', '.join(s.NAME for s in schemes)}")
        name = schemes[0].NAME
        pending = schemes[0].parse(data, origin=origin, file=file)
        if not pending:
            raise MalformedError("a signature file without a signature")
        for request in {request for item in pending for request in item.digests}:
            new_state(request)  # a digest that is not available here is this file's problem, not the package's
    except TrustStoreError as error:
        return SignatureFiles((), (SignatureFact(scheme=name, origin=origin, file=file, problem=problem_of(error)),))
    return SignatureFiles(pending, ())
