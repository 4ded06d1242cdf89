"""Security catalogs (.cat): a signed list of digests, looked at as a package of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode.authenticode import MAX_MESSAGE_BYTES, recognises_trust_list
from trust_store.errors import ResourceLimitError
from trust_store.formats.protocol import Reading
from trust_store.formats.side_signatures import read_side
from trust_store.formats.streaming import PackageStream
from trust_store.model.package_facts import Coverage, Uncovered
from trust_store.signatures.authenticode import catalog_facts, read_catalog

if TYPE_CHECKING:
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial

NAME = "catalog"
VERSION = 1
CONTAINER = "none"
DOC = """A security catalog by itself: PKCS #7 over a certificate trust list. The files that it lists are not looked for; a catalog
given beside one of them is a signature over that file (scheme `catalog`).

The list is covered; the rest of the message, certificates and signature values, is the signature and inert. Nothing may follow the message.
At most 8 MiB and 100,000 files. Fixtures: lists built from the specification, signed by osslsigncode."""

_HEAD_BYTES = 160


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Whether it begins as a signed certificate trust list does."""
    return recognises_trust_list(source.read_at(0, _HEAD_BYTES))


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:  # noqa: ARG001
    """Read the catalog once; raises MalformedError, UnsupportedError or ResourceLimitError."""
    if source.size > MAX_MESSAGE_BYTES:
        raise ResourceLimitError(f"catalog: {source.size} bytes")
    files = read_side(side)
    stream = PackageStream(source, files.digests)
    data = stream.take(source.size)
    message, _ = read_catalog(data)
    start = data.index(message.content.raw)
    end = start + len(message.content.raw)
    uncovered = (Uncovered(start=0, end=start, inert=True), Uncovered(start=end, end=len(data), inert=True))
    return Reading(
        stream.sha256, catalog_facts(message) + files.complete(stream.states), Coverage(end - start, uncovered)
    )
