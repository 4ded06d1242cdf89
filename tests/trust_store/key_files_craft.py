"""Key files of every kind, made by the tools they belong to, once a session."""

from __future__ import annotations

import base64
import json
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from pathlib import Path

AT = datetime(2026, 5, 3, 12, tzinfo=UTC)
NPM_KEY_ID = "SHA256:jl3bwswu80PjjokCgh0o2w5c2U4LhQAE57gj9cz1kzA"
NPM_KEY = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE1Olb3zMAFFxXKHiIkQO5cJ3Yhl5i6UPp+IhuteBJbuHcA5UogKo0EWtlWwW6KSaKoTNEYL7JlCQiVnkhBktUgg=="
"""The key that the npm registry signed with until January 2025, and the id it gave it."""
ISSUER = "https://token.actions.githubusercontent.com"
IDENTITY = r"^https://github\.com/dten/firmware/\.github/workflows/release\.yml@refs/tags/v[0-9.]+$"


def run(*command: object, stdin: bytes = b"", cwd: Path | None = None) -> bytes:
    """What a tool prints; it must succeed."""
    return subprocess.run([str(c) for c in command], input=stdin, check=True, capture_output=True, cwd=cwd).stdout


def certificate(name: str, *usages: x509.ObjectIdentifier) -> x509.Certificate:
    """A new self-signed CA certificate with these extended key usages."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(AT - timedelta(days=30))
        .not_valid_after(AT + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    return builder.sign(key, hashes.SHA256())


def npm_list(**changes: Any) -> dict[str, Any]:
    """The registry's list with one key."""
    entry = {
        "expires": "2025-01-29T00:00:00.000Z", "keyid": NPM_KEY_ID, "keytype": "ecdsa-sha2-nistp256",
        "scheme": "ecdsa-sha2-nistp256", "key": NPM_KEY,
    }  # fmt: skip
    return {"keys": [{**entry, **changes}]}


def trusted_root(**changes: Any) -> dict[str, Any]:
    """A trusted_root.json as sigstore publishes it, of new keys."""

    def raw(data: bytes) -> str:
        return base64.b64encode(data).decode()

    ca, leaf = certificate("sigstore-root"), certificate("sigstore-intermediate")
    stamper, stamp_root = certificate("tsa", ExtendedKeyUsageOID.TIME_STAMPING), certificate("tsa-root")
    log = ec.generate_private_key(ec.SECP256R1()).public_key()
    log_key = log.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    window = {"start": "2022-04-13T20:06:15.000Z"}
    entry = {
        "baseUrl": "https://rekor.example", "hashAlgorithm": "SHA2_256", "logId": {"keyId": raw(b"k" * 32)},
        "publicKey": {"rawBytes": raw(log_key), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": window},
    }  # fmt: skip

    def chain(*found: x509.Certificate) -> dict[str, Any]:
        return {"certificates": [{"rawBytes": raw(c.public_bytes(Encoding.DER))} for c in found]}

    return {
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [entry],
        "certificateAuthorities": [
            {"subject": {}, "uri": "https://f.example", "certChain": chain(leaf, ca), "validFor": window}
        ],
        "ctlogs": [entry],
        "timestampAuthorities": [
            {"certChain": chain(stamper, stamp_root), "validFor": {**window, "end": "2031-04-13T20:06:15Z"}}
        ],
        **changes,
    }


def minisign_file(seed: bytes = b"\1" * 32, number: bytes = bytes(range(8))) -> bytes:
    """A public key file as minisign writes it."""
    point = ed25519.Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    shown = number[::-1].hex().upper()
    return f"untrusted comment: minisign public key {shown}\n".encode() + base64.encodebytes(b"Ed" + number + point)


def ssh_line(kind: str = "ed25519") -> bytes:
    """Type and base64 of a new key, without comment."""
    makers: dict[str, Any] = {
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "ecdsa": lambda: ec.generate_private_key(ec.SECP384R1()),
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
    }
    return bytes(makers[kind]().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH))


def sk_line() -> bytes:
    """A FIDO key (OpenSSH PROTOCOL.u2f): the blob of an Ed25519 key and an application."""
    point = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    blob = ssh_blob(b"sk-ssh-ed25519@openssh.com", point, b"ssh:")
    return b"sk-ssh-ed25519@openssh.com " + base64.b64encode(blob)


def ssh_blob(*fields: bytes) -> bytes:
    """Strings behind their lengths (RFC 4251 section 5)."""
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)


def make_folder(folder: Path) -> Path:
    """One file of each kind, named for its kind, made by openssl where that has the kind."""
    folder.mkdir()
    (folder / "cert.pem").write_bytes(certificate("Root").public_bytes(Encoding.PEM))
    run("openssl", "x509", "-in", folder / "cert.pem", "-outform", "DER", "-out", folder / "cert.der")
    run("openssl", "crl2pkcs7", "-nocrl", "-certfile", folder / "cert.pem", "-out", folder / "certs.p7b")
    for name, options in {
        "tls": ("-addtrust", "serverAuth", "-addreject", "codeSigning", "-setalias", "alias"),
        "code": ("-addtrust", "codeSigning"),
        "none": ("-addreject", "anyExtendedKeyUsage"),
    }.items():
        run("openssl", "x509", "-in", folder / "cert.pem", "-trustout", *options, "-out", folder / f"aux-{name}.pem")
    _bare_keys(folder)
    _truststores(folder)
    (folder / "one.p11-kit").write_text("[p11-kit-object-v1]\ntrusted: true\n" + (folder / "cert.pem").read_text())
    (folder / "minisign.pub").write_bytes(minisign_file())
    for kind in ("ed25519", "ecdsa", "rsa"):
        (folder / f"ssh-{kind}.pub").write_bytes(ssh_line(kind) + b" ada laptop\n")
    (folder / "ssh-sk.pub").write_bytes(sk_line() + b"\n")
    (folder / "npm.json").write_text(json.dumps(npm_list()))
    (folder / "trusted_root.json").write_text(json.dumps(trusted_root()))
    (folder / "identity.json").write_text(json.dumps({"issuer": ISSUER, "identity": IDENTITY}))
    return folder


def _bare_keys(folder: Path) -> None:
    run("openssl", "genrsa", "-out", folder / "rsa.key", "2048")
    for kind, output in (("pem", "PEM"), ("der", "DER")):
        run("openssl", "rsa", "-in", folder / "rsa.key", "-pubout", "-outform", output, "-out", folder / f"spki.{kind}")
        run(
            "openssl", "rsa", "-in", folder / "rsa.key", "-RSAPublicKey_out", "-outform", output,
            "-out", folder / f"pkcs1.{kind}",
        )  # fmt: skip


def _truststores(folder: Path) -> None:
    def export(name: str, password: str, *options: str) -> None:
        run(
            "openssl", "pkcs12", "-export", "-nokeys", "-in", folder / "cert.pem", "-passout", f"pass:{password}", *options,
            "-out", folder / name,
        )  # fmt: skip

    export("openssl.p12", "")
    export("secret.p12", "gehäuse")
    export("legacy.p12", "changeit", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1")
    export("sha512.p12", "changeit", "-certpbe", "AES-128-CBC", "-macalg", "sha512")
    export("bare.p12", "", "-certpbe", "NONE", "-nomac")
    request = ("openssl", "req", "-x509", "-key", folder / "rsa.key", "-subj", "/CN=Own", "-days", "30")
    (folder / "self.pem").write_bytes(run(*request))
    run(
        "openssl", "pkcs12", "-export", "-inkey", folder / "rsa.key", "-in", folder / "self.pem", "-passout", "pass:",
        "-out", folder / "own.p12",
    )  # fmt: skip
