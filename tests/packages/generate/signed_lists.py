"""Signed lists of digests beside a package, with signatures of every kind over the list."""

from __future__ import annotations

import hashlib
from typing import Any

from tests.packages.generate.writing import PACKAGE, Workshop
from tests.packages.pki import make_pki
from tests.trust_store.openpgp_tools import Gpg

MADE, SIGNED = "20240101T000000", "20240201T000000"


def _list(algorithm: str, *more: str, name: str = "package.bin", data: bytes = PACKAGE) -> bytes:
    return "".join(line + "\n" for line in (f"{hashlib.new(algorithm, data).hexdigest()}  {name}", *more)).encode()


class Lists(Workshop):
    """A workshop with a key of every kind; what each signs is named after the list and the kind."""

    def __init__(self, gpg: Gpg) -> None:
        super().__init__("signed_lists")
        self._gpg = gpg
        self._vendor = gpg.make_key("vendor <vendor@example.org>", "ed25519", at=MADE)
        self.write("vendor.asc", gpg.export(self._vendor, armor=True))
        pki = make_pki(kind="p256")
        pki.leaf.write(self.keys, "leaf")
        pki.intermediate.write(self.keys, "intermediate")
        self.write("root.pem", pki.root.pem)
        self.run("minisign", "-G", "-W", "-p", "minisign.pub", "-s", "minisign.key")
        self.run("signify-openbsd", "-G", "-n", "-p", "signify.pub", "-s", "signify.sec")
        self.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "vendor", "-f", "ssh")
        self.run("openssl", "genpkey", "-algorithm", "ed25519", "-out", "raw.key")
        self.run("openssl", "pkey", "-in", "raw.key", "-pubout", "-out", "raw.pub")
        for name in ("minisign.pub", "signify.pub", "ssh.pub", "raw.pub"):
            self.write(name, (self.keys / name).read_bytes())

    def gpg(self, text: bytes, *options: str) -> bytes:
        """What GnuPG makes of a list."""
        return self._gpg.run("--local-user", self._vendor, *options, at=SIGNED, data=text)

    def made(self, text: bytes, output: str, command: str) -> bytes:
        """What a command that reads ``list`` writes into ``output``."""
        self.work("list", text)
        (self.keys / output).unlink(missing_ok=True)
        self.run(*command.split())
        return (self.keys / output).read_bytes()

    def cms(self, text: bytes, *options: str) -> bytes:
        """A CMS signature over a list."""
        command = "openssl cms -sign -binary -in list -signer leaf.pem -inkey leaf.key -certfile intermediate.pem -outform DER -out o"
        return self.made(text, "o", " ".join((command, *options)))


def _kinds(shop: Lists) -> None:
    """One list, signed by every kind of key."""
    text = _list("sha256", "1" * 64 + " *other.bin")
    shop.write("SHA256SUMS", text)
    signatures = {
        "asc": ("vendor.asc", shop.gpg(text, "--armor", "--detach-sign")),
        "gpg": ("vendor.asc", shop.gpg(text, "--detach-sign")),
        "p7s": ("root.pem", shop.cms(text)),
        "noattr.p7s": ("root.pem", shop.cms(text, "-noattr")),
        "minisig": ("minisign.pub", shop.made(text, "o", "minisign -S -s minisign.key -m list -x o -t x")),
        "legacy.minisig": ("minisign.pub", shop.made(text, "o", "minisign -S -l -s minisign.key -m list -x o -t x")),
        "sig": ("signify.pub", shop.made(text, "o", "signify-openbsd -S -s signify.sec -m list -x o")),
        "sshsig": ("ssh.pub", shop.made(text, "list.sig", "ssh-keygen -Y sign -f ssh -n file list")),
        "raw": ("raw.pub", shop.made(text, "o", "openssl pkeyutl -sign -rawin -inkey raw.key -in list -out o")),
    }  # fmt: skip
    for suffix, (anchor, signature) in signatures.items():
        file = shop.write(f"SHA256SUMS.{suffix}", signature)
        beside: dict[str, Any] = {"signatures": ["SHA256SUMS", file], "anchors": [anchor]}
        name = suffix.replace(".", "_")
        shop.passed(f"valid_{name}", "package.bin", mutate=suffix == "asc", **beside)
        shop.failed(f"tampered_{name}", "tampered.bin", "invalid_signature", **beside)
        if suffix != "raw":  # a bare value that no key made names nobody
            changed = {"signatures": ["changed-SHA256SUMS", file], "anchors": [anchor]}
            shop.failed(f"tampered_list_{name}", "tampered.bin", "invalid_signature", **changed)
    shop.passed(
        "valid",
        "package.bin",
        signatures=["SHA256SUMS.asc", "SHA256SUMS", "SHA256SUMS.minisig"],
        anchors=["vendor.asc", "minisign.pub"],
    )
    shop.unknown("unknown_root", "package.bin", signatures=["SHA256SUMS", "SHA256SUMS.asc"])
    shop.unknown("unsigned", "package.bin", "unsigned", signatures=["SHA256SUMS"], anchors=["vendor.asc"])


def _shapes(shop: Lists) -> None:
    """Lists of other shapes, in cleartext and inside messages."""
    vendor: dict[str, Any] = {"anchors": ["vendor.asc"]}

    def clear(name: str, text: bytes) -> dict[str, Any]:
        return {"signatures": [shop.write(name, shop.gpg(text, "--clearsign"))], **vendor}

    digest = hashlib.sha256(PACKAGE).hexdigest()
    bsd = f"# package.bin: 286 bytes\nSHA256 (package.bin) = {digest}\nSHA512 (package.bin) = {hashlib.sha512(PACKAGE).hexdigest()}\n"
    shop.passed("valid_cleartext", "package.bin", **clear("clear.asc", _list("sha256")))
    shop.passed("valid_bsd", "package.bin", **clear("bsd.asc", bsd.encode()))
    for algorithm in ("sha512", "sha384", "sha224", "blake2b"):
        shop.passed(f"valid_{algorithm}", "package.bin", **clear(f"{algorithm}.asc", _list(algorithm)))
    shop.passed("valid_digest_alone", "package.bin", **clear("alone.asc", digest.encode() + b"\n"))
    shop.passed("valid_in_a_folder", "package.bin", **clear("folder.asc", _list("sha256", name="./dist/package.bin")))
    shop.passed("valid_another_name", "package.bin", **clear("renamed.asc", _list("sha256", name="firmware-1.0.bin")))
    release = f"Origin: Vendor\nSuite: stable\nMD5Sum:\n {'0' * 32} 286 package.bin\nSHA256:\n {digest} 286 main/package.bin\n"
    shop.passed("valid_release", "package.bin", **clear("InRelease", release.encode()))
    times = "Date: Thu, 01 Jan 2026 00:00:00 UTC\nValid-Until: Fri, 01 May 2026 00:00:00 UTC\n"
    dated = clear("dated-InRelease", f"{times}{release}".encode())
    shop.unknown("expired", "package.bin", "expired", **dated)
    shop.passed("valid_before_its_end", "package.bin", at="2026-04-01T00:00:00Z", **dated)
    shop.passed(
        "valid_inline",
        "package.bin",
        signatures=[shop.write("inline.gpg", shop.gpg(_list("sha256"), "--sign"))],
        **vendor,
    )
    tagged = f"SHA256 (package.bin) = {digest}\n".encode()
    signify = shop.made(tagged, "o", "signify-openbsd -S -e -s signify.sec -m list -x o")
    shop.passed(
        "valid_signify_embedded", "package.bin", signatures=[shop.write("SHA256.sig", signify)], anchors=["signify.pub"]
    )
    inside = shop.write("list.p7m", shop.cms(_list("sha256"), "-nodetach"))
    shop.passed("valid_cms", "package.bin", signatures=[inside], anchors=["root.pem"])
    # what a list says about names and digests
    other = _list("sha256", f"{'0' * 64}  package.bin", name="older.bin")
    shop.failed("listed_under_another_name", "package.bin", "invalid_signature", **clear("other-name.asc", other))
    torn = f"SHA256 (package.bin) = {digest}\nSHA512 (package.bin) = {'0' * 128}\n".encode()
    shop.failed("one_digest_of_two", "package.bin", "invalid_signature", **clear("torn.asc", torn))
    shop.failed("weak", "package.bin", "weak_algorithm", **clear("md5.asc", _list("md5")))
    shop.failed("weak_sha1", "package.bin", "weak_algorithm", **clear("sha1.asc", _list("sha1")))
    mixed = _list("md5") + b"0" * 64 + b"  other.bin\n"
    shop.failed("weak_beside_strong", "package.bin", "invalid_signature", **clear("mixed.asc", mixed))
    shop.failed(
        "duplicate_entries",
        "package.bin",
        "malformed",
        **clear("twice.asc", _list("sha256") + _list("sha256", data=b"x")),
    )
    shop.failed(
        "leads_elsewhere", "package.bin", "malformed", **clear("elsewhere.asc", _list("sha256", name="../package.bin"))
    )
    shop.failed("no_list", "package.bin", "invalid_signature", **clear("letter.asc", b"Dear customer\n"))
    shop.failed("tampered", "tampered.bin", "invalid_signature", signatures=["clear.asc"], **vendor)
    whole = (shop.path / "clear.asc").read_bytes()
    shop.failed(
        "text_before", "package.bin", "malformed", signatures=[shop.write("before.asc", b"x\n" + whole)], **vendor
    )
    shop.failed("truncated", "package.bin", "malformed", signatures=[shop.write("cut.asc", whole[:-40])], **vendor)


def main() -> None:
    """Make all of them."""
    with Gpg() as gpg, Lists(gpg) as shop:
        tampered = PACKAGE.replace(b"1.0", b"6.6")
        shop.write("package.bin", PACKAGE)
        shop.write("tampered.bin", tampered)
        shop.write("changed-SHA256SUMS", _list("sha256", name="tampered.bin", data=tampered))
        _kinds(shop)
        _shapes(shop)


if __name__ == "__main__":
    main()
