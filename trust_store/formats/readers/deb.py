"""Debian packages with signatures inside."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from trust_store.decode import openpgp_cleartext
from trust_store.decode.ar import HEADER_BYTES, MAGIC, PADDING, read_members
from trust_store.decode.deb_package import (
    BINARY,
    HEAD_BYTES,
    listed_members,
    members_of,
    product_of,
    read_control,
    require_data,
    require_version,
)
from trust_store.errors import ResourceLimitError, TrustStoreError
from trust_store.formats.protocol import Reading
from trust_store.formats.side_signatures import problem_of, read_side
from trust_store.formats.signed_content import of_cleartext
from trust_store.formats.signed_parts import PartDigests, read_openpgp
from trust_store.formats.streaming import PackageStream, SourceChangedError
from trust_store.model.package_facts import Coverage, Product, SignatureFact, SignatureOrigin, Uncovered
from trust_store.quick_dataclass import dataclass
from trust_store.signatures.protocol import MAX_SIGNATURE_FILE_BYTES, DigestRequest
from trust_store.signatures.schemes import OPENPGP

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trust_store.decode.ar import ArMember
    from trust_store.decode.deb_package import DebMembers
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial
    from trust_store.formats.side_signatures import SignatureFiles

NAME = "deb"
VERSION = 1
CONTAINER = "ar"
DOC = """Debian packages (deb(5)) with OpenPGP signatures in members ``_gpg<role>``, in both meanings that they have.

A detached signature (debsigs, nfpm) is over the contents of debian-binary, the control and the data member, one after another. A
cleartext-signed list (dpkg-sig) names each of the three with MD5, SHA-1 and size, all of which must match: intact, it is
`weak_algorithm`, since nothing stronger than SHA-1 binds the package. One good signature suffices; one that is evidence against
the package fails it. Any other member is uncovered content: dpkg passes over names that begin with `_`, and nobody has signed them.

Names and sizes of members no signature covers: the control member must be exactly one archive compressed as its name says, the data
member begin as its name says, and every byte of the ar archive be accounted for. Times, owners and modes in its headers nobody reads.
The data member is not unpacked. A control member of more than 16 MiB, or that unpacks to more than 64 MiB, is a `resource_limit`.

Fixtures made by dpkg-deb and debsigs; dpkg-sig, which Debian ships no more, built from what it wrote."""

_MD5, _SHA1 = DigestRequest("md5"), DigestRequest("sha1")
_FIRST_NAME = BINARY.encode()


@dataclass(frozen=True, slots=True)
class _Statement:
    """A cleartext-signed list of members: the signatures over it, and what it says."""

    facts: tuple[SignatureFact, ...]
    listed: Mapping[str, tuple[str, str, int]]


def recognises(source: PackageSource, limits: ReadLimits) -> bool:  # noqa: ARG001 - the protocol's signature
    """Whether the archive's first member is debian-binary."""
    return source.read_at(len(MAGIC), len(_FIRST_NAME)) == _FIRST_NAME


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:
    """Read the package once; raises MalformedError, UnsupportedError or ResourceLimitError."""
    members = read_members(source, max_members=limits.max_members)
    deb = members_of(members)
    if deb.control.size > limits.max_manifest_bytes:
        raise ResourceLimitError(f"deb: a control member of {deb.control.size} bytes")
    found = _Signatures(source, deb)
    files = read_side(side)
    contents = _Contents(deb, found)
    stream = PackageStream(source, files.digests)
    _walk(stream, members, contents, found)
    fields = read_control(deb.control.name, contents.control, limits.max_total_unpacked_bytes)
    embedded = found.facts(contents)
    product = product_of(fields) if embedded or side else None
    content = contents.whole.content
    return Reading(
        stream.sha256,
        embedded + files.complete(stream.states),
        _coverage(source.size, deb, signed=bool(embedded), beside=bool(side)),
        signed={number: content for number, fact in enumerate(embedded) if not fact.signed},
        product=Product(*product) if product else None,
    )


class _Signatures:
    """The signatures in the members, read before the package is."""

    def __init__(self, source: PackageSource, deb: DebMembers) -> None:
        self.contents: dict[ArMember, bytes] = {}
        self.detached: list[SignatureFiles] = []
        self.statements: list[_Statement] = []
        self.unreadable: list[SignatureFact] = []
        for member in deb.signatures:
            if member.size > MAX_SIGNATURE_FILE_BYTES:
                raise ResourceLimitError(f"deb: a signature of {member.size} bytes")
            data = source.read_at(member.offset, member.size)
            self.contents[member] = data
            if data.startswith(openpgp_cleartext.BEGIN):
                self._statement(data)
            else:
                self.detached.append(read_openpgp(data))

    def _statement(self, data: bytes) -> None:
        try:
            content = of_cleartext(openpgp_cleartext.read_cleartext(data), origin=SignatureOrigin.EMBEDDED)
            self.statements.append(_Statement(content.facts(), listed_members(content.content)))
        except TrustStoreError as error:
            fact = SignatureFact(OPENPGP, SignatureOrigin.EMBEDDED, None, problem=problem_of(error))
            self.unreadable.append(fact)

    @property
    def digests(self) -> set[DigestRequest]:
        """What is wanted over the three members together."""
        return {request for files in self.detached for request in files.digests}

    def facts(self, contents: _Contents) -> tuple[SignatureFact, ...]:
        """All signatures, once the package has been read."""
        states = contents.whole.close()
        facts = [fact for files in self.detached for fact in files.complete(states)]
        own = contents.own_list() if self.statements else {}
        for statement in self.statements:
            # SHA-1 is the strongest thing by which such a statement binds the package
            facts += [
                replace(fact, content_matches=fact.content_matches and statement.listed == own, digest_algorithm="sha1")
                for fact in statement.facts
            ]
        return (*facts, *self.unreadable)


class _Contents:
    """What is taken of the three members while they pass by."""

    def __init__(self, deb: DebMembers, found: _Signatures) -> None:
        self._deb = deb
        self.wanted = deb.signed
        self.control = b""
        size = sum(member.size for member in deb.signed)
        self.whole = PartDigests(found.digests, size, keep=bool(found.detached))
        weak = {_MD5, _SHA1} if found.statements else set()
        self._each = {member: PartDigests(weak, member.size) for member in deb.signed}

    def take(self, member: ArMember, chunks: Iterator[bytes]) -> None:
        """The content of one of the three."""
        head = b""
        for chunk in chunks:
            self.whole.update(chunk)
            self._each[member].update(chunk)
            if member is self._deb.control:
                self.control += chunk
            elif len(head) < HEAD_BYTES:
                head += chunk[: HEAD_BYTES - len(head)]
        if member is self._deb.version:
            require_version(head if member.size < HEAD_BYTES else b"")
        elif member is self._deb.data:
            require_data(member.name, head)

    def own_list(self) -> dict[str, tuple[str, str, int]]:
        """What a dpkg-sig statement about this package says."""
        found: dict[str, tuple[str, str, int]] = {}
        for member, digests in self._each.items():
            states = digests.close()
            found[member.name] = states[_MD5].digest().hex(), states[_SHA1].digest().hex(), member.size
        return found


def _walk(stream: PackageStream, members: tuple[ArMember, ...], contents: _Contents, found: _Signatures) -> None:
    """The one pass; what was looked at before must be what is read now."""
    _require_same(stream.take(len(MAGIC)), MAGIC)
    for member in members:
        _require_same(stream.take(HEADER_BYTES), member.header)
        if member in contents.wanted:
            contents.take(member, stream.chunks(member.size))
        elif member in found.contents:
            _require_same(stream.take(member.size), found.contents[member])
        else:
            for _ in stream.chunks(member.size):
                pass
        _require_same(stream.take(member.next_offset - member.end), PADDING[: member.next_offset - member.end])


def _require_same(now: bytes, before: bytes) -> None:
    if now != before:
        raise SourceChangedError("the file changed while it was being read")


def _coverage(size: int, deb: DebMembers, *, signed: bool, beside: bool) -> Coverage:
    if not signed:
        return Coverage(size) if beside else Coverage(uncovered=(Uncovered(start=0, end=size),))
    covered = sorted((member.offset, member.end) for member in deb.signed)
    uncovered: list[Uncovered] = []
    position = 0
    for start, end in [*covered, (size, size)]:
        if position < start:
            uncovered.append(Uncovered(start=position, end=start, inert=True))
        position = end
    others = [Uncovered(member=member.name) for member in deb.others]
    return Coverage(sum(member.size for member in deb.signed), (*others, *uncovered))
