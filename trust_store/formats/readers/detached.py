"""Any file with at least one signature beside it, over the whole of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.formats.protocol import Reading
from trust_store.formats.side_signatures import read_side
from trust_store.formats.streaming import PackageStream
from trust_store.model.package_facts import Coverage

if TYPE_CHECKING:
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial

NAME = "detached"
VERSION = 5
CONTAINER = "none"
DOC = """A file of no known container with a signature beside it, of any scheme below. The signature covers every byte.

One good signature suffices; a file that is handed over as one must hold. What a scheme without a structure of its own covers (bare values,
signify, CMS without signed attributes) must be nothing that keys sign in another protocol."""


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Any file that is not empty; only asked where there is a side file and no container."""
    return source.size > 0


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:  # noqa: ARG001
    """Read the package once; raises MalformedError."""
    files = read_side(side)
    stream = PackageStream(source, files.digests)
    stream.read_to_end()
    return Reading(stream.sha256, files.complete(stream.states), Coverage(covered_bytes=source.size))
