"""Certification authorities and signers for package fixtures: keys made anew, dates chosen, everything in files for the native tools."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

BEGIN, END = datetime(2020, 1, 1, tzinfo=UTC), datetime(2050, 1, 1, tzinfo=UTC)
PASSWORD = "fixture"
CODE_SIGNING, TIME_STAMPING = ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.TIME_STAMPING


@dataclass(frozen=True)
class Issued:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: Any

    @property
    def pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def der(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def key_pem(self) -> bytes:
        """The private key, PKCS #8, not encrypted."""
        return bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    @property
    def key_der(self) -> bytes:
        """The private key, PKCS #8 in DER, as apksigner wants it."""
        return bytes(self.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))

    @property
    def public_pem(self) -> bytes:
        """The public key, SubjectPublicKeyInfo."""
        return bytes(self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    def pkcs12(self, chain: Sequence[Issued] = ()) -> bytes:
        """Key, certificate and ``chain`` under PASSWORD and the alias ``signer``."""
        others = [one.certificate for one in chain]
        encryption = BestAvailableEncryption(PASSWORD.encode())
        return pkcs12.serialize_key_and_certificates(b"signer", self.key, self.certificate, others, encryption)

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """``name.pem`` and ``name.key`` in ``folder``."""
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.write_bytes(self.pem)
        key.write_bytes(self.key_pem)
        return certificate, key


@dataclass(frozen=True)
class PKI:
    """A root, an intermediate below it, and a signer below that."""

    root: Issued
    intermediate: Issued
    leaf: Issued

    @property
    def chain(self) -> tuple[Issued, Issued]:
        """What a signature should carry: signer and intermediate."""
        return self.leaf, self.intermediate


def new_key(kind: str) -> Any:
    """``rsa2048``, ``rsa1024`` and the like, ``p256``, ``p384``, ``p521``, ``ed25519``."""
    if kind.startswith("rsa"):
        return rsa.generate_private_key(65537, int(kind[3:]))
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    curves: dict[str, ec.EllipticCurve] = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
    return ec.generate_private_key(curves[kind])


def issue(
    name: str,
    issuer: Issued | None = None,
    *,
    kind: str = "rsa2048",
    is_ca: bool = False,
    begin: datetime = BEGIN,
    end: datetime = END,
    eku: Sequence[x509.ObjectIdentifier] | None = (CODE_SIGNING,),
    key: Any = None,
    digest: Any = None,
) -> Issued:
    """A certificate below ``issuer`` (None: self-signed) with a new key of ``kind``."""
    key = key or new_key(kind)
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Fixtures"), x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )
    signing = issuer.key if issuer else key
    usage = x509.KeyUsage(
        digital_signature=not is_ca, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=is_ca, crl_sign=is_ca, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
    )
    if eku and not is_ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(eku)), critical=TIME_STAMPING in eku)
    algorithm = None if isinstance(signing, ed25519.Ed25519PrivateKey) else digest or hashes.SHA256()
    return Issued(builder.sign(signing, algorithm), key)


def make_pki(
    name: str = "Vendor",
    *,
    kind: str = "rsa2048",
    begin: datetime = BEGIN,
    end: datetime = END,
    eku: Sequence[x509.ObjectIdentifier] | None = (CODE_SIGNING,),
) -> PKI:
    """Root and intermediate valid from BEGIN to END, a signer valid from ``begin`` to ``end``."""
    root = issue(f"{name} Root", kind=kind, is_ca=True)
    intermediate = issue(f"{name} CA", root, kind=kind, is_ca=True)
    return PKI(root, intermediate, issue(f"{name} Signer", intermediate, kind=kind, begin=begin, end=end, eku=eku))


def revocation_list(issuer: Issued, *revoked: Issued, at: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> bytes:
    """A list (PEM) by ``issuer``, current from ``at`` until END, naming ``revoked`` as compromised since."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.certificate.subject)
    builder = builder.last_update(at).next_update(END)
    builder = builder.add_extension(x509.CRLNumber(1), critical=False)
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False
    )
    for one in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(one.certificate.serial_number).revocation_date(at)
        entry = entry.add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    algorithm = None if isinstance(issuer.key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(issuer.key, algorithm).public_bytes(Encoding.PEM)
