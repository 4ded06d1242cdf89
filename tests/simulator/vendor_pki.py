"""A vendor's signing keys, made afresh: a root, a signer under it, and the upgrade package they sign.

Example:
    pki = VendorPKI.generate("DTEN", at=datetime.now(UTC))
    data = vendor_bundle(pki, {"firmware.bin": b"..."})
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def _name(organisation: str, common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


@dataclass(frozen=True)
class VendorPKI:
    """Keys and certificates of one vendor's release signing."""

    root_key: ec.EllipticCurvePrivateKey
    root: x509.Certificate
    signer_key: ec.EllipticCurvePrivateKey
    signer: x509.Certificate

    @classmethod
    def generate(cls, vendor: str, at: datetime, *, generation: str = "G2") -> VendorPKI:
        """A root valid for ten years around ``at`` and a code-signing certificate under it."""
        root_key, signer_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        root_name = _name(vendor, f"{vendor} Upgrade Root CA {generation}")
        root = (
            _builder(root_name, root_name, root_key.public_key(), root_key.public_key(), at, years=10)
            .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
            .add_extension(_usage(signing=False), critical=True)
            .sign(root_key, hashes.SHA256())
        )
        signer_name = _name(vendor, f"{vendor} Upgrade Signing")
        signer = (
            _builder(signer_name, root_name, signer_key.public_key(), root_key.public_key(), at, years=3)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signing=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .sign(root_key, hashes.SHA256())
        )
        return cls(root_key, root, signer_key, signer)

    @property
    def root_pem(self) -> str:
        """The root certificate as PEM text."""
        return self.root.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def root_sha256(self) -> str:
        """The fingerprint a vendor's desk would read out: SHA-256 of the root certificate, 64 hex digits."""
        return hashlib.sha256(self.root.public_bytes(serialization.Encoding.DER)).hexdigest()

    def sign(self, data: bytes) -> bytes:
        """A detached CMS signature (DER) over ``data`` that carries the signer's certificate, and not the root."""
        options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]
        return (
            pkcs7.PKCS7SignatureBuilder()
            .set_data(data)
            .add_signer(self.signer, self.signer_key, hashes.SHA256())
            .sign(serialization.Encoding.DER, options)
        )


def vendor_bundle(pki: VendorPKI, files: dict[str, bytes], *, smuggled: dict[str, bytes] | None = None) -> bytes:
    """A zip with ``files``, a ``SHA256SUMS`` over them and its CMS signature; ``smuggled`` files are in no list."""
    manifest = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items()).encode()
    members = {**files, "SHA256SUMS": manifest, "SHA256SUMS.p7s": pki.sign(manifest), **(smuggled or {})}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
    at: datetime,
    *,
    years: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(days=30))
        .not_valid_after(at + timedelta(days=365 * years))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _usage(*, signing: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signing,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=not signing,
        crl_sign=not signing,
        encipher_only=False,
        decipher_only=False,
    )
