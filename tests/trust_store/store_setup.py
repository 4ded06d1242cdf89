"""A store in a temporary folder, vendors, keys and calls for the tests of decisions."""

from __future__ import annotations

import functools
import hashlib
import itertools
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from trust_store import anchor_management
from trust_store.anchor_approval import Call
from trust_store.decode.x509 import load_certificate
from trust_store.model.claim import Authority, Proposal
from trust_store.model.identifiers import Identifier, IdentifierKind
from trust_store.model.trust_anchor import AnchorKind, SignerRule
from trust_store.model.vendor import Contact, Vendor, VendorPolicy
from trust_store.storage.connection import connect
from trust_store.storage.migrations import migrate
from trust_store.storage.schema import MIGRATIONS

if TYPE_CHECKING:
    import sqlite3

    from trust_store.model.package_facts import PackageFacts

AT = datetime(2026, 5, 3, 12, tzinfo=UTC)
PHONE = "+1 555 0100"
DEDICATED = SignerRule(dedicated=True)
_numbers = itertools.count(1)


def randomness(length: int) -> bytes:
    """Never the same bytes twice, and no entropy."""
    return next(_numbers).to_bytes(length, "big")


def open_store(folder: Path) -> sqlite3.Connection:
    """The store in ``folder``, migrated; where there is none, a new one, copied from one that was migrated once."""
    file = folder / "rootwarden.db"
    if not file.exists():
        file.write_bytes(_migrated())
    return connect(file)


@functools.cache
def _migrated() -> bytes:
    """A new store's file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rootwarden.db"
        with closing(connect(file, create=True)) as connection:
            migrate(connection, file.with_name("migrate.lock"), (MIGRATIONS,))
        return file.read_bytes()


def vendor(vendor_id: str = "dten", approvals: int = 2, **policy: object) -> Vendor:
    """A vendor with one contact."""
    return Vendor(
        vendor_id,
        vendor_id.upper(),
        contacts=(Contact("Product security", phone=PHONE, mail="security@dten.example"),),
        policy=VendorPolicy(approvals=approvals, **policy),  # type: ignore[arg-type]
    )


@functools.lru_cache
def certificate(name: str, key_of: str | None = None, *, ca: bool = True) -> bytes:
    """DER of a self-signed certificate; ``key_of`` re-uses the key made for another name."""
    key = _key(key_of or name)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(4711)
        .not_valid_before(AT - timedelta(days=30))
        .not_valid_after(AT + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.DER)


@functools.lru_cache
def _key(name: str) -> ec.EllipticCurvePrivateKey:  # noqa: ARG001 - one key a name
    return ec.generate_private_key(ec.SECP256R1())


def proposal_of(
    der: bytes,
    vendor_id: str = "dten",
    authority: Authority = Authority.STAFF,
    reference: str = "https://forum.example/t/43",
) -> Proposal:
    """What a channel would propose of a certificate."""
    parsed = load_certificate(der)
    return Proposal(
        vendor_id, AnchorKind.X509, parsed.subject, parsed.sha256, der, parsed.identifiers, authority, reference
    )


def propose(
    connection: sqlite3.Connection,
    name: str = "New root",
    vendor_id: str = "dten",
    rule: SignerRule | None = DEDICATED,
    at: datetime = AT,
) -> str:
    """A pending anchor of the certificate called ``name``."""
    return anchor_management.propose(
        connection, proposal_of(certificate(name), vendor_id), signer_rule=rule, at=at, randomness=randomness
    )


def openpgp_proposal(fingerprint: str, name: str = "Vendor <v@dten.example>") -> Proposal:
    """An OpenPGP proposal; its material is not parsed by anything that decides."""
    material = b"key " + fingerprint.encode()
    identifiers = (
        Identifier(IdentifierKind.OPENPGP, fingerprint),
        Identifier(IdentifierKind.KEY_ID, fingerprint[-16:]),
    )
    return Proposal(
        "dten",
        AnchorKind.OPENPGP,
        name,
        hashlib.sha256(material).hexdigest(),
        material,
        identifiers,
        Authority.STAFF,
        "u",
    )


def fingerprint(name: str = "New root") -> str:
    """SHA-256 of the certificate called ``name``, as a vendor reads it out."""
    digest = hashlib.sha256(certificate(name)).hexdigest().upper()
    return ":".join(digest[i : i + 2] for i in range(0, 64, 2))


def call(read: str | None = None, called: str = PHONE) -> Call:
    """A call in which ``read`` was read out."""
    return Call(fingerprint() if read is None else read, "Ada", called, "SEC-42")


def package(*certificates: bytes) -> PackageFacts:
    """Facts of a package with one CMS signature that carries ``certificates``."""
    from trust_store.model.package_facts import PackageFacts, SignatureFact, SignatureOrigin

    signature = SignatureFact("cms", SignatureOrigin.EMBEDDED, None, certificates=tuple(certificates))
    return PackageFacts("ab" * 32, 10, "zip_plain", 1, signatures=(signature,))
