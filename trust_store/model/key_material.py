"""One key or certificate as a file held it, ready to be proposed: nothing here is trusted."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from trust_store.model.trust_anchor import Constraints
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from trust_store.model.identifiers import Identifier
    from trust_store.model.trust_anchor import AnchorKind


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    """``material`` is as the ``AnchorKind`` says; ``name`` is text from outside.

    ``constraints`` are what the file itself says about the key (purposes, validity). ``distrusted``: True where the file lists it
    as one that must not be trusted, False where it lists it as trusted, None where it does not say. Every kind but OpenPGP has
    exactly one identifier ``sha256``, the digest of ``material``. ``limited``: the file states purposes for the key, beside what the
    key's own certificate says.
    """

    kind: AnchorKind
    name: str
    material: bytes
    identifiers: tuple[Identifier, ...]
    constraints: Constraints = field(default_factory=Constraints)
    distrusted: bool | None = None
    limited: bool = False


@dataclass(frozen=True, slots=True)
class KeyFileContents:
    """What a key file held: its ``format``, the keys in their order, and a sentence for each entry that was left out."""

    format: str
    keys: tuple[KeyMaterial, ...]
    left_out: tuple[str, ...] = ()
