"""Files of keys from elsewhere as proposals: pending, with the limits that the file itself states. Pure; nothing is trusted.

``anchor_management`` records proposals; which file holds which kind of key is ``decode.key_files``'s.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from trust_store.decode.key_files import read_keys
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError, UsageError
from trust_store.model.claim import Authority, Proposal

if TYPE_CHECKING:
    from trust_store.model.key_material import KeyMaterial


def proposals_in(
    data: bytes, vendor_id: str, reference: str, *, name: str = "", password: bytes | None = None
) -> tuple[Proposal, ...]:
    """Every key of a file as a proposal, in the file's order; ``name`` and ``password`` as ``read_keys`` takes them.

    A key that the file lists as distrusted comes with ``distrusted`` True and is no proposal to trust it. Raises UsageError for
    a file without keys that can be read.
    """
    try:
        keys = read_keys(data, name=name, password=password)
    except (MalformedError, UnsupportedError, ResourceLimitError) as error:
        raise UsageError(f"the file holds no keys that can be read: {error}") from error
    return tuple(_proposal(key, vendor_id, reference) for key in keys)


def _proposal(key: KeyMaterial, vendor_id: str, reference: str) -> Proposal:
    return Proposal(
        vendor_id=vendor_id,
        kind=key.kind,
        name=key.name,
        key_sha256=hashlib.sha256(key.material).hexdigest(),
        material=key.material,
        identifiers=key.identifiers,
        authority=Authority.UNAUTHENTICATED,
        reference=reference,
        constraints=key.constraints,
        distrusted=key.distrusted,
    )
