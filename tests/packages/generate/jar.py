"""Writes the JAR fixtures with jarsigner (Debian openjdk-17-jdk-headless): ``python -m tests.packages.generate.jar``."""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
import warnings
import zipfile
from datetime import UTC, datetime
from pathlib import Path

from tests.packages.generate.cms_message import Signer, attribute, signature_value, signed_data
from tests.packages.generate.writing import FAILED, INDETERMINATE, PASSED, FixtureFolder
from tests.packages.pki import PASSWORD, PKI, Issued, issue, make_pki, revocation_list
from tests.trust_store.timestamp_craft import TOKEN, Authority

FILES = {
    "META-INF/MANIFEST.MF": b"Manifest-Version: 1.0\r\nMain-Class: com.example.Main\r\n\r\n",
    "com/example/Main.class": b"\xca\xfe\xba\xbe" + bytes(range(256)) * 2,
    "META-INF/versions/11/com/example/Main.class": b"\xca\xfe\xba\xbe" + bytes(range(128)),
    "com/example/" + "a-name-longer-than-a-line-of-a-manifest-may-be-" * 2 + ".txt": b"text",
}
WHEN = (2026, 1, 1, 0, 0, 0)


def package(files: dict[str, bytes] = FILES) -> bytes:
    """An unsigned archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, WHEN), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def contents(archive: bytes) -> dict[str, bytes]:
    """Members by name."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


class Bench:
    """A folder in which jarsigner is run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def sign(
        self, archive: bytes, one: Issued, *chain: Issued, name: str = "SIGNER", options: tuple[str, ...] = ()
    ) -> bytes:
        """``archive`` with one signature more, dated by nobody."""
        (self.folder / "in.jar").write_bytes(archive)
        (self.folder / "signer.p12").write_bytes(one.pkcs12(chain))
        subprocess.run(
            ["jarsigner", "-keystore", "signer.p12", "-storetype", "PKCS12", "-storepass", PASSWORD, "-sigfile", name,
             "-signedjar", "out.jar", *options, "in.jar", "signer"],
            cwd=self.folder, check=True, capture_output=True,
        )  # fmt: skip
        return (self.folder / "out.jar").read_bytes()


def main() -> None:
    """Write everything."""
    folder = FixtureFolder("jar")
    work = Path(tempfile.mkdtemp(prefix="fixture-keys"))
    try:
        _write(folder, Bench(work))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    folder.close()


def _write(folder: FixtureFolder, bench: Bench) -> None:
    pki, other = make_pki("Vendor"), make_pki("Other", kind="p256")
    folder.write("root.pem", pki.root.pem)
    folder.write("other.pem", other.root.pem)
    plain = package()
    valid = bench.sign(plain, *pki.chain)
    folder.write("valid.jar", valid)
    folder.case("valid", "valid.jar", PASSED, "trusted", mutate=True)
    folder.case("unknown_root", "valid.jar", INDETERMINATE, "unknown_root", anchors=["other.pem"])
    folder.case("no_anchor", "valid.jar", INDETERMINATE, "unknown_root", anchors=[])
    folder.write("signer.crl", revocation_list(pki.intermediate, pki.leaf))
    folder.case("revoked", "valid.jar", FAILED, "revoked", crls=["signer.crl"])
    folder.write("unsigned.jar", plain)
    folder.case("unsigned", "unsigned.jar", INDETERMINATE, "unsigned", format="zip")
    folder.write("sections.jar", bench.sign(plain, *pki.chain, options=("-sectionsonly",)))
    folder.case("sections_only", "sections.jar", PASSED, "trusted")
    folder.write("ec.jar", bench.sign(plain, *other.chain, options=("-digestalg", "SHA-512")))
    folder.case("ecdsa", "ec.jar", PASSED, "trusted", anchors=["other.pem"], mutate=True)
    both = bench.sign(valid, *other.chain, name="OTHER")
    folder.write("two.jar", both)
    folder.case("two_signers", "two.jar", PASSED, "trusted", anchors=["root.pem", "other.pem"])
    folder.case("two_signers_one_known", "two.jar", PASSED, "trusted")
    _weak(folder, bench, plain, pki)
    _damaged(folder, valid, both)
    _times(folder, bench, plain, pki)


def _weak(folder: FixtureFolder, bench: Bench, plain: bytes, pki: PKI) -> None:
    for name, options in (
        ("sha1-digests", ("-digestalg", "SHA-1")),
        ("md5-digests", ("-digestalg", "MD5")),
        ("sha1-value", ("-sigalg", "SHA1withRSA")),
    ):
        folder.write(f"{name}.jar", bench.sign(plain, *pki.chain, options=options))
        folder.case(f"weak_{name.replace('-', '_')}", f"{name}.jar", FAILED, "weak_algorithm")
    small = issue("Small", pki.intermediate, kind="rsa1024")
    folder.write("rsa1024.jar", bench.sign(plain, small, pki.intermediate))
    folder.case("weak", "rsa1024.jar", FAILED, "weak_algorithm")


def _damaged(folder: FixtureFolder, valid: bytes, both: bytes) -> None:
    files = contents(valid)
    name = "com/example/Main.class"
    folder.write("tampered.jar", package(files | {name: files[name] + b"!"}))
    folder.case("tampered", "tampered.jar", FAILED, "invalid_signature")
    folder.write("added.jar", package(files | {"com/example/Evil.class": b"evil"}))
    folder.case("added_member", "added.jar", FAILED, "uncovered_content")
    folder.write("added-meta.jar", package(files | {"META-INF/services/x": b"evil"}))
    folder.case("added_below_meta_inf", "added-meta.jar", FAILED, "uncovered_content")
    folder.write("added-signature-file.jar", package(files | {"META-INF/MORE.SF": b"Signature-Version: 1.0\r\n\r\n"}))
    folder.case("signature_file_without_block", "added-signature-file.jar", FAILED, "uncovered_content")
    folder.write("removed.jar", package({n: d for n, d in files.items() if n != name}))
    folder.case("removed_member", "removed.jar", FAILED, "invalid_signature", note="jarsigner overlooks it")
    main = files["META-INF/MANIFEST.MF"].replace(b"example.Main", b"example.Evil")
    folder.write("main-section.jar", package(files | {"META-INF/MANIFEST.MF": main}))
    folder.case("changed_main_section", "main-section.jar", FAILED, "invalid_signature")
    folder.write("truncated.jar", valid[:-40])
    folder.case("truncated", "truncated.jar", FAILED, "malformed", format="zip")
    folder.write("appended.jar", valid + b"appended")
    folder.case("appended", "appended.jar", FAILED, "malformed", format="zip")
    buffer = io.BytesIO(valid)
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr(zipfile.ZipInfo(name, WHEN), b"twice")
    folder.write("duplicate.jar", buffer.getvalue())
    folder.case("duplicate_entries", "duplicate.jar", FAILED, "malformed", format="zip")
    stripped = {n: d for n, d in contents(both).items() if n != "META-INF/OTHER.RSA"}
    folder.write(
        "one-block-gone.jar", package(stripped | {"META-INF/SIGNER.SF": stripped["META-INF/SIGNER.SF"][:-10] + b"\r\n"})
    )
    folder.case("changed_signature_file", "one-block-gone.jar", FAILED, "invalid_signature")


def _times(folder: FixtureFolder, bench: Bench, plain: bytes, pki: PKI) -> None:
    old = issue(
        "Old Signer", pki.intermediate, begin=datetime(2022, 1, 1, tzinfo=UTC), end=datetime(2023, 1, 1, tzinfo=UTC)
    )
    expired = bench.sign(plain, old, pki.intermediate)
    folder.write("expired.jar", expired)
    folder.case("expired", "expired.jar", INDETERMINATE, "expired")
    authority = Authority.make(datetime(2026, 1, 1, tzinfo=UTC))
    folder.write("tsa.der", authority.root_der)
    files = contents(expired)
    content = files["META-INF/SIGNER.SF"]
    signer = Signer(old, "sha256", ())
    token = attribute(TOKEN, authority.token(signature_value(signer.info(content)), datetime(2022, 6, 1, tzinfo=UTC)))
    block = signed_data(
        [signer.info(content, unsigned=[token])], (old, pki.intermediate), content=None, digest="sha256"
    )
    folder.write("timestamped.jar", package(files | {"META-INF/SIGNER.RSA": block}))
    folder.case("timestamped", "timestamped.jar", PASSED, "trusted", anchors=["root.pem", "tsa.der"])
    folder.case("timestamp_unknown", "timestamped.jar", INDETERMINATE, "expired")


if __name__ == "__main__":
    main()
