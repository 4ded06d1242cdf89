"""Writes the pacman fixtures: ``python -m tests.packages.generate.pacman``. Needs makepkg, fakeroot, zstd and gpg, and to be root."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path

from tests.packages.generate.openpgp_keys import VendorKeys
from tests.packages.generate.writing import FAILED, INDETERMINATE, PASSED, FixtureFolder
from tests.trust_store.openpgp_tools import Gpg

PKGBUILD = """pkgname=fixture
pkgver=1.2
pkgrel=3
arch=(any)
license=(MIT)
package() { mkdir -p "$pkgdir/opt"; echo contents > "$pkgdir/opt/fixture"; }
"""
NOBODY = "65534"


def build(extension: str) -> bytes:
    """A package by makepkg, which refuses to be root."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "PKGBUILD").write_text(PKGBUILD)
        os.chown(place, int(NOBODY), int(NOBODY))
        environment = {
            **os.environ, "PACKAGER": "Vendor <vendor@example.org>", "SOURCE_DATE_EPOCH": "1704067200", "HOME": name,
            "PKGEXT": f".pkg.tar.{extension}",
        }  # fmt: skip
        command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "makepkg", "--nodeps"]
        subprocess.run(command, check=True, capture_output=True, cwd=place, env=environment)
        return (place / f"fixture-1.2-3-any.pkg.tar.{extension}").read_bytes()


def archive(*members: tuple[str, bytes]) -> bytes:
    """A compressed archive by hand."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return gzip.compress(buffer.getvalue(), mtime=0)


def main() -> None:
    """Write everything."""
    folder = FixtureFolder("pacman")
    with Gpg() as gpg:
        keys = VendorKeys(gpg, folder)
        keys.make("vendor")
        keys.make("other")
        keys.make("ended", expire="20250101T000000")
        keys.make("withdrawn")
        package = build("gz")
        _signed(folder, keys, package)
        _wrong(folder, keys, package)
        keys.revoke("withdrawn")
    folder.close()


def _add(
    folder: FixtureFolder, name: str, data: bytes, signature: bytes | None, outcome: str, reason: str, **fields: object
) -> None:
    fields.setdefault("anchors", ["vendor.asc"])
    file = folder.write(f"{name}.pkg.tar.gz", data)
    if signature is not None:
        folder.write(f"{file}.sig", signature)
    folder.case(name, file, outcome, reason, **fields)


def _signed(folder: FixtureFolder, keys: VendorKeys, package: bytes) -> None:
    _add(folder, "valid", package, keys.sign("vendor", package), PASSED, "trusted", mutate=True)
    file = "valid.pkg.tar.gz"
    folder.case("unknown_root", file, INDETERMINATE, "unknown_root", anchors=["other.asc"])
    folder.case("no_anchor", file, INDETERMINATE, "unknown_root", anchors=[])
    _add(folder, "unsigned", package, None, INDETERMINATE, "unsigned")
    for extension, form in (("xz", "pacman"), ("zst", "detached")):
        data = build(extension)
        _add(folder, extension, data, keys.sign("vendor", data), PASSED, "trusted", format=form)
    ended, withdrawn = (keys.sign(name, package) for name in ("ended", "withdrawn"))
    _add(folder, "expired", package, ended, INDETERMINATE, "expired", anchors=["ended.asc"])
    _add(folder, "revoked", package, withdrawn, FAILED, "revoked", anchors=["withdrawn.asc"])
    weak = keys.sign("vendor", package, "--digest-algo", "SHA1")
    _add(folder, "weak", package, weak, FAILED, "weak_algorithm")


def _wrong(folder: FixtureFolder, keys: VendorKeys, package: bytes) -> None:
    info = b"pkgname = fixture\npkgver = 1.2-3\n"

    def signed(name: str, data: bytes, outcome: str, reason: str, **fields: object) -> None:
        _add(folder, name, data, keys.sign("vendor", data), outcome, reason, **fields)

    tampered = archive((".PKGINFO", info), ("opt/fixture", b"other\n"))
    signature = keys.sign("vendor", archive((".PKGINFO", info), ("opt/fixture", b"contents\n")))
    _add(folder, "tampered", tampered, signature, FAILED, "invalid_signature")
    _add(folder, "truncated", package[:-20], keys.sign("vendor", package), FAILED, "malformed")
    _add(folder, "appended", package + b"x", keys.sign("vendor", package), FAILED, "malformed")
    signed("duplicate_entries", archive((".PKGINFO", info), ("a", b"1"), ("a", b"2")), FAILED, "malformed")
    signed("without_version", archive((".PKGINFO", b"pkgname = fixture\n"), ("a", b"1")), FAILED, "malformed")
    signed("two_names", archive((".PKGINFO", b"pkgname = a\n" + info)), FAILED, "malformed")
    signed("without_info", archive((".MTREE", b""), ("a", b"1")), FAILED, "malformed")
    signed("other_archive", archive(("a", b"1"), (".PKGINFO", info)), PASSED, "trusted", format="tar")


if __name__ == "__main__":
    main()
