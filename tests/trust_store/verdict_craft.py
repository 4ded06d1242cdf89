"""PKIs, anchors and questions for the verdict tests; the facts come out of the real readers."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.simulator.vendor_pki import VendorPKI
from tests.trust_store.package_craft import read
from trust_store.decode.openpgp import load_keys
from trust_store.decode.x509 import load_certificate
from trust_store.formats.protocol import SideMaterial
from trust_store.model.package_facts import PackageFacts, SideFile, SignatureOrigin
from trust_store.model.trust_anchor import AnchorKind, AnchorState, SignerRule, TrustAnchor
from trust_store.model.trust_view import TrustView
from trust_store.model.vendor import Vendor, VendorPolicy
from trust_store.model.verdict import ExpectedVendor, Verdict
from trust_store.signatures.protocol import CandidateKey
from trust_store.verification import Question, verify_package

if TYPE_CHECKING:
    from trust_store.model.certificate import Certificate

AT = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
DTEN = ExpectedVendor("dten", "stated")
CONTENT = b"firmware " * 100


def der(certificate: x509.Certificate) -> bytes:
    """DER of a certificate of the cryptography package."""
    return certificate.public_bytes(Encoding.DER)


def decoded(certificate: x509.Certificate) -> Certificate:
    """The same certificate as this program sees it."""
    return load_certificate(der(certificate))


def anchor(material: bytes, state: AnchorState = AnchorState.VALID, **fields: Any) -> TrustAnchor:
    """An anchor of dten on a DER certificate or a binary OpenPGP key, dedicated unless told otherwise."""
    openpgp = material[:1] >= b"\x80"
    key = load_keys(material)[0] if openpgp else load_certificate(material)
    values: dict[str, Any] = {
        "id": "anchor_" + hashlib.sha256(material).hexdigest()[:8],
        "vendor_id": "dten",
        "kind": AnchorKind.OPENPGP if openpgp else AnchorKind.X509,
        "name": "test anchor",
        "key_sha256": hashlib.sha256(material).hexdigest(),
        "material": material,
        "state": state,
        "recorded_at": AT - timedelta(days=10),
        "effective_from": AT - timedelta(days=10),
        "signer_rule": SignerRule(dedicated=True),
        "identifiers": key.identifiers,
    }
    return TrustAnchor(**(values | fields))


def beside(
    data: bytes, origin: SignatureOrigin = SignatureOrigin.FOUND, name: str = "firmware.bin.p7s"
) -> SideMaterial:
    """A signature file."""
    return SideMaterial(SideFile(name, hashlib.sha256(data).hexdigest()), origin, data)


def signed(pki: VendorPKI, data: bytes = CONTENT, origin: SignatureOrigin = SignatureOrigin.FOUND) -> PackageFacts:
    """Facts of a file with a CMS signature beside it."""
    return read(data, beside(pki.sign(data), origin))


def ask(
    facts: PackageFacts,
    *anchors: TrustAnchor,
    vendor: ExpectedVendor = DTEN,
    at: datetime = AT,
    time_basis: str = "now",
    name: str = "firmware.bin",
    policy: VendorPolicy | None = None,
    **view: Any,
) -> Verdict:
    """The verdict for one question."""
    known = Vendor("dten", "DTEN", policy=policy) if policy else None
    trust = TrustView(anchors=anchors, vendor=known, **view)
    return verify_package(facts, trust, Question(vendor, at, AT, time_basis, name, f"/incoming/{name}"))


def issue(
    pki: VendorPKI,
    *,
    common_name: str = "Release signer",
    not_before: datetime = AT - timedelta(days=30),
    not_after: datetime = AT + timedelta(days=30),
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CODE_SIGNING,
    key: ec.EllipticCurvePrivateKey | None = None,
) -> VendorPKI:
    """A PKI with the same root and another signer under it."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "DTEN"), x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    )
    signer = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(pki.root.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(pki.root_key.public_key()), critical=False)
        .sign(pki.root_key, hashes.SHA256())
    )
    return VendorPKI(pki.root_key, pki.root, key, signer)


def bare_cms(pki: VendorPKI, data: bytes = CONTENT) -> bytes:
    """A CMS signature that carries no certificate."""
    options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoCerts]
    builder = pkcs7.PKCS7SignatureBuilder().set_data(data).add_signer(pki.signer, pki.signer_key, hashes.SHA256())
    return builder.sign(Encoding.DER, options)


def candidates(*certificates: x509.Certificate) -> tuple[CandidateKey, ...]:
    """Certificates as keys to try."""
    return tuple(CandidateKey("x509", der(certificate)) for certificate in certificates)
