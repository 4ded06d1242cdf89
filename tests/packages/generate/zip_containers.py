"""Writes the fixtures of android-ota, vendor-bundle and zip: ``python -m tests.packages.generate.zip_containers``.

Archives by Info-ZIP, signatures by openssl; the footer of an OTA package by AOSP's layout (SignApk is not in Debian).
"""

from __future__ import annotations

import hashlib
import struct
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tests.packages.generate.writing import FAILED, INDETERMINATE, PASSED, FixtureFolder
from tests.packages.pki import Issued, issue, make_pki, revocation_list

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.packages.pki import PKI

FILES = {"firmware.bin": b"\x7fELF" + bytes(range(256)), "notes/readme.txt": b"read me\n"}
OTA = {"META-INF/com/google/android/update-binary": b"#!/sbin/sh\n", "system.img": bytes(range(200))}


def zipped(files: Mapping[str, bytes], *options: str) -> bytes:
    """What Info-ZIP makes of ``files``, stored."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, data in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        subprocess.run(["zip", "-q", "-0", "-X", "-D", "out.zip", *options, *files], cwd=folder, check=True)
        return (folder / "out.zip").read_bytes()


def cms(content: bytes, signer: Issued, *chain: Issued, options: tuple[str, ...] = ("-md", "sha256")) -> bytes:
    """What openssl makes of ``content``: a detached signature in DER."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        certificate, key = signer.write(folder, "signer")
        (folder / "chain.pem").write_bytes(b"".join(one.pem for one in chain))
        extra = ("-certfile", str(folder / "chain.pem")) if chain else ()
        command = (
            "openssl",
            "cms",
            "-sign",
            "-binary",
            "-outform",
            "DER",
            "-signer",
            str(certificate),
            "-inkey",
            str(key),
        )
        return subprocess.run([*command, *extra, *options], input=content, check=True, capture_output=True).stdout


def ota(archive: bytes, signer: Issued, *, digest: str = "sha256") -> bytes:
    """The package as SignApk -w leaves it."""
    content = archive[:-2]
    block = cms(content, signer, options=("-noattr", "-md", digest))
    comment = b"signed by SignApk\0" + block
    comment += struct.pack("<HHH", len(block) + 6, 0xFFFF, len(comment) + 6)
    return content + struct.pack("<H", len(comment)) + comment


def bundle(files: Mapping[str, bytes], listed: Mapping[str, bytes], sign: Callable[[bytes], bytes]) -> bytes:
    """``files`` with a manifest of ``listed`` and its signature."""
    manifest = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in listed.items()).encode()
    return zipped({**files, "SHA256SUMS": manifest, "SHA256SUMS.p7s": sign(manifest)})


def _windows(pki: PKI) -> tuple[Issued, Issued]:
    """A signer that has expired, and one whose key is small."""
    old = issue(
        "Old Signer", pki.intermediate, begin=datetime(2022, 1, 1, tzinfo=UTC), end=datetime(2023, 1, 1, tzinfo=UTC)
    )
    return old, issue("Small Signer", pki.intermediate, kind="rsa1024")


def write_ota(other: PKI) -> None:
    """android-ota: recovery trusts a key, not a chain; the certificates are its wrapping."""
    folder = FixtureFolder("android-ota")
    signer = issue("OTA Signer")
    folder.write("root.pem", signer.pem)
    folder.write("other.pem", other.leaf.pem)
    folder.write("key.pub", signer.public_pem)
    archive = zipped(OTA)
    valid = ota(archive, signer)
    folder.write("valid.zip", valid)
    folder.case("valid", "valid.zip", PASSED, "trusted", mutate=True)
    folder.case("valid_bare_key", "valid.zip", PASSED, "trusted", anchors=["key.pub"])
    folder.case("unknown_root", "valid.zip", INDETERMINATE, "unknown_root", anchors=["other.pem"])
    folder.case("no_anchor", "valid.zip", INDETERMINATE, "unknown_root", anchors=[])
    curve = issue("OTA Curve", kind="p256")
    folder.write("curve.pem", curve.pem)
    folder.write("curve.zip", ota(archive, curve))
    folder.case("curve", "curve.zip", PASSED, "trusted", anchors=["curve.pem"], mutate=True)
    folder.write("weak.zip", ota(archive, signer, digest="sha1"))
    folder.case("weak", "weak.zip", FAILED, "weak_algorithm")
    old = issue("OTA Old", begin=datetime(2022, 1, 1, tzinfo=UTC), end=datetime(2023, 1, 1, tzinfo=UTC))
    folder.write("old.pem", old.pem)
    folder.write("expired.zip", ota(archive, old))
    folder.case("expired", "expired.zip", PASSED, "trusted", anchors=["old.pem"], note="recovery knows no expiry")
    folder.write("tampered.zip", valid.replace(b"#!/sbin/sh", b"#!/evil/sh"))
    folder.case("tampered", "tampered.zip", FAILED, "invalid_signature")
    changed = zipped(OTA | {"system.img": b"evil"})
    folder.write("swapped.zip", changed[:-2] + valid[len(archive) - 2 :])
    folder.case("swapped", "swapped.zip", FAILED, "invalid_signature")
    folder.write("unsigned.zip", archive)
    folder.case("unsigned", "unsigned.zip", INDETERMINATE, "unsigned", format="zip")
    folder.write("truncated.zip", valid[:-40])
    folder.case("truncated", "truncated.zip", FAILED, "malformed", format="zip")
    folder.write("appended.zip", valid + b"more")
    folder.case("appended", "appended.zip", FAILED, "malformed", format="zip")
    folder.close()


def write_bundle(pki: PKI, other: PKI) -> None:
    """vendor-bundle."""
    folder = FixtureFolder("vendor-bundle")
    folder.write("root.pem", pki.root.pem)
    folder.write("other.pem", other.root.pem)

    def sign(manifest: bytes) -> bytes:
        return cms(manifest, pki.leaf, pki.intermediate)

    valid = bundle(FILES, FILES, sign)
    folder.write("valid.zip", valid)
    folder.case("valid", "valid.zip", PASSED, "trusted", mutate=True)
    folder.case("unknown_root", "valid.zip", INDETERMINATE, "unknown_root", anchors=["other.pem"])
    folder.write("signer.crl", revocation_list(pki.intermediate, pki.leaf))
    folder.case("revoked", "valid.zip", FAILED, "revoked", crls=["signer.crl"])
    old, small = _windows(pki)
    folder.write("expired.zip", bundle(FILES, FILES, lambda data: cms(data, old, pki.intermediate)))
    folder.case("expired", "expired.zip", INDETERMINATE, "expired")
    folder.write("small.zip", bundle(FILES, FILES, lambda data: cms(data, small, pki.intermediate)))
    folder.case("small_key", "small.zip", FAILED, "weak_algorithm")
    folder.write(
        "weak.zip", bundle(FILES, FILES, lambda data: cms(data, pki.leaf, pki.intermediate, options=("-md", "sha1")))
    )
    folder.case("weak", "weak.zip", FAILED, "weak_algorithm")
    folder.write("tampered.zip", bundle(FILES | {"firmware.bin": b"evil"}, FILES, sign))
    folder.case("tampered", "tampered.zip", FAILED, "invalid_signature")
    folder.write("absent.zip", bundle({"firmware.bin": FILES["firmware.bin"]}, FILES, sign))
    folder.case("absent", "absent.zip", FAILED, "invalid_signature")
    folder.write("unlisted.zip", bundle(FILES | {"evil.sh": b"#!/bin/sh\n"}, FILES, sign))
    folder.case("unlisted", "unlisted.zip", FAILED, "uncovered_content")
    folder.write("manifest.zip", bundle(FILES, FILES, lambda data: sign(data + b"\n")))
    folder.case("manifest_changed", "manifest.zip", FAILED, "invalid_signature")
    folder.write("downgrade.zip", zipped(FILES))
    folder.case(
        "downgrade", "downgrade.zip", INDETERMINATE, "unsigned", format="zip", note="manifest and signature stripped"
    )
    folder.write("truncated.zip", valid[:-10])
    folder.case("truncated", "truncated.zip", FAILED, "malformed", format="zip")
    folder.write("appended.zip", valid + b"more")
    folder.case("appended", "appended.zip", FAILED, "malformed", format="zip")
    folder.close()


def write_zip(pki: PKI, other: PKI) -> None:
    """zip: no signature of its own; one beside it covers every byte."""
    folder = FixtureFolder("zip")
    folder.write("root.pem", pki.root.pem)
    folder.write("other.pem", other.root.pem)
    archive = zipped(FILES)
    folder.write("valid.zip", archive)
    folder.write("valid.zip.p7s", cms(archive, pki.leaf, pki.intermediate))
    folder.case("valid", "valid.zip", PASSED, "trusted", mutate=True)
    folder.case("unknown_root", "valid.zip", INDETERMINATE, "unknown_root", anchors=["other.pem"])
    folder.write("signer.crl", revocation_list(pki.intermediate, pki.leaf))
    folder.case("revoked", "valid.zip", FAILED, "revoked", crls=["signer.crl"])
    folder.write("tampered.zip", zipped(FILES | {"firmware.bin": b"evil"}))
    folder.case("tampered", "tampered.zip", FAILED, "invalid_signature", signatures=["valid.zip.p7s"])
    folder.write("unsigned.zip", archive)
    folder.case("unsigned", "unsigned.zip", INDETERMINATE, "unsigned")
    folder.write("truncated.zip", archive[:-10])
    folder.case("truncated", "truncated.zip", FAILED, "malformed", signatures=["valid.zip.p7s"])
    folder.write("duplicate.zip", archive.replace(b"notes/readme.txt", b"firmware.bin\0\0\0\0"))
    folder.case("odd_name", "duplicate.zip", FAILED, "malformed")
    folder.write("collision.zip", zipped({"Readme": b"a", "readmE": b"b"}))
    folder.case("duplicate_entries", "collision.zip", FAILED, "malformed")
    inner = bundle(FILES, FILES, lambda data: cms(data, pki.leaf, pki.intermediate))
    folder.write("inner.zip", zipped({"bundle.zip": inner, "notes.txt": b"see inside\n"}))
    folder.case("package_inside", "inner.zip", INDETERMINATE, "unsigned")
    folder.close()


def main() -> None:
    """Write everything."""
    pki, other = make_pki("Vendor"), make_pki("Stranger")
    write_ota(other)
    write_bundle(pki, other)
    write_zip(pki, other)


if __name__ == "__main__":
    main()
