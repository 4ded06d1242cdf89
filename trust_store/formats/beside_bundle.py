"""Cosign's ``.sig`` beside its bundle: a bare value that a bundle holds as well is the bundle's signature once more."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from trust_store.signatures.raw import PendingValue
from trust_store.signatures.sigstore import PendingBundle

if TYPE_CHECKING:
    from trust_store.signatures.protocol import PendingSignature


def explained(pending: tuple[PendingSignature, ...]) -> tuple[PendingSignature, ...]:
    """Each bare value that some bundle beside it holds, octet for octet, becomes that bundle's signature in a further file.

    It says nothing of its own: neither certificate nor key is in it, and whoever has the bundle has the value.
    """
    bundles = [one for one in pending if isinstance(one, PendingBundle)]
    return tuple(_explained(one, bundles) for one in pending)


def _explained(one: PendingSignature, bundles: list[PendingBundle]) -> PendingSignature:
    if not isinstance(one, PendingValue):
        return one
    same = next((bundle for bundle in bundles if bundle.bundle.signature == one.value), None)
    return one if same is None else replace(same, origin=one.origin, file=one.file)
