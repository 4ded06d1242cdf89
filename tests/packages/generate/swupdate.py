"""SWUpdate images: descriptions signed by openssl and gpg, archives by cpio; what cpio does not write is put together by hand."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from tests.packages.generate.firmware_signers import Signers, changed, openssl_cms
from tests.packages.generate.writing import Workshop
from tests.packages.pki import issue

ROOTFS, LOGO = b"root file system " * 40, b"a picture " * 4
FILES = {"rootfs.ext4": ROOTFS, "logo.bmp": LOGO}


def description(files: dict[str, bytes] = FILES, *, without: str = "") -> bytes:
    """An sw-description in libconfig syntax for all ``files``; the one named ``without`` gets no digest."""
    lines = ["software =", "{", '\tversion = "2026.05.1";', '\tname = "Fixture Device"; // the product']
    lines += ['\thardware-compatibility: [ "1.0", "1.2" ];', "\t/* what is installed */", "\timages: ("]
    entries = []
    for name, data in files.items():
        digest = "" if name == without else f'\t\t\tsha256 = "{hashlib.sha256(data).hexdigest()}";\n'
        entries.append(
            f'\t\t{{\n\t\t\tfilename = "{name}";\n\t\t\tdevice = "/dev/null";\n\t\t\ttype = "raw";\n{digest}\t\t}}'
        )
    return ("\n".join(lines) + "\n" + ",\n".join(entries) + "\n\t);\n}\n").encode()


def json_description() -> bytes:
    """The same as JSON."""
    images = [
        {"filename": name, "device": "/dev/null", "type": "raw", "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in FILES.items()
    ]
    software = {"version": "2026.05.1", "name": "Fixture Device", "hardware-compatibility": ["1.0"], "images": images}
    return json.dumps({"software": software}).encode()


def pack(shop: Workshop, files: dict[str, bytes], form: str = "crc") -> bytes:
    """An archive by ``cpio -H form``, in the order of ``files``."""
    folder = shop.keys / "image"
    for old in folder.glob("*") if folder.exists() else ():
        old.unlink()
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    made = shop.keys / "made.swu"
    command = f'cd "{folder}" && cpio --quiet -o --reproducible -H {form} > "{made}"'
    shop.run("sh", "-c", command, data="\n".join(files).encode())
    return made.read_bytes()


def member(name: str, data: bytes, magic: str = "070701") -> bytes:
    """One file as cpio writes it."""
    encoded = name.encode() + b"\0"
    values = (1, 0o100644, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), sum(data) if magic == "070702" else 0)
    head = magic.encode() + b"".join(b"%08X" % value for value in values) + encoded
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def archive(*members: tuple[str, bytes]) -> bytes:
    """An archive made by hand, so that a name may stand in it twice."""
    whole = b"".join(member(*one) for one in members) + member("TRAILER!!!", b"")
    return whole + bytes(-len(whole) % 512)


class _Images:
    def __init__(self, shop: Workshop) -> None:
        self.shop = shop

    def sign(self, content: bytes, signer: str = "leaf", *options: str) -> bytes:
        """A raw value by openssl dgst."""
        path = self.shop.work("sw-description", content)
        return self.shop.run("openssl", "dgst", "-sha256", "-sign", f"{signer}.key", *options, path)

    def cms(self, content: bytes, signer: str = "leaf", digest: str = "sha256") -> bytes:
        """A detached message by openssl cms."""
        return openssl_cms(self.shop, self.shop.work("sw-description", content), signer, digest=digest)

    def image(
        self, content: bytes, signature: bytes | None, files: dict[str, bytes] = FILES, form: str = "crc"
    ) -> bytes:
        """The archive."""
        first = {"sw-description": content} | ({} if signature is None else {"sw-description.sig": signature})
        return pack(self.shop, first | files, form)


def main() -> None:
    """Make all of them."""
    with Workshop("swupdate") as shop:
        signers = Signers.make(shop)
        _valid(shop, signers)
        _others(shop)


def _valid(shop: Workshop, signers: Signers) -> None:
    images, content = _Images(shop), description()
    fields = {"form": "swupdate", "anchors": ["root.pem"]}
    key = {"form": "swupdate", "anchors": [shop.write("signer.pub", signers.pki.leaf.public_pem)]}
    shop.write("signer.pem", signers.pki.leaf.pem)
    shop.write("intermediate.pem", signers.pki.intermediate.pem)
    shop.passed("valid", shop.write("cms.swu", images.image(content, images.cms(content))), mutate=True, **fields)
    rsa = shop.write("rsa.swu", images.image(content, images.sign(content)))
    shop.passed("valid_rsa", rsa, mutate=True, **key)
    with_chain = {"untrusted": ["signer.pem", "intermediate.pem"]}
    shop.passed("valid_rsa_by_certificate", rsa, **with_chain, **fields)
    pss = ("-sigopt", "rsa_padding_mode:pss", "-sigopt")
    for name, salt in (("pss", "rsa_pss_saltlen:-2"), ("pss_digest", "rsa_pss_saltlen:-1")):
        signature = images.sign(content, "leaf", *pss, salt)
        shop.passed(f"valid_{name}", shop.write(f"{name}.swu", images.image(content, signature)), **key)
    text = json_description()
    shop.passed("valid_json", shop.write("json.swu", images.image(text, images.cms(text), form="newc")), **fields)
    shop.unknown("unknown_root", "cms.swu", form="swupdate")
    shop.unknown("unknown_root_other_anchor", "cms.swu", form="swupdate", anchors=["other.pem"])
    shop.unknown("unknown_root_rsa", "rsa.swu", form="swupdate")
    shop.unknown("unknown_root_rsa_other_key", "rsa.swu", form="swupdate", anchors=["other.pem"])
    shop.unknown("intact_but_untrusted", "rsa.swu", form="swupdate", untrusted=["signer.pem"])
    _openpgp(shop, images, content)


def _openpgp(shop: Workshop, images: _Images, content: bytes) -> None:
    home = shop.keys / "gnupg"
    home.mkdir(mode=0o700)
    gpg = (
        "gpg",
        "--homedir",
        home,
        "--batch",
        "--faked-system-time",
        "20260101T000000",
        "--quiet",
        "--pinentry-mode",
        "loopback",
        "--passphrase",
        "",
    )
    shop.run(*gpg, "--quick-gen-key", "Fixture Signer <fixture@example.org>", "ed25519", "sign", "never")
    path = shop.work("sw-description", content)
    shop.run(*gpg, "--detach-sign", "--output", Path("openpgp.sig"), path)
    anchor = shop.write("openpgp.asc", shop.run(*gpg, "--armor", "--export"))
    signature = (shop.keys / "openpgp.sig").read_bytes()
    made = shop.write("openpgp.swu", images.image(content, signature))
    shop.passed("valid_openpgp", made, mutate=True, form="swupdate", anchors=[anchor])


def _others(shop: Workshop) -> None:
    images, content = _Images(shop), description()
    cms = images.cms(content)
    fields = {"form": "swupdate", "anchors": ["root.pem"]}
    tampered = FILES | {"rootfs.ext4": changed(ROOTFS, 100)}
    shop.failed(
        "tampered", shop.write("tampered.swu", images.image(content, cms, tampered)), "invalid_signature", **fields
    )
    other = images.image(content.replace(b"2026.05.1", b"2027.05.1"), cms)
    shop.failed("tampered_description", shop.write("description.swu", other), "invalid_signature", **fields)
    raw = images.image(content.replace(b"2026.05.1", b"2027.05.1"), images.sign(content))
    key = {"form": "swupdate", "anchors": ["signer.pub"]}
    shop.failed("tampered_rsa", shop.write("description-rsa.swu", raw), "invalid_signature", **key)
    missing = images.image(content, cms, {"rootfs.ext4": ROOTFS})
    shop.failed("missing_file", shop.write("missing.swu", missing), "invalid_signature", **fields)
    extra = images.image(content, cms, FILES | {"extra.bin": b"more"})
    shop.failed("unlisted_file", shop.write("unlisted.swu", extra), "uncovered_content", **fields)
    bare = description(without="logo.bmp")
    unhashed = shop.write("unhashed.swu", images.image(bare, images.cms(bare)))
    shop.failed("file_without_digest", unhashed, "uncovered_content", **fields)
    unsigned = images.image(content, None)
    shop.unknown("unsigned", shop.write("unsigned.swu", unsigned), "unsigned", **fields)
    shop.unknown("downgrade", "unsigned.swu", "unsigned", **fields)
    expired = shop.write("expired.swu", images.image(content, images.cms(content, "expired")))
    shop.unknown("expired", expired, "expired", **fields)
    revoked = shop.write("revoked.swu", images.image(content, images.cms(content, "revoked")))
    shop.failed("revoked", revoked, "revoked", crls=["revoked.crl"], **fields)
    weak = shop.write("sha1.swu", images.image(content, images.cms(content, digest="sha1")))
    shop.failed("weak", weak, "weak_algorithm", **fields)
    small = issue("Small Key", kind="rsa1024")
    small.write(shop.keys, "small")
    anchor = shop.write("small.pub", small.public_pem)
    rsa_1024 = shop.write("rsa1024.swu", images.image(content, images.sign(content, "small")))
    shop.failed("weak_key", rsa_1024, "weak_algorithm", form="swupdate", anchors=[anchor])
    valid = images.image(content, cms)
    shop.failed("truncated", shop.write("truncated.swu", valid[: len(valid) // 2]), "malformed", **fields)
    shop.failed("appended", shop.write("appended.swu", valid + b"appended"), "malformed", **fields)
    shop.passed("padded", shop.write("padded.swu", valid + bytes(700)), **fields)
    pairs = [("sw-description", content), ("sw-description.sig", cms), *FILES.items()]
    twice = shop.write("twice.swu", archive(*pairs, ("rootfs.ext4", b"another")))
    shop.failed("duplicate_entries", twice, "malformed", **fields)
    shop.failed(
        "absolute_name", shop.write("absolute.swu", archive(*pairs, ("/etc/passwd", b""))), "malformed", **fields
    )
    late = shop.write("late.swu", archive(pairs[0], pairs[2], pairs[1], pairs[3]))
    shop.failed("signature_not_second", late, "malformed", **fields)
    garbage = images.image(content, b"not a signature")
    shop.failed("no_known_signature", shop.write("garbage.swu", garbage), "malformed", **fields)


if __name__ == "__main__":
    main()
