"""Cleartext and inline OpenPGP messages, made by GnuPG and Sequoia: texts, Debian control files, lists of digests, whole messages."""

from __future__ import annotations

import hashlib
from typing import Any

from tests.packages.generate.writing import PACKAGE, Workshop
from tests.trust_store.openpgp_craft import packet
from tests.trust_store.openpgp_tools import Gpg
from trust_store.decode.openpgp_packets import split_packets

MADE, SIGNED, REVOKED = "20240101T000000", "20240201T000000", "20240301T000000"
TEXT = b"Dear customer,\n\nthe new key is 42.\n-- \nFrom the vendor \t\n- a dash\n"
DSC = b"""Format: 3.0 (quilt)
Source: firmware
Binary: firmware
Architecture: any
Version: 1.0-2
Maintainer: Vendor <vendor@example.org>
Checksums-Sha1:
 {sha1} {size} firmware_1.0.orig.tar.xz
Checksums-Sha256:
 {sha256} {size} firmware_1.0.orig.tar.xz
Files:
 {md5} {size} firmware_1.0.orig.tar.xz
"""
KEYS = {"vendor": "ed25519", "other": "ed25519", "revoked": "ed25519", "weak": "rsa1024", "rsa": "rsa2048"}


class Signing(Workshop):
    """A workshop with GnuPG keys; certificates are kept beside the fixtures."""

    def __init__(self, name: str, gpg: Gpg, fingerprints: dict[str, str]) -> None:
        super().__init__(name)
        self.gpg, self.fingerprints = gpg, fingerprints
        for key in ("vendor", "other", "ended", "weak"):
            self.write(f"{key}.asc", gpg.export(fingerprints[key], armor=True))
        self.write("revoked.pgp", _revoked(gpg, fingerprints["revoked"]))

    def sign(self, key: str, data: bytes, *options: str) -> bytes:
        """What GnuPG writes with these options."""
        return self.gpg.run("--local-user", self.fingerprints[key], *options, at=SIGNED, data=data)

    def clear(self, key: str, data: bytes, *options: str) -> bytes:
        """A cleartext-signed message."""
        return self.sign(key, data, *options, "--clearsign")


def _keys(gpg: Gpg) -> dict[str, str]:
    found = {name: gpg.make_key(f"{name} <{name}@example.org>", algorithm, at=MADE) for name, algorithm in KEYS.items()}
    found["ended"] = gpg.make_key("ended <ended@example.org>", "ed25519", expire="20250101T000000", at=MADE)
    return found


def _revoked(gpg: Gpg, fingerprint: str) -> bytes:
    """The certificate as it is once revoked; the key itself goes on signing here."""
    with Gpg() as elsewhere:
        elsewhere.run("--import", data=gpg.run("--export-secret-keys", fingerprint))
        return elsewhere.revoke(fingerprint, 1, REVOKED)


def _standing(shop: Signing, form: str, make: Any, text: bytes) -> None:
    """The cases that are about keys and algorithms."""
    vendor: dict[str, Any] = {"form": form, "anchors": ["vendor.asc"]}
    name = form.replace("-", "_")
    shop.unknown("unknown_root", f"{name}.asc", form=form)
    shop.unknown("unknown_root_other_anchor", f"{name}.asc", form=form, anchors=["other.asc"])
    ended = shop.write("ended.txt.asc", make("ended", text))
    shop.unknown("expired", ended, "expired", form=form, anchors=["ended.asc"])
    revoked = shop.write("revoked.txt.asc", make("revoked", text))
    shop.failed("revoked", revoked, "compromised", form=form, anchors=["revoked.pgp"])
    weak = shop.write("sha1.txt.asc", make("vendor", text, "--digest-algo", "SHA1", "--weak-digest", "MD5"))
    shop.failed("weak", weak, "weak_algorithm", **vendor)
    small = shop.write("rsa1024.txt.asc", make("weak", text))
    shop.failed("weak_rsa1024", small, "weak_algorithm", form=form, anchors=["weak.asc"])


def cleartext(gpg: Gpg, keys: dict[str, str]) -> None:
    """Texts."""
    with Signing("openpgp_cleartext", gpg, keys) as shop:
        form = "openpgp-cleartext"
        vendor: dict[str, Any] = {"form": form, "anchors": ["vendor.asc"]}
        good = shop.clear("vendor", TEXT)
        file = shop.write("openpgp_cleartext.asc", good)
        shop.passed("valid", file, mutate=True, **vendor)
        shop.passed("valid_crlf", shop.write("crlf.asc", good.replace(b"\n", b"\r\n")), mutate=True, **vendor)
        shop.passed("valid_empty", shop.write("empty.asc", shop.clear("vendor", b"")), **vendor)
        shop.passed("valid_no_hash_header", shop.write("no-hash.asc", good.replace(b"Hash: SHA512\n", b"")), **vendor)
        shop.passed("valid_blank_lines_after", shop.write("blank-after.asc", good + b"\n \n"), **vendor)
        both = gpg.run("-u", keys["vendor"], "-u", keys["other"], "--clearsign", at=SIGNED, data=TEXT)
        shop.passed("two_signers", shop.write("two-signers.asc", both), **vendor)
        secret = gpg.run("--armor", "--export-secret-keys", keys["vendor"])
        shop.work("vendor.secret", secret)
        sq = shop.run(
            "sq",
            "sign",
            "--cleartext-signature",
            "--time",
            "2024-02-01T00:00:00Z",
            "--signer-key",
            "vendor.secret",
            data=TEXT,
        )
        shop.passed("valid_sequoia", shop.write("sequoia.asc", sq), **vendor)
        # beside the text that it was made of; blanks at line ends are not signed, and a text that has them is another
        plain = b"".join(line.rstrip(b" \t") + b"\n" for line in TEXT.splitlines())
        for name, text in (("lf", plain), ("crlf", plain.replace(b"\n", b"\r\n")), ("no_last_line_end", plain[:-1])):
            written = shop.write(f"{name}.txt", text)
            shop.passed(f"beside_its_text_{name}", written, signatures=[file], anchors=["vendor.asc"])
        spaced = shop.write("spaced.txt", TEXT)
        shop.failed("beside_a_text_with_blanks", spaced, "invalid_signature", signatures=[file], anchors=["vendor.asc"])
        _standing(shop, form, shop.clear, TEXT)
        shop.failed(
            "tampered", shop.write("tampered.asc", good.replace(b"is 42", b"is 43")), "invalid_signature", **vendor
        )
        swapped = good.replace(b"SHA512", b"SHA256")
        shop.passed("another_hash_header", shop.write("hash.asc", swapped), note="the header decides nothing", **vendor)
        shop.failed("truncated", shop.write("cut.asc", good[:-40]), "malformed", **vendor)
        shop.failed("appended", shop.write("after.asc", good + b"run this\n"), "uncovered_content", **vendor)
        shop.failed("text_before", shop.write("before.asc", b"run this\n" + good), "uncovered_content", **vendor)
        shop.failed("two_messages", shop.write("two.asc", good + good), "malformed", **vendor)
        shop.failed(
            "another_header",
            shop.write("header.asc", good.replace(b"Hash:", b"Comment: x\nHash:")),
            "malformed",
            **vendor,
        )
        shop.failed("dash_not_escaped", shop.write("dash.asc", good.replace(b"- - a", b"-a")), "malformed", **vendor)
        shop.unknown("lone_cr", shop.write("cr.asc", good.replace(b"Dear", b"De\rar")), "unsupported_format", **vendor)
        # a signature over a file (type 0x00) is none over a text, and the other way round
        binary = shop.sign("vendor", b"a", "--armor", "--detach-sign")
        borrowed = b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\na\n" + binary
        shop.failed("binary_signature", shop.write("binary.asc", borrowed), "malformed", **vendor)


def control(gpg: Gpg, keys: dict[str, str]) -> None:
    """Debian source packages."""
    digests = {name: hashlib.new(name, PACKAGE).hexdigest() for name in ("md5", "sha1", "sha256")}
    text = DSC.decode().format(size=len(PACKAGE), **digests).encode()
    with Signing("dsc", gpg, keys) as shop:
        vendor: dict[str, Any] = {"form": "dsc", "anchors": ["vendor.asc"]}
        good = shop.clear("vendor", text)
        file = shop.write("dsc.asc", good)
        shop.passed("valid", file, mutate=True, **vendor)
        changes = text.replace(b"Format: 3.0 (quilt)", b"Format: 1.8\nDate: Thu, 01 Feb 2024 00:00:00 +0000")
        listed = f"{digests['md5']} {len(PACKAGE)} "
        changes = changes.replace(listed.encode(), f"{listed}admin optional ".encode())
        shop.passed("valid_changes", shop.write("firmware.changes", shop.clear("vendor", changes)), **vendor)
        buildinfo = text.replace(b"Format: 3.0 (quilt)", b"Format: 1.0").replace(
            b"Source: firmware", b"Source: firmware (0.9)"
        )
        shop.passed("valid_buildinfo", shop.write("firmware.buildinfo", shop.clear("vendor", buildinfo)), **vendor)
        _standing(shop, "dsc", shop.clear, text)
        shop.failed(
            "tampered", shop.write("tampered.dsc", good.replace(b"1.0-2", b"1.0-3")), "invalid_signature", **vendor
        )
        shop.failed(
            "truncated",
            shop.write("cut.dsc", good[:-40]),
            "malformed",
            form="openpgp-cleartext",
            anchors=["vendor.asc"],
        )
        shop.failed(
            "appended",
            shop.write("after.dsc", good + b"X: y\n"),
            "uncovered_content",
            form="openpgp-cleartext",
            anchors=["vendor.asc"],
        )
        twice = shop.clear("vendor", text.replace(b"Version: 1.0-2", b"Version: 1.0-2\nversion: 6"))
        shop.failed("duplicate_entries", shop.write("twice.dsc", twice), "malformed", **vendor)
        folder = shop.clear("vendor", text.replace(b" firmware_1.0", b" ../firmware_1.0"))
        shop.failed("leads_elsewhere", shop.write("folder.dsc", folder), "malformed", **vendor)
        paragraphs = shop.clear("vendor", text + b"\nSource: other\n")
        shop.failed("two_paragraphs", shop.write("paragraphs.dsc", paragraphs), "malformed", **vendor)
        # beside the file that it lists
        shop.write("firmware_1.0.orig.tar.xz", PACKAGE)
        beside: dict[str, Any] = {"signatures": ["dsc.asc"], "anchors": ["vendor.asc"]}
        shop.passed("vouches_for_its_file", "firmware_1.0.orig.tar.xz", mutate=True, **beside)
        other = shop.write("other.bin", PACKAGE + b"\0")
        shop.failed("vouches_for_no_other_file", other, "invalid_signature", **beside)


def lists(gpg: Gpg, keys: dict[str, str]) -> None:
    """Lists of digests."""
    digest = hashlib.sha256(PACKAGE).hexdigest()
    text = f"{digest}  package.bin\n{'0' * 64}  other.bin\n".encode()
    with Signing("checksum_list", gpg, keys) as shop:
        vendor: dict[str, Any] = {"form": "checksum-list", "anchors": ["vendor.asc"]}
        good = shop.clear("vendor", text)
        shop.passed("valid", shop.write("checksum_list.asc", good), mutate=True, **vendor)
        bsd = f"# package.bin: {len(PACKAGE)} bytes\nSHA256 (package.bin) = {digest}\n".encode()
        shop.passed("valid_bsd", shop.write("bsd.asc", shop.clear("vendor", bsd)), **vendor)
        _standing(shop, "checksum-list", shop.clear, text)
        shop.failed(
            "tampered",
            shop.write("tampered.asc", good.replace(b"other.bin", b"othex.bin")),
            "invalid_signature",
            **vendor,
        )
        shop.failed(
            "truncated",
            shop.write("cut.asc", good[:-40]),
            "malformed",
            form="openpgp-cleartext",
            anchors=["vendor.asc"],
        )
        shop.failed(
            "appended",
            shop.write("after.asc", good + text),
            "uncovered_content",
            form="openpgp-cleartext",
            anchors=["vendor.asc"],
        )
        twice = shop.clear("vendor", text.replace(b"other.bin", b"package.bin"))
        shop.failed("duplicate_entries", shop.write("twice.asc", twice), "malformed", **vendor)
        folder = shop.clear("vendor", text.replace(b"other.bin", b"/etc/passwd"))
        shop.failed("leads_elsewhere", shop.write("folder.asc", folder), "malformed", **vendor)


def messages(gpg: Gpg, keys: dict[str, str]) -> None:
    """Messages with their content inside."""
    with Signing("openpgp_message", gpg, keys) as shop:
        form = "openpgp-message"
        vendor: dict[str, Any] = {"form": form, "anchors": ["vendor.asc"]}

        def plain(key: str, data: bytes, *options: str) -> bytes:
            return shop.sign(key, data, "--compress-algo", "none", *options, "--sign")

        good = plain("vendor", PACKAGE)
        shop.passed("valid", shop.write("openpgp_message.asc", good), mutate=True, **vendor)
        for name in ("zip", "zlib", "bzip2"):
            packed = shop.sign("vendor", PACKAGE, "--compress-algo", name, "--sign")
            shop.passed(f"valid_{name}", shop.write(f"{name}.gpg", packed), **vendor)
        shop.passed(
            "valid_armoured", shop.write("armoured.asc", shop.sign("vendor", PACKAGE, "--armor", "--sign")), **vendor
        )
        long = plain("vendor", PACKAGE * 60)
        shop.passed("valid_partial_lengths", shop.write("long.gpg", long), **vendor)
        text = shop.sign("vendor", b"a\r\nb\r\n", "--textmode", "--compress-algo", "none", "--sign")
        shop.passed("valid_text", shop.write("text.gpg", text), **vendor)
        first, literal, signature = split_packets(good)
        old = packet(2, signature.body) + packet(11, literal.body)
        shop.passed("valid_signature_first", shop.write("old.gpg", old), **vendor)
        both = gpg.run(
            "-u", keys["vendor"], "-u", keys["other"], "--compress-algo", "none", "--sign", at=SIGNED, data=PACKAGE
        )
        shop.passed("two_signers", shop.write("two-signers.gpg", both), **vendor)
        _standing(shop, form, plain, PACKAGE)
        shop.failed("tampered", shop.write("tampered.gpg", good.replace(b"1.0", b"6.6")), "invalid_signature", **vendor)
        shop.failed("truncated", shop.write("cut.gpg", good[:-20]), "malformed", **vendor)
        shop.failed("appended", shop.write("after.gpg", good + b"more"), "malformed", **vendor)
        shop.failed("two_messages", shop.write("two.gpg", good + good), "malformed", **vendor)
        unsigned = packet(4, first.body) + packet(11, literal.body)
        shop.failed("signature_taken_away", shop.write("taken.gpg", unsigned), "malformed", **vendor)
        # beside the package that it contains
        shop.write("package.bin", PACKAGE)
        beside: dict[str, Any] = {"signatures": ["zip.gpg"], "anchors": ["vendor.asc"]}
        shop.passed("contains_the_package", "package.bin", mutate=True, **beside)
        other = shop.write("other.bin", PACKAGE + b"\0")
        shop.failed("contains_another_package", other, "invalid_signature", **beside)


def main() -> None:
    """Make all of them."""
    with Gpg() as gpg:
        keys = _keys(gpg)
        cleartext(gpg, keys)
        control(gpg, keys)
        lists(gpg, keys)
        messages(gpg, keys)


if __name__ == "__main__":
    main()
