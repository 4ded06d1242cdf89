"""The digests that the signature of an app package (MSIX, appx) states: ``APPX`` and then four or five, each after its tag."""

from __future__ import annotations

import hashlib

from trust_store.errors import MalformedError

MAGIC, MESSAGE_MAGIC = b"APPX", b"PKCX"
ENTRIES, DIRECTORY, CONTENT_TYPES, BLOCK_MAP, CODE_INTEGRITY = b"AXPC", b"AXCD", b"AXCT", b"AXBM", b"AXCI"
REQUIRED = frozenset({ENTRIES, DIRECTORY, CONTENT_TYPES, BLOCK_MAP})
_KNOWN = REQUIRED | {CODE_INTEGRITY}
PACKAGE_SUBJECT = bytes.fromhex("4bdfc50a07cee24db76e23c839a09fd1")
BUNDLE_SUBJECT = bytes.fromhex("b3585f0fdeaa9a4ba4349574 2d92eceb".replace(" ", ""))
"""The subject interface packages for packages and for bundles, as they stand in a message."""


def parse_digests(stated: bytes, algorithm: str) -> dict[bytes, bytes]:
    """Tag -> digest, in the order in which they stand; raises MalformedError unless each is known, once, and none is lacking."""
    length = 4 + hashlib.new(algorithm, usedforsecurity=False).digest_size
    if stated[:4] != MAGIC or (len(stated) - 4) % length:
        raise MalformedError("MSIX: the signature does not state a package's digests")
    pairs = [(stated[at : at + 4], stated[at + 4 : at + length]) for at in range(4, len(stated), length)]
    found = dict(pairs)
    if len(found) != len(pairs) or not REQUIRED <= set(found) <= _KNOWN:
        raise MalformedError("MSIX: the signature lacks a digest, or states one twice or of an unknown kind")
    return found


def joined(digests: dict[bytes, bytes]) -> bytes:
    """The same as it stands in a signature."""
    return MAGIC + b"".join(tag + digest for tag, digest in digests.items())
