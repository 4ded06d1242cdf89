"""Writes the APK fixtures with apksigner (Debian apksigner): ``python -m tests.packages.generate.apk``."""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path

from tests.packages.android_xml import android_manifest
from tests.packages.apk_craft import replace_pairs, signed_apk, split_apk, with_block
from tests.packages.apk_signing import (
    EC256,
    MAX_SDK,
    PADDING,
    ROTATION,
    ROTATION_MIN_SDK,
    V2,
    V3,
    V31,
    VERITY_EC,
    content_digest,
    lineage,
    scheme,
    signer_block,
    u32,
    v2_signed,
    with_pairs,
)
from tests.packages.generate.writing import FAILED, INDETERMINATE, PASSED, FixtureFolder
from tests.packages.pki import Issued, issue, revocation_list

FILES = {
    "classes.dex": b"dex\n035\0" + bytes(range(256)) * 8,
    "res/layout/a.xml": b"<a/>" * 64,
    "res/layout/A.xml": b"<A/>" * 64,
}


def package(files: dict[str, bytes] = FILES, method: int = zipfile.ZIP_DEFLATED, **manifest: int | str | None) -> bytes:
    """An unsigned APK."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {"AndroidManifest.xml": android_manifest(**manifest), **files}.items():  # type: ignore[arg-type]
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data, method)
        archive.writestr(zipfile.ZipInfo("assets/stored.bin", (2026, 1, 1, 0, 0, 0)), bytes(range(200)))
    return buffer.getvalue()


def padded(apk: bytes) -> bytes:
    """``apk`` with zeros after its entries up to a whole block, which apksig wants under a verity digest."""
    parts = split_apk(apk)
    entries = parts.entries.ljust(-(-len(parts.entries) // 4096) * 4096, b"\0")
    return signed_apk(entries, b"", parts.directory, parts.entries_count)


class Bench:
    """A folder in which apksigner is run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def sign(self, apk: bytes, *signers: Issued, schemes: str = "1 2 3", options: tuple[str, ...] = ()) -> bytes:
        """``apk`` signed by ``signers`` with the schemes of these numbers."""
        (self.folder / "in.apk").write_bytes(apk)
        words = ["apksigner", "sign", "--in", "in.apk", "--out", "out.apk"]
        words += [w for n in "123" for w in (f"--v{n}-signing-enabled", str(n in schemes).lower())]
        words += ["--v4-signing-enabled", str("4" in schemes).lower()]
        for number, signer in enumerate(signers):
            words += ["--next-signer"] if number else []
            words += self.signer(f"signer{number}", signer)
        words += options
        subprocess.run(words, cwd=self.folder, check=True, capture_output=True)
        return (self.folder / "out.apk").read_bytes()

    def signer(self, name: str, one: Issued) -> list[str]:
        """The options for one signer, whose files are written."""
        (self.folder / f"{name}.pk8").write_bytes(one.key_der)
        (self.folder / f"{name}.pem").write_bytes(one.pem)
        return ["--key", f"{name}.pk8", "--cert", f"{name}.pem"]

    def rotate(self, old: Issued, new: Issued) -> None:
        """Write ``lineage``."""
        words = ["apksigner", "rotate", "--out", "lineage", "--old-signer", *self.signer("old", old)]
        words += ["--new-signer", *self.signer("new", new)]
        subprocess.run(words, cwd=self.folder, check=True, capture_output=True)

    def idsig(self) -> bytes:
        """The v4 signature of the last package."""
        return (self.folder / "out.apk.idsig").read_bytes()


def main() -> None:
    """Write everything."""
    folder = FixtureFolder("apk")
    work = Path(tempfile.mkdtemp(prefix="fixture-keys"))
    try:
        _write(folder, Bench(work))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    folder.close()


def _write(folder: FixtureFolder, bench: Bench) -> None:
    one, two, new = (issue(f"App {n}", kind="p256") for n in ("One", "Two", "New"))
    for name, signer in (("root", one), ("other", issue("Other", kind="p256")), ("two", two), ("new", new)):
        folder.write(f"{name}.pem", signer.pem)
    plain = package()
    valid = bench.sign(plain, one)
    folder.write("valid.apk", valid)
    folder.case("valid", "valid.apk", PASSED, "trusted", mutate=True)
    folder.case("unknown_root", "valid.apk", INDETERMINATE, "unknown_root", anchors=["other.pem"])
    folder.case("no_anchor", "valid.apk", INDETERMINATE, "unknown_root", anchors=[])
    folder.write("unsigned.apk", plain)
    folder.case("unsigned", "unsigned.apk", INDETERMINATE, "unsigned")
    _schemes(folder, bench, plain, one)
    _signers(folder, bench, plain, (one, two))
    _damaged(folder, valid)
    _stripped(folder, bench, one)
    _rotated(folder, bench, plain, one, new)
    _block(folder, bench.sign(package(min_sdk=24), one, schemes="2"))
    _weak(folder, bench)
    _chains(folder, bench, plain)
    _stamps(folder, bench, plain, one)
    _v4(folder, bench, one)
    _crafted(folder, one, new)


def _crafted(folder: FixtureFolder, one: Issued, new: Issued) -> None:
    """What apksigner of this age does not write: scheme v3.1, and algorithms with a verity digest."""
    plain = package(min_sdk=28)
    digests = {EC256: content_digest(plain, EC256)}
    marked = scheme(signer_block(one, digests, sdk=(28, MAX_SDK), attributes=[(ROTATION_MIN_SDK, u32(33))]))
    rotated = scheme(signer_block(new, digests, sdk=(33, MAX_SDK), attributes=[(ROTATION, lineage(one, new))]))
    folder.write("v31.apk", with_pairs(plain, {V31: rotated, V3: marked}))
    folder.case("v31", "v31.apk", PASSED, "trusted", anchors=["new.pem"], mutate=True)
    folder.case("v31_older_key_alone", "v31.apk", INDETERMINATE, "unknown_root")
    folder.write("v31-stripped.apk", with_pairs(plain, {V3: marked}))
    folder.case("downgrade_v31", "v31-stripped.apk", INDETERMINATE, "downgrade")
    folder.write("v31-alone.apk", with_pairs(plain, {V31: rotated}))
    folder.case("v31_without_v3", "v31-alone.apk", FAILED, "malformed", anchors=["new.pem"])
    folder.write("verity.apk", v2_signed(padded(package(min_sdk=28)), one, VERITY_EC))
    folder.case("verity", "verity.apk", PASSED, "trusted", mutate=True)


def _schemes(folder: FixtureFolder, bench: Bench, plain: bytes, one: Issued) -> None:
    for name, schemes, sdk in (("v1", "1", 21), ("v2", "2", 24), ("v3", "3", 28)):
        # one content can be deflated in several ways: what v1 covers byte by byte is stored
        method = zipfile.ZIP_STORED if name == "v1" else zipfile.ZIP_DEFLATED
        folder.write(f"{name}.apk", bench.sign(package(method=method, min_sdk=sdk), one, schemes=schemes))
        folder.case(name, f"{name}.apk", PASSED, "trusted", mutate=True)
    rsa = issue("App RSA")
    folder.write("rsa.pem", rsa.pem)
    folder.write("rsa.apk", bench.sign(plain, rsa, schemes="1 2"))
    folder.case("rsa", "rsa.apk", PASSED, "trusted", anchors=["rsa.pem"])
    folder.write(
        "expired.apk",
        bench.sign(
            package(min_sdk=24),
            old := issue("App Old", kind="p256", end=datetime(2023, 1, 1, tzinfo=UTC)),
            schemes="2 3",
        ),
    )
    folder.write("expired.pem", old.pem)
    folder.case(
        "expired_certificate", "expired.apk", PASSED, "trusted", anchors=["expired.pem"], note="no expiry in APKs"
    )


def _signers(folder: FixtureFolder, bench: Bench, plain: bytes, both: tuple[Issued, Issued]) -> None:
    for name, schemes in (("two-signers", "1 2"), ("two-signers-v1", "1")):
        folder.write(f"{name}.apk", bench.sign(plain, *both, schemes=schemes))
        case = name.replace("-", "_")
        folder.case(case, f"{name}.apk", PASSED, "trusted", anchors=["root.pem", "two.pem"])
        folder.case(f"{case}_one_known", f"{name}.apk", INDETERMINATE, "unknown_root")


def _damaged(folder: FixtureFolder, valid: bytes) -> None:
    at = valid.index(b"res/layout/a.xml") + 20
    folder.write("tampered.apk", valid[:at] + bytes([valid[at] ^ 1]) + valid[at + 1 :])
    folder.case("tampered", "tampered.apk", FAILED, "invalid_signature")
    folder.write("truncated.apk", valid[:-40])
    folder.case("truncated", "truncated.apk", FAILED, "malformed", format="zip")
    folder.write("appended.apk", valid + b"appended")
    folder.case("appended", "appended.apk", FAILED, "malformed", format="zip")
    parts = split_apk(valid)
    twice = signed_apk(
        parts.entries, parts.block, parts.directory + parts.directory[: parts.first_record], parts.entries_count + 1
    )
    folder.write("duplicate.apk", twice)
    folder.case("duplicate_entries", "duplicate.apk", FAILED, "malformed")


def _stripped(folder: FixtureFolder, bench: Bench, one: Issued) -> None:
    both = bench.sign(package(), one, schemes="1 2")
    folder.write("v2-stripped.apk", with_block(both, None))
    folder.case("downgrade", "v2-stripped.apk", INDETERMINATE, "downgrade")
    three = bench.sign(package(min_sdk=24), one, schemes="2 3")
    folder.write("v3-stripped.apk", replace_pairs(three, {V3: (PADDING, None)}))
    folder.case("downgrade_v3", "v3-stripped.apk", INDETERMINATE, "downgrade")
    folder.write("v1-target30.apk", bench.sign(package(target_sdk=30), one, schemes="1"))
    folder.case("v1_for_android_11", "v1-target30.apk", INDETERMINATE, "downgrade")
    v1 = bench.sign(package(), one, schemes="1")
    buffer = io.BytesIO(v1)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(zipfile.ZipInfo("lib/added.so", (2026, 1, 1, 0, 0, 0)), b"evil")
    folder.write("v1-added.apk", buffer.getvalue())
    folder.case("v1_added_member", "v1-added.apk", FAILED, "uncovered_content")
    at = v1.index(bytes(range(200)))
    crc_free = v1[:at] + b"\1" + v1[at + 1 :]
    folder.write("v1-tampered.apk", crc_free)
    folder.case("v1_tampered", "v1-tampered.apk", FAILED, "invalid_signature")


def _rotated(folder: FixtureFolder, bench: Bench, plain: bytes, one: Issued, new: Issued) -> None:
    bench.rotate(one, new)
    rotated = bench.sign(plain, one, new, schemes="1 2 3", options=("--lineage", "lineage"))
    folder.write("rotated.apk", rotated)
    folder.case("rotated_new_key", "rotated.apk", PASSED, "trusted", anchors=["new.pem"])
    folder.case("rotated_old_key", "rotated.apk", INDETERMINATE, "unknown_root")
    older = bench.sign(plain, issue("Stranger", kind="p256"), schemes="2")
    strange = split_apk(older).pairs[V2]
    folder.write(
        "rotated-strange.apk",
        replace_pairs(bench.sign(package(min_sdk=24), one, schemes="3"), {V3: (V3, None)}, {V2: strange}),
    )
    folder.case("older_scheme_by_others", "rotated-strange.apk", FAILED, "invalid_signature")


def _block(folder: FixtureFolder, v2: bytes) -> None:
    folder.write("unknown-pair.apk", replace_pairs(v2, {}, {0x71777777: b"channel"}))
    folder.case("unknown_pair", "unknown-pair.apk", PASSED, "trusted")


def _weak(folder: FixtureFolder, bench: Bench) -> None:
    weak = issue("App Weak", kind="rsa1024")
    folder.write("weak.pem", weak.pem)
    folder.write("weak.apk", bench.sign(package(), weak, schemes="1 2 3"))
    folder.case("weak", "weak.apk", FAILED, "weak_algorithm", anchors=["weak.pem"])
    sha1 = issue("App SHA-1")
    folder.write("sha1.pem", sha1.pem)
    folder.write("v1-sha1.apk", bench.sign(package(min_sdk=14, target_sdk=14), sha1, schemes="1"))
    folder.case("weak_digest", "v1-sha1.apk", FAILED, "weak_algorithm", anchors=["sha1.pem"])


def _chains(folder: FixtureFolder, bench: Bench, plain: bytes) -> None:
    root = issue("App Root", kind="p256", is_ca=True)
    leaf = issue("App Leaf", root, kind="p256")
    folder.write("ca.pem", root.pem)
    folder.write("issued.apk", bench.sign(plain, leaf))
    folder.case("issued_certificate", "issued.apk", PASSED, "trusted", anchors=["ca.pem"])
    folder.write("leaf.crl", revocation_list(root, leaf))
    folder.case("revoked", "issued.apk", FAILED, "revoked", anchors=["ca.pem"], crls=["leaf.crl"])


def _stamps(folder: FixtureFolder, bench: Bench, plain: bytes, one: Issued) -> None:
    store = issue("Store Stamp")
    folder.write("store.pem", store.pem)
    options = ("--stamp-signer", *bench.signer("stamp", store))
    stamped = bench.sign(plain, one, options=options)
    folder.write("stamped.apk", stamped)
    folder.case("source_stamp", "stamped.apk", PASSED, "trusted", anchors=["root.pem", "store.pem"])
    folder.case("source_stamp_unknown", "stamped.apk", PASSED, "trusted")
    folder.case("source_stamp_alone", "stamped.apk", INDETERMINATE, "unknown_root", anchors=["store.pem"])


def _v4(folder: FixtureFolder, bench: Bench, one: Issued) -> None:
    folder.write("v4.apk", bench.sign(package(min_sdk=24), one, schemes="2 3 4"))
    folder.write("v4.apk.idsig", bench.idsig())
    folder.case("v4", "v4.apk", PASSED, "trusted", signatures=["v4.apk.idsig"])
    folder.case("v4_found", "v4.apk", PASSED, "trusted")
    folder.case("v4_of_another", "valid.apk", FAILED, "invalid_signature", signatures=["v4.apk.idsig"])


if __name__ == "__main__":
    main()
