"""An anchor as a person or a program reads it. What identifies a key that awaits decision is withheld: the vendor reads it out."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING

from trust_store.anchor_listing import anchor_to_dict
from trust_store.anchor_rules import WITHHELD, disclosed, fingerprint_of
from trust_store.decode.sigstore_identity import identity_of
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.model.trust_anchor import AnchorKind
from trust_store.terminal import safe

if TYPE_CHECKING:
    from collections.abc import Collection

    from trust_store.model.trust_anchor import TrustAnchor


def summary_line(anchor: TrustAnchor, awaiting: Collection[str] = ()) -> str:
    """One line of the list; ``awaiting`` as ``anchor_to_dict`` takes it."""
    twin = any(value in awaiting for value in fingerprint_of(anchor))
    cause = f" ({safe(anchor.cause, 60)})" if anchor.cause else ""
    name = safe(disclosed(anchor, anchor.name, awaiting=twin), 100)
    return f"{anchor.id}  {anchor.state.value:<11} {anchor.vendor_id:<12} {anchor.kind.value:<17} {name}{cause}"


def anchor_lines(anchor: TrustAnchor, *, reference: str, awaiting: Collection[str] = ()) -> list[str]:
    """The lines of ``anchor show``."""
    shown = anchor_to_dict(anchor, reference=reference, awaiting=awaiting)
    lines = []
    for key, value in shown.items():
        if key == "identifiers":
            for kind, values in (value or {"fingerprints": [WITHHELD]}).items():
                lines += [f"{kind:<24} {safe(v, 200)}" for v in values]
        elif key == "key_sha256" and value is None:
            continue
        elif value not in (None, "", False):
            text = value if isinstance(value, str) else json.dumps(value)
            lines.append(f"{key.replace('_', ' '):<24} {safe(text, 1000)}")
    if shown["identifiers"] is None:
        return lines
    return lines + [f"{name:<24} {safe(value, 1000)}" for name, value in _native(anchor)]


def _native(anchor: TrustAnchor) -> list[tuple[str, str]]:
    """A decided key as its own tools write it: ssh-keygen's fingerprint, minisign's public key, a sigstore identity."""
    if anchor.kind is AnchorKind.SIGSTORE_IDENTITY:
        try:
            issuer, identity = identity_of(anchor.material)
        except (MalformedError, ResourceLimitError):
            return []
        return [("identity", identity), ("issuer", issuer)]
    if anchor.kind in (AnchorKind.SSH, AnchorKind.NPM):
        digest = base64.b64encode(hashlib.sha256(anchor.material).digest()).decode().rstrip("=")
        return [("fingerprint", f"SHA256:{digest}")]
    if anchor.kind is AnchorKind.MINISIGN:
        return [("public key", base64.b64encode(anchor.material).decode())]
    return []
