"""Packages and signatures made for the reader tests: keys by openssl, archives by zipfile or by hand."""

from __future__ import annotations

import hashlib
import io
import struct
import subprocess
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from trust_store.formats.detect import read_package
from trust_store.formats.protocol import ReadLimits, SideMaterial
from trust_store.formats.streaming import BytesSource
from trust_store.model.package_facts import PackageFacts, SideFile, SignatureOrigin
from trust_store.signatures.protocol import CandidateKey

if TYPE_CHECKING:
    from pathlib import Path

LIMITS = ReadLimits()


@dataclass(frozen=True)
class Signer:
    """A self-signed certificate and its key, in files for openssl."""

    certificate: Path
    key: Path

    @classmethod
    def make(cls, folder: Path, name: str, *key: str) -> Signer:
        """``key`` are the arguments of ``openssl genpkey``."""
        signer = cls(folder / f"{name}.pem", folder / f"{name}.key")
        run("openssl", "genpkey", *key, "-out", str(signer.key))
        run(
            "openssl", "req", "-x509", "-new", "-key", str(signer.key), "-subj", f"/O=Test/CN={name}", "-days", "30",
            "-out", str(signer.certificate), *(() if "ED25519" in key else ("-sha256",)),
        )  # fmt: skip
        return signer

    @property
    def der(self) -> bytes:
        """The certificate."""
        return x509.load_pem_x509_certificate(self.certificate.read_bytes()).public_bytes(Encoding.DER)

    @property
    def candidate(self) -> CandidateKey:
        """The certificate as a key to try."""
        return CandidateKey("x509", self.der)

    def cms(self, data: bytes, *options: str) -> bytes:
        """What ``openssl cms -sign`` makes of ``data``."""
        return run(
            "openssl", "cms", "-sign", "-binary", "-signer", str(self.certificate), "-inkey", str(self.key),
            "-outform", "DER", *options, data=data,
        )  # fmt: skip

    def raw(self, data: bytes, digest: str = "sha256") -> bytes:
        """What ``openssl dgst -sign`` makes of ``data``."""
        return run("openssl", "dgst", f"-{digest}", "-sign", str(self.key), data=data)


def run(*arguments: str, data: bytes = b"") -> bytes:
    """The command's output; raises if it fails."""
    return subprocess.run(arguments, input=data, capture_output=True, check=True).stdout


def side(data: bytes, name: str = "package.p7s") -> SideMaterial:
    """A signature file beside the package."""
    return SideMaterial(SideFile(name, hashlib.sha256(data).hexdigest()), SignatureOrigin.GIVEN, data)


def read(data: bytes, *sides: SideMaterial, keys: tuple[CandidateKey, ...] = ()) -> PackageFacts:
    """The facts of a package in memory."""
    return read_package(BytesSource(data), sides, keys, LIMITS)


def passes(facts: PackageFacts) -> bool:
    """Whether nothing is wrong as far as facts can say: no problem, signed, every signature holds, nothing uncovered."""
    return (
        facts.problem is None
        and bool(facts.signatures)
        and all(any(check.holds for check in fact.key_checks) for fact in facts.signatures)
        and all(fact.problem is None for fact in facts.signatures)
        and all(uncovered.inert for uncovered in facts.coverage.uncovered)
    )


def archive(members: dict[str, bytes], *, comment: bytes = b"", method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A plain zip as Python writes it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as writer:
        for name, content in members.items():
            writer.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), content, method)
        writer.comment = comment
    return stream.getvalue()


def bundle(
    signer: Signer,
    members: dict[str, bytes],
    *,
    folder: str = "",
    extra: dict[str, bytes] | None = None,
    method: int = zipfile.ZIP_DEFLATED,
) -> bytes:
    """A vendor bundle: members, a manifest of them, its signature, and ``extra`` members that the manifest does not name."""
    manifest = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in members.items()).encode()
    files = {folder + name: data for name, data in members.items()}
    files |= {f"{folder}SHA256SUMS": manifest, f"{folder}SHA256SUMS.p7s": signer.cms(manifest, "-md", "sha256")}
    return archive(files | (extra or {}), method=method)


def ota(
    signer: Signer,
    members: dict[str, bytes],
    *,
    digest: str = "sha256",
    message: bytes = b"signed by SignApk\0",
    method: int = zipfile.ZIP_DEFLATED,
) -> bytes:
    """An OTA package as SignApk -w lays it out: CMS without signed attributes in the archive comment."""
    unsigned = archive(members, method=method)
    content = unsigned[:-2]
    block = signer.cms(content, "-noattr", "-md", digest)
    comment = message + block
    start = len(block) + 6
    comment += struct.pack("<HHH", start, 0xFFFF, len(comment) + 6)
    return content + struct.pack("<H", len(comment)) + comment


def tlv(tag: int, *contents: bytes) -> bytes:
    """A DER value."""
    content = b"".join(contents)
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content
