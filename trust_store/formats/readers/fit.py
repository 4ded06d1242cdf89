"""U-Boot's flattened image trees (``doc/usage/fit/signature.rst``): configurations signed by ``mkimage``."""

from __future__ import annotations

import hmac
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

from trust_store.decode import fdt, fit_image
from trust_store.errors import UnsupportedError
from trust_store.formats.fit_coverage import coverage_of
from trust_store.formats.part_names import part_named
from trust_store.formats.pinned import PinnedSource
from trust_store.formats.protocol import Reading
from trust_store.formats.ranges import digest_ranges, range_chunks
from trust_store.formats.side_signatures import read_side
from trust_store.model.package_facts import Coverage, Problem, SignatureFact, SignatureOrigin, SignatureRole
from trust_store.model.verdict import Reason
from trust_store.signatures.firmware_values import ECDSA_FIXED, PSS_MAX, open_algorithm

if TYPE_CHECKING:
    from trust_store.decode.fdt import Tree
    from trust_store.decode.fit_image import ImageData, NodeSignature
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial

NAME = "fit"
VERSION = 1
CONTAINER = "none"
DOC = """A U-Boot image tree (`.itb`, `.fit`) with data inside or after the tree; fixtures made by `mkimage`.

A configuration's signature (RSA PKCS #1 v1.5 or PSS, ECDSA, over SHA-1 to SHA-512) covers the nodes that `hashed-nodes` lists and, through
their hash nodes, the images it names. It carries no certificate, so that the key must be at hand; the key's name in it decides nothing.
Every configuration must be signed, since any may be booted; for each of them one good signature suffices. The root, the configuration,
every image that it names and all their hash nodes must be listed, and no other node; names of signed properties lie in the hashed
strings. Images without a digest of SHA-256 or better, images and nodes that nothing signs, and what lies between and after the images
(unless zeros) are uncovered content; what fills up the tree itself after its blocks is not read by anybody. A digest that does not match
is `invalid_signature`. Not covered are the signature nodes, the header, the name of the default configuration and where data lies.
Signatures of images alone are told and do not suffice. Unit addresses (`@`) are refused, encrypted images are judged as they lie."""

SCHEME = "fit"
HEAD_BYTES = 64 * 1024
_IMAGES_NODE = b"\0\0\0\1images\0"
_DIGESTS = {name: name for name in ("md5", "sha1", "sha256", "sha384", "sha512")}


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Whether it is a device tree with a node ``images``."""
    return source.read_at(0, 4) == fdt.MAGIC and _IMAGES_NODE in source.read_at(0, HEAD_BYTES)


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:  # noqa: ARG001
    """Read the image once, then its parts as they were read; raises MalformedError, UnsupportedError or ResourceLimitError."""
    files = read_side(side)
    pinned = PinnedSource(source, files.digests)
    tree = fdt.parse(pinned)
    images = fit_image.images_of(tree)
    signatures = fit_image.signatures_of(tree)
    facts = tuple(_fact(tree, images, one, _role(one, signatures)) for one in signatures)
    coverage = coverage_of(tree, images, signatures) if signatures or not side else Coverage(covered_bytes=source.size)
    problem = _mismatch(tree, images) if signatures else None
    return Reading(pinned.sha256, facts + files.complete(pinned.states), coverage, problem)


def _role(signature: NodeSignature, signatures: tuple[NodeSignature, ...]) -> SignatureRole:
    if not signature.of_configuration and any(one.of_configuration for one in signatures):
        return SignatureRole.REPORTED
    return SignatureRole.ALTERNATIVE


def _fact(tree: Tree, images: dict[str, ImageData], signature: NodeSignature, role: SignatureRole) -> SignatureFact:
    fact = SignatureFact(
        scheme=SCHEME,
        origin=SignatureOrigin.EMBEDDED,
        file=None,
        role=role,
        signature=signature.value,
        part=part_named(signature.owner),
    )
    try:
        algorithm = _algorithm(signature)
    except UnsupportedError as error:
        return replace(fact, problem=Problem(Reason.UNSUPPORTED_FORMAT, str(error)))
    if signature.of_configuration:
        ranges = fit_image.signed_ranges(tree, signature)
    else:
        image = images[signature.owner]
        ranges = ((image.start, image.end),)
    digest = digest_ranges(tree.source, ranges, (signature.digest,))[signature.digest]
    return replace(
        fact,
        digest_algorithm=signature.digest,
        signature_algorithm=algorithm,
        digest=digest,
        content_matches=True,
    )


def _algorithm(signature: NodeSignature) -> str:
    """How the value was made, by ``algo`` and ``padding``; raises UnsupportedError."""
    if signature.digest not in _DIGESTS:
        raise UnsupportedError(f"FIT: a signature over {signature.digest[:20]!a}")
    if signature.key_kind.startswith("rsa"):
        if signature.padding == "pss":
            octets = {"sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}.get(signature.digest, 16)
            return open_algorithm(PSS_MAX, f"rsa-pss/{octets}")
        if signature.padding == "pkcs-1.5":
            return "rsa-pkcs1"
    if signature.key_kind.startswith(("ecdsa", "secp")):
        return ECDSA_FIXED
    raise UnsupportedError(f"FIT: a signature by {signature.key_kind[:20]!a} with padding {signature.padding[:20]!a}")


def _mismatch(tree: Tree, images: dict[str, ImageData]) -> Problem | None:
    """An image that is not of a digest in one of its hash nodes."""
    for image in images.values():
        names = {algorithm for _, algorithm, _ in image.hashes if algorithm in _DIGESTS}
        digests = digest_ranges(tree.source, ((image.start, image.end),), names)
        if any(algorithm == "crc32" for _, algorithm, _ in image.hashes):
            digests["crc32"] = _crc32(tree, image)
        for node, algorithm, value in image.hashes:
            if algorithm in digests and not hmac.compare_digest(digests[algorithm], value):
                return Problem(Reason.INVALID_SIGNATURE, f"{image.path[:80]!a} is not what {node[:80]!a} says it is")
    return None


def _crc32(tree: Tree, image: ImageData) -> bytes:
    value = 0
    for piece in range_chunks(tree.source, image.start, image.end):
        value = zlib.crc32(piece, value)
    return value.to_bytes(4, "big")
