"""Writes the Android payload fixtures from the specification: ``python -m tests.packages.generate.android_payload``."""

from __future__ import annotations

import io
import shutil
import struct
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.packages.generate.jar import Bench, contents
from tests.packages.generate.writing import FAILED, INDETERMINATE, PASSED, FixtureFolder
from tests.packages.generate.zip_containers import ota
from tests.packages.payload_craft import HEADER, payload
from tests.packages.pki import issue

if TYPE_CHECKING:
    from tests.packages.pki import Issued

BLOBS = (b"partition data " * 40, bytes(range(256)))


def main() -> None:
    """Write everything."""
    folder = FixtureFolder("android-payload")
    one, two, curve = issue("OTA"), issue("Other"), issue("OTA EC", kind="p256")
    for name, signer in (("root", one), ("other", two), ("curve", curve)):
        folder.write(f"{name}.pem", signer.pem)
    folder.write("root.pub", one.public_pem)
    valid = payload(BLOBS, one)
    folder.write("valid.bin", valid)
    folder.case("valid", "valid.bin", PASSED, "trusted", mutate=True)
    folder.case("bare_key", "valid.bin", PASSED, "trusted", anchors=["root.pub"])
    folder.case("unknown_root", "valid.bin", INDETERMINATE, "unknown_root", anchors=["other.pem"])
    folder.case("no_anchor", "valid.bin", INDETERMINATE, "unknown_root", anchors=[])
    folder.write("two.bin", payload(BLOBS, two, one))
    folder.case("two_keys", "two.bin", PASSED, "trusted")
    folder.write("ec.bin", payload(BLOBS, curve, width=72))
    folder.case("ecdsa", "ec.bin", PASSED, "trusted", anchors=["curve.pem"], mutate=True)
    folder.write("unsigned.bin", payload(BLOBS))
    folder.case("unsigned", "unsigned.bin", INDETERMINATE, "unsigned")
    weak = issue("Weak", kind="rsa1024")
    folder.write("weak.pem", weak.pem)
    folder.write("weak.bin", payload(BLOBS, weak))
    folder.case("weak", "weak.bin", FAILED, "weak_algorithm", anchors=["weak.pem"])
    at = valid.index(b"partition data")
    folder.write("tampered.bin", valid[:at] + b"P" + valid[at + 1 :])
    folder.case("tampered", "tampered.bin", FAILED, "invalid_signature")
    at = valid.index(b"system")
    folder.write("metadata.bin", valid[:at] + b"vendor" + valid[at + 6 :])
    folder.case("tampered_metadata", "metadata.bin", INDETERMINATE, "unknown_root", note="the values name no key")
    folder.write("truncated.bin", valid[:-20])
    folder.case("truncated", "truncated.bin", FAILED, "malformed")
    folder.write("appended.bin", valid + b"appended")
    folder.case("appended", "appended.bin", FAILED, "malformed")
    _, _, size, signature = HEADER.unpack_from(valid)
    only = HEADER.pack(b"CrAU", 1, size, signature) + valid[HEADER.size :]
    folder.write("version1.bin", only)
    folder.case("older_version", "version1.bin", INDETERMINATE, "unsupported_format")
    folder.write("huge.bin", struct.pack(">4sQQI", b"CrAU", 2, 1 << 40, 0) + b"\0" * 40)
    folder.case("huge_manifest", "huge.bin", INDETERMINATE, "resource_limit")
    _archives(folder, valid, one, two)
    folder.close()


def _archives(folder: FixtureFolder, valid: bytes, one: Issued, two: Issued) -> None:
    """OTA archives whose lower signatures are reported: they fail the package, and never pass it."""
    members = {"payload.bin": valid, "META-INF/com/android/metadata": b"post-build=1\n"}
    work = Path(tempfile.mkdtemp(prefix="fixture-keys"))
    try:
        signed = Bench(work).sign(stored(members), one)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    package: dict[str, Any] = {"format": "android-ota"}
    folder.write("ota.zip", ota(signed, one))
    folder.case("archive", "ota.zip", PASSED, "trusted", mutate=True, **package)
    folder.write("ota-other.zip", ota(signed, two))
    folder.case("archive_signed_by_others", "ota-other.zip", INDETERMINATE, "unknown_root", **package)
    folder.case("archive_payload_unknown", "ota-other.zip", PASSED, "trusted", anchors=["other.pem"], **package)
    changed = contents(signed) | {"META-INF/com/android/metadata": b"post-build=2\n"}
    folder.write("ota-jar-broken.zip", ota(stored(changed), one))
    folder.case("archive_jar_broken", "ota-jar-broken.zip", FAILED, "invalid_signature", **package)


def stored(files: dict[str, bytes]) -> bytes:
    """An archive without compression, as OTA tools keep payloads."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
