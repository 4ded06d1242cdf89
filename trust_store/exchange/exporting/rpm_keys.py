"""Armored OpenPGP keys, one a file, as ``rpmkeys --import`` and ``gpgkey=`` of a dnf repository read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.exchange.exporting.encodings import file_name
from trust_store.exchange.exporting.protocol import VENDOR, ExportedFile
from trust_store.model.identifiers import IdentifierKind
from trust_store.model.trust_anchor import AnchorKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trust_store.exchange.exporting.protocol import ExportContext
    from trust_store.model.trust_anchor import TrustAnchor

NAME = "rpm-keys"
DOC = "an armored OpenPGP key file for each anchor, for rpmkeys --import and dnf"
KINDS = frozenset({AnchorKind.OPENPGP})
KEEPS = frozenset({VENDOR})
SINGLE = False


def export(anchors: Sequence[TrustAnchor], context: ExportContext) -> tuple[ExportedFile, ...]:
    """``RPM-GPG-KEY-<vendor>-<fingerprint>`` for each key."""
    del context
    from pysequoia import ArmorKind, armor

    return tuple(
        ExportedFile(
            f"RPM-GPG-KEY-{file_name(anchor.vendor_id)}-{_fingerprint(anchor)}",
            str(armor(anchor.material, ArmorKind.PublicKey)).encode(),
        )
        for anchor in anchors
    )


def _fingerprint(anchor: TrustAnchor) -> str:
    """The primary key's fingerprint; the anchor's id where it is not known."""
    found = (i.value for i in anchor.identifiers if i.kind is IdentifierKind.OPENPGP)
    return next(found, file_name(anchor.id))
