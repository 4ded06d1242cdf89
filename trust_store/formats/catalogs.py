"""Files beside a package whose format has a digest of its own: catalogs, and signatures that were taken out or never put in.

A catalog may list a file by that digest or by that of the whole file; an Authenticode message in a file of its own (``osslsigncode
extract-signature``, ``sbsign --detached``) states the one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from trust_store.decode.authenticode import recognises_indirect
from trust_store.decode.cms import unarmour
from trust_store.errors import MalformedError
from trust_store.quick_dataclass import dataclass
from trust_store.signatures.authenticode import CatalogSignature, EmbeddedSignatures, read_embedded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trust_store.decode.authenticode import IndirectData
    from trust_store.formats.protocol import SideMaterial
    from trust_store.formats.side_signatures import SignatureFiles
    from trust_store.model.package_facts import SignatureFact
    from trust_store.signatures.protocol import DigestRequest, DigestState


@dataclass(frozen=True, slots=True)
class DetachedMessages:
    """Authenticode messages in files of their own, before the package has been read, each with its file."""

    found: tuple[tuple[SideMaterial, EmbeddedSignatures], ...]

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The digests of the package that are wanted."""
        return tuple(dict.fromkeys(name for _, signatures in self.found for name in signatures.algorithms))

    def complete(
        self, digests: Mapping[str, bytes], accepts: Callable[[IndirectData], bool]
    ) -> tuple[SignatureFact, ...]:
        """The facts, as of signatures that stand in the package."""
        return tuple(
            replace(fact, origin=item.origin, file=item.file)
            for item, signatures in self.found
            for fact in signatures.complete(digests, accepts)
        )


def split_side(side: tuple[SideMaterial, ...]) -> tuple[DetachedMessages, tuple[SideMaterial, ...]]:
    """The Authenticode messages among the side files, and the other files."""
    found: list[tuple[SideMaterial, EmbeddedSignatures]] = []
    rest: list[SideMaterial] = []
    for item in side:
        message = _message(item.data)
        if message is None:
            rest.append(item)
        else:
            found.append((item, read_embedded([message])))
    return DetachedMessages(tuple(found)), tuple(rest)


def _message(data: bytes) -> bytes | None:
    try:
        message = unarmour(data)
    except MalformedError:
        return None
    return message if recognises_indirect(message) else None


def catalog_algorithms(files: SignatureFiles) -> tuple[str, ...]:
    """The kinds of digests that the catalogs among ``files`` state, each once."""
    catalogs = (pending for pending in files.pending if isinstance(pending, CatalogSignature))
    return tuple(dict.fromkeys(request.algorithm for catalog in catalogs for request in catalog.digests))


def complete_side(
    files: SignatureFiles, states: Mapping[DigestRequest, DigestState], *own: Mapping[str, bytes]
) -> tuple[SignatureFact, ...]:
    """The facts of all side files: ``states`` over the whole file, ``own`` the format's digests of it by algorithm."""
    facts: list[SignatureFact] = []
    for pending in files.pending:
        if isinstance(pending, CatalogSignature):
            whole = {request.algorithm: states[request].copy().digest() for request in pending.digests}
            named = {name: (digest, *(some[name] for some in own if name in some)) for name, digest in whole.items()}
            facts.append(pending.complete_with(named))
        else:
            facts.append(pending.complete(states))
    return (*facts, *files.unreadable)
