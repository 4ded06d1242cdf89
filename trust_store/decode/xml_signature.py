"""XML signatures of packages (XMLDSig 1.1 as ECMA-376-2 clause 10 restricts it): bytes -> values and canonical octets.

Only one form is read: SignedInfo refers once, to the one Object that holds the manifest of parts. Everything is taken from one tree, and
what could be seen in two ways (comments, processing instructions, a document type, two elements of one Id) is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import TYPE_CHECKING

from trust_store.decode.canonical_xml import canonical, parse_tree
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trust_store.decode.canonical_xml import XMLNode

MAX_REFERENCES = 65_535
MAX_CERTIFICATES = 16
MAX_SELECTORS = 4096
_DS = "{http://www.w3.org/2000/09/xmldsig#}"
_OPC = "{http://schemas.openxmlformats.org/package/2006/digital-signature}"
C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
RELATIONSHIPS = "http://schemas.openxmlformats.org/package/2006/RelationshipTransform"
DIGESTS = {
    "http://www.w3.org/2000/09/xmldsig#sha1": "sha1",
    "http://www.w3.org/2001/04/xmlenc#sha256": "sha256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384": "sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512": "sha512",
    "http://www.w3.org/2000/09/xmldsig#sha256": "sha256",
}
SIGNATURES = {"http://www.w3.org/2000/09/xmldsig#rsa-sha1": ("rsa-pkcs1", "sha1")}
SIGNATURES |= {
    f"http://www.w3.org/2001/04/xmldsig-more#{kind}-{digest}": (algorithm, digest)
    for kind, algorithm in (("rsa", "rsa-pkcs1"), ("ecdsa", "ecdsa"))
    for digest in ("sha256", "sha384", "sha512")
}


@dataclass(frozen=True, slots=True)
class PartReference:
    """One part: its URI, digest, and how its octets are made; ``ids`` and ``types`` select relationships where ``relationships`` is set."""

    uri: str
    algorithm: str
    digest: bytes
    canonical: bool = False
    relationships: bool = False
    ids: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class XMLSignature:
    """``signed`` is the canonical SignedInfo, ``object_matches`` whether its one digest is that of the object with the manifest.

    ``object_algorithm`` is that digest's; ``timestamp`` an RFC 3161 token over ``value``, None where there is none.
    """

    signed: bytes
    algorithm: str
    digest_algorithm: str
    value: bytes
    object_matches: bool
    object_algorithm: str
    references: tuple[PartReference, ...]
    certificates: tuple[bytes, ...]
    timestamp: bytes | None


def parse_signature(data: bytes) -> XMLSignature:
    """Read a signature part; raises MalformedError, UnsupportedError or ResourceLimitError."""
    root = parse_tree(data)
    if root.name != _DS + "Signature":
        raise MalformedError("XML signature: the root is no Signature")
    info = root.one(_DS + "SignedInfo")
    if _algorithm(info.one(_DS + "CanonicalizationMethod")) != C14N:
        raise UnsupportedError("XML signature: a canonicalization other than Canonical XML 1.0 without comments")
    method = _algorithm(info.one(_DS + "SignatureMethod"))
    if method not in SIGNATURES:
        raise UnsupportedError(f"XML signature: signature method {method[:80]!a}")
    algorithm, digest_algorithm = SIGNATURES[method]
    package, object_algorithm, matches = _package_object(root, info)
    references = tuple(_references(package.one(_DS + "Manifest")))
    value = _base64(root.one(_DS + "SignatureValue").text)
    return XMLSignature(
        signed=canonical(info),
        algorithm=algorithm,
        digest_algorithm=digest_algorithm,
        value=_der_value(value) if algorithm == "ecdsa" else value,
        object_matches=matches,
        object_algorithm=object_algorithm,
        references=references,
        certificates=_certificates(root),
        timestamp=_timestamp(root),
    )


def canonical_document(data: bytes) -> bytes:
    """A whole document in Canonical XML 1.0 without comments; raises MalformedError or ResourceLimitError."""
    return canonical(parse_tree(data))


def _package_object(root: XMLNode, info: XMLNode) -> tuple[XMLNode, str, bool]:
    """The one object that SignedInfo refers to, the digest that is used, and whether it is the object's."""
    reference = info.one(_DS + "Reference")
    uri = reference.attributes.get("URI") or ""
    transforms = [_algorithm(one) for group in reference.all(_DS + "Transforms") for one in group.elements]
    if transforms not in ([], [C14N]):
        raise UnsupportedError("XML signature: a transform of the manifest other than Canonical XML 1.0")
    identifiers = [
        one.attributes.get(name)
        for one in root.walk()
        for name in ("Id", "ID", "id")
        if one.attributes.get(name) is not None
    ]
    if not uri.startswith("#") or identifiers.count(uri[1:]) != 1:
        raise MalformedError("XML signature: SignedInfo does not refer to one element of the signature")
    objects = [one for one in root.all(_DS + "Object") if one.attributes.get("Id") == uri[1:]]
    if len(objects) != 1:
        raise MalformedError("XML signature: SignedInfo does not refer to an object")
    algorithm, digest = _digest(reference)
    found = hashlib.new(algorithm, canonical(objects[0]), usedforsecurity=False).digest()
    return objects[0], algorithm, hmac.compare_digest(found, digest)


def _references(manifest: XMLNode) -> Iterator[PartReference]:
    elements = manifest.elements
    if not 0 < len(elements) <= MAX_REFERENCES:
        raise ResourceLimitError(f"XML signature: {len(elements)} references")
    for element in elements:
        if element.name != _DS + "Reference":
            raise MalformedError("XML signature: something other than a reference in the manifest")
        algorithm, digest = _digest(element)
        uri = element.attributes.get("URI") or ""
        steps = [step for group in element.all(_DS + "Transforms") for step in group.elements]
        names = [_algorithm(step) for step in steps]
        if names == [RELATIONSHIPS, C14N]:
            ids, types = _selected(steps[0])
            yield PartReference(uri, algorithm, digest, relationships=True, ids=ids, types=types)
        elif names in ([], [C14N]):
            yield PartReference(uri, algorithm, digest, canonical=bool(names))
        else:
            raise UnsupportedError(f"XML signature: transforms {', '.join(names)[:200]!a}")


def _selected(transform: XMLNode) -> tuple[frozenset[str], frozenset[str]]:
    """Identifiers and types of the relationships that the transform keeps (ECMA-376-2 10.2.4.7)."""
    ids: set[str] = set()
    types: set[str] = set()
    for element in transform.elements:
        identifier, kind = element.attributes.get("SourceId"), element.attributes.get("SourceType")
        if element.name == _OPC + "RelationshipReference" and identifier:
            ids.add(identifier)
        elif element.name in (_OPC + "RelationshipsGroupReference", _OPC + "RelationshipGroupReference") and kind:
            types.add(kind)
        else:
            raise MalformedError("XML signature: a relationships transform that selects nothing known")
    if len(ids) + len(types) > MAX_SELECTORS:
        raise ResourceLimitError("XML signature: a relationships transform with too many selectors")
    return frozenset(ids), frozenset(types)


def _digest(reference: XMLNode) -> tuple[str, bytes]:
    name = _algorithm(reference.one(_DS + "DigestMethod"))
    if name not in DIGESTS:
        raise UnsupportedError(f"XML signature: digest method {name[:80]!a}")
    digest = _base64(reference.one(_DS + "DigestValue").text)
    if len(digest) != hashlib.new(DIGESTS[name], usedforsecurity=False).digest_size:
        raise MalformedError(f"XML signature: a {DIGESTS[name]} of {len(digest)} bytes")
    return DIGESTS[name], digest


def _certificates(root: XMLNode) -> tuple[bytes, ...]:
    found = [
        _base64(one.text)
        for info in root.all(_DS + "KeyInfo")
        for group in info.all(_DS + "X509Data")
        for one in group.all(_DS + "X509Certificate")
    ]
    if len(found) > MAX_CERTIFICATES:
        raise ResourceLimitError(f"XML signature: more than {MAX_CERTIFICATES} certificates")
    return tuple(found)


def _timestamp(root: XMLNode) -> bytes | None:
    """The token that stands in an object of its own, which nobody signed."""
    found = [
        time.text
        for holder in root.all(_DS + "Object")
        for stamp in holder.elements
        if stamp.name == _OPC + "TimeStamp"
        for time in stamp.all(_OPC + "EncodedTime")
    ]
    return _base64(found[0]) if len(found) == 1 else None


def _der_value(value: bytes) -> bytes:
    """r and s, one after the other (RFC 4050 3.3), as the sequence that signatures are elsewhere (RFC 3279 2.2.3)."""
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    if not value or len(value) % 2:
        raise MalformedError(f"XML signature: an ECDSA value of {len(value)} bytes")
    half = len(value) // 2
    return encode_dss_signature(int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big"))


def _algorithm(element: XMLNode) -> str:
    return element.attributes.get("Algorithm") or ""


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError("XML signature: what should be base64 is not") from error
