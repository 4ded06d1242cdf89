"""A chain of root, issuing CA and signer with chosen extensions, and the facts of a package signed by it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.trust_store.package_craft import read
from tests.trust_store.path_craft import Extension, Issued, alternative, authority, eku, issue
from tests.trust_store.verdict_craft import AT, CONTENT, beside
from trust_store.model.package_facts import PackageFacts

OLD, UNTIL = AT - timedelta(days=400), AT + timedelta(days=400)


def dn(**values: str) -> x509.Name:
    """A name of the given attributes (O, OU, CN, serial), in that order."""
    kinds = {
        "O": NameOID.ORGANIZATION_NAME, "OU": NameOID.ORGANIZATIONAL_UNIT_NAME, "CN": NameOID.COMMON_NAME,
        "serial": NameOID.SERIAL_NUMBER, "C": NameOID.COUNTRY_NAME,
    }  # fmt: skip
    return x509.Name([x509.NameAttribute(kinds[kind], value) for kind, value in values.items()])


@dataclass(frozen=True)
class Chain:
    """Root, issuing CA and signer; the package carries the last two."""

    root: Issued
    middle: Issued
    signer: Issued

    def facts(self, data: bytes = CONTENT) -> PackageFacts:
        """Facts of a package that the signer signed."""
        return read(data, beside(self.sign(data)))

    def sign(self, data: bytes = CONTENT) -> bytes:
        """A detached CMS signature with both certificates in it."""
        options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]
        builder = pkcs7.PKCS7SignatureBuilder().set_data(data)
        builder = builder.add_signer(self.signer.certificate, self.signer.key, hashes.SHA256())
        return builder.add_certificate(self.middle.certificate).sign(Encoding.DER, options)

    @classmethod
    def of(cls, subject: x509.Name | None = None, *extensions: Extension, **options: Any) -> Chain:
        """A chain whose signer has this subject and these extensions besides code signing."""
        root = authority(dn(O="Shared", CN="Shared Root"), dates=(OLD, UNTIL))
        middle = authority(dn(O="Shared", CN="Shared Issuing"), root, dates=(OLD, UNTIL))
        return cls(root, middle, leaf(middle, subject, *extensions, **options))


def leaf(issuer: Issued, subject: x509.Name | None = None, *extensions: Extension, **options: Any) -> Issued:
    """A code-signing certificate, issued 100 days ago unless told otherwise."""
    options.setdefault("dates", (AT - timedelta(days=100), UNTIL))
    name = subject or dn(O="DTEN", OU="Firmware", CN="DTEN Release", serial="HRB 42")
    return issue(name, issuer, eku(ExtendedKeyUsageOID.CODE_SIGNING), *extensions, **options)


def named(*names: x509.GeneralName) -> Extension:
    """Subject alternative names."""
    return alternative(*names)


def spki(holder: Issued) -> bytes:
    """The public key in DER."""
    return holder.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def claimed(facts: PackageFacts, at: datetime | None) -> PackageFacts:
    """The same facts with another claimed time of signing."""
    from dataclasses import replace

    return replace(facts, signatures=tuple(replace(s, claimed_at=at) for s in facts.signatures))
