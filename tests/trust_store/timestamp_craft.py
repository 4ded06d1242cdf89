"""A time-stamp authority of one's own: tokens for any time, good ones and each kind of broken one, put beside CMS signatures."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

TOKEN = "1.2.840.113549.1.9.16.2.14"
MICROSOFT_TOKEN = "1.3.6.1.4.1.311.3.3.1"
COUNTERSIGNATURE = "1.2.840.113549.1.9.6"
DAY = timedelta(days=1)
HASHES: dict[str, Any] = {
    "sha1": hashes.SHA1,
    "sha224": hashes.SHA224,
    "sha256": hashes.SHA256,
    "sha512": hashes.SHA512,
}


@dataclass(frozen=True)
class Authority:
    """A root and a time-stamp authority under it."""

    root_key: ec.EllipticCurvePrivateKey
    root: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(
        cls,
        at: datetime,
        *,
        usages: tuple[x509.ObjectIdentifier, ...] = (ExtendedKeyUsageOID.TIME_STAMPING,),
        critical: bool = True,
        days: tuple[float, float] = (-2000, 2000),
        name: str = "Example",
    ) -> Authority:
        """``days`` bound the authority's own certificate, the root outlives it."""
        root_key = ec.generate_private_key(ec.SECP256R1())
        title = _name(f"{name} Time Stamping Root")
        root = (
            _builder(title, title, root_key.public_key(), at, (-4000, 8000))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(root_key, hashes.SHA256())
        )
        return cls.under(root_key, root, at, usages=usages, critical=critical, days=days, name=name)

    @classmethod
    def under(
        cls,
        root_key: ec.EllipticCurvePrivateKey,
        root: x509.Certificate,
        at: datetime,
        *,
        usages: tuple[x509.ObjectIdentifier, ...] = (ExtendedKeyUsageOID.TIME_STAMPING,),
        critical: bool = True,
        days: tuple[float, float] = (-500, 500),
        name: str = "Example",
    ) -> Authority:
        """An authority under a root that there is."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(f"{name} TSA"), root.subject, key.public_key(), at, days)
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=critical)
        return cls(root_key, root, key, builder.sign(root_key, hashes.SHA256()))

    @property
    def root_der(self) -> bytes:
        """The root."""
        return self.root.public_bytes(serialization.Encoding.DER)

    @property
    def der(self) -> bytes:
        """The authority's own certificate."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def info(self, value: bytes, at: datetime, **changes: Any) -> tsp.TSTInfo:
        """TSTInfo about ``value``; ``changes`` replace fields, ``imprint`` names another digest."""
        algorithm = changes.pop("imprint", "sha256")
        fields: dict[str, Any] = {
            "version": "v1",
            "policy": "1.3.6.1.4.1.13762.3",
            "message_imprint": {
                "hash_algorithm": {"algorithm": algorithm},
                "hashed_message": hashlib.new(algorithm, value).digest(),
            },
            "serial_number": 7,
            "gen_time": at,
        }
        return tsp.TSTInfo(fields | changes)

    def token(
        self,
        value: bytes,
        at: datetime,
        *,
        digest: str = "sha256",
        signing: tuple[str, ...] = ("v2",),
        named: bytes | None = None,
        signers: int = 1,
        carried: bool = True,
        content: bytes | None = None,
        content_type: str = "tst_info",
        signed_type: str = "tst_info",
        **changes: Any,
    ) -> bytes:
        """A TimeStampToken; ``signing`` are the versions of the signing-certificate attribute, ``named`` the certificate in them."""
        inner = content if content is not None else self.info(value, at, **changes).dump()
        attributes = cms.CMSAttributes(
            [
                {"type": "content_type", "values": [signed_type]},
                {"type": "message_digest", "values": [hashlib.new(digest, inner).digest()]},
                *(_signing_certificate(version, named or self.der) for version in signing),
            ]
        )
        certificate = asn1_x509.Certificate.load(self.der)
        info = {
            "version": "v1",
            "sid": cms.SignerIdentifier(
                {
                    "issuer_and_serial_number": cms.IssuerAndSerialNumber(
                        {"issuer": certificate.issuer, "serial_number": certificate.serial_number}
                    )
                }
            ),
            "digest_algorithm": {"algorithm": digest},
            "signed_attrs": attributes,
            "signature_algorithm": {"algorithm": f"{digest}_ecdsa"},
            "signature": self.key.sign(attributes.untag().dump(), ec.ECDSA(HASHES[digest]())),
        }
        certificates = [asn1_x509.Certificate.load(self.der)] if carried else []
        message: bytes = cms.ContentInfo(
            {
                "content_type": "signed_data",
                "content": cms.SignedData(
                    {
                        "version": "v3",
                        "digest_algorithms": [{"algorithm": digest}],
                        "encap_content_info": {
                            "content_type": content_type,
                            "content": core.ParsableOctetString(inner),
                        },
                        "certificates": certificates,
                        "signer_infos": [info] * signers,
                    }
                ),
            }
        ).dump()
        return message

    def openssl(self, folder: Path, value: bytes, *, digest: str = "sha256", options: str = "") -> bytes:
        """The token that ``openssl ts`` makes of ``value`` now, as a real authority would answer."""
        for name, data in (
            ("tsa.pem", self.certificate.public_bytes(serialization.Encoding.PEM)),
            ("tsa.key", _private(self.key)),
            ("value", value),
            ("serial", b"01\n"),
            ("tsa.cnf", f"{_CONFIGURATION.format(folder=folder)}{options}\n".encode()),
        ):
            (folder / name).write_bytes(data)
        _run("openssl", "ts", "-query", "-data", "value", f"-{digest}", "-cert", "-out", "query", folder=folder)
        _run(
            "openssl", "ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query", "-out", "token", "-token_out",
            folder=folder,
        )  # fmt: skip
        return (folder / "token").read_bytes()


def signature_value(message: bytes) -> bytes:
    """What the first signer of a CMS message signed it with: what a timestamp is over."""
    value: bytes = cms.ContentInfo.load(message)["content"]["signer_infos"][0]["signature"].native
    return value


def stamped(message: bytes, *tokens: bytes, kind: str = TOKEN) -> bytes:
    """The CMS message with ``tokens`` (any DER) as a further unsigned attribute of its only signer.

    Built by hand, since asn1crypto would parse what is to be broken.
    """
    data = cms.ContentInfo.load(message)["content"]
    signer = data["signer_infos"][0]
    signed = ("version", "sid", "digest_algorithm", "signed_attrs", "signature_algorithm", "signature")
    parts = b"".join(signer[name].dump() for name in signed)
    there = signer["unsigned_attrs"].contents if isinstance(signer["unsigned_attrs"], cms.CMSAttributes) else b""
    attribute = _tlv(0x30, core.ObjectIdentifier(kind).dump() + _tlv(0x31, b"".join(tokens)))
    rebuilt = _tlv(0x30, parts + _tlv(0xA1, there + attribute))
    outer = ("version", "digest_algorithms", "encap_content_info", "certificates")
    body = _tlv(0x30, b"".join(data[name].dump() for name in outer) + _tlv(0x31, rebuilt))
    return _tlv(0x30, core.ObjectIdentifier("1.2.840.113549.1.7.2").dump() + _tlv(0xA0, body))


def _signing_certificate(version: str, certificate: bytes) -> dict[str, Any]:
    if version == "v1":
        identifier = {"cert_hash": hashlib.sha1(certificate, usedforsecurity=False).digest()}
        return {"type": "signing_certificate", "values": [tsp.SigningCertificate({"certs": [identifier]})]}
    loaded = asn1_x509.Certificate.load(certificate)
    second: dict[str, Any] = {"cert_hash": hashlib.sha256(certificate).digest()}
    if version == "v2+serial":
        issuer = asn1_x509.GeneralName({"directory_name": loaded.issuer})
        second["issuer_serial"] = {"issuer": [issuer], "serial_number": loaded.serial_number}
    if version == "v2+sha512":
        second = {
            "hash_algorithm": algos.DigestAlgorithm({"algorithm": "sha512"}),
            "cert_hash": hashlib.sha512(certificate).digest(),
        }
    return {"type": "signing_certificate_v2", "values": [tsp.SigningCertificateV2({"certs": [second]})]}


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, at: datetime, days: tuple[float, float]
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at + days[0] * DAY)
        .not_valid_after(at + days[1] * DAY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _tlv(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def _run(*arguments: str, folder: Path) -> None:
    subprocess.run(arguments, cwd=folder, capture_output=True, check=True)


_CONFIGURATION = """[tsa]
default_tsa = one
[one]
dir = {folder}
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha1, sha256, sha512
accuracy = secs:1, millisecs:500, microsecs:100
"""
