"""Anchors of every kind of key, with the private keys behind them, for the export and bundle tests."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from trust_store.exchange.exporting.protocol import ExportContext
from trust_store.model.identifiers import Identifier, IdentifierKind
from trust_store.model.trust_anchor import AnchorKind, AnchorState, Constraints, SignerRule, TrustAnchor, TrustBasis

if TYPE_CHECKING:
    from pathlib import Path

    from trust_store.exchange.exporting.protocol import ExportedFile

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
CONTEXT = ExportContext("code", AT, "store_01", 7)


def anchor(kind: AnchorKind, material: bytes, **changes: Any) -> TrustAnchor:
    """A valid, dedicated anchor of acme's."""
    values: dict[str, Any] = {
        "id": f"anchor_{hashlib.sha256(material).hexdigest()[:20]}", "vendor_id": "acme", "kind": kind, "name": "CN=Acme Root",
        "key_sha256": hashlib.sha256(material).hexdigest(), "material": material, "state": AnchorState.VALID,
        "recorded_at": AT, "effective_from": AT, "signer_rule": SignerRule(dedicated=kind is AnchorKind.X509),
        "constraints": Constraints(), "basis": TrustBasis.CALLED,
    }  # fmt: skip
    return TrustAnchor(**{**values, **changes})


def openpgp_anchor(data: bytes, fingerprint: str, **changes: Any) -> TrustAnchor:
    """An anchor of an OpenPGP key."""
    named = (Identifier(IdentifierKind.OPENPGP, fingerprint.lower()),)
    return anchor(AnchorKind.OPENPGP, data, identifiers=named, **changes)


def ssh_blob(line: str) -> bytes:
    """The key blob of a public key line."""
    return base64.b64decode(line.split()[1])


def write(files: tuple[ExportedFile, ...], folder: Path) -> Path:
    """Write an export below ``folder``."""
    for file in files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
    return folder
