"""Writes the Debian package fixtures: ``python -m tests.packages.generate.deb``. Needs dpkg-deb, debsigs and gpg."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

from tests.packages.generate.deb_craft import Deb, archive, entry, split
from tests.packages.generate.openpgp_keys import SIGNED, VendorKeys
from tests.packages.generate.writing import FAILED, INDETERMINATE, PASSED, FixtureFolder
from tests.trust_store.openpgp_tools import Gpg

CONTROL = """Package: fixture
Version: 1:2.3-4
Architecture: all
Maintainer: Vendor <vendor@example.org>
Description: a fixture
"""
ORIGIN = "_gpgorigin"


def build(place: Path, compression: str) -> bytes:
    """An unsigned package by dpkg-deb; ``compression`` is none, gzip, xz or zstd."""
    root = place / "root"
    (root / "DEBIAN").mkdir(parents=True, exist_ok=True)
    (root / "opt").mkdir(exist_ok=True)
    (root / "DEBIAN/control").write_text(CONTROL)
    (root / "opt/fixture").write_text("contents\n")
    command = [
        "dpkg-deb",
        "--root-owner-group",
        f"-Z{compression}",
        "--uniform-compression",
        "-b",
        root,
        place / "a.deb",
    ]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "SOURCE_DATE_EPOCH": "1704067200"})
    return (place / "a.deb").read_bytes()


def debsigs(gpg: Gpg, fingerprint: str, package: bytes, role: str = "origin", digest: str = "SHA512") -> bytes:
    """The package with the signature that debsigs adds, at the time of the fixtures; left alone it has gpg use SHA-1 (``--openpgp``)."""
    place = gpg.home / "to-sign.deb"
    place.write_bytes(package)
    tools = gpg.home / "bin"
    tools.mkdir(exist_ok=True)
    wrapper = tools / "gpg"
    extra = f"--batch --faked-system-time {SIGNED}! --digest-algo {digest}"
    wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("gpg")} {extra} "$@"\n')
    wrapper.chmod(0o755)
    environment = {**os.environ, "GNUPGHOME": str(gpg.home), "PATH": f"{tools}:{os.environ['PATH']}"}
    command = ["debsigs", f"--sign={role}", f"--default-key={fingerprint}", place]
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return place.read_bytes()


def main() -> None:
    """Write everything."""
    folder = FixtureFolder("deb")
    with tempfile.TemporaryDirectory() as place, Gpg() as gpg:
        keys = VendorKeys(gpg, folder)
        keys.make("vendor")
        keys.make("other")
        keys.make("curve", "ed25519")
        keys.make("ended", expire="20250101T000000")
        keys.make("withdrawn")
        keys.make("small", "rsa1024")
        unsigned = build(Path(place), "xz")
        _by_tools(folder, keys, Path(place), unsigned)
        deb = split(unsigned)
        _damaged(folder, keys, deb)
        _members(folder, keys, deb)
        _borders(folder, keys, split(build(Path(place), "none")))
        _statements(folder, keys, deb)
        keys.revoke("withdrawn")
    folder.close()


def _add(folder: FixtureFolder, name: str, data: bytes, outcome: str, reason: str, **fields: object) -> None:
    fields.setdefault("anchors", ["vendor.asc"])
    folder.case(name, folder.write(f"{name}.deb", data), outcome, reason, **fields)


def _by_tools(folder: FixtureFolder, keys: VendorKeys, place: Path, unsigned: bytes) -> None:
    def signed(name: str, package: bytes = unsigned) -> bytes:
        return debsigs(keys.gpg, keys.fingerprint(name), package)

    _add(folder, "unsigned", unsigned, INDETERMINATE, "unsigned")
    _add(folder, "valid", signed("vendor"), PASSED, "trusted", mutate=True)
    folder.case("unknown_root", "valid.deb", INDETERMINATE, "unknown_root", anchors=["other.asc"])
    folder.case("no_anchor", "valid.deb", INDETERMINATE, "unknown_root", anchors=[])
    for compression in ("gzip", "none"):
        package = signed("vendor", build(place, compression))
        _add(folder, compression, package, PASSED, "trusted", mutate=compression == "gzip")
    zstd = split(build(place, "zstd"))  # of which debsigs 0.1.26 signs the first member alone
    _add(folder, "zstd", zstd.package(entry(ORIGIN, keys.sign("vendor", zstd.signed))), PASSED, "trusted", mutate=True)
    _add(folder, "zstd_half", signed("vendor", zstd.package()), FAILED, "invalid_signature")
    _add(folder, "expired", signed("ended"), INDETERMINATE, "expired", anchors=["ended.asc"])
    _add(folder, "revoked", signed("withdrawn"), FAILED, "revoked", anchors=["withdrawn.asc"])
    _add(folder, "weak_key", signed("small"), FAILED, "weak_algorithm", anchors=["small.asc"])
    armored = unsigned + entry(ORIGIN, keys.sign("curve", split(unsigned).signed, "--armor"))
    _add(folder, "armored", armored, PASSED, "trusted", anchors=["curve.asc"])
    two = debsigs(keys.gpg, keys.fingerprint("other"), signed("vendor"), "maint")
    _add(folder, "two_roles", two, PASSED, "trusted")


def _damaged(folder: FixtureFolder, keys: VendorKeys, deb: Deb) -> None:
    signature = entry(ORIGIN, keys.sign("vendor", deb.signed))
    valid = deb.package(signature)
    data = bytearray(deb.data)
    data[20] ^= 1
    _add(folder, "tampered", replace(deb, data=bytes(data)).package(signature), FAILED, "invalid_signature")
    _add(folder, "truncated", valid[:-30], FAILED, "malformed")
    _add(folder, "appended", valid + b"appended\n", FAILED, "malformed")
    weak = debsigs(keys.gpg, keys.fingerprint("vendor"), deb.package(), digest="SHA1")
    _add(folder, "weak", weak, FAILED, "weak_algorithm")
    broken = deb.package(signature, entry("_gpgmaint", keys.sign("vendor", deb.signed + b"!")))
    _add(folder, "second_signature_broken", broken, FAILED, "invalid_signature")
    _add(folder, "no_signature", deb.package(entry(ORIGIN, b"nothing")), FAILED, "malformed")
    text = deb.package(entry(ORIGIN, keys.sign("vendor", deb.signed, "--textmode")))
    _add(folder, "text_signature", text, INDETERMINATE, "unsupported_format")


def _members(folder: FixtureFolder, keys: VendorKeys, deb: Deb) -> None:
    signature = entry(ORIGIN, keys.sign("vendor", deb.signed))
    _add(folder, "duplicate_entries", deb.package(entry(deb.data_name, deb.data), signature), FAILED, "malformed")
    second = deb.package(entry("data.tar.gz", gzip.compress(b"")), signature)
    _add(folder, "second_data_member", second, FAILED, "malformed")
    _add(folder, "more_members", deb.package(signature, entry("_extra", b"more")), FAILED, "uncovered_content")
    version, control, data = deb.members
    _add(folder, "other_order", archive(version, data, control, signature), FAILED, "malformed")
    _add(folder, "no_control", archive(version, data, signature), FAILED, "malformed")
    _add(folder, "signature_before_data", archive(version, control, signature, data), PASSED, "trusted")
    padded = archive(
        version, control, entry(deb.data_name, deb.data + b"x", size=len(deb.data), padding=b""), signature
    )
    _add(folder, "bytes_between_members", padded, FAILED, "malformed")


def _borders(folder: FixtureFolder, keys: VendorKeys, deb: Deb) -> None:
    """A debsigs signature holds wherever the borders between the three members are: only they say what is installed."""
    signature = entry(ORIGIN, keys.sign("vendor", deb.signed))
    moved = replace(deb, control=deb.control + deb.data[:1024], data=deb.data[1024:])
    _add(folder, "border_moved", moved.package(signature), FAILED, "malformed")
    early = replace(deb, version=deb.version + deb.control[:1], control=deb.control[1:])
    _add(folder, "first_border_moved", early.package(signature), FAILED, "malformed")
    renamed = replace(deb, data_name="data.tar.gz")
    _add(folder, "data_renamed", renamed.package(signature), FAILED, "malformed")


def _statements(folder: FixtureFolder, keys: VendorKeys, deb: Deb) -> None:
    """Cleartext-signed lists as dpkg-sig wrote them."""

    def statement(text: bytes, name: str = "vendor") -> bytes:
        return entry("_gpgbuilder", keys.clearsign(name, text))

    _add(folder, "list_by_sha1", deb.package(statement(deb.statement())), FAILED, "weak_algorithm")
    changed = replace(deb, data=split(build_changed(deb)).data)
    _add(folder, "list_of_other_contents", changed.package(statement(deb.statement())), FAILED, "invalid_signature")
    lines = deb.statement().splitlines(keepends=True)
    _add(folder, "list_without_data", deb.package(statement(b"".join(lines[:-1]))), FAILED, "invalid_signature")
    both = deb.package(entry(ORIGIN, keys.sign("vendor", deb.signed)), statement(deb.statement()))
    _add(folder, "list_beside_signature", both, PASSED, "trusted")
    unknown = deb.package(statement(deb.statement(), "other"))
    _add(folder, "list_unknown_root", unknown, FAILED, "weak_algorithm")
    outside = entry("_gpgbuilder", keys.clearsign("vendor", deb.statement()) + b"more\n")
    _add(folder, "text_outside_list", deb.package(outside), FAILED, "malformed")


def build_changed(deb: Deb) -> bytes:
    """The package with one more byte of data."""
    return replace(deb, data=deb.data + b"\0").package()


if __name__ == "__main__":
    main()
