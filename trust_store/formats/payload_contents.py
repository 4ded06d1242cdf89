"""The signatures of an Android A/B payload, be it a file or the payload.bin of an OTA archive: digests in one pass, then facts."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from trust_store.decode.android_payload import parse_signatures
from trust_store.errors import READ_ERRORS
from trust_store.formats.side_signatures import problem_of
from trust_store.formats.skipping import SkippingState
from trust_store.formats.streaming import SourceChangedError
from trust_store.model.package_facts import Problem, SignatureFact, SignatureOrigin, SignatureRole
from trust_store.model.verdict import Reason
from trust_store.signatures import android_payload

if TYPE_CHECKING:
    from trust_store.decode.android_payload import Payload
    from trust_store.decode.zip_directory import Bytes


class PayloadDigests:
    """``DigestState`` and ``MemberSink``: fed with the payload in order, it digests what each signature and operation is over."""

    def __init__(self, payload: Payload) -> None:
        self._payload = payload
        signatures = ((payload.metadata_end, payload.data_start), (payload.signature_start, payload.end))
        self._whole = SkippingState("sha256", signatures)
        self._metadata = SkippingState("sha256", ((payload.metadata_end, payload.end),))
        self._position = 0
        self._next = 0
        self._open = hashlib.sha256()
        self.differs = False
        """Whether some operation's data is not what the manifest says."""

    def update(self, data: bytes, /) -> None:
        """Take the next piece."""
        self._whole.update(data)
        if self._position < self._payload.metadata_end:
            self._metadata.update(data)
        self._operations(data)
        self._position += len(data)

    def copy(self) -> PayloadDigests:
        """The same: it is asked at the end only."""
        return self

    def digest(self) -> bytes:
        """SHA-256 of everything but the two signatures."""
        return self._whole.digest()

    def metadata(self) -> bytes:
        """SHA-256 of header and manifest."""
        return self._metadata.digest()

    def _operations(self, data: bytes) -> None:
        start, end = self._position, self._position + len(data)
        operations = self._payload.operations
        while self._next < len(operations) and operations[self._next].start < end:
            operation = operations[self._next]
            self._open.update(data[max(0, operation.start - start) : max(0, operation.end - start)])
            if operation.end > end:
                return
            self.differs |= bool(operation.sha256) and self._open.digest() != operation.sha256
            self._open = hashlib.sha256()
            self._next += 1


def payload_facts(
    source: Bytes, payload: Payload, digests: PayloadDigests, *, role: SignatureRole
) -> tuple[SignatureFact, ...]:
    """The payload's own signatures in ``role``, those over the metadata alone as reported: the former cover that as well.

    Raises SourceChangedError where the metadata that was digested is another than the one that was read.
    """
    if digests.metadata() != payload.metadata_sha256:
        raise SourceChangedError("the file changed while it was being read")
    metadata = source.read_at(payload.metadata_end, payload.data_start - payload.metadata_end)
    whole = source.read_at(payload.signature_start, payload.end - payload.signature_start)
    return (
        *_facts(whole, android_payload.PAYLOAD, digests.digest(), role),
        *_facts(metadata, android_payload.METADATA, digests.metadata(), SignatureRole.REPORTED),
    )


def payload_problem(digests: PayloadDigests) -> Problem | None:
    """Data that is not what the manifest says."""
    if not digests.differs:
        return None
    return Problem(Reason.INVALID_SIGNATURE, "an operation's data is not what the signed manifest says it is")


def _facts(data: bytes, scheme: str, digest: bytes, role: SignatureRole) -> tuple[SignatureFact, ...]:
    if not data:
        return ()
    try:
        return tuple(android_payload.value_fact(scheme, value, digest, role=role) for value in parse_signatures(data))
    except READ_ERRORS as error:
        return (SignatureFact(scheme, SignatureOrigin.EMBEDDED, None, problem=problem_of(error), role=role),)
