"""Catalogs among the files beside a package whose format has a digest of its own: they may list it by that one or by the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.signatures.authenticode import CatalogSignature

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trust_store.formats.side_signatures import SignatureFiles
    from trust_store.model.package_facts import SignatureFact
    from trust_store.signatures.protocol import DigestRequest, DigestState


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
