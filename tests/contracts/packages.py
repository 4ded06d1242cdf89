"""Packages as vendors make them, with the vendors' own tools: openssl, gpg, Python's zipfile, and an OTA footer laid by hand."""

from __future__ import annotations

import hashlib
import io
import struct
import subprocess
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric import rsa

    from tests.trust_store.openpgp_tools import Gpg

CONTENT = b"#!/bin/sh\n# Full upgrade 4.2\n" + bytes(range(256))
FILES = {"manifest.json": b'{"version": "4.2"}\n', "bin/firmware.img": CONTENT}
DAY = timedelta(days=1)


@dataclass
class Holder:
    """A certificate and its key, in files for openssl, with what is needed to issue others under it."""

    folder: Path
    name: str
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    above: tuple[Holder, ...] = field(default=())

    def __post_init__(self) -> None:
        self.pem.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        self.key_file.write_bytes(
            self.key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )

    @property
    def pem(self) -> Path:
        """The certificate's file."""
        return self.folder / f"{self.name}.pem"

    @property
    def key_file(self) -> Path:
        """The key's file."""
        return self.folder / f"{self.name}.key"

    @property
    def der(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def cms(self, data: bytes, *options: str, form: str = "DER", digest: str = "sha256", carry: bool = True) -> bytes:
        """What ``openssl cms -sign`` makes of ``data``, with the certificates below the root inside."""
        inside: list[str] = []
        if carry:
            chain = self.folder / f"{self.name}.chain.pem"
            chain.write_bytes(b"".join(h.pem.read_bytes() for h in self.above[:-1]))
            inside = ["-certfile", str(chain)] if self.above[:-1] else []
        return run(
            "openssl", "cms", "-sign", "-binary", "-md", digest, "-signer", str(self.pem), "-inkey", str(self.key_file),
            "-outform", form, *inside, *(() if carry else ("-nocerts",)), *options, data=data,
        )  # fmt: skip


def issue(
    folder: Path,
    name: str,
    above: Holder | None = None,
    *,
    ca: bool = False,
    subject: str | None = None,
    eku: x509.ObjectIdentifier | None = None,
    days: tuple[float, float] = (-30, 365),
    key: Any = None,
    digest: hashes.HashAlgorithm | None = None,
    at: datetime | None = None,
) -> Holder:
    """A new certificate under ``above``, or a root; ``days`` are its validity from now."""
    at = (at or datetime.now(UTC)).replace(microsecond=0)
    own = key or ec.generate_private_key(ec.SECP256R1())
    signer = above.key if above else own
    title = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject or f"DTEN {name}")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(title)
        .issuer_name(above.certificate.subject if above else title)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at + days[0] * DAY)
        .not_valid_after(at + days[1] * DAY)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(_usage(ca=ca), critical=True)
    )
    eku = eku or (None if ca else ExtendedKeyUsageOID.CODE_SIGNING)
    if eku is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([eku]), critical=False)
    certificate = builder.sign(signer, digest or hashes.SHA256())
    return Holder(folder, name, certificate, own, (above, *above.above) if above else ())


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=ca, crl_sign=ca, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def run(*arguments: str, data: bytes = b"") -> bytes:
    """The command's output; raises if it fails."""
    return subprocess.run(arguments, input=data, capture_output=True, check=True).stdout


def archive(
    members: Iterable[tuple[str, bytes]], *, method: int = zipfile.ZIP_DEFLATED, attributes: int | None = None
) -> bytes:
    """A zip of ``members`` in their order, equal names and all."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as writer:
        for name, data in members:
            info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            if attributes is not None:
                info.external_attr = attributes << 16
            writer.writestr(info, data, method)
    return stream.getvalue()


def sums(files: dict[str, bytes]) -> bytes:
    """``SHA256SUMS`` of ``files``."""
    return "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items()).encode()


def bundle(
    sign: Callable[[bytes], bytes],
    files: dict[str, bytes] | None = None,
    *,
    suffix: str = ".p7s",
    listed: dict[str, bytes] | None = None,
    extra: Iterable[tuple[str, bytes]] = (),
    folder: str = "",
) -> bytes:
    """A vendor bundle; ``listed`` is what the manifest says if not ``files``, ``extra`` members are in no list."""
    files = FILES if files is None else files
    manifest = sums(files if listed is None else listed)
    members = [(folder + name, data) for name, data in files.items()]
    members += [(f"{folder}SHA256SUMS", manifest), (f"{folder}SHA256SUMS{suffix}", sign(manifest)), *extra]
    return archive(members)


def ota(sign: Callable[[bytes], bytes], files: dict[str, bytes] | None = None) -> bytes:
    """An Android OTA package: everything before the archive's comment length is signed, the signature is the comment."""
    unsigned = archive((FILES if files is None else files).items())[:-2]
    block = sign(unsigned)
    message = b"signed by SignApk\0"
    size = len(message) + len(block) + 6
    comment = message + block + struct.pack("<HHH", len(block) + 6, 0xFFFF, size)
    return unsigned + struct.pack("<H", size) + comment


@dataclass(frozen=True)
class Kit:
    """All keys of the vendor and of strangers, and packages of every supported kind, made once."""

    folder: Path
    root: Holder
    middle: Holder
    signer: Holder
    stranger: Holder
    gpg: Gpg
    pgp: str
    pgp_stranger: str
    anchors: Path
    pgp_anchors: Path
    pgp_stranger_anchors: Path

    @classmethod
    def make(cls, folder: Path, gpg: Gpg) -> Kit:
        """Root, intermediate and signer; a stranger with a root of its own; two OpenPGP keys."""
        root = issue(folder, "root", ca=True)
        middle = issue(folder, "middle", root, ca=True)
        signer = issue(folder, "signer", middle)
        stranger = issue(folder, "stranger", issue(folder, "stranger-root", ca=True))
        pgp = gpg.make_key("DTEN Release <release@dten.example>", "ed25519")
        other = gpg.make_key("Somebody <somebody@elsewhere.example>", "ed25519")
        (folder / "dten.asc").write_bytes(gpg.export(pgp, armor=True))
        (folder / "somebody.gpg").write_bytes(gpg.export(other))
        return cls(
            folder,
            root,
            middle,
            signer,
            stranger,
            gpg,
            pgp,
            other,
            root.pem,
            folder / "dten.asc",
            folder / "somebody.gpg",
        )

    def detached(self, data: bytes, key: str | None = None) -> bytes:
        """An armored OpenPGP signature."""
        return self.gpg.sign(key or self.pgp, "--armor", data=data)

    def binary(self, data: bytes) -> bytes:
        """The same, binary."""
        return self.gpg.sign(self.pgp, data=data)

    def package(self, kind: str) -> tuple[str, bytes, dict[str, bytes], Path]:
        """Name, bytes, side files by suffix and anchors of a valid package of ``kind``; see KINDS."""
        plain = archive(FILES.items())
        signer = self.signer
        if kind == "android-ota":
            return "ota.zip", ota(lambda data: signer.cms(data, "-noattr")), {}, self.anchors
        if kind == "bundle-p7s":
            return "bundle.zip", bundle(signer.cms), {}, self.anchors
        if kind == "bundle-asc":
            return "bundle-pgp.zip", bundle(self.detached, suffix=".asc"), {}, self.pgp_anchors
        if kind == "zip-p7s":
            return "plain.zip", plain, {".p7s": signer.cms(plain)}, self.anchors
        if kind == "zip-asc":
            return "plain-pgp.zip", plain, {".asc": self.detached(plain)}, self.pgp_anchors
        if kind == "file-p7s":
            return "firmware.bin", CONTENT, {".p7s": signer.cms(CONTENT)}, self.anchors
        if kind == "file-p7s-pem":
            return "firmware.pem.bin", CONTENT, {".p7s": signer.cms(CONTENT, form="PEM")}, self.anchors
        if kind == "file-asc":
            return "firmware.pgp.bin", CONTENT, {".asc": self.detached(CONTENT)}, self.pgp_anchors
        if kind == "file-sig":
            return "firmware.sig.bin", CONTENT, {".sig": self.binary(CONTENT)}, self.pgp_anchors
        raise ValueError(kind)


KINDS = {
    "android-ota": ("android-ota", "android-ota"),
    "bundle-p7s": ("vendor-bundle", "cms"),
    "bundle-asc": ("vendor-bundle", "openpgp"),
    "zip-p7s": ("zip", "cms"),
    "zip-asc": ("zip", "openpgp"),
    "file-p7s": ("detached", "cms"),
    "file-p7s-pem": ("detached", "cms"),
    "file-asc": ("detached", "openpgp"),
    "file-sig": ("detached", "openpgp"),
}
"""Kind of package -> the format and the scheme that a verdict names."""
