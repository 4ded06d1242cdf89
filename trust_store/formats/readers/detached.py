"""Any file with at least one signature beside it, over the whole of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from trust_store.decode.signed_structures import signed_structure
from trust_store.formats.protocol import CHUNK_BYTES, Reading
from trust_store.formats.side_signatures import read_side
from trust_store.formats.streaming import PackageStream
from trust_store.model.package_facts import Coverage, Problem
from trust_store.model.verdict import Reason
from trust_store.signatures import cms

if TYPE_CHECKING:
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial
    from trust_store.model.package_facts import SignatureFact

NAME = "detached"
VERSION = 4
CONTAINER = "none"
DOC = """A file of no known container with a detached signature (CMS, OpenPGP) beside it. The signature covers every byte.

A file of at most 1 MiB that is itself a structure which keys sign elsewhere (the signed attributes of a CMS signature, the content of a
certificate, of a request for one, of a revocation list or of an OCSP response) is `malformed` where the CMS signature beside it has no
signed attributes: the value may have been made for something else."""


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Any file that is not empty; only asked where there is a side file and no container."""
    return source.size > 0


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:  # noqa: ARG001
    """Read the package once; raises MalformedError."""
    files = read_side(side)
    stream = PackageStream(source, files.digests)
    beginning = stream.take(min(source.size, CHUNK_BYTES))
    stream.read_to_end()
    structure = signed_structure(beginning) if source.size == len(beginning) else None
    facts = tuple(_refused(fact, structure) for fact in files.complete(stream.states))
    return Reading(stream.sha256, facts, Coverage(covered_bytes=source.size))


def _refused(fact: SignatureFact, structure: str | None) -> SignatureFact:
    """The signature as one that cannot count, where its value may be one over ``structure`` that was made elsewhere."""
    if structure is None or fact.scheme != cms.NAME or fact.signed or fact.problem is not None:
        return fact
    detail = (
        f"CMS: no signed attributes, and the file is {structure}: it may have been signed as that and not as a file"
    )
    return replace(fact, problem=Problem(Reason.MALFORMED, detail))
