"""The signature file of a NuGet package (NuGet package signatures technical details): CMS around a statement of the package's digest.

Bytes -> values, nothing verified. What NuGet demands of a signature's form is demanded here; who signed is another question.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import TYPE_CHECKING

from trust_store.decode import cms
from trust_store.decode.asn1 import OID, SEQUENCE, SET, Element, read_one
from trust_store.decode.timestamp_token import ID_AA_SIGNING_CERTIFICATE_V2, certificate_ids
from trust_store.decode.unsigned_attributes import ID_COUNTERSIGNATURE
from trust_store.errors import MalformedError, UnsupportedError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from trust_store.decode.timestamp_token import CertificateID

ID_COMMITMENT_TYPE = "1.2.840.113549.1.9.16.2.16"
"""RFC 5126 5.11.1."""
ID_PROOF_OF_ORIGIN = "1.2.840.113549.1.9.16.6.1"
ID_PROOF_OF_RECEIPT = "1.2.840.113549.1.9.16.6.2"
ID_SERVICE_INDEX_URL = "1.3.6.1.4.1.311.84.2.1.1.1"
AUTHOR, REPOSITORY = "author", "repository"
_KINDS = {ID_PROOF_OF_ORIGIN: AUTHOR, ID_PROOF_OF_RECEIPT: REPOSITORY}
_IA5_STRING = 0x16
_CONTENT = re.compile(rb"Version:1\r?\n\r?\n([0-9.]{1,40})-Hash:([A-Za-z0-9+/]{1,128}={0,2})\r?\n(?:\r?\n)?")
MAX_CONTENT_BYTES = 4096
PACKAGE_DIGESTS = ("sha256", "sha384", "sha512")


@dataclass(frozen=True, slots=True)
class NuGetSigner:
    """One signer of the package: who vouches (author or repository), and the certificate that the signature itself names."""

    kind: str
    info: cms.SignerInfo
    attributes: cms.SignedAttributes
    certificate_id: CertificateID


@dataclass(frozen=True, slots=True)
class NuGetSignature:
    """``content`` is what the primary signature is over; ``package_digest`` what that says of the package without the signature.

    ``countersigners`` are elements that call themselves countersignatures, not read yet: nobody signed that they are there.
    """

    content: bytes
    package_algorithm: str
    package_digest: bytes
    primary: NuGetSigner
    countersigners: tuple[Element, ...]
    certificates: tuple[bytes, ...]


def parse_signature(data: bytes) -> NuGetSignature:
    """Read ``.signature.p7s``; raises MalformedError, UnsupportedError or ResourceLimitError."""
    if data[:1] != bytes([SEQUENCE]):
        raise MalformedError("NuGet: the signature is no CMS message in DER")
    message = cms.parse_signed_data(data)
    if message.content_type != cms.ID_DATA:
        raise UnsupportedError(f"NuGet: a signature over content type {message.content_type}, not over data")
    if len(message.signer_infos) != 1:
        raise MalformedError(f"NuGet: {len(message.signer_infos)} primary signatures, expected one")
    content = cms.content_octets(message, max_bytes=MAX_CONTENT_BYTES)
    algorithm, digest = _statement(content)
    info = message.signer_infos[0]
    if info.attributes is None:
        raise MalformedError("NuGet: the primary signature has no signed attributes")
    attributes = cms.parse_attributes(info.attributes)
    if attributes.content_type != cms.ID_DATA:  # RFC 5652 11.1
        raise MalformedError(f"NuGet: the signed content type is {attributes.content_type}, the content's is data")
    primary = _signer(info, attributes)
    return NuGetSignature(content, algorithm, digest, primary, _countersigners(info), message.certificates)


def parse_countersigner(element: Element) -> NuGetSigner | None:
    """A repository's countersignature (RFC 5652 11.4); None for one by anybody else, which means nothing to NuGet.

    Raises MalformedError, UnsupportedError or ResourceLimitError.
    """
    info = cms.signer_info(element)
    if info.attributes is None:
        return None
    attributes = cms.parse_attributes(info.attributes, countersignature=True)
    if ID_PROOF_OF_RECEIPT not in _commitments(attributes):
        return None
    return _signer(info, attributes)


def _statement(content: bytes) -> tuple[str, bytes]:
    """Algorithm and digest of the package that the content states."""
    match = _CONTENT.fullmatch(content)
    if match is None:
        raise MalformedError("NuGet: what is signed is no statement of version 1 with one digest")
    algorithm = cms.DIGESTS.get(match[1].decode("ascii"), "")
    if algorithm not in PACKAGE_DIGESTS:
        raise UnsupportedError(f"NuGet: a package digest of kind {match[1].decode('ascii')}")
    try:
        digest = base64.b64decode(match[2], validate=True)
    except binascii.Error as error:
        raise MalformedError("NuGet: the package digest is not base64") from error
    if len(digest) != hashlib.new(algorithm).digest_size:
        raise MalformedError(f"NuGet: a {algorithm} digest of {len(digest)} bytes")
    return algorithm, digest


def _signer(info: cms.SignerInfo, attributes: cms.SignedAttributes) -> NuGetSigner:
    if info.signature_algorithm != "rsa-pkcs1":
        raise UnsupportedError(f"NuGet: a signature by {info.signature_algorithm}, which NuGet does not know")
    kinds = [_KINDS[oid] for oid in _commitments(attributes) if oid in _KINDS]
    if len(kinds) > 1:
        raise MalformedError("NuGet: the signer commits to more than one thing")
    if not kinds:
        raise UnsupportedError("NuGet: a signature neither of an author nor of a repository")
    if kinds[0] == REPOSITORY:
        _require_service_index(attributes)
    if not any(kind == ID_AA_SIGNING_CERTIFICATE_V2 for kind, _ in attributes.others):
        raise MalformedError("NuGet: the signed attributes do not name the signing certificate")
    return NuGetSigner(kinds[0], info, attributes, signing_certificate(attributes))


def signing_certificate(attributes: cms.SignedAttributes) -> CertificateID:
    """The certificate that the signed attributes say is the signer's (RFC 5035 3); raises MalformedError where that is not said once."""
    named = certificate_ids(attributes)
    if len(named) != 1:
        raise MalformedError(f"NuGet: {len(named)} attributes that name the signing certificate")
    return named[0]


def _commitments(attributes: cms.SignedAttributes) -> tuple[str, ...]:
    """The commitment types stated (RFC 5126 5.11.1), qualifiers left aside."""
    for kind, values in attributes.others:
        if kind == ID_COMMITMENT_TYPE:
            listed = [value.expect(SEQUENCE, "commitment type").children() for value in values]
            return tuple(parts[0].expect(OID, "commitment type").oid("commitment type") for parts in listed if parts)
    return ()


def _require_service_index(attributes: cms.SignedAttributes) -> None:
    """A repository says which one it is, by the address of its service index."""
    for kind, values in attributes.others:
        if kind == ID_SERVICE_INDEX_URL and len(values) == 1:
            url = values[0].expect(_IA5_STRING, "service index").content
            if url.startswith(b"https://") and url.isascii():
                return
    raise MalformedError("NuGet: a repository's signature that does not name its repository")


def _countersigners(info: cms.SignerInfo) -> tuple[Element, ...]:
    """The values of every countersignature attribute; raises MalformedError where the unsigned attributes cannot be read."""
    found: list[Element] = []
    attributes = info.unsigned.children() if info.unsigned is not None else ()
    for attribute in attributes:
        parts = attribute.expect(SEQUENCE, "attribute").children()
        if len(parts) == 2 and parts[0].oid("attribute type") == ID_COUNTERSIGNATURE:  # attrType, attrValues
            found += parts[1].expect(SET, "attribute values").children()
    return tuple(found)


def signed_attributes(signed: bytes, *, countersignature: bool) -> cms.SignedAttributes:
    """The attributes out of the DER that a signature value is over; raises MalformedError or ResourceLimitError."""
    return cms.parse_attributes(read_one(signed, "signed attributes"), countersignature=countersignature)
