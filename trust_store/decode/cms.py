"""CMS SignedData (RFC 5652 section 5), DER or BER, bare or in PEM armour: bytes -> values, nothing judged and nothing verified."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime

from trust_store.decode.asn1 import (
    GENERALIZED_TIME,
    INTEGER,
    NULL,
    OCTET_STRING,
    OID,
    SEQUENCE,
    SET,
    UTC_TIME,
    Element,
    der,
    der_set,
    length_octets,
    read_one,
)
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

ID_DATA = "1.2.840.113549.1.7.1"
ID_SIGNED_DATA = "1.2.840.113549.1.7.2"
ID_CONTENT_TYPE = "1.2.840.113549.1.9.3"
ID_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
ID_SIGNING_TIME = "1.2.840.113549.1.9.5"
ID_MGF1 = "1.2.840.113549.1.1.8"
ID_SUBJECT_KEY_IDENTIFIER = "2.5.29.14"
_PKCS7_ARC = bytes.fromhex("06092a864886f70d0107")
_IMPLICIT_0, _IMPLICIT_1 = 0xA0, 0xA1
_KEY_IDENTIFIER = 0x80

MAX_CERTIFICATES = 64
MAX_SIGNER_INFOS = 64
MAX_ATTRIBUTES = 64
MAX_SALT_OCTETS = 2048
MAX_KEY_IDENTIFIER_OCTETS = 64

DIGESTS = {
    "1.2.840.113549.2.5": "md5",
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
    "2.16.840.1.101.3.4.2.4": "sha224",
    "2.16.840.1.101.3.4.2.7": "sha3_224",
    "2.16.840.1.101.3.4.2.8": "sha3_256",
    "2.16.840.1.101.3.4.2.9": "sha3_384",
    "2.16.840.1.101.3.4.2.10": "sha3_512",
}
RSA_ENCRYPTION = "1.2.840.113549.1.1.1"
RSASSA_PSS = "1.2.840.113549.1.1.10"
ED25519_OID = "1.3.101.112"
SIGNATURES: dict[str, tuple[str, str]] = {
    "1.2.840.113549.1.1.4": ("rsa-pkcs1", "md5"),
    "1.2.840.113549.1.1.5": ("rsa-pkcs1", "sha1"),
    "1.3.14.3.2.29": ("rsa-pkcs1", "sha1"),  # as old Microsoft tools wrote it (OIW)
    "1.2.840.113549.1.1.11": ("rsa-pkcs1", "sha256"),
    "1.2.840.113549.1.1.12": ("rsa-pkcs1", "sha384"),
    "1.2.840.113549.1.1.13": ("rsa-pkcs1", "sha512"),
    "1.2.840.113549.1.1.14": ("rsa-pkcs1", "sha224"),
    "2.16.840.1.101.3.4.3.13": ("rsa-pkcs1", "sha3_224"),
    "2.16.840.1.101.3.4.3.14": ("rsa-pkcs1", "sha3_256"),
    "2.16.840.1.101.3.4.3.15": ("rsa-pkcs1", "sha3_384"),
    "2.16.840.1.101.3.4.3.16": ("rsa-pkcs1", "sha3_512"),
    "1.2.840.10045.4.1": ("ecdsa", "sha1"),
    "1.2.840.10045.4.3.1": ("ecdsa", "sha224"),
    "1.2.840.10045.4.3.2": ("ecdsa", "sha256"),
    "1.2.840.10045.4.3.3": ("ecdsa", "sha384"),
    "1.2.840.10045.4.3.4": ("ecdsa", "sha512"),
    "2.16.840.1.101.3.4.3.9": ("ecdsa", "sha3_224"),
    "2.16.840.1.101.3.4.3.10": ("ecdsa", "sha3_256"),
    "2.16.840.1.101.3.4.3.11": ("ecdsa", "sha3_384"),
    "2.16.840.1.101.3.4.3.12": ("ecdsa", "sha3_512"),
    "1.2.840.10040.4.3": ("dsa", "sha1"),
    "2.16.840.1.101.3.4.3.1": ("dsa", "sha224"),
    "2.16.840.1.101.3.4.3.2": ("dsa", "sha256"),
    "2.16.840.1.101.3.4.3.3": ("dsa", "sha384"),
    "2.16.840.1.101.3.4.3.4": ("dsa", "sha512"),
}
"""Object identifier -> (signature algorithm, digest it names)."""
EC_PUBLIC_KEY, ECDSA_SPECIFIED = "1.2.840.10045.2.1", "1.2.840.10045.4.3"
_OF_THE_KEY = {RSA_ENCRYPTION: "rsa-pkcs1", "1.2.840.10040.4.1": "dsa", EC_PUBLIC_KEY: "ecdsa"}
"""The key's algorithm in place of the signature's, as RFC 3370 3.2 has it for RSA and jarsigner writes it for all."""

_ARMOUR = re.compile(
    rb"\s*-----BEGIN (CMS|PKCS7|PKCS #7 SIGNED DATA)-----\r?\n([A-Za-z0-9+/=\s]*?)-----END (CMS|PKCS7|PKCS #7 SIGNED DATA)-----\s*\Z"
)
_ARMOUR_START = re.compile(rb"\s{0,64}-----BEGIN (?:CMS|PKCS7|PKCS #7 SIGNED DATA)-----")


@dataclass(frozen=True, slots=True)
class SignerInfo:
    """RFC 5652 5.3. Either issuer and serial number or the subject key identifier is set.

    ``attributes`` are the signed ones, ``unsigned`` what nobody signed (``decode.unsigned_attributes``); None where absent.
    """

    issuer_der: bytes
    serial_number: int | None
    subject_key_identifier: str | None
    digest_algorithm: str
    signature_algorithm: str
    signature: bytes
    attributes: Element | None
    unsigned: Element | None = None


@dataclass(frozen=True, slots=True)
class SignedData:
    """RFC 5652 5.1: content type, the content that is inside, the X.509 certificates as they stood, and the signer infos."""

    content_type: str
    content: Element | None
    certificates: tuple[bytes, ...]
    signer_infos: tuple[SignerInfo, ...]

    @property
    def encapsulated(self) -> bool:
        """Whether content is inside."""
        return self.content is not None


@dataclass(frozen=True, slots=True)
class SignedAttributes:
    """RFC 5652 5.4 and 11: the octets the signature is over, the three attributes that always matter, and the others' values."""

    signed: bytes
    content_type: str
    message_digest: bytes
    signing_time: datetime | None
    others: tuple[tuple[str, tuple[Element, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class CertificateNames:
    """What a CMS signer identifier may refer to in a certificate, and its key."""

    issuer_der: bytes
    serial_number: int
    subject_key_identifier: str | None
    spki: bytes


def recognises(data: bytes) -> bool:
    """Whether ``data`` claims to be a PKCS #7 / CMS ContentInfo: PEM label, or a sequence that opens with such a type."""
    return bool(_ARMOUR_START.match(data)) or (data[:1] == b"\x30" and _PKCS7_ARC in data[2:18])


def unarmour(data: bytes) -> bytes:
    """The DER or BER inside ``data``: exactly one PEM block, or ``data`` itself; raises MalformedError."""
    if not _ARMOUR_START.match(data):
        return data
    block = _ARMOUR.match(data)
    if block is None or block[1] != block[3]:
        raise MalformedError("CMS: the PEM armour is broken or is followed by something else")
    try:
        return base64.b64decode(b"".join(block[2].split()), validate=True)
    except binascii.Error as error:
        raise MalformedError(f"CMS: the PEM armour is not base64: {error}") from error


def parse_signed_data(data: bytes, *, unsigned: bool = False) -> SignedData:
    """Parse a ContentInfo of type signed-data, ``unsigned`` if it may be without signer infos.

    Raises MalformedError, UnsupportedError or ResourceLimitError.
    """
    outer = read_one(unarmour(data), "CMS").expect(SEQUENCE, "ContentInfo").children()
    if len(outer) != 2:  # contentType, content
        raise MalformedError("CMS: ContentInfo has no content")
    if outer[0].oid("contentType") != ID_SIGNED_DATA:
        raise UnsupportedError(f"CMS: content type {outer[0].oid('contentType')} is not signed-data")
    content = outer[1].expect(_IMPLICIT_0, "ContentInfo content").children()
    if len(content) != 1:
        raise MalformedError("CMS: ContentInfo has more than one content")
    parts = list(content[0].expect(SEQUENCE, "SignedData").children())
    if len(parts) < 4:  # version, digestAlgorithms, encapContentInfo, signerInfos
        raise MalformedError("CMS: SignedData lacks a part")
    if not 0 < parts[0].integer("version") <= 5:  # RFC 5652 5.1
        raise MalformedError("CMS: no such SignedData version")
    announced = {
        _algorithm(part, "digest algorithm")[0] for part in parts[1].expect(SET, "digestAlgorithms").children()
    }
    content_type, inside = _encapsulated(parts[2])
    certificates: tuple[bytes, ...] = ()
    rest = parts[3:]
    if rest[0].tag == _IMPLICIT_0:
        certificates = _certificates(rest.pop(0))
    if (
        rest and rest[0].tag == _IMPLICIT_1
    ):  # revocation lists: not used, a list given by an attacker proves nothing here
        rest.pop(0)
    if len(rest) != 1:
        raise MalformedError("CMS: SignedData does not end with its signer infos")
    infos = rest[0].expect(SET, "signerInfos").children()
    if not infos and not unsigned:
        raise MalformedError("CMS: no signer infos, so nothing is signed")
    if len(infos) > MAX_SIGNER_INFOS:
        raise ResourceLimitError(f"CMS: more than {MAX_SIGNER_INFOS} signer infos")
    signers = tuple(signer_info(info) for info in infos)
    if not {signer.digest_algorithm for signer in signers} <= {DIGESTS.get(oid) for oid in announced}:
        # RFC 5652 5.1 leaves it open; openssl refuses it, and what one verifier refuses must not pass here
        raise MalformedError("CMS: a signer's digest algorithm is not among those of the message")
    return SignedData(content_type, inside, certificates, signers)


def parse_attributes(element: Element, *, countersignature: bool = False) -> SignedAttributes:
    """Read signed attributes (RFC 5652 5.3, 11.1 to 11.3): each at most once, content type and digest exactly once.

    Those of a ``countersignature`` need no content type (11.4), which is then empty; Windows writes it as data.
    """
    attributes = element.children()
    if not 0 < len(attributes) <= MAX_ATTRIBUTES:
        raise MalformedError(f"CMS: {len(attributes)} signed attributes")
    values: dict[str, tuple[Element, ...]] = {}
    encodings: list[bytes] = []
    for attribute in attributes:
        parts = attribute.expect(SEQUENCE, "attribute").children()
        if len(parts) != 2:  # attrType, attrValues
            raise MalformedError("CMS: an attribute is not a type and its values")
        kind = parts[0].oid("attribute type")
        if kind in values:
            raise MalformedError(f"CMS: signed attribute {kind} occurs twice")
        content = parts[1].expect(SET, "attribute values").children()
        if kind in (ID_CONTENT_TYPE, ID_MESSAGE_DIGEST, ID_SIGNING_TIME) and len(content) != 1:
            raise MalformedError(f"CMS: signed attribute {kind} has {len(content)} values")
        values[kind] = content
        body = der(parts[0]) + der_set([der(value) for value in content])
        encodings.append(bytes([SEQUENCE]) + length_octets(len(body)) + body)
    if ID_MESSAGE_DIGEST not in values or (ID_CONTENT_TYPE not in values and not countersignature):
        raise MalformedError("CMS: signed attributes lack the content type or the message digest")
    stated_type, digest = values.pop(ID_CONTENT_TYPE, None), values.pop(ID_MESSAGE_DIGEST)[0]
    content_type = stated_type[0].oid("content type") if stated_type else ""
    if countersignature and content_type not in ("", ID_DATA):
        raise MalformedError(f"CMS: a countersignature over content type {content_type}")
    stated = values.pop(ID_SIGNING_TIME, None)
    # RFC 5652 5.4: the digest is over the DER of SET OF, not over the implicit [0] that stands in the message
    return SignedAttributes(
        der_set(encodings),
        content_type,
        digest.expect(OCTET_STRING, "message digest").content,
        _time(stated[0]) if stated else None,
        tuple(values.items()),
    )


def content_octets(signed_data: SignedData, *, max_bytes: int) -> bytes:
    """The eContent (RFC 5652 5.2): one OCTET STRING, in BER perhaps in pieces (X.690 8.7.3); raises MalformedError where there is none."""
    if signed_data.content is None:
        raise MalformedError("CMS: there is no content inside")
    inner = signed_data.content.expect(_IMPLICIT_0, "eContent").children()
    if len(inner) != 1:
        raise MalformedError("CMS: more than one content")
    whole = inner[0].tag == OCTET_STRING
    pieces = inner if whole else inner[0].expect(OCTET_STRING | 0x20, "eContent").children()
    content = b"".join(piece.expect(OCTET_STRING, "a piece of eContent").content for piece in pieces)
    if len(content) > max_bytes:
        raise ResourceLimitError(f"CMS: a content of more than {max_bytes} bytes")
    return content


def certificate_names(certificate: bytes) -> CertificateNames:
    """The exact issuer, serial number, subject key identifier and key of a DER certificate; raises MalformedError."""
    parts = read_one(certificate, "certificate").expect(SEQUENCE, "certificate").children()
    fields = list(parts[0].expect(SEQUENCE, "TBSCertificate").children()) if parts else []
    if fields and fields[0].tag == _IMPLICIT_0:
        fields.pop(0)
    if len(fields) < 6:  # serialNumber .. subjectPublicKeyInfo, RFC 5280 4.1
        raise MalformedError("certificate: TBSCertificate lacks a part")
    identifier = next((_key_identifier(part) for part in fields[6:] if part.tag == 0xA3), None)
    spki = fields[5].expect(SEQUENCE, "subjectPublicKeyInfo").raw
    return CertificateNames(der(fields[2]), fields[0].integer("serial number"), identifier, spki)


def _key_identifier(extensions: Element) -> str | None:
    for group in extensions.children():
        for extension in group.expect(SEQUENCE, "extensions").children():
            parts = extension.expect(SEQUENCE, "extension").children()
            if len(parts) > 1 and parts[0].oid("extension") == ID_SUBJECT_KEY_IDENTIFIER:
                value = read_one(parts[-1].expect(OCTET_STRING, "extension value").content, "key identifier")
                return value.expect(OCTET_STRING, "key identifier").content.hex()
    return None


def _encapsulated(element: Element) -> tuple[str, Element | None]:
    parts = element.expect(SEQUENCE, "encapContentInfo").children()
    if not 0 < len(parts) <= 2:  # eContentType, eContent
        raise MalformedError("CMS: encapContentInfo is not a type and at most one content")
    return parts[0].oid("eContentType"), parts[1] if len(parts) > 1 else None


def _certificates(element: Element) -> tuple[bytes, ...]:
    """The X.509 certificates of a CertificateSet (RFC 5652 10.2.3); attribute certificates and others are passed over."""
    found = tuple(part.raw for part in element.children() if part.tag == SEQUENCE)
    if len(found) > MAX_CERTIFICATES:
        raise ResourceLimitError(f"CMS: more than {MAX_CERTIFICATES} certificates")
    return found


def signer_info(element: Element) -> SignerInfo:
    """Read one SignerInfo (RFC 5652 5.3); raises MalformedError or UnsupportedError."""
    parts = list(element.expect(SEQUENCE, "SignerInfo").children())
    if len(parts) < 5:  # version, sid, digestAlgorithm, signatureAlgorithm, signature
        raise MalformedError("CMS: a SignerInfo lacks a part")
    if parts[0].expect(INTEGER, "version").integer("version") not in (1, 3):
        raise MalformedError("CMS: no such SignerInfo version")
    issuer, serial, identifier = _signer_identifier(parts[1])
    digest = digest_algorithm(parts[2])
    rest = parts[3:]
    attributes = rest.pop(0) if rest[0].tag == _IMPLICIT_0 else None
    if len(rest) < 2 or len(rest) > 3 or (len(rest) == 3 and rest[2].tag != _IMPLICIT_1):
        raise MalformedError("CMS: a SignerInfo has the wrong parts")
    algorithm = _signature_algorithm(rest[0], digest)
    signature = rest[1].expect(OCTET_STRING, "signature").content
    unsigned = rest[2] if len(rest) > 2 else None
    return SignerInfo(issuer, serial, identifier, digest, algorithm, signature, attributes, unsigned)


def _signer_identifier(element: Element) -> tuple[bytes, int | None, str | None]:
    if element.tag == _KEY_IDENTIFIER:
        if not 0 < len(element.content) <= MAX_KEY_IDENTIFIER_OCTETS:
            raise MalformedError(f"CMS: a subject key identifier of {len(element.content)} octets")
        return b"", None, element.content.hex()
    parts = element.expect(SEQUENCE, "signer identifier").children()
    if len(parts) != 2:  # issuer, serialNumber
        raise MalformedError("CMS: a signer identifier is not issuer and serial number")
    return der(parts[0].expect(SEQUENCE, "issuer")), parts[1].integer("serial number"), None


def _algorithm(element: Element, what: str) -> tuple[str, Element | None]:
    parts = element.expect(SEQUENCE, what).children()
    if not 0 < len(parts) <= 2:  # algorithm, parameters
        raise MalformedError(f"CMS: {what} is not an algorithm and at most one parameter")
    return parts[0].oid(what), parts[1] if len(parts) > 1 else None


def digest_algorithm(element: Element) -> str:
    """The digest that an AlgorithmIdentifier names; raises MalformedError or UnsupportedError."""
    oid, parameters = _algorithm(element, "digest algorithm")
    if parameters is not None and parameters.raw != bytes([NULL, 0]):  # RFC 5754 2: absent or NULL
        raise MalformedError("CMS: a digest algorithm with parameters")
    if oid not in DIGESTS:
        raise UnsupportedError(f"CMS: digest algorithm {oid} is not supported")
    return DIGESTS[oid]


def _signature_algorithm(element: Element, digest: str) -> str:
    oid, parameters = _algorithm(element, "signature algorithm")
    if oid == RSASSA_PSS:
        return f"rsa-pss/{_pss_salt_octets(parameters, digest)}"
    if oid == ECDSA_SPECIFIED:  # ANSI X9.62, written by Windows: the digest is a parameter
        if parameters is None or digest_algorithm(parameters) != digest:
            raise MalformedError(f"CMS: ECDSA with another digest than {digest}")
        return "ecdsa"
    of_key = oid == EC_PUBLIC_KEY and parameters is not None and parameters.tag == OID  # the key's curve, repeated
    if parameters is not None and parameters.raw != bytes([NULL, 0]) and not of_key:
        raise MalformedError("CMS: a signature algorithm with parameters it does not have")
    if oid in _OF_THE_KEY:  # the digest is the one the SignerInfo names
        return _OF_THE_KEY[oid]
    # RFC 8419 3.1: Ed25519 is used with SHA-512
    name, named = ("ed25519", "sha512") if oid == ED25519_OID else SIGNATURES.get(oid, ("", ""))
    if not name:
        raise UnsupportedError(f"CMS: signature algorithm {oid} is not supported")
    if named != digest:
        raise MalformedError(f"CMS: the signature algorithm is for {named}, the digest algorithm is {digest}")
    return name


def _pss_salt_octets(parameters: Element | None, digest: str) -> int:
    """RFC 4055 3.1, RFC 4056: hash and mask hash are the SignerInfo's digest, the trailer is 1; returns the salt length."""
    hash_name = mask_name = "sha1"
    salt = 20
    for part in parameters.expect(SEQUENCE, "PSS parameters").children() if parameters else ():
        inner = part.children()
        if len(inner) != 1:
            raise MalformedError("CMS: broken PSS parameters")
        if part.tag == _IMPLICIT_0:
            hash_name = digest_algorithm(inner[0])
        elif part.tag == _IMPLICIT_1:
            oid, mask = _algorithm(inner[0], "mask generation")
            if oid != ID_MGF1 or mask is None:
                raise UnsupportedError("CMS: a mask generation other than MGF1")
            mask_name = digest_algorithm(mask)
        elif part.tag == 0xA2:
            salt = inner[0].integer("salt length")
        elif part.tag != 0xA3 or inner[0].integer("trailer") != 1:
            raise MalformedError("CMS: broken PSS parameters")
    if not hash_name == mask_name == digest:
        raise MalformedError(f"CMS: PSS with {hash_name} and {mask_name}, the digest algorithm is {digest}")
    if not 0 <= salt <= MAX_SALT_OCTETS:
        raise MalformedError(f"CMS: a PSS salt of {salt} octets")
    return salt


def _time(element: Element) -> datetime:
    """UTCTime or GeneralizedTime, in seconds and Zulu (RFC 5652 11.3)."""
    text = element.content
    if element.tag == UTC_TIME and re.fullmatch(rb"[0-9]{12}Z", text):
        text = (b"20" if int(text[:2]) < 50 else b"19") + text  # RFC 5280 4.1.2.5.1
    elif element.tag != GENERALIZED_TIME or not re.fullmatch(rb"[0-9]{14}Z", text):
        raise MalformedError("CMS: the signing time is neither UTCTime nor GeneralizedTime in seconds")
    try:
        month, day, hour, minute, second = (int(text[at : at + 2]) for at in range(4, 14, 2))
        return datetime(int(text[:4]), month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as error:
        raise MalformedError(f"CMS: no such signing time: {error}") from error
