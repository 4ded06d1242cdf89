"""A Visual Studio extension (VSIX): a package of the Open Packaging Conventions with an XML signature over its parts."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from trust_store.decode import cms, opc_package
from trust_store.decode.member_bytes import MemberBytes
from trust_store.decode.member_names import folded, folders_above
from trust_store.decode.opc_package import CONTENT_TYPES, ROOT_RELATIONSHIPS
from trust_store.decode.plain_xml import parse_xml
from trust_store.decode.xml_signature import canonical_document, parse_signature
from trust_store.decode.zip_archive import may_hold, read_directory, walk
from trust_store.errors import READ_ERRORS, MalformedError, ResourceLimitError, UnsupportedError
from trust_store.formats.pinned import PinnedSource
from trust_store.formats.protocol import Reading
from trust_store.formats.sequence import SourceSequence
from trust_store.formats.side_signatures import problem_of, read_side
from trust_store.formats.unsigned_zip import unsigned_zip
from trust_store.formats.zip_coverage import member_coverage
from trust_store.model.package_facts import (
    Coverage,
    Problem,
    Product,
    SideFile,
    SignatureFact,
    SignatureOrigin,
)
from trust_store.model.verdict import Reason
from trust_store.quick_dataclass import dataclass
from trust_store.signatures import opc_xmldsig
from trust_store.signatures.protocol import MAX_SIGNATURE_FILE_BYTES, WEAK_DIGESTS

if TYPE_CHECKING:
    from trust_store.decode.opc_package import Relationship
    from trust_store.decode.xml_signature import PartReference, XMLSignature
    from trust_store.decode.zip_directory import Directory, Member
    from trust_store.formats.protocol import PackageSource, ReadLimits, SideMaterial

NAME = "vsix"
VERSION = 1
CONTAINER = "zip"
DOC = """Visual Studio extensions (.vsix): a zip with extension.vsixmanifest, or with an OPC digital signature (ECMA-376-2 clause 10).

The root's relationships lead to the signature origin, and its to the one signature; more than one is `unsupported_format`. SignedInfo
refers to one object of the same part, whose manifest lists parts with their digests and media types. Transforms are none, Canonical XML
1.0, and the relationships transform with Canonical XML 1.0: any other is `unsupported_format`. A part that is absent, is not what the
manifest says, or has another type in [Content_Types].xml is `invalid_signature`; one that is not listed is uncovered content. Where a
part is signed in canonical form or by its relationships, what it says is covered, not how that is written.

Inert and uncovered: [Content_Types].xml but for those types, the origin (which is empty), the signature, certificates that its
relationships name, and relationships that lead to these or to parts that are covered. SHA-1 is
`weak_algorithm`. Comments, processing instructions, document types and attributes of the xml namespace in signed XML are `malformed`.
Identifier and version are those of extension.vsixmanifest. Fixtures: packages built from the specification, their XML signed by xmlsec1."""

MANIFEST = "extension.vsixmanifest"
_SIGNATURES = b"digital-signature/"
_MAX_XML_BYTES, _MAX_KEPT_BYTES = 4 * 1024 * 1024, 12 * 1024 * 1024
"""Of one member that says something about others, and of all of them together."""
_XML_SUFFIXES = (".rels", ".psdsxs", ".psdor", ".cer")


@dataclass(frozen=True, slots=True)
class _Package:
    """What is read: the members' names by their folded form, and the content of those that say something."""

    names: dict[str, str]
    contents: dict[str, bytes]

    def relationships(self, part: str) -> tuple[Relationship, ...]:
        """Those of ``part``, of the package where that is empty; raises MalformedError or ResourceLimitError."""
        member = self.member(opc_package.relationships_of(part))
        return opc_package.parse_relationships(self.content(member), member) if member else ()

    def member(self, part: str) -> str:
        """The member that is the part, empty where there is none."""
        return self.names.get(folded(part), "")

    def content(self, member: str) -> bytes:
        """Its content; raises ResourceLimitError where it was not read."""
        if member not in self.contents:
            raise ResourceLimitError(f"VSIX: {member[:80]!a} is too large to be read as what it is")
        return self.contents[member]


@dataclass(frozen=True, slots=True)
class _Signed:
    """The signature's parts: members of origin, signature and certificates."""

    origin: str
    signature: str
    certificates: tuple[str, ...]

    @property
    def members(self) -> set[str]:
        """All of them; relationships of theirs are looked at like others."""
        return {self.origin, self.signature, *self.certificates}


class _Digests:
    """One member's digests by every algorithm that the manifest uses for it."""

    def __init__(self, algorithms: set[str]) -> None:
        self.states = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}

    def update(self, data: bytes, /) -> None:
        """Take the next piece."""
        for state in self.states.values():
            state.update(data)


def recognises(source: PackageSource, limits: ReadLimits) -> bool:
    """Whether there is an extension's manifest, or a signature of the kind that packages have."""
    if not (may_hold(source, MANIFEST.encode("ascii"), limits) or may_hold(source, _SIGNATURES, limits)):
        return False
    names = {member.name for member in read_directory(source, limits).members}
    signed = any(name.startswith("package/services/digital-signature/") for name in names)
    return CONTENT_TYPES in names and (MANIFEST in names or (signed and ROOT_RELATIONSHIPS in names))


def read(source: PackageSource, side: tuple[SideMaterial, ...], limits: ReadLimits) -> Reading:
    """Read the package; raises MalformedError, UnsupportedError or ResourceLimitError."""
    directory = read_directory(source, limits)
    files = read_side(side)
    pinned = PinnedSource(source, files.digests)
    package = _package(pinned, directory)
    beside = files.complete(pinned.states)
    signed = _signed(package)
    if signed is None:
        return unsigned_zip(pinned, directory, beside)
    data = package.content(signed.signature)
    file = SideFile(signed.signature, hashlib.sha256(data).hexdigest())
    try:
        signature = parse_signature(data)
        certificates = tuple(_certificate(package.content(name)) for name in signed.certificates)
    except READ_ERRORS as error:
        fact = SignatureFact(opc_xmldsig.NAME, SignatureOrigin.EMBEDDED, file, problem_of(error))
        return Reading(pinned.sha256, (fact, *beside), Coverage())
    covered, problem = _compare(pinned, directory, package, signature)
    fact = opc_xmldsig.fact(
        signature, certificates, file, matches=problem is None or problem.reason is not Reason.INVALID_SIGNATURE
    )
    inert = _inert(directory, package, signed, covered)
    coverage = member_coverage(pinned, directory, signed=covered, inert=inert)
    product = _product(package) if MANIFEST in covered else None
    return Reading(pinned.sha256, (fact, *beside), coverage, problem, product=product)


def _package(source: PinnedSource, directory: Directory) -> _Package:
    """Walk the archive for the members that say something about others."""
    sinks: dict[str, MemberBytes] = {}
    kept = 0

    def sink_of(member: Member) -> MemberBytes | None:
        nonlocal kept
        if not member.name.lower().endswith(_XML_SUFFIXES) and member.name not in (CONTENT_TYPES, MANIFEST):
            return None
        signature = member.name.lower().endswith(".psdsxs")
        if member.size > min(MAX_SIGNATURE_FILE_BYTES if signature else _MAX_XML_BYTES, _MAX_KEPT_BYTES - kept):
            return None
        kept += member.size
        return sinks.setdefault(member.name, MemberBytes())

    walk(SourceSequence(source), directory, sink_of)
    names = {folded(member.name): member.name for member in directory.members if not member.is_folder}
    return _Package(names, {name: sink.data for name, sink in sinks.items()})


def _signed(package: _Package) -> _Signed | None:
    """The signature's parts, found as every reader of packages finds them; raises MalformedError or UnsupportedError."""
    origins = _leading(package, "", opc_package.ORIGIN)
    if not origins:
        return None
    if len(origins) > 1:
        raise MalformedError("VSIX: two signature origins")
    signatures = _leading(package, origins[0], opc_package.SIGNATURE)
    if len(signatures) > 1:
        raise UnsupportedError("VSIX: more than one signature")
    if not signatures:
        return None
    return _Signed(origins[0], signatures[0], _leading(package, signatures[0], opc_package.CERTIFICATE))


def _leading(package: _Package, part: str, kind: str) -> tuple[str, ...]:
    """The members to which relationships of a kind lead; raises MalformedError where one is not there."""
    parts = [one.part for one in package.relationships(part) if one.kind == kind]
    found = tuple(dict.fromkeys(package.member(one or "") for one in parts))
    if "" in found:
        raise MalformedError(f"VSIX: a relationship of kind {kind.rpartition('/')[2]} that leads nowhere")
    return found


def _certificate(data: bytes) -> bytes:
    """``data``, which is a certificate: a part that calls itself one may be anything; raises MalformedError."""
    cms.certificate_names(data)
    return data


def _compare(
    source: PinnedSource, directory: Directory, package: _Package, signature: XMLSignature
) -> tuple[set[str], Problem | None]:
    """The members that the manifest covers, and what differs; a digest that is too weak where nothing does."""
    types = opc_package.parse_content_types(package.content(CONTENT_TYPES))
    wanted: dict[str, set[str]] = {}
    parts: list[tuple[str, PartReference]] = []
    for reference in signature.references:
        name, media = opc_package.part_and_type(reference.uri)
        member = package.member(name)
        if not member:
            return set(), Problem(Reason.INVALID_SIGNATURE, f"VSIX: {name[:80]!a} is signed and not in the package")
        if types.of(member) != media:
            return set(), Problem(
                Reason.INVALID_SIGNATURE, f"VSIX: {name[:80]!a} was signed as something else than it is"
            )
        parts.append((member, reference))
        wanted.setdefault(member, set()).add(reference.algorithm)
    if len(wanted) < len(parts):
        raise MalformedError("VSIX: the manifest lists a part twice")
    sinks = {member: _Digests(algorithms) for member, algorithms in wanted.items()}
    walk(SourceSequence(source), directory, lambda member: sinks.get(member.name))
    for member, reference in parts:
        if not hmac.compare_digest(_digest(package, member, reference, sinks[member]), reference.digest):
            return set(), Problem(
                Reason.INVALID_SIGNATURE, f"VSIX: {member[:80]!a} is not what the manifest says it is"
            )
    covered = {
        member
        for member, reference in parts
        if not reference.relationships or _all_selected(package, member, reference)
    }
    weak = {reference.algorithm for reference in signature.references} | {signature.object_algorithm}
    if weak & WEAK_DIGESTS:
        return covered, Problem(
            Reason.WEAK_ALGORITHM, f"VSIX: digests of kind {', '.join(sorted(weak & WEAK_DIGESTS))}"
        )
    return covered, None


def _digest(package: _Package, member: str, reference: PartReference, digests: _Digests) -> bytes:
    if not reference.relationships and not reference.canonical:
        return digests.states[reference.algorithm].digest()
    data = package.content(member)
    if reference.relationships:
        data = opc_package.transformed(_selected(opc_package.parse_relationships(data, member), reference))
    else:
        data = canonical_document(data)
    return hashlib.new(reference.algorithm, data, usedforsecurity=False).digest()


def _selected(relationships: tuple[Relationship, ...], reference: PartReference) -> list[Relationship]:
    return [one for one in relationships if one.id in reference.ids or one.kind in reference.types]


def _all_selected(package: _Package, member: str, reference: PartReference) -> bool:
    """Whether the transform keeps every relationship: then the part is covered as a whole."""
    found = opc_package.parse_relationships(package.content(member), member)
    return len(_selected(found, reference)) == len(found)


def _inert(directory: Directory, package: _Package, signed: _Signed, covered: set[str]) -> set[str]:
    """Members that need no signature: those that are one, relationships that lead to nothing new, folders on the way to a part."""
    inert = {package.member(name) for name in signed.members} | {CONTENT_TYPES}
    inert -= {member.name for member in directory.members if member.name == signed.origin and member.size}
    leading = {
        member.name
        for member in directory.members
        if member.name.endswith(".rels") and _leads_only_inside(package, member.name, covered, inert)
    }
    return inert | leading | folders_above(package.names.values())


def _leads_only_inside(package: _Package, member: str, covered: set[str], inert: set[str]) -> bool:
    """Whether relationships that are not covered lead to the signature's parts or to covered ones, and nowhere else."""
    try:
        found = opc_package.parse_relationships(package.content(member), member)
    except READ_ERRORS:
        return False
    return all(one.part is not None and package.member(one.part) in covered | inert for one in found)


def _product(package: _Package) -> Product | None:
    """What the extension's manifest says (VSIX Extension Schema 2.0)."""
    try:
        root = parse_xml(package.content(MANIFEST), "VSIX: the manifest")
        said = root.one("Metadata", "VSIX: the manifest").one("Identity", "VSIX: the manifest").attributes
    except READ_ERRORS:
        return None
    identifier, version = said.get("Id", ""), said.get("Version", "")
    good = 0 < len(identifier) <= 256 and 0 < len(version) <= 64 and (identifier + version).isprintable()
    return Product(identifier, version) if good else None
