"""How strong a way of signing is, for ratchets: the one table of schemes and digests, and what a package's signatures show. Pure.

A rank is for comparison with what the same product showed before, and for nothing else: a low one makes no signature worse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.model.ratchet import DIGEST, SCHEME, SIGNERS, UNSIGNED, Strength
from trust_store.model.verdict import Reason
from trust_store.verification.version_order import version_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trust_store.model.package_facts import PackageFacts
    from trust_store.verification.combine import Combined
    from trust_store.verification.question import JudgedSignature

SCHEME_RANKS = {UNSIGNED: 0, "jar": 1, "apk-v1": 1, "apk-v2": 2, "apk-v3": 3, "apk-v3.1": 4}
"""Schemes that a format knows stronger ones beside; whatever else is signed has the rank ``SIGNED``."""
SIGNED = 1
DIGEST_RANKS = {
    "md5": 1, "sha1": 1, "ripemd160": 1,
    "sha224": 2, "sha3-224": 2, "sha512-224": 2,
    "sha256": 3, "sha3-256": 3, "sha512-256": 3, "blake2s": 3, "shake128": 3,
    "sha384": 4, "sha3-384": 4,
    "sha512": 5, "sha3-512": 5, "blake2b": 5, "shake256": 5,
}  # fmt: skip
"""By length of the digest; one that is not here counts as none at all."""


def scheme_rank(scheme: str) -> int:
    """The rank of a scheme by its NAME, 0 for ``unsigned``."""
    return SCHEME_RANKS.get(scheme, SIGNED)


def digest_rank(digest: str) -> int:
    """The rank of a digest by its hashlib name, 0 for one that is not known."""
    return DIGEST_RANKS.get(digest.replace("_", "-").lower(), 0)


def rank(dimension: str, value: str) -> tuple[object, ...]:
    """What values of one dimension are compared by; of the same dimension any two can be compared."""
    if dimension == SCHEME:
        return (scheme_rank(value),)
    if dimension == DIGEST:
        return (digest_rank(value),)
    if dimension == SIGNERS:
        return (int(value),)
    return version_key(value)


def shown_by(facts: PackageFacts, combined: Combined) -> Strength | None:
    """What the package shows; None where its signatures do not count, which says nothing about how it was signed.

    A file of no format that is known and without a signature counts as unsigned: whoever takes a package's signature away may
    change its format with it.
    """
    product = facts.product.version if facts.product is not None else None
    counting = combined.counting
    if counting:
        parts: set[str | None] = {s.fact.part for s in counting if s.fact.part is not None}
        each = [_strength([s for s in counting if s.fact.part in (None, part)]) for part in parts or {None}]
        # Of parts that are signed apart the weakest tells how the package is signed.
        scheme = min((one.scheme for one in each), key=lambda name: (scheme_rank(name), name))
        digest = min((one.digest for one in each), key=lambda name: (digest_rank(name), name))
        return Strength(scheme, digest if digest_rank(digest) else "", min(one.signers for one in each), product)
    bare = facts.problem is None and Reason.UNSIGNED in combined.reasons
    unknown = facts.problem is not None and facts.problem.reason is Reason.UNSUPPORTED_FORMAT and not facts.signatures
    return Strength(UNSIGNED) if bare or unknown else None


def _strength(signatures: Sequence[JudgedSignature]) -> Strength:
    """The best scheme and digest of these, and by how many keys they are."""
    scheme = max((s.fact.scheme for s in signatures), key=lambda name: (scheme_rank(name), name))
    digest = max((s.fact.digest_algorithm for s in signatures), key=lambda name: (digest_rank(name), name))
    return Strength(scheme, digest, len({s.key for s in signatures}))
