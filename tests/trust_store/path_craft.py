"""Certificates of every shape for the path tests: a builder over the cryptography package, and DER patched by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from trust_store.chain.question import PathAnswer, PathQuestion, answer
from trust_store.chain.validation import ValidationParameters
from trust_store.decode.asn1 import length_octets, read_one
from trust_store.decode.x509 import load_certificate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trust_store.model.certificate import Certificate

AT = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
FROM, UNTIL = datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)
CA = (x509.BasicConstraints(ca=True, path_length=None), True)
Extension = tuple[x509.ExtensionType, bool]


@dataclass(frozen=True)
class Issued:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: Any

    @property
    def der(self) -> bytes:
        """The certificate in DER."""
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> str:
        """The certificate in PEM."""
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def decoded(self) -> Certificate:
        """The certificate as the program sees it."""
        return load_certificate(self.der)


@cache
def key(number: int) -> ec.EllipticCurvePrivateKey:  # noqa: ARG001 - the cache tells them apart
    """The P-256 key of that number, the same in one run of the tests."""
    return ec.generate_private_key(ec.SECP256R1())


def name(common: str | None) -> x509.Name:
    """CN=common; None is the empty name."""
    return x509.Name([] if common is None else [x509.NameAttribute(NameOID.COMMON_NAME, common)])


def issue(
    subject: str | x509.Name | None,
    issuer: Issued | None = None,
    *extensions: Extension,
    signed_with: Any = None,
    issuer_name: x509.Name | None = None,
    private: Any = None,
    dates: tuple[datetime, datetime] = (FROM, UNTIL),
    digest: Any = None,
    serial: int | None = None,
    **signing: Any,
) -> Issued:
    """A certificate of ``subject``; self-signed without ``issuer``. Extensions are (value, critical)."""
    own = private or ec.generate_private_key(ec.SECP256R1())
    subject_name = subject if isinstance(subject, x509.Name) else name(subject)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject_name)
        .issuer_name(issuer_name or (issuer.certificate.subject if issuer else subject_name))
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number() if serial is None else serial)
        .not_valid_before(dates[0])
        .not_valid_after(dates[1])
    )
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    signer = signed_with or (issuer.key if issuer else own)
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else digest or hashes.SHA256()
    return Issued(builder.sign(signer, algorithm, **signing), own)


def signed_anew(
    issued: Issued, signer: Any, old: bytes, new: bytes, *, outer: tuple[bytes, bytes] = (b"\0\0\0\0", b"")
) -> bytes:
    """The certificate in DER with ``old`` in its signed part replaced once by ``new``, signed by ``signer`` (EC, SHA-256).

    ``outer`` is what to replace in the algorithm outside the signed part.
    """
    assert issued.certificate.tbs_certificate_bytes.count(old) >= 1
    content = read_one(issued.certificate.tbs_certificate_bytes, "tbs").content.replace(old, new, 1)
    tbs = b"\x30" + length_octets(len(content)) + content
    algorithm = read_one(issued.der, "certificate").children()[1].raw.replace(*outer)
    signature = b"\0" + signer.sign(tbs, ec.ECDSA(hashes.SHA256()))
    body = tbs + algorithm + b"\x03" + length_octets(len(signature)) + signature
    return b"\x30" + length_octets(len(body)) + body


def authority(subject: str | x509.Name, issuer: Issued | None = None, *extensions: Extension, **options: Any) -> Issued:
    """A CA's certificate."""
    return issue(subject, issuer, CA, *extensions, **options)


def alternative(*names: x509.GeneralName, critical: bool = False) -> Extension:
    """Subject alternative names."""
    return x509.SubjectAlternativeName(names), critical


def eku(*oids: x509.ObjectIdentifier) -> Extension:
    """Extended key usage."""
    return x509.ExtendedKeyUsage(oids), False


def usage(*bits: str) -> Extension:
    """Key usage with these bits only."""
    every = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{bit: bit in bits for bit in every}), True


def ask(
    leaf: Issued, untrusted: Iterable[Issued], anchors: Iterable[Issued], *, at: datetime = AT, **parameters: Any
) -> PathAnswer:
    """The answer about ``leaf``, held to the profile unless told otherwise."""
    return answer(
        PathQuestion(
            leaf.der,
            tuple(anchor.der for anchor in anchors),
            ValidationParameters(**{"at": at, "profile": True, **parameters}),
            tuple(certificate.der for certificate in untrusted),
        )
    )
