"""What embedded signatures are over where that is a part of the package: digested while the package is read once, and kept if small.

What is kept is for the second OpenPGP reader, which takes bytes or a whole file; above MAX_KEPT_BYTES it judges the key alone.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from trust_store.errors import TrustStoreError, UnsupportedError
from trust_store.formats.side_signatures import SignatureFiles, problem_of
from trust_store.formats.streaming import THREADED_FROM_BYTES, new_state
from trust_store.model.package_facts import SignatureFact, SignatureOrigin
from trust_store.signatures.openpgp import SCHEME

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from trust_store.formats.digest_threads import DigestThreads
    from trust_store.signatures.protocol import DigestRequest, DigestState

MAX_KEPT_BYTES = 64 * 1024 * 1024


class PartDigests:
    """Digests over chunks given one after another; the bytes themselves too where they are wanted and at most MAX_KEPT_BYTES."""

    def __init__(self, requests: Iterable[DigestRequest], expected_bytes: int, *, keep: bool = False) -> None:
        """``expected_bytes`` is how much will come; raises UnsupportedError for a digest that there is not."""
        self._states: dict[DigestRequest, DigestState] = {request: new_state(request) for request in requests}
        self._threads: DigestThreads | None = None
        # a BytesIO hands out its one buffer, where pieces joined would be in memory twice
        self._kept = io.BytesIO() if keep and expected_bytes <= MAX_KEPT_BYTES else None
        if self._states and expected_bytes >= THREADED_FROM_BYTES:  # the whole file is digested beside it
            from trust_store.formats.digest_threads import DigestThreads  # rarely needed, and not free to import

            self._threads = DigestThreads(list(self._states.values()))

    def update(self, data: bytes) -> None:
        """Take the next chunk."""
        if self._kept is not None:
            self._kept.write(data)
        if self._threads is not None:
            self._threads.update(data)
            return
        for state in self._states.values():
            state.update(data)

    def close(self) -> Mapping[DigestRequest, DigestState]:
        """The digests over everything."""
        if self._threads is not None:
            self._threads.close()
        return self._states

    @property
    def content(self) -> bytes | None:
        """Everything, where it was kept."""
        return None if self._kept is None else self._kept.getvalue()


def read_openpgp(data: bytes) -> SignatureFiles:
    """The OpenPGP signatures over binary content in a value of a package; one that cannot be read is a fact with its problem.

    A text signature (type 0x01) is none over a package: it holds for every way of writing the line ends in it.
    """
    try:
        pending = SCHEME.parse(data, origin=SignatureOrigin.EMBEDDED, file=None)
        requests = [request for item in pending for request in item.digests]
        if any(request.text for request in requests):
            raise UnsupportedError("an OpenPGP text signature over a package")
        for request in requests:
            new_state(request)
    except TrustStoreError as error:
        fact = SignatureFact(SCHEME.NAME, SignatureOrigin.EMBEDDED, None, problem=problem_of(error))
        return SignatureFiles((), (fact,))
    return SignatureFiles(pending, ())
