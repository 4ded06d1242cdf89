"""Mozilla archives (wiki.mozilla.org "Software Update:MAR"), as Firefox updates itself: signed over all but the signature values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode import mar_archive
from trust_store.formats.pinned import PinnedSource
from trust_store.formats.protocol import Reading
from trust_store.formats.ranges import digest_ranges
from trust_store.formats.side_signatures import read_side
from trust_store.model.package_facts import (
    Coverage,
    Problem,
    Product,
    SignatureFact,
    SignatureOrigin,
    SignatureRole,
    Uncovered,
)
from trust_store.model.verdict import Reason

if TYPE_CHECKING:
    from trust_store.decode.mar_archive import MARSignature
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial

NAME = "mar"
VERSION = 1
CONTAINER = "none"
DOC = """A Mozilla archive (`.mar`); fixtures made by Mozilla's `mar` (the Python package of that name).

A signature covers every byte of the file but the signature values: RSA PKCS #1 v1.5 with SHA-384, or with SHA-1, which is
`weak_algorithm`. It carries no certificate, so that its key must be at hand. Of several signatures all must hold, as Mozilla's updater
demands one for each key that it knows. Channel and version of the product information block are the product. Files that overlap each
other or the headers, names that occur twice, and a size that is not the file's are `malformed`; the older form without a signature block
is `unsigned`."""

SCHEME = "mar"
_DIGESTS = {1: "sha1", 2: "sha384"}


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Whether the file begins with ``MAR1``."""
    return source.read_at(0, 4) == mar_archive.MAGIC


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:
    """Read the archive, then its signed parts as they were read; raises MalformedError, UnsupportedError or ResourceLimitError."""
    files = read_side(side)
    pinned = PinnedSource(source, files.digests)
    archive = mar_archive.parse(pinned, max_members=limits.max_members)
    values = [(one.start, one.start + len(one.value)) for one in archive.signatures]
    ends = [0, *(end for _, end in values)]
    starts = [*(start for start, _ in values), pinned.size]
    pieces = list(zip(ends, starts, strict=True))
    names = {_DIGESTS[one.algorithm] for one in archive.signatures if one.algorithm in _DIGESTS}
    digests = digest_ranges(pinned, pieces, names)
    role = SignatureRole.REQUIRED if len(archive.signatures) > 1 else SignatureRole.ALTERNATIVE
    facts = tuple(_fact(one, digests, role) for one in archive.signatures)
    product = archive.product if facts else None
    uncovered = tuple(Uncovered(start=start, end=end, inert=True) for start, end in values)
    if not facts:
        uncovered = (Uncovered(start=0, end=pinned.size),)
    return Reading(
        pinned.sha256,
        facts + files.complete(pinned.states),
        Coverage(covered_bytes=source.size) if side and not facts else Coverage(_covered(pieces, facts), uncovered),
        product=Product(*product) if product else None,
    )


def _covered(pieces: list[tuple[int, int]], facts: tuple[SignatureFact, ...]) -> int:
    return sum(end - start for start, end in pieces) if facts else 0


def _fact(signature: MARSignature, digests: dict[str, bytes], role: SignatureRole) -> SignatureFact:
    algorithm = _DIGESTS.get(signature.algorithm)
    if algorithm is None:
        problem = Problem(Reason.UNSUPPORTED_FORMAT, f"MAR: signature algorithm {signature.algorithm} is not known")
        return SignatureFact(scheme=SCHEME, origin=SignatureOrigin.EMBEDDED, file=None, problem=problem, role=role)
    return SignatureFact(
        scheme=SCHEME,
        origin=SignatureOrigin.EMBEDDED,
        file=None,
        role=role,
        digest_algorithm=algorithm,
        signature_algorithm="rsa-pkcs1",
        signature=signature.value,
        digest=digests[algorithm],
        content_matches=True,
    )
