"""RPM packages of the formats 3, 4 and 6."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from trust_store.decode.rpm_header import HEADER_IMMUTABLE, HEADER_SIGNATURES, INTRO_BYTES, header_bytes, parse_header
from trust_store.decode.rpm_package import (
    FORMAT,
    FORMAT_6,
    LEAD_BYTES,
    LEAD_MAGIC,
    MD5,
    header_digests,
    payload_digests,
    product_of,
    require_lead,
    signatures_of,
)
from trust_store.errors import MalformedError
from trust_store.formats.protocol import Reading
from trust_store.formats.side_signatures import joined, read_side
from trust_store.formats.signed_parts import PartDigests, read_openpgp
from trust_store.formats.streaming import PackageStream, digests_of
from trust_store.model.package_facts import Coverage, Problem, Product, SignatureRole, Uncovered
from trust_store.model.verdict import Reason
from trust_store.quick_dataclass import dataclass
from trust_store.signatures.protocol import DigestRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trust_store.decode.rpm_header import RpmHeader
    from trust_store.decode.rpm_package import RpmSignatures
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial
    from trust_store.formats.side_signatures import SignatureFiles
    from trust_store.model.package_facts import SignatureFact
    from trust_store.signatures.protocol import DigestState

NAME = "rpm"
VERSION = 1
CONTAINER = "none"
DOC = """RPM packages, binary and source, of the formats 3 (signatures over header and payload), 4 (over the header too) and 6 (base64
OpenPGP signatures, any number): tags 267, 268, 278, 1002 and 1005.

One good signature suffices; one that is evidence against the package fails it. A signature over the header covers the payload only by
digests in the header (tags 5092, 5121 and 5123, or 5097, 5122 and 5124 where it lies unpacked; SHA-256 or stronger), all of which must
match. Without any, signatures over header and payload decide, and without such a one the payload is uncovered content. In a package of
format 6 that has signatures of its own kind older ones pass nothing. Lead and signature header no signature covers: rpm takes from them
only the signatures, digests (all of which must match) and per-file signatures that prove themselves. Only the signed header is used for
names and versions; regions must span whole headers.

Digests alone make no signature: such a package is `unsigned`; it is a `downgrade` where its header is of a time when rpm wrote SHA-256
digests of headers and only MD5 and SHA-1 ones are left. Headers of more than 64 MiB are a `resource_limit`. The payload is not unpacked.

Fixtures made by rpmbuild and rpmsign; version 3 signature packets and format 6 built from the specification."""

_MD5 = DigestRequest("md5")


@dataclass(frozen=True, slots=True)
class _Package:
    """The two headers, the signatures and payload digests in them, and where main header and payload begin."""

    signature_header: RpmHeader
    main: RpmHeader
    found: RpmSignatures
    bound: Mapping[str, tuple[bytes, ...]]
    start: int
    payload_start: int
    size: int


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Whether the file begins with the magic of a lead."""
    return source.read_at(0, len(LEAD_MAGIC)) == LEAD_MAGIC


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:  # noqa: ARG001
    """Read the package once; raises MalformedError, UnsupportedError or ResourceLimitError."""
    files = read_side(side)
    stream = PackageStream(source, files.digests)
    package = _package(stream, source.size)
    over_header = _over_header(package)
    over_package = joined(*(read_openpgp(value) for value in package.found.package))
    whole, payload = _digested(stream, package, over_package)
    over_payload = over_package.complete(whole.close())
    embedded = over_header + over_payload
    problem = _mismatch(package, whole.close(), payload.close())
    if not embedded and problem is None:
        problem = _downgrade(package)
    signed = {
        **dict.fromkeys(range(len(over_header)), package.main.blob),
        **dict.fromkeys(range(len(over_header), len(embedded)), whole.content),
    }
    return Reading(
        stream.sha256,
        embedded + files.complete(stream.states),
        _coverage(package, signed=bool(embedded), beside=bool(side)),
        problem,
        signed=signed,
        product=_product(package) if embedded or side else None,
    )


def _package(stream: PackageStream, size: int) -> _Package:
    """Everything before the payload."""
    require_lead(stream.take(LEAD_BYTES))
    signature_blob = _blob(stream, size)
    stream.take(-len(signature_blob) % 8)
    signature_header = parse_header(signature_blob, HEADER_SIGNATURES)
    start = LEAD_BYTES + len(signature_blob) + -len(signature_blob) % 8
    main_blob = _blob(stream, size)
    main = parse_header(main_blob, HEADER_IMMUTABLE)
    return _Package(
        signature_header=signature_header,
        main=main,
        found=signatures_of(signature_header, main),
        bound=payload_digests(main),
        start=start,
        payload_start=start + len(main_blob),
        size=size,
    )


def _blob(stream: PackageStream, size: int) -> bytes:
    """The header that begins here."""
    intro = stream.take(INTRO_BYTES)
    length = header_bytes(intro)
    if length > size:
        raise MalformedError("rpm: a header that is larger than the file")
    return intro + stream.take(length - INTRO_BYTES)


def _over_header(package: _Package) -> tuple[SignatureFact, ...]:
    """The facts of signatures over the header, those of format 6 first; they decide only where what they say of the payload is enough."""
    found = package.found
    decides = bool(package.bound) or not found.package
    ignored = bool(found.header_v6) and package.main.integer(FORMAT) == FORMAT_6
    facts: list[SignatureFact] = []
    for values, counts in ((found.header_v6, decides), (found.header, decides and not ignored)):
        role = SignatureRole.ALTERNATIVE if counts else SignatureRole.REPORTED
        read_values = joined(*map(read_openpgp, values))
        complete = read_values.complete(digests_of(package.main.blob, read_values.digests))
        facts += [replace(fact, role=role) for fact in complete]
    return tuple(facts)


def _digested(
    stream: PackageStream, package: _Package, over_package: SignatureFiles
) -> tuple[PartDigests, PartDigests]:
    """Digests over main header with payload, and over the payload alone."""
    length = package.size - package.payload_start
    wanted = {*over_package.digests, *([_MD5] if package.signature_header.has(MD5) else [])}
    whole = PartDigests(wanted, package.size - package.start, keep=bool(over_package.pending))
    payload = PartDigests(map(DigestRequest, package.bound), length)
    whole.update(package.main.blob)
    for chunk in stream.chunks(length):
        whole.update(chunk)
        payload.update(chunk)
    return whole, payload


def _mismatch(
    package: _Package,
    whole: Mapping[DigestRequest, DigestState],
    payload: Mapping[DigestRequest, DigestState],
) -> Problem | None:
    """The first digest in the package that is not that of what it is about."""
    wrong = [f"payload's {name}" for name, values in package.bound.items() if _value(payload, name) not in values]
    for name, value in header_digests(package.signature_header).items():
        if hashlib.new(name, package.main.blob, usedforsecurity=False).digest() != value:
            wrong.append(f"header's {name}")
    md5 = package.signature_header.binary(MD5)
    if md5 is not None and md5 != _value(whole, _MD5.algorithm):
        wrong.append("package's md5")
    if not wrong:
        return None
    return Problem(Reason.INVALID_SIGNATURE, f"the {wrong[0]} digest is not the one that the package states")


def _value(states: Mapping[DigestRequest, DigestState], algorithm: str) -> bytes:
    return states[DigestRequest(algorithm)].copy().digest()


def _downgrade(package: _Package) -> Problem | None:
    """Whether an unsigned package has lost the digests that rpm has written since its payload digests (both rpm 4.14)."""
    if not package.bound or set(header_digests(package.signature_header)) - {"sha1"}:
        return None
    return Problem(
        Reason.DOWNGRADE, "rpm: only MD5 and SHA-1 digests are left of a package that was made with stronger ones"
    )


def _coverage(package: _Package, *, signed: bool, beside: bool) -> Coverage:
    size = package.size
    if not signed:
        return Coverage(size) if beside else Coverage(uncovered=(Uncovered(start=0, end=size),))
    before = Uncovered(start=0, end=package.start, inert=True)
    if package.bound or package.found.package:
        return Coverage(size - package.start, (before,))
    header = package.payload_start - package.start
    return Coverage(header, (before, Uncovered(start=package.payload_start, end=size)))


def _product(package: _Package) -> Product | None:
    stated = product_of(package.main)
    return Product(*stated) if stated is not None else None
