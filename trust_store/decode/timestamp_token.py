"""RFC 3161 time-stamp tokens: bytes -> values, nothing judged and nothing verified.

A token is a CMS SignedData (RFC 5652) around a TSTInfo. Numbers in comments are RFC 3161's sections unless said otherwise.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta

from trust_store.decode import cms
from trust_store.decode.asn1 import (
    GENERALIZED_TIME,
    INTEGER,
    OCTET_STRING,
    OID,
    SEQUENCE,
    Element,
    der,
    read_one,
)
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

ID_CT_TST_INFO = "1.2.840.113549.1.9.16.1.4"
ID_AA_SIGNING_CERTIFICATE = "1.2.840.113549.1.9.16.2.12"
ID_AA_SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"
MAX_TOKEN_BYTES = 256 * 1024
MAX_CONTENT_BYTES = 16 * 1024
MAX_CERTIFICATE_IDS = 16
MAX_EXTENSIONS = 32
MAX_ACCURACY_SECONDS = 86_400
"""A clock that may be a day off tells no time."""
MAX_ACCURACY_THOUSANDTHS = 999
_BOOLEAN, _TRUE = 0x01, b"\xff"
_MILLIS, _MICROS = 0x80, 0x81
_TSA, _EXTENSIONS = 0xA0, 0xA1
_DIRECTORY_NAME = 0xA4
_TIME = re.compile(rb"([0-9]{14})(?:\.([0-9]{0,15}[1-9]))?Z")


@dataclass(frozen=True, slots=True)
class TimestampInfo:
    """TSTInfo (2.4.2). ``generated_at`` is genTime, cut to the microsecond; ``accuracy`` zero where none is stated.

    ``imprint`` is what was stamped: a digest made with ``imprint_algorithm``. ``tsa_name`` is the DER name of a tsa that is a
    directory name, None for any other kind.
    """

    version: int
    policy: str
    imprint_algorithm: str
    imprint: bytes
    serial_number: int
    generated_at: datetime
    accuracy: timedelta = timedelta(0)
    ordering: bool = False
    nonce: int | None = None
    tsa_name: bytes | None = None

    @property
    def latest(self) -> datetime:
        """The end of the interval that genTime and accuracy span: what was stamped existed by then."""
        try:
            return self.generated_at + self.accuracy
        except OverflowError:
            return datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class CertificateID:
    """ESSCertID (RFC 2634 5.4.1) or ESSCertIDv2 (RFC 5035 4): digest of a whole certificate, with its issuer where that is said."""

    algorithm: str
    digest: bytes
    issuer_der: bytes | None = None
    serial_number: int | None = None

    def names(self, certificate: bytes) -> bool:
        """Whether it is ``certificate`` (DER) that is meant."""
        if hashlib.new(self.algorithm, certificate).digest() != self.digest:
            return False
        if self.serial_number is None:
            return True
        try:
            names = cms.certificate_names(certificate)
        except (MalformedError, ResourceLimitError):
            return False
        return (names.issuer_der, names.serial_number) == (self.issuer_der, self.serial_number)


@dataclass(frozen=True, slots=True)
class TimestampToken:
    """One token. ``signers`` are as they stand, one is right; ``attributes`` are the first signer's.

    ``content`` is what the signature is over (DER of TSTInfo). ``certificate_ids`` are the first of each signing-certificate
    attribute, the one that must be the signer's.
    """

    info: TimestampInfo
    content: bytes
    signers: tuple[cms.SignerInfo, ...]
    attributes: cms.SignedAttributes
    certificate_ids: tuple[CertificateID, ...]
    certificates: tuple[bytes, ...]


def parse_token(data: bytes) -> TimestampToken:
    """Parse a DER or BER TimeStampToken; raises MalformedError, UnsupportedError or ResourceLimitError, nothing else."""
    if len(data) > MAX_TOKEN_BYTES:
        raise ResourceLimitError(f"timestamp: a token of more than {MAX_TOKEN_BYTES} bytes")
    if data[:1] != bytes([SEQUENCE]) or not cms.recognises(data):  # an armour has no place inside a signature
        raise MalformedError("timestamp: the token is no ContentInfo")
    message = cms.parse_signed_data(data)
    if message.content_type != ID_CT_TST_INFO:  # 2.4.2
        raise UnsupportedError(f"timestamp: content type {message.content_type} is not TSTInfo")
    content = cms.content_octets(message, max_bytes=MAX_CONTENT_BYTES)
    signer = message.signer_infos[0]
    if signer.attributes is None:  # RFC 5652 5.3: content of another type than data needs signed attributes
        raise MalformedError("timestamp: there are no signed attributes")
    attributes = cms.parse_attributes(signer.attributes)
    return TimestampToken(
        parse_info(content),
        content,
        message.signer_infos,
        attributes,
        tuple(certificate_ids(attributes)),
        message.certificates,
    )


def parse_info(content: bytes) -> TimestampInfo:
    """Parse the DER of TSTInfo (2.4.2); raises MalformedError, UnsupportedError or ResourceLimitError."""
    element = read_one(content, "TSTInfo").expect(SEQUENCE, "TSTInfo")
    if der(element) != content:
        raise MalformedError("timestamp: TSTInfo is not in DER")
    parts = list(element.children())
    if len(parts) < 5:  # version, policy, messageImprint, serialNumber, genTime
        raise MalformedError("timestamp: TSTInfo lacks a part")
    version = parts[0].integer("version")
    if version != 1:
        raise UnsupportedError(f"timestamp: TSTInfo version {version}")
    algorithm, imprint = _imprint(parts[2])
    rest = parts[5:]
    accuracy = _accuracy(rest.pop(0)) if rest and rest[0].tag == SEQUENCE else timedelta(0)
    ordering = _ordering(rest.pop(0)) if rest and rest[0].tag == _BOOLEAN else False
    nonce = rest.pop(0).integer("nonce") if rest and rest[0].tag == INTEGER else None
    name = _tsa(rest.pop(0)) if rest and rest[0].tag == _TSA else None
    if rest and rest[0].tag == _EXTENSIONS:
        _extensions(rest.pop(0))
    if rest:
        raise MalformedError("timestamp: TSTInfo has a part too many, or in the wrong place")
    return TimestampInfo(
        version=version,
        policy=parts[1].expect(OID, "policy").oid("policy"),
        imprint_algorithm=algorithm,
        imprint=imprint,
        serial_number=parts[3].integer("serial number"),
        generated_at=_time(parts[4]),
        accuracy=accuracy,
        ordering=ordering,
        nonce=nonce,
        tsa_name=name,
    )


def _imprint(element: Element) -> tuple[str, bytes]:
    """MessageImprint (2.4.1): the digest has the length of its algorithm."""
    parts = element.expect(SEQUENCE, "messageImprint").children()
    if len(parts) != 2:  # hashAlgorithm, hashedMessage
        raise MalformedError("timestamp: messageImprint is not an algorithm and a digest")
    algorithm = cms.digest_algorithm(parts[0])
    digest = parts[1].expect(OCTET_STRING, "hashedMessage").content
    _of_length(algorithm, digest)
    return algorithm, digest


def _of_length(algorithm: str, digest: bytes) -> None:
    if len(digest) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
        raise MalformedError(f"timestamp: a {algorithm} digest of {len(digest)} octets")


def _time(element: Element) -> datetime:
    """GeneralizedTime with seconds, perhaps a fraction without trailing zeros, and Z (2.4.2)."""
    match = _TIME.fullmatch(element.expect(GENERALIZED_TIME, "genTime").content)
    if match is None:
        raise MalformedError("timestamp: genTime is no time in UTC with seconds")
    text, fraction = match[1], match[2] or b""
    try:
        month, day, hour, minute, second = (int(text[at : at + 2]) for at in range(4, 14, 2))
        microsecond = int(fraction[:6].ljust(6, b"0"))
        return datetime(int(text[:4]), month, day, hour, minute, second, microsecond, tzinfo=UTC)
    except ValueError as error:
        raise MalformedError(f"timestamp: no such genTime: {error}") from error


def _accuracy(element: Element) -> timedelta:
    """Accuracy (2.4.2): seconds, milliseconds and microseconds, each of them optional, in this order."""
    seconds = millis = micros = 0
    rest = list(element.children())
    if rest and rest[0].tag == INTEGER:
        seconds = rest.pop(0).integer("accuracy")
    if rest and rest[0].tag == _MILLIS:
        millis = _thousandths(rest.pop(0))
    if rest and rest[0].tag == _MICROS:
        micros = _thousandths(rest.pop(0))
    if rest or not 0 <= seconds <= MAX_ACCURACY_SECONDS:
        raise MalformedError("timestamp: no such accuracy")
    return timedelta(seconds=seconds, milliseconds=millis, microseconds=micros)


def _thousandths(element: Element) -> int:
    value = Element(INTEGER, element.content, element.raw, element.depth).integer("accuracy")
    if not 1 <= value <= MAX_ACCURACY_THOUSANDTHS:
        raise MalformedError("timestamp: no such accuracy")
    return value


def _ordering(element: Element) -> bool:
    if element.content != _TRUE:  # DER leaves the default FALSE out, and TRUE is all ones (X.690 11.1, 11.5)
        raise MalformedError("timestamp: ordering is not in DER")
    return True


def _tsa(element: Element) -> bytes | None:
    inner = element.children()
    if len(inner) != 1:
        raise MalformedError("timestamp: tsa is not one name")
    if inner[0].tag != _DIRECTORY_NAME:
        return None
    names = inner[0].children()
    if len(names) != 1:
        raise MalformedError("timestamp: tsa is not one name")
    return names[0].expect(SEQUENCE, "tsa").raw


def _extensions(element: Element) -> None:
    """Extensions (2.4.2): none is known here, so that a critical one makes the token one that is not understood."""
    extensions = element.children()
    if not 0 < len(extensions) <= MAX_EXTENSIONS:
        raise MalformedError(f"timestamp: {len(extensions)} extensions")
    for extension in extensions:
        parts = extension.expect(SEQUENCE, "extension").children()
        if not 2 <= len(parts) <= 3:  # extnID, critical, extnValue
            raise MalformedError("timestamp: a broken extension")
        oid = parts[0].oid("extension")
        parts[-1].expect(OCTET_STRING, "extension value")
        if len(parts) == 3:
            if parts[1].expect(_BOOLEAN, "critical").content != _TRUE:
                raise MalformedError("timestamp: a broken extension")
            raise UnsupportedError(f"timestamp: critical extension {oid}")


def certificate_ids(attributes: cms.SignedAttributes) -> list[CertificateID]:
    """The first identifier of each signing-certificate attribute (RFC 2634 5.4, RFC 5035 3, RFC 5816 2.2.1)."""
    found = []
    for kind, values in attributes.others:
        if kind not in (ID_AA_SIGNING_CERTIFICATE, ID_AA_SIGNING_CERTIFICATE_V2):
            continue
        if len(values) != 1:
            raise MalformedError(f"timestamp: a signing certificate attribute with {len(values)} values")
        parts = values[0].expect(SEQUENCE, "signing certificate").children()
        if not 0 < len(parts) <= 2:  # certs, policies
            raise MalformedError("timestamp: a broken signing certificate attribute")
        listed = parts[0].expect(SEQUENCE, "certs").children()
        if not 0 < len(listed) <= MAX_CERTIFICATE_IDS:
            raise MalformedError(f"timestamp: {len(listed)} signing certificates")
        found.append(_certificate_id(listed[0], second=kind == ID_AA_SIGNING_CERTIFICATE_V2))
    return found


def _certificate_id(element: Element, *, second: bool) -> CertificateID:
    rest = list(element.expect(SEQUENCE, "certificate identifier").children())
    algorithm = "sha256" if second else "sha1"
    if second and rest and rest[0].tag == SEQUENCE:
        algorithm = cms.digest_algorithm(rest.pop(0))
    if not 0 < len(rest) <= 2:  # certHash, issuerSerial
        raise MalformedError("timestamp: a broken certificate identifier")
    digest = rest[0].expect(OCTET_STRING, "certHash").content
    _of_length(algorithm, digest)
    if len(rest) == 1:
        return CertificateID(algorithm, digest)
    parts = rest[1].expect(SEQUENCE, "issuerSerial").children()
    if len(parts) != 2:  # issuer, serialNumber
        raise MalformedError("timestamp: a broken certificate identifier")
    names = parts[0].expect(SEQUENCE, "issuer").children()
    # RFC 2634 5.4.1: exactly one name, which is a directory name
    if len(names) != 1 or names[0].tag != _DIRECTORY_NAME or len(names[0].children()) != 1:
        raise MalformedError("timestamp: the issuer is not one directory name")
    issuer = der(names[0].children()[0].expect(SEQUENCE, "issuer"))
    return CertificateID(algorithm, digest, issuer, parts[1].integer("serial number"))
