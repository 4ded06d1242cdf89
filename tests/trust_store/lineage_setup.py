"""Roots, signers and root metadata that succeed each other, and the grade of a succession, for the lineage tests."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.trust_store.lineage_craft import anchor_of, tuf_root
from tests.trust_store.path_craft import CA, issue
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.lineage import Grade, grade_succession
from trust_store.model.trust_anchor import AnchorKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trust_store.model.trust_anchor import TrustAnchor

x509_anchor = partial(anchor_of, AnchorKind.X509)
tuf_anchor = partial(anchor_of, AnchorKind.SIGSTORE_ROOT)
openpgp_anchor = partial(anchor_of, AnchorKind.OPENPGP)
REFUSALS = (MalformedError, ResourceLimitError, UnsupportedError)
OLD, NEW = issue("Old root", None, CA), issue("New root", None, CA)
FIRST, SECOND, THIRD = (issue(f"signer {n}", None) for n in "123")
ROOT = tuf_root(1, ("ed1", "ec1", "rsa1"), 2, ("ed1", "ec1"))


def grade(old: TrustAnchor, new: TrustAnchor, proof: bytes | None = None) -> Grade:
    """The grade without anything said."""
    return grade_succession(old, new, proof).grade


def flips(data: bytes) -> Iterator[bytes]:
    """``data`` with one bit changed, each byte once (and the bit that goes with its place)."""
    for place in range(len(data)):
        yield data[:place] + bytes((data[place] ^ (1 << place % 8),)) + data[place + 1 :]
