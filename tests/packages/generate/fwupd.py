"""Firmware archives of fwupd: cabinets by gcab, signatures by jcat-tool and gpg; broken ones are made of their bytes."""

from __future__ import annotations

import gzip
import json
import shutil

from tests.packages.generate.firmware_signers import Signers, changed, openssl_cms
from tests.packages.generate.writing import Workshop

METAINFO = b"""<?xml version="1.0" encoding="UTF-8"?>
<component type="firmware">
  <id>org.example.fixture.firmware</id>
  <releases><release version="1.2.3" date="2026-01-01"/></releases>
</component>
"""
FILES = {"firmware.bin": b"device firmware " * 40, "firmware.metainfo.xml": METAINFO}


class _Archive:
    """A folder in which a cabinet is put together."""

    def __init__(self, shop: Workshop, files: dict[str, bytes] = FILES) -> None:
        self.shop, self.files = shop, dict(files)
        self.folder = shop.keys / "archive"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        for name, data in files.items():
            (self.folder / name).write_bytes(data)

    def tool(self, *arguments: object) -> None:
        """jcat-tool, where the files are."""
        command = " ".join(f"'{part}'" for part in ("jcat-tool", *arguments))
        self.shop.run("sh", "-c", f'cd "{self.folder}" && {command}')

    def checksum(self, *names: str) -> _Archive:
        """SHA-256 checksums."""
        for name in names or tuple(self.files):
            self.tool("self-sign", "firmware.jcat", name, "--kind", "sha256")
        return self

    def pkcs7(self, *names: str, signer: str = "leaf", options: tuple[str, ...] = ()) -> _Archive:
        """Signatures that ``openssl cms`` makes, with the chain, imported by jcat-tool (which itself leaves the chain out)."""
        for name in names or tuple(self.files):
            signature = self.shop.work("signature.der", openssl_cms(self.shop, self.folder / name, signer, *options))
            pem = self.shop.run("openssl", "cms", "-cmsout", "-inform", "DER", "-outform", "PEM", "-in", signature)
            pem = pem.replace(b"CMS-----", b"PKCS7-----")
            (self.folder / f"{name}.p7c").write_bytes(pem)
            self.tool("import", "firmware.jcat", name, f"{name}.p7c", "--kind", "pkcs7")
            (self.folder / f"{name}.p7c").unlink()
        return self

    def sign(self, *names: str, options: tuple[str, ...] = ()) -> _Archive:
        """Signatures by jcat-tool."""
        certificate, key = self.shop.keys / "leaf.pem", self.shop.keys / "leaf.key"
        for name in names or tuple(self.files):
            self.tool(*options, "sign", "firmware.jcat", name, certificate, key)
        return self

    def gpg(self, *names: str) -> _Archive:
        """Armoured signatures by gpg."""
        home = self.shop.keys / "gnupg"
        for name in names or tuple(self.files):
            out = self.folder / f"{name}.asc"
            self.shop.run(
                "gpg", "--homedir", home, "--batch", "--quiet", "--faked-system-time", "20260101T000000", "--armor",
                "--detach-sign", "--output", out, self.folder / name,
            )  # fmt: skip
            self.tool("import", "firmware.jcat", name, out.name, "--kind", "gpg")
            out.unlink()
        return self

    def cabinet(self, *options: str, without: tuple[str, ...] = ()) -> bytes:
        """The cabinet."""
        names = [
            name for name in (*self.files, "firmware.jcat") if (self.folder / name).exists() and name not in without
        ]
        made = self.shop.keys / "made.cab"
        made.unlink(missing_ok=True)
        self.shop.run("gcab", "-c", "-n", *options, made, *(self.folder / name for name in names))
        return made.read_bytes()

    def edit(self, old: str, new: str) -> _Archive:
        """Replace a piece of the catalogue's text."""
        path = self.folder / "firmware.jcat"
        text = json.dumps(json.loads(gzip.decompress(path.read_bytes()))).replace(old, new)
        path.write_bytes(gzip.compress(text.encode(), mtime=0))
        return self


def main() -> None:
    """Make all of them."""
    with Workshop("fwupd") as shop:
        Signers.make(shop)
        home = shop.keys / "gnupg"
        home.mkdir(mode=0o700)
        gpg = ("gpg", "--homedir", home, "--batch", "--quiet", "--faked-system-time", "20260101T000000")
        shop.run(
            *gpg, "--passphrase", "", "--quick-gen-key", "Fixture <fixture@example.org>", "ed25519", "sign", "never"
        )
        shop.write("vendor.asc", shop.run(*gpg, "--armor", "--export"))
        for name in ("leaf", "intermediate"):
            shop.write(f"{name}.pem", (shop.keys / f"{name}.pem").read_bytes())
        _valid(shop)
        _broken(shop)


def _valid(shop: Workshop) -> None:
    fields = {"form": "fwupd", "anchors": ["root.pem"]}
    openpgp = {"form": "fwupd", "anchors": ["vendor.asc"]}
    shop.passed("valid", shop.write("pkcs7.cab", _Archive(shop).checksum().pkcs7().cabinet()), mutate=True, **fields)
    shop.passed("valid_mszip", shop.write("mszip.cab", _Archive(shop).pkcs7().cabinet("-z")), mutate=True, **fields)
    shop.passed("valid_openpgp", shop.write("openpgp.cab", _Archive(shop).gpg().cabinet("-z")), **openpgp)
    both = shop.write("both.cab", _Archive(shop).checksum().pkcs7().gpg().cabinet("-z"))
    shop.passed("valid_both", both, **fields)
    shop.passed("valid_both_openpgp", both, **openpgp)
    own = shop.write("jcat-tool.cab", _Archive(shop).sign().cabinet("-z"))
    shop.passed("valid_by_jcat_tool", own, untrusted=["intermediate.pem"], **fields)
    target = _Archive(shop).checksum().sign(options=("--target", "sha256")).cabinet("-z")
    shop.passed("valid_target", shop.write("target.cab", target), untrusted=["intermediate.pem"], **fields)
    older = _Archive(shop)
    for name in FILES:
        home, signature = shop.keys / "gnupg", older.folder / f"{name}.asc"
        fixed = ("--homedir", home, "--batch", "--quiet", "--faked-system-time", "20260101T000000")
        shop.run("gpg", *fixed, "--armor", "--detach-sign", "--output", signature, older.folder / name)
        older.files[signature.name] = signature.read_bytes()
    shop.passed("valid_before_jcat", shop.write("older.cab", older.cabinet("-z")), **openpgp)
    shop.unknown("unknown_root", "pkcs7.cab", form="fwupd")
    shop.unknown("unknown_root_other_anchor", both, form="fwupd", anchors=["other.pem"])


def _broken(shop: Workshop) -> None:
    fields = {"form": "fwupd", "anchors": ["root.pem"]}
    good = _Archive(shop).checksum().pkcs7().cabinet("-z")
    wrong = _Archive(shop).pkcs7()
    (wrong.folder / "firmware.bin").write_bytes(changed(FILES["firmware.bin"], 9))
    shop.failed("tampered", shop.write("tampered.cab", wrong.cabinet("-z")), "invalid_signature", **fields)
    summed = _Archive(shop).checksum().sign(options=("--target", "sha256"))
    (summed.folder / "firmware.bin").write_bytes(changed(FILES["firmware.bin"], 9))
    made = shop.write("tampered-target.cab", summed.cabinet("-z"))
    shop.failed("tampered_target", made, "invalid_signature", untrusted=["intermediate.pem"], **fields)
    shop.unknown("unsigned", shop.write("unsigned.cab", _Archive(shop).cabinet("-z")), "unsigned", **fields)
    sums = shop.write("checksums.cab", _Archive(shop).checksum().cabinet("-z"))
    shop.unknown("downgrade", sums, "unsigned", **fields)
    part = shop.write("part.cab", _Archive(shop).pkcs7("firmware.bin").cabinet("-z"))
    shop.failed("metadata_not_signed", part, "uncovered_content", **fields)
    strange = _Archive(shop).pkcs7("firmware.metainfo.xml").pkcs7("firmware.bin", signer="stranger")
    shop.unknown(
        "stranger_signs_the_payload", shop.write("stranger.cab", strange.cabinet("-z")), "unknown_root", **fields
    )
    more = _Archive(shop, FILES | {"extra.bin": b"more"}).pkcs7(*FILES)
    shop.failed("unlisted_file", shop.write("unlisted.cab", more.cabinet("-z")), "uncovered_content", **fields)
    less = _Archive(shop).pkcs7().cabinet("-z", without=("firmware.bin",))
    shop.failed("missing_file", shop.write("missing.cab", less), "invalid_signature", **fields)
    for signer, reason in (("expired", "expired"), ("revoked", "revoked")):
        signed = shop.write(f"{signer}.cab", _Archive(shop).pkcs7(signer=signer).cabinet("-z"))
        crls = ["revoked.crl"] if signer == "revoked" else None
        shop.case(signer, signed, "failed" if crls else "indeterminate", reason, crls=crls, **fields)
    weak = _Archive(shop).pkcs7(options=("-md", "sha1")).cabinet("-z")
    shop.failed("weak", shop.write("sha1.cab", weak), "weak_algorithm", **fields)
    shop.failed("truncated", shop.write("truncated.cab", good[:-300]), "malformed", form="cab", anchors=["root.pem"])
    shop.failed("appended", shop.write("appended.cab", good + b"appended"), "uncovered_content", **fields)
    twice = _Archive(shop, FILES | {"firmware.bix": b"another"}).pkcs7(*FILES).cabinet("-z")
    same = shop.write("twice.cab", twice.replace(b"firmware.bix\0", b"firmware.bin\0"))
    shop.failed("duplicate_entries", same, "malformed", **fields)
    item = _Archive(shop).pkcs7().edit('"Id": "firmware.metainfo.xml"', '"Id": "firmware.bin"').cabinet("-z")
    shop.failed("item_twice", shop.write("item-twice.cab", item), "malformed", **fields)


if __name__ == "__main__":
    main()
