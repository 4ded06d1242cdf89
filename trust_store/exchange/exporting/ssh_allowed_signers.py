"""An allowed signers file of ssh-keygen (ssh-keygen(1), ALLOWED SIGNERS): the vendor's id is the principal, the namespace ``file``."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from trust_store.exchange.exporting.encodings import file_name
from trust_store.exchange.exporting.protocol import VENDOR, ExportedFile
from trust_store.model.trust_anchor import AnchorKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from trust_store.exchange.exporting.protocol import ExportContext
    from trust_store.model.trust_anchor import TrustAnchor

NAME = "ssh-allowed-signers"
DOC = "an allowed signers file, for ssh-keygen -Y verify -I VENDOR -n file"
KINDS = frozenset({AnchorKind.SSH})
KEEPS = frozenset({VENDOR, "valid_from", "valid_until"})
SINGLE = True


def export(anchors: Sequence[TrustAnchor], context: ExportContext) -> tuple[ExportedFile, ...]:
    """One line for each key, with the times between which the anchor counts (in UTC)."""
    del context
    return (ExportedFile("allowed_signers", "".join(_line(anchor) for anchor in anchors).encode()),)


def _line(anchor: TrustAnchor) -> str:
    options = ['namespaces="file"']
    if anchor.constraints.valid_from:
        options.append(f'valid-after="{_time(anchor.constraints.valid_from)}"')
    if anchor.constraints.valid_until:
        options.append(f'valid-before="{_time(anchor.constraints.valid_until)}"')
    length = int.from_bytes(anchor.material[:4], "big")
    kind = anchor.material[4 : 4 + length].decode("ascii", "replace")
    return f"{file_name(anchor.vendor_id)} {','.join(options)} {kind} {base64.b64encode(anchor.material).decode()}\n"


def _time(at: datetime) -> str:
    """``YYYYMMDDHHMMSSZ``."""
    return at.strftime("%Y%m%d%H%M%SZ").rjust(15, "0")
