"""Which reader reads a package, and the facts that come of it: never an exception for what stands in the bytes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from trust_store.decode.containers import container_of
from trust_store.decode.zip_directory import find_end, read_tail
from trust_store.errors import ResourceLimitError, TrustStoreError, UnsupportedError
from trust_store.formats.protocol import CHUNK_BYTES, Reading
from trust_store.formats.registry import NONE, looked_at, of_container
from trust_store.formats.side_signatures import problem_of
from trust_store.formats.streaming import BytesSource, FileSource, PackageStream
from trust_store.model.package_facts import Coverage, Member, PackageFacts, Problem, SignatureOrigin
from trust_store.model.verdict import Reason
from trust_store.signatures.schemes import (
    MAX_CARRIED_CERTIFICATES,
    OPENPGP,
    shaped,
    with_candidates,
    without_long_message,
)

if TYPE_CHECKING:
    from trust_store.formats.protocol import MemberPackage, PackageReader, PackageSource, ReadLimits, SideMaterial
    from trust_store.model.package_facts import KeyCheck, Product, SignatureFact
    from trust_store.signatures.protocol import CandidateKey

MAX_OPINIONS = 8
MAX_SIGNATURES = 256
"""Of one package, beside it and in it: each is tried with keys and judged."""
MAX_CARRIED_TRIED = 512
"""Certificates that signatures carry and are tried with, of all signatures of one package together: at least one of each."""
MAX_PRODUCT_CHARACTERS = 1024
MAX_SHOWN_MEMBER_BYTES = 64 * 1024 * 1024
"""Of a larger package inside another the second OpenPGP reader judges the key alone: it takes a file, or bytes in memory."""
MAX_SHOWN_BYTES = 1024 * 1024
"""A larger file is not looked at to tell whether it is a signature."""
_ANYTHING = "detached"
"""The reader that takes whatever no other one does: only where there is a signature beside it."""
MAX_MEMBER_DEPTH = 2
MAX_MEMBERS = 64
"""Packages inside that are read, at all depths together."""
MAX_MEMBER_BYTES = 256 * 1024 * 1024
"""Of packages inside that had to be unpacked to be read, together; each may unpack to MEMBER_RATIO times its own size."""
MEMBER_RATIO = 4


def read_package(
    source: PackageSource,
    side: tuple[SideMaterial, ...],
    candidates: tuple[CandidateKey, ...],
    limits: ReadLimits,
    inside: _Inside | None = None,
) -> PackageFacts:
    """Read ``source`` with the signatures beside it, and try every signature's own certificates and ``candidates``.

    What is wrong with the package stands in the facts' ``problem``. ``sha256`` is always that of the whole file, except where
    it could not be read to its end, or is larger than ``limits`` allow: then it is empty. ``inside`` is what is left
    for packages inside, by the containers around it.
    """
    facts = PackageFacts(
        sha256="", size=source.size, format=None, reader_version=0, material=tuple(sorted(s.file.sha256 for s in side))
    )
    if source.size > limits.max_package_bytes:
        return replace(facts, problem=Problem(Reason.RESOURCE_LIMIT, f"a package of {source.size} bytes"))
    try:
        return _read(facts, source, side, candidates, limits, inside or _Inside())
    except OSError as error:
        return replace(facts, problem=Problem(Reason.UNREADABLE, f"could not be read: {error.strerror or error}"[:500]))


def import_readers(source: PackageSource) -> None:
    """Import what may read ``source``: before the isolation, and so going by a few bytes that are compared and not parsed."""
    try:
        container, shown = container_of(source), looked_at(source)
    except (TrustStoreError, OSError):
        return
    for entry in of_container(container):
        if entry.may_read(shown):
            entry.load()


def _read(
    facts: PackageFacts,
    source: PackageSource,
    side: tuple[SideMaterial, ...],
    candidates: tuple[CandidateKey, ...],
    limits: ReadLimits,
    inside: _Inside,
) -> PackageFacts:
    try:
        container = _container(source)
        readers = of_container(container)
        if container != NONE and readers:  # what one that is broken is called
            facts = replace(facts, format=readers[-1].name, reader_version=readers[-1].version)
        reader = _reader(container, source, limits)
        if reader.NAME == _ANYTHING and not side:
            raise UnsupportedError(_alone(source))
        facts = replace(facts, format=reader.NAME, reader_version=reader.VERSION)
        reading = reader.read(source, side, limits)
        _require_short(reading.product)
        if len(reading.signatures) > MAX_SIGNATURES:
            raise ResourceLimitError(f"{len(reading.signatures)} signatures")
    except TrustStoreError as error:
        reading = Reading(_sha256(source), (), Coverage(), problem_of(error))
    signatures = tuple(_tried(n, fact, candidates, source, reading) for n, fact in enumerate(reading.signatures))
    return replace(
        facts,
        sha256=reading.sha256,
        signatures=signatures,
        coverage=reading.coverage,
        problem=reading.problem,
        product=_product(reading),
        members=_members(reading.members, candidates, limits, inside),
    )


def _product(reading: Reading) -> Product | None:
    """What the metadata states where a signature speaks for it: nobody's word counts in a package without one, or in one of which some is
    not what was signed, or not signed at all."""
    readable = any(fact.problem is None for fact in reading.signatures)
    covered = all(gap.inert for gap in reading.coverage.uncovered)
    return reading.product if readable and covered and reading.problem is None else None


def _require_short(product: Product | None) -> None:
    """Raise ResourceLimitError for a product with a name or version that nobody could read, and no facts hold."""
    if product is not None and max(len(product.name), len(product.version or "")) > MAX_PRODUCT_CHARACTERS:
        raise ResourceLimitError(f"a name or version of more than {MAX_PRODUCT_CHARACTERS} characters")


def _alone(source: PackageSource) -> str:
    """What there is to say about a file of no known format without a signature beside it: it may be the signature."""
    data = source.read_at(0, MAX_SHOWN_BYTES) if source.size <= MAX_SHOWN_BYTES else b""
    schemes = shaped(data) if data else ()
    if not schemes:
        return "no known package format, and no signature beside it"
    return f"a signature ({schemes[0].NAME}), which carries no package: name the package, and give this file with --signature"


def _container(source: PackageSource) -> str:
    """The container; raises UnsupportedError for no bytes at all, MalformedError where the bytes are two."""
    if source.size == 0:
        raise UnsupportedError("the file is empty")
    return container_of(source)


def _reader(container: str, source: PackageSource, limits: ReadLimits) -> PackageReader:
    """The first reader of the container that recognises it; of a container without one, the reader of anything."""
    shown = looked_at(source, read_tail(source, find_end(source), limits) if container == "zip" else b"")
    for entry in (*of_container(container), *(() if container == NONE else of_container(NONE)[-1:])):
        if not entry.may_read(shown):
            continue
        reader = entry.load()
        if reader.recognises(source, limits):
            return reader
    raise UnsupportedError("no known package format")


def _sha256(source: PackageSource) -> str:
    """Of the whole file where the reader gave up."""
    stream = PackageStream(source, ())
    stream.read_to_end()
    return stream.sha256


class _Inside:
    """What packages inside a package may still cost, shared by all of them at whatever depth."""

    def __init__(self) -> None:
        self.depth, self.members, self.bytes = 0, MAX_MEMBERS, MAX_MEMBER_BYTES

    def opened(self, package: MemberPackage, limits: ReadLimits) -> tuple[PackageSource, ReadLimits]:
        """The package and the limits for it; raises ResourceLimitError where what was unpacked before leaves no room."""
        if self.bytes <= 0:
            raise ResourceLimitError("too much to unpack in the packages inside; unpack it and check it by itself")
        source = package.open()
        if isinstance(source, BytesSource):
            self.bytes -= source.size
            most = min(limits.max_total_unpacked_bytes, MEMBER_RATIO * source.size + CHUNK_BYTES)
            limits = replace(limits, max_total_unpacked_bytes=most)
        return source, limits


def _members(
    packages: tuple[MemberPackage, ...], candidates: tuple[CandidateKey, ...], limits: ReadLimits, inside: _Inside
) -> tuple[Member, ...]:
    """The facts of the packages inside, each read as if it stood alone; what is no package is left out."""
    found: list[Member] = []
    for package in packages if inside.depth < MAX_MEMBER_DEPTH else ():
        if inside.members <= 0:
            break
        facts = _member(package, candidates, limits, inside)
        if facts.problem is None or facts.problem.reason is not Reason.UNSUPPORTED_FORMAT:
            found.append(Member(package.name, facts))
    return tuple(found)


def _member(
    package: MemberPackage, candidates: tuple[CandidateKey, ...], limits: ReadLimits, inside: _Inside
) -> PackageFacts:
    """One of them; its bytes are let go before the next is opened."""
    inside.members -= 1
    inside.depth += 1
    try:
        source, own = inside.opened(package, limits)
        return read_package(source, package.side, candidates, own, inside)
    except TrustStoreError as error:
        return PackageFacts("", 0, None, 0, problem=problem_of(error))
    finally:
        inside.depth -= 1


def _tried(
    number: int, fact: SignatureFact, candidates: tuple[CandidateKey, ...], source: PackageSource, reading: Reading
) -> SignatureFact:
    """``fact`` with its key checks, and the second opinion on each OpenPGP key under which it holds."""
    most = max(1, min(MAX_CARRIED_CERTIFICATES, MAX_CARRIED_TRIED // max(1, len(reading.signatures))))
    fact = with_candidates(fact, candidates, carried_certificates=most)
    if fact.scheme == OPENPGP and any(check.holds for check in fact.key_checks) and _is_shown(number, fact, reading):
        signed = _signed(number, fact, source, reading)
        checks = tuple(_with_opinion(check, fact, candidates, signed) for check in fact.key_checks)
        fact = replace(fact, key_checks=checks)
    return without_long_message(fact)


def _is_shown(number: int, fact: SignatureFact, reading: Reading) -> bool:
    """Whether the reader says what the signature is over, be it that it could not keep it."""
    content = reading.signed
    if fact.signed:
        return True
    if content is None or isinstance(content, bytes):
        return content is not None or fact.origin is not SignatureOrigin.EMBEDDED
    return number in content or fact.origin is not SignatureOrigin.EMBEDDED


def _signed(number: int, fact: SignatureFact, source: PackageSource, reading: Reading) -> bytes | int | None:
    """What the signature is over: a descriptor of the file, or bytes; None where it is too large to be kept."""
    if fact.signed:  # a list or message beside the package, which names it or contains it
        return fact.signed
    content = reading.signed
    if content is not None and not isinstance(content, bytes) and number in content:
        return content[number]
    if fact.origin is SignatureOrigin.EMBEDDED:
        return content if isinstance(content, bytes) else None
    if isinstance(source, FileSource):
        return source.descriptor
    return source.read_at(0, source.size) if source.size <= MAX_SHOWN_MEMBER_BYTES else None


def _with_opinion(
    check: KeyCheck, fact: SignatureFact, candidates: tuple[CandidateKey, ...], signed: bytes | int | None
) -> KeyCheck:
    if not check.holds:
        return check
    from trust_store.signatures import openpgp

    keys = [key.material for key in candidates if openpgp.makes(fact, key, check)][:MAX_OPINIONS]
    alone = signed is None or not openpgp.second_reader_reads(fact)
    if signed is None or alone:
        opinions = {openpgp.opinion_on_key(key) for key in keys}
    else:
        opinions = {openpgp.second_opinion(signed, fact, key) for key in keys}
    # two states of one certificate may be at hand, an older one without an extension: either may be the one that counts
    opinion = next((o for o in (True, False) if o in opinions), None)
    return replace(check, second_opinion=opinion, key_alone=alone and opinion is not None)
