"""Which reader reads a package, and the facts that come of it: never an exception for what stands in the bytes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from trust_store.decode import zip_archive
from trust_store.errors import MalformedError, TrustStoreError, UnsupportedError
from trust_store.formats import android_ota, detached, vendor_bundle, zip_plain
from trust_store.formats.protocol import Reading
from trust_store.formats.side_signatures import problem_of
from trust_store.formats.streaming import FileSource, PackageStream
from trust_store.model.package_facts import Coverage, PackageFacts, Problem, SignatureOrigin
from trust_store.model.verdict import Reason
from trust_store.signatures import openpgp
from trust_store.signatures.schemes import with_candidates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trust_store.formats.protocol import PackageReader, PackageSource, ReadLimits, SideMaterial
    from trust_store.model.package_facts import KeyCheck, SignatureFact
    from trust_store.signatures.protocol import CandidateKey

CONTAINERS: tuple[tuple[str, Callable[[PackageSource], bool]], ...] = (("zip", zip_archive.recognises),)
"""Container -> whether the bytes are one. Containers are disjoint: two at once is malformed."""

MAX_OPINIONS = 8
READERS: tuple[PackageReader, ...] = (android_ota, vendor_bundle, zip_plain, detached)
"""All there are, in the order in which the readers of one container are asked; the last of each takes whatever is left."""


def read_package(
    source: PackageSource, side: tuple[SideMaterial, ...], candidates: tuple[CandidateKey, ...], limits: ReadLimits
) -> PackageFacts:
    """Read ``source`` with the signatures beside it, and try every signature's own certificates and ``candidates``.

    What is wrong with the package stands in the facts' ``problem``. ``sha256`` is always that of the whole file, except where
    it could not be read to its end, or is larger than ``limits`` allow: then it is empty.
    """
    facts = PackageFacts(
        sha256="", size=source.size, format=None, reader_version=0, material=tuple(sorted(s.file.sha256 for s in side))
    )
    if source.size > limits.max_package_bytes:
        return replace(facts, problem=Problem(Reason.RESOURCE_LIMIT, f"a package of {source.size} bytes"))
    try:
        return _read(facts, source, side, candidates, limits)
    except OSError as error:
        return replace(facts, problem=Problem(Reason.UNREADABLE, f"could not be read: {error.strerror or error}"[:500]))


def container_of(
    source: PackageSource, containers: Iterable[tuple[str, Callable[[PackageSource], bool]]] = CONTAINERS
) -> str:
    """The one container the bytes are, or ``none``; raises MalformedError naming both where they are two."""
    found = [name for name, recognises in containers if recognises(source)]
    if len(found) > 1:
        raise MalformedError(f"two containers at once: {' and '.join(found)}")
    return found[0] if found else "none"


def _read(
    facts: PackageFacts,
    source: PackageSource,
    side: tuple[SideMaterial, ...],
    candidates: tuple[CandidateKey, ...],
    limits: ReadLimits,
) -> PackageFacts:
    try:
        container = _container(source, side)
        if container == zip_plain.CONTAINER:  # what a broken archive is called
            facts = replace(facts, format=zip_plain.NAME, reader_version=zip_plain.VERSION)
        reader = next(r for r in READERS if container == r.CONTAINER and r.recognises(source, limits))
        facts = replace(facts, format=reader.NAME, reader_version=reader.VERSION)
        reading = reader.read(source, side, limits)
    except TrustStoreError as error:
        reading = Reading(_sha256(source), (), Coverage(), problem_of(error))
    signatures = tuple(_tried(fact, candidates, source, reading) for fact in reading.signatures)
    return replace(
        facts, sha256=reading.sha256, signatures=signatures, coverage=reading.coverage, problem=reading.problem
    )


def _container(source: PackageSource, side: tuple[SideMaterial, ...]) -> str:
    """The container; raises UnsupportedError where no reader can say anything about the bytes."""
    if source.size == 0:
        raise UnsupportedError("the file is empty")
    container = container_of(source)
    if container == "none" and not side:
        raise UnsupportedError("no known package format, and no signature beside it")
    return container


def _sha256(source: PackageSource) -> str:
    """Of the whole file where the reader gave up."""
    stream = PackageStream(source, ())
    stream.read_to_end()
    return stream.sha256


def _tried(
    fact: SignatureFact, candidates: tuple[CandidateKey, ...], source: PackageSource, reading: Reading
) -> SignatureFact:
    """``fact`` with its key checks, and the second opinion on each OpenPGP key under which it holds."""
    fact = with_candidates(fact, candidates)
    if fact.scheme != openpgp.SCHEME.NAME or not any(check.holds for check in fact.key_checks):
        return fact
    checks = tuple(_with_opinion(check, fact, candidates, source, reading) for check in fact.key_checks)
    return replace(fact, key_checks=checks)


def _with_opinion(
    check: KeyCheck,
    fact: SignatureFact,
    candidates: tuple[CandidateKey, ...],
    source: PackageSource,
    reading: Reading,
) -> KeyCheck:
    if not check.holds:
        return check
    signed: bytes | int | None = source.descriptor if isinstance(source, FileSource) else None
    if fact.origin is SignatureOrigin.EMBEDDED:
        signed = reading.signed
    elif signed is None:
        signed = source.read_at(0, source.size)
    if signed is None:
        return check
    keys = [key.material for key in candidates if _makes(fact, key, check)][:MAX_OPINIONS]
    opinions = {openpgp.second_opinion(signed, fact, key) for key in keys}
    # two states of one certificate may be at hand, an older one without an extension: either may be the one that counts
    return replace(check, second_opinion=next((o for o in (True, False) if o in opinions), None))


def _makes(fact: SignatureFact, key: CandidateKey, check: KeyCheck) -> bool:
    found = openpgp.SCHEME.holds(fact, key) if key.kind == "openpgp" else None
    return found is not None and found.key == check.key and found.owner == check.owner
