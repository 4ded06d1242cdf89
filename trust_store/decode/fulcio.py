"""What Fulcio writes into a certificate about the identity it vouches for (fulcio docs/certificate-specification.md, oid-info.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from trust_store.decode import asn1
from trust_store.decode.certificate_extensions import read_certificate
from trust_store.decode.spki import guarded
from trust_store.errors import MalformedError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trust_store.decode.asn1 import Element

ISSUER, ISSUER_V2 = "1.3.6.1.4.1.57264.1.1", "1.3.6.1.4.1.57264.1.8"
OTHER_NAME = "1.3.6.1.4.1.57264.1.7"
_UTF8 = 0x0C
MAX_NAME_BYTES = 4096


@dataclass(frozen=True, slots=True)
class FulcioIdentity:
    """``issuer``: the identity provider's address, None where it is not said; ``names``: the subject alternative names, one is usual."""

    issuer: str | None
    names: tuple[str, ...]
    digital_signature: bool
    code_signing: bool


def fulcio_identity(certificate: bytes) -> FulcioIdentity:
    """What the certificate (DER) says; raises MalformedError, UnsupportedError or ResourceLimitError."""
    _, extensions = read_certificate(certificate)
    return guarded(lambda: _identity(extensions), "certificate")


def _identity(extensions: Iterable[x509.Extension[x509.ExtensionType]]) -> FulcioIdentity:
    names: tuple[str, ...] = ()
    usage = eku = False
    unread: dict[str, bytes] = {}
    for extension in extensions:
        value = extension.value
        if isinstance(value, x509.SubjectAlternativeName):
            names = tuple(name for one in value if (name := _name(one)) is not None)
        elif isinstance(value, x509.KeyUsage):
            usage = value.digital_signature
        elif isinstance(value, x509.ExtendedKeyUsage):
            eku = x509.oid.ExtendedKeyUsageOID.CODE_SIGNING in value
        elif isinstance(value, x509.UnrecognizedExtension):
            unread[extension.oid.dotted_string] = value.value
    return FulcioIdentity(_issuer(unread), names, usage, eku)


def _issuer(found: dict[str, bytes]) -> str | None:
    """The later extension is a DER UTF8String, the older one the bare text; where both are there they must agree."""
    later = _text(asn1.read_one(found[ISSUER_V2], "issuer")) if ISSUER_V2 in found else None
    older = _decoded(found[ISSUER]) if ISSUER in found else None
    if later is not None and older is not None and later != older:
        raise MalformedError("Fulcio: the certificate names two issuers")
    return older if later is None else later


def _name(name: x509.GeneralName) -> str | None:
    if isinstance(name, x509.RFC822Name | x509.UniformResourceIdentifier):
        return name.value
    if isinstance(name, x509.OtherName) and name.type_id.dotted_string == OTHER_NAME:
        return _text(asn1.read_one(name.value, "other name"))
    return None


def _text(element: Element) -> str:
    return _decoded(element.expect(_UTF8, "text").content)


def _decoded(data: bytes) -> str:
    try:
        text = data[: MAX_NAME_BYTES + 1].decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError("Fulcio: a name that is no text") from error
    if len(data) > MAX_NAME_BYTES or not text.isprintable():
        raise MalformedError("Fulcio: a name that is too long or does not print")
    return text
