"""payload.bin of an Android A/B update as a package of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.decode.android_payload import MAGIC, read_payload
from trust_store.formats.payload_contents import PayloadDigests, payload_facts, payload_problem
from trust_store.formats.protocol import Reading
from trust_store.formats.side_signatures import read_side
from trust_store.formats.streaming import PackageStream
from trust_store.model.package_facts import Coverage, SignatureRole, Uncovered
from trust_store.signatures.protocol import DigestRequest

if TYPE_CHECKING:
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial

NAME = "android-payload"
VERSION = 1
CONTAINER = "none"
DOC = """payload.bin of an Android A/B update (magic CrAU, major version 2; system/update_engine).

The payload's signature is over header, manifest and data, all but the two signatures; one of several values suffices. The metadata's
signature, over header and manifest alone, is reported: the payload's covers that as well. Neither names its key: every key at hand is
tried, and a changed file is told apart from an unknown key only where an operation's data is not what the manifest says
(`invalid_signature`). The payload's signature must end the file. Only the two signatures are uncovered.
Fixtures built from the specification, values made by openssl's arithmetic: update_engine's tools are not in Debian."""


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Whether the file starts with the magic."""
    return source.read_at(0, len(MAGIC)) == MAGIC


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:  # noqa: ARG001
    """Read the payload; raises MalformedError, UnsupportedError or ResourceLimitError."""
    files = read_side(side)
    payload = read_payload(source)
    digests = PayloadDigests(payload)
    stream = PackageStream(source, files.digests)
    stream.states[DigestRequest("android payload")] = digests
    stream.read_to_end()
    facts = payload_facts(source, payload, digests, role=SignatureRole.ALTERNATIVE)
    beside = files.complete(stream.states)
    signatures = ((payload.metadata_end, payload.data_start), (payload.signature_start, payload.end))
    inert = tuple(Uncovered(start=start, end=end, inert=True) for start, end in signatures if start < end)
    if payload.signature_start == payload.end:  # nothing is over the data
        inert = () if side else (Uncovered(start=0, end=source.size),)
    covered = source.size - sum((gap.end or 0) - (gap.start or 0) for gap in inert)
    return Reading(stream.sha256, facts + beside, Coverage(covered, inert), payload_problem(digests))
