"""Writes the fixtures of apt repositories: ``python -m tests.packages.generate.apt_release``. Needs apt-ftparchive, dpkg-deb and gpg."""

from __future__ import annotations

import gzip
import lzma
import os
import re
import subprocess
import tempfile
from pathlib import Path

from tests.packages.generate.deb import build
from tests.packages.generate.openpgp_keys import VendorKeys
from tests.packages.generate.writing import FAILED, INDETERMINATE, PASSED, FixtureFolder
from tests.trust_store.openpgp_tools import Gpg

DATE, UNTIL = "Wed, 31 Jan 2024 00:00:00 UTC", "Thu, 31 Jan 2030 00:00:00 UTC"
ORIGIN = "APT::FTPArchive::Release"


def repository(place: Path) -> tuple[bytes, bytes, bytes]:
    """A package, the index that has it, and the Release file over that."""
    package = build(place, "xz")
    repo = place / "repo"
    (repo / "pool").mkdir(parents=True)
    (repo / "pool/fixture_2.3-4_all.deb").write_bytes(package)
    (repo / "main/binary-all").mkdir(parents=True)
    run = {"cwd": repo, "check": True, "capture_output": True}
    index = subprocess.run(["apt-ftparchive", "packages", "pool"], **run).stdout  # type: ignore[call-overload]
    (repo / "main/binary-all/Packages").write_bytes(index)
    (repo / "main/binary-all/Packages.gz").write_bytes(gzip.compress(index, mtime=0))
    (repo / "main/binary-all/Packages.xz").write_bytes(lzma.compress(index))
    options = [part for name in ("Origin", "Label") for part in ("-o", f"{ORIGIN}::{name}=Vendor")]
    options += ["-o", f"{ORIGIN}::Suite=stable", "-o", f"{ORIGIN}::Codename=one"]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1706659200"}
    release = subprocess.run(["apt-ftparchive", *options, "release", "."], **run, env=environment).stdout  # type: ignore[call-overload]
    return package, index, dated(release)


def dated(release: bytes, date: str = DATE, until: str | None = UNTIL) -> bytes:
    """The Release file with these times."""
    times = f"Date: {date}\n" + (f"Valid-Until: {until}\n" if until else "")
    return re.sub(rb"(?m)^Date: .*\n(?:Valid-Until: .*\n)?", times.encode(), release)


def main() -> None:
    """Write everything."""
    folder = FixtureFolder("apt-release")
    with tempfile.TemporaryDirectory() as place, Gpg() as gpg:
        keys = VendorKeys(gpg, folder)
        keys.make("vendor")
        keys.make("other")
        keys.make("ended", expire="20250101T000000")
        keys.make("withdrawn")
        package, index, release = repository(Path(place))
        _in_release(folder, keys, release)
        _framing(folder, keys, release)
        _release(folder, keys, release)
        _packages(folder, keys, package, index, release)
        keys.revoke("withdrawn")
    folder.close()


def _add(folder: FixtureFolder, name: str, data: bytes, outcome: str, reason: str, **fields: object) -> None:
    fields.setdefault("anchors", ["vendor.asc"])
    folder.case(name, folder.write(name, data), outcome, reason, **fields)


def _in_release(folder: FixtureFolder, keys: VendorKeys, release: bytes) -> None:
    valid = keys.clearsign("vendor", release)
    _add(folder, "valid", valid, PASSED, "trusted", mutate=True)
    folder.case("unknown_root", "valid", INDETERMINATE, "unknown_root", anchors=["other.asc"])
    folder.case("no_anchor", "valid", INDETERMINATE, "unknown_root", anchors=[])
    folder.case(
        "after_its_validity", "valid", INDETERMINATE, "expired", anchors=["vendor.asc"], at="2030-01-31T00:00:00Z"
    )
    _add(folder, "tampered", valid.replace(b"Suite: stable", b"Suite: Stable"), FAILED, "invalid_signature")
    _add(folder, "truncated", valid[:-200], FAILED, "malformed", format="openpgp-cleartext")
    _add(folder, "expired_key", keys.clearsign("ended", release), INDETERMINATE, "expired", anchors=["ended.asc"])
    _add(folder, "revoked", keys.clearsign("withdrawn", release), FAILED, "revoked", anchors=["withdrawn.asc"])
    _add(folder, "weak", keys.clearsign("vendor", release, "--digest-algo", "SHA1"), FAILED, "weak_algorithm")
    old = dated(release, until="Thu, 01 Feb 2024 00:00:00 UTC")
    _add(folder, "expired", keys.clearsign("vendor", old), INDETERMINATE, "expired")
    late = dated(release, "Thu, 01 Jan 2099 00:00:00 UTC", None)
    _add(folder, "of_the_future", keys.clearsign("vendor", late), INDETERMINATE, "not_yet_valid")
    _add(folder, "for_ever", keys.clearsign("vendor", dated(release, until=None)), PASSED, "trusted")
    zone = dated(release, "Wed, 31 Jan 2024 00:00:00 +0100")
    _add(folder, "another_zone", keys.clearsign("vendor", zone), FAILED, "malformed")


def _framing(folder: FixtureFolder, keys: VendorKeys, release: bytes) -> None:
    valid = keys.clearsign("vendor", release)
    general = {"format": "openpgp-cleartext"}
    _add(folder, "appended", valid + b"Suite: other\n", FAILED, "uncovered_content", **general)
    _add(folder, "text_before", b"Suite: other\n" + valid, FAILED, "uncovered_content", **general)
    _add(folder, "two_messages", valid + valid, FAILED, "malformed", **general)
    dashes = release.replace(b"Label: Vendor", b"Label: Vendor\nDescription:\n -\n- a dash")
    _add(folder, "line_with_a_dash", keys.clearsign("vendor", release + b"-dash: 1\n"), FAILED, "malformed")
    _add(folder, "escaped_line", keys.clearsign("vendor", dashes), FAILED, "malformed")
    twice = release.replace(b"Suite: stable", b"Suite: stable\nSuite: other")
    _add(folder, "duplicate_entries", keys.clearsign("vendor", twice), FAILED, "malformed")


def _release(folder: FixtureFolder, keys: VendorKeys, release: bytes) -> None:
    """Release with Release.gpg, found beside it by name or given."""
    form = {"format": "apt-release-file"}
    _add(folder, "Release", release, PASSED, "trusted", **form)
    folder.write("Release.gpg", keys.gpg.sign(keys.fingerprint("vendor"), "--armor", data=release))
    _add(folder, "Release-unsigned", release, INDETERMINATE, "unsigned", **form)
    tampered = release.replace(b"Suite: stable", b"Suite: Stable")
    given = {"signatures": ["Release.gpg"], **form}
    _add(folder, "Release-tampered", tampered, FAILED, "invalid_signature", **given)
    folder.case(
        "Release-expired",
        "Release",
        INDETERMINATE,
        "expired",
        anchors=["vendor.asc"],
        at="2031-01-01T00:00:00Z",
        **given,
    )


def _packages(folder: FixtureFolder, keys: VendorKeys, package: bytes, index: bytes, release: bytes) -> None:
    """A .deb through index and Release file."""
    folder.write("InRelease", keys.clearsign("vendor", release))
    folder.write("Packages", index)
    folder.write("Packages.gz", gzip.compress(index, mtime=0))
    folder.write("Packages.xz", lzma.compress(index))
    folder.write("Packages-other", index.replace(b"Architecture: all", b"Architecture: any"))
    other = build_other(package)
    folder.write("other.deb", other)

    def through(name: str, outcome: str, reason: str, *files: str, file: str = "fixture.deb") -> None:
        folder.case(name, file, outcome, reason, anchors=["vendor.asc"], signatures=list(files), format="deb")

    folder.write("fixture.deb", package)
    for suffix in ("", ".gz", ".xz"):
        through(f"deb{suffix}", PASSED, "trusted", "InRelease", f"Packages{suffix}")
    through("deb_release_gpg", PASSED, "trusted", "Packages", "Release", "Release.gpg")
    through("deb_other_package", FAILED, "invalid_signature", "InRelease", "Packages", file="other.deb")
    through("deb_other_index", FAILED, "invalid_signature", "InRelease", "Packages-other")
    through("deb_without_release", INDETERMINATE, "unsigned", "Packages")
    weak = re.sub(rb"(?ms)^SHA(256|512):\n( .*?\n)+(?=\S|\Z)", b"", release)
    folder.write("InRelease-sha1", keys.clearsign("vendor", weak))
    through("deb_weak_release", FAILED, "weak_algorithm", "InRelease-sha1", "Packages")
    old = dated(release, until="Thu, 01 Feb 2024 00:00:00 UTC")
    folder.write("InRelease-old", keys.clearsign("vendor", old))
    through("deb_old_release", INDETERMINATE, "expired", "InRelease-old", "Packages")
    folder.case(
        "index", "Packages", PASSED, "trusted", anchors=["vendor.asc"], signatures=["InRelease"], format="detached"
    )


def build_other(package: bytes) -> bytes:
    """The package with another time in a header."""
    return package.replace(b"1704067200", b"1704067201", 1)


if __name__ == "__main__":
    main()
