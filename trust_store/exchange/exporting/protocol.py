"""What an export format is to this program, and which limits of an anchor an export would lose. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from trust_store.model.identifiers import format_time
from trust_store.model.trust_anchor import Constraints

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trust_store.model.trust_anchor import AnchorKind, TrustAnchor

VENDOR, SIGNER_RULE = "vendor", "signer_rule"
_ALWAYS_KEPT = frozenset({"purposes"})
"""An export is for one purpose, which the person who asks for it names: what it holds is never read as being for another."""


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One file of an export: ``path`` below the target, with ``/`` between its parts, and its content."""

    path: str
    content: bytes


@dataclass(frozen=True, slots=True)
class ExportContext:
    """What formats say beside the keys: the purpose, the moment of the export, and the store's id and revision.

    ``password`` protects formats that have one.
    """

    purpose: str
    at: datetime
    store_id: str
    store_revision: int
    password: bytes = b"changeit"


@dataclass(frozen=True, slots=True)
class Loss:
    """One limit of one anchor that the format cannot hold; ``value`` is what the anchor says."""

    anchor_id: str
    limit: str
    value: str


class Exporter(Protocol):
    """One module per format. ``KINDS`` are the keys it can hold, ``KEEPS`` the limits; ``SINGLE``: it is one file."""

    NAME: str
    DOC: str
    KINDS: frozenset[AnchorKind]
    KEEPS: frozenset[str]
    SINGLE: bool

    def export(self, anchors: Sequence[TrustAnchor], context: ExportContext) -> tuple[ExportedFile, ...]:
        """The files; ``anchors`` are valid, of ``KINDS``, in a fixed order. Deterministic unless the format forbids it."""
        ...


def stated_limits(anchor: TrustAnchor) -> dict[str, str]:
    """Every limit that the anchor states, by name: constraints, its signer rule, its vendor."""
    unlimited = Constraints()
    found = {VENDOR: anchor.vendor_id}
    for name in Constraints.__dataclass_fields__:
        value = getattr(anchor.constraints, name)
        if value != getattr(unlimited, name):
            found[name] = _text(value)
    if anchor.signer_rule.conditional:
        conditions = (f for f in anchor.signer_rule.__dataclass_fields__ if getattr(anchor.signer_rule, f))
        found[SIGNER_RULE] = "; ".join(f"{name} {_text(getattr(anchor.signer_rule, name))}" for name in conditions)
    return found


def losses(exporter: Exporter, anchors: Sequence[TrustAnchor]) -> tuple[Loss, ...]:
    """What the export would lose. The vendor is lost only where keys of several vendors end in one heap."""
    kept = exporter.KEEPS | _ALWAYS_KEPT
    if len({anchor.vendor_id for anchor in anchors}) < 2:
        kept |= {VENDOR}
    return tuple(
        Loss(anchor.id, limit, value)
        for anchor in anchors
        for limit, value in stated_limits(anchor).items()
        if limit not in kept
    )


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join("=".join(item) if isinstance(item, tuple) else str(item) for item in value)
    return format_time(value) if isinstance(value, datetime) else str(value)
