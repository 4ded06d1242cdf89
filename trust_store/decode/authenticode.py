"""Authenticode messages (Microsoft, "Windows Authenticode Portable Executable Signature Format", 2008): bytes -> values, nothing verified.

A message is a PKCS #7 SignedData (RFC 2315 9.1) whose content is not an OCTET STRING: SpcIndirectDataContent, which states the digest of a
file, or a certificate trust list, which states those of many (a catalog). What is digested is the content without its tag and length.
"""

from __future__ import annotations

import hashlib

from trust_store.decode import cms
from trust_store.decode.asn1 import OCTET_STRING, SEQUENCE, SET, Element, read_one
from trust_store.decode.unsigned_attributes import attribute_values
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

ID_INDIRECT_DATA = "1.3.6.1.4.1.311.2.1.4"
ID_TRUST_LIST = "1.3.6.1.4.1.311.10.1"
ID_PE_IMAGE = "1.3.6.1.4.1.311.2.1.15"
ID_CABINET = "1.3.6.1.4.1.311.2.1.25"
ID_SIP_INFO = "1.3.6.1.4.1.311.2.1.30"
ID_NESTED_SIGNATURE = "1.3.6.1.4.1.311.2.4.1"
ID_CATALOG_USAGE = "1.3.6.1.4.1.311.12.1.1"
MSI_SUBJECT = bytes.fromhex("f1100c0000000000c000000000000046")
"""The identifier of the subject interface package for Windows Installer files, as it stands in a message."""
MAX_MESSAGE_BYTES = 8 * 1024 * 1024
MAX_INDIRECT_BYTES = 4 * 1024 * 1024
MAX_NESTED = 16
MAX_SIGNERS = 16
MAX_MEMBERS = 100_000
_CONTENT = 0xA0
_SIP_SUBJECT = 6


@dataclass(frozen=True, slots=True)
class IndirectData:
    """SpcIndirectDataContent: a digest of ``algorithm`` over a file that is read as ``kind`` (an object identifier) says.

    ``subject`` is the identifier of the subject interface package where ``kind`` is SpcSipInfo, else empty.
    """

    kind: str
    subject: bytes
    algorithm: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Signer:
    """One SignerInfo with its signed attributes; ``alternative`` is what else the value may be over (see ``message_signers``)."""

    info: cms.SignerInfo
    attributes: cms.SignedAttributes
    alternative: bytes | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One PKCS #7 message: its type, the octets that messageDigest is over, the content itself, who signed, who may help."""

    content_type: str
    octets: bytes
    content: Element
    signers: tuple[Signer, ...]
    certificates: tuple[bytes, ...]


def parse_message(data: bytes, *, unsigned: bool = False) -> Message:
    """Parse a message of either kind, ``unsigned`` if it may be without signers.

    Raises MalformedError, UnsupportedError or ResourceLimitError.
    """
    if len(data) > MAX_MESSAGE_BYTES:
        raise ResourceLimitError(f"Authenticode: a message of more than {MAX_MESSAGE_BYTES} bytes")
    if data[:1] != bytes([SEQUENCE]):  # an armour has no place here
        raise MalformedError("Authenticode: the signature is no PKCS #7 message")
    signed = cms.parse_signed_data(data, unsigned=unsigned)
    if signed.content_type not in (ID_INDIRECT_DATA, ID_TRUST_LIST):
        raise UnsupportedError(f"Authenticode: a signature over content type {signed.content_type}")
    if signed.content is None:
        raise MalformedError("Authenticode: there is no content inside")
    inner = signed.content.expect(_CONTENT, "content").children()
    if len(inner) != 1:
        raise MalformedError("Authenticode: more than one content")
    content = inner[0]
    octets = content.content
    if content.tag == OCTET_STRING:  # RFC 5652 5.2.1: CMS wraps such a content, PKCS #7 does not
        content = read_one(octets, "Authenticode content")
    content.expect(SEQUENCE, "Authenticode content")
    return Message(signed.content_type, octets, content, _signers(signed), signed.certificates)


def _signers(signed: cms.SignedData) -> tuple[Signer, ...]:
    """Attributes are signed as a SET in DER (RFC 5652 5.4); some signers leave them in another order and sign them so."""
    if len(signed.signer_infos) > MAX_SIGNERS:
        raise ResourceLimitError(f"Authenticode: more than {MAX_SIGNERS} signers of one message")
    found: list[Signer] = []
    for info in signed.signer_infos:
        if info.attributes is None:  # RFC 5652 5.3: content of another type than data needs them
            raise MalformedError("Authenticode: a signer without signed attributes")
        attributes = cms.parse_attributes(info.attributes)
        if attributes.content_type != signed.content_type:  # RFC 5652 11.1
            raise MalformedError("Authenticode: the signed content type is not the content's")
        as_it_stands = bytes([SET]) + info.attributes.raw[1:]
        found.append(Signer(info, attributes, None if as_it_stands == attributes.signed else as_it_stands))
    return tuple(found)


def parse_indirect(content: Element, *, several: bool = False) -> IndirectData:
    """SpcIndirectDataContent, ``several`` digests in place of one where a format has them; raises MalformedError or UnsupportedError."""
    if len(content.raw) > MAX_INDIRECT_BYTES:  # page hashes are 36 bytes a page
        raise ResourceLimitError(f"Authenticode: an indirect content of more than {MAX_INDIRECT_BYTES} bytes")
    parts = content.expect(SEQUENCE, "SpcIndirectDataContent").children()
    if len(parts) != 2:  # data, messageDigest
        raise MalformedError("Authenticode: SpcIndirectDataContent is not what is digested and a digest")
    data = parts[0].expect(SEQUENCE, "SpcAttributeTypeAndOptionalValue").children()
    if not 0 < len(data) <= 2:  # type, value
        raise MalformedError("Authenticode: SpcAttributeTypeAndOptionalValue is not a type and at most one value")
    kind = data[0].oid("what is digested")
    subject = _subject(data[1]) if kind == ID_SIP_INFO and len(data) > 1 else b""
    return IndirectData(kind, subject, *_digest_info(parts[1], several=several))


def _subject(element: Element) -> bytes:
    """SpcSipInfo: a version, the identifier of the subject interface package, five reserved numbers."""
    parts = element.expect(SEQUENCE, "SpcSipInfo").children()
    if not 2 <= len(parts) <= _SIP_SUBJECT + 1:
        raise MalformedError("Authenticode: SpcSipInfo has the wrong parts")
    return next((part.content for part in parts if part.tag == OCTET_STRING), b"")


def _digest_info(element: Element, *, several: bool) -> tuple[str, bytes]:
    parts = element.expect(SEQUENCE, "DigestInfo").children()
    if len(parts) != 2:  # digestAlgorithm, digest
        raise MalformedError("Authenticode: DigestInfo is not an algorithm and a digest")
    algorithm = cms.digest_algorithm(parts[0])
    digest = parts[1].expect(OCTET_STRING, "digest").content
    if not several and len(digest) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
        raise MalformedError(f"Authenticode: a {algorithm} digest of {len(digest)} octets")
    return algorithm, digest


def nested_messages(info: cms.SignerInfo) -> tuple[bytes, ...]:
    """Further signatures over the same file, which stand where nobody signed that they do; raises ResourceLimitError."""
    found = attribute_values(info.unsigned, ID_NESTED_SIGNATURE)
    if len(found) > MAX_NESTED:
        raise ResourceLimitError(f"Authenticode: more than {MAX_NESTED} nested signatures")
    return tuple(value.raw for value in found)


def recognises_trust_list(data: bytes) -> bool:
    """Whether ``data`` claims to be a signed certificate trust list: its object identifier after that of signed-data."""
    return data[:1] == bytes([SEQUENCE]) and _SIGNED_DATA in data[2:18] and _TRUST_LIST in data[18:160]


def recognises_indirect(data: bytes) -> bool:
    """Whether ``data`` claims to be a message over the digest of one file."""
    return data[:1] == bytes([SEQUENCE]) and _SIGNED_DATA in data[2:18] and _INDIRECT in data[18:160]


_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
_TRUST_LIST = bytes.fromhex("06092b0601040182370a01")
_INDIRECT = bytes.fromhex("060a2b060104018237020104")


def parse_members(content: Element) -> tuple[tuple[str, bytes], ...]:
    """Algorithm and digest of every file that a trust list vouches for; raises MalformedError, UnsupportedError or ResourceLimitError.

    A member of which nothing but a name is stated vouches for nothing and is left out, as is one whose digest is of an unknown kind.
    """
    parts = content.expect(SEQUENCE, "certificate trust list").children()
    usage = next(iter(parts), None)
    if usage is None or ID_CATALOG_USAGE not in {
        one.oid("usage") for one in usage.expect(SEQUENCE, "usage").children()
    }:
        raise UnsupportedError("Authenticode: a certificate trust list that is no catalog")
    subjects = [part for part in parts[1:] if part.tag == SEQUENCE]
    # subjectAlgorithm is the first SEQUENCE after the usage, trustedSubjects the second, which may be absent
    listed = subjects[1].children() if len(subjects) > 1 else ()
    if len(listed) > MAX_MEMBERS:
        raise ResourceLimitError(f"Authenticode: a catalog of more than {MAX_MEMBERS} files")
    return tuple(dict.fromkeys(member for subject in listed for member in _member(subject)))


def _member(subject: Element) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for group in subject.expect(SEQUENCE, "catalog member").children()[1:]:
        for attribute in group.expect(SET, "member attributes").children():
            parts = attribute.expect(SEQUENCE, "member attribute").children()
            if len(parts) != 2:  # type, values
                raise MalformedError("Authenticode: a member attribute is not a type and its values")
            if parts[0].oid("member attribute") != ID_INDIRECT_DATA:
                continue
            for value in parts[1].expect(SET, "member attribute values").children():
                try:
                    stated = parse_indirect(value)
                except UnsupportedError:
                    continue
                found.append((stated.algorithm, stated.digest))
    return found
