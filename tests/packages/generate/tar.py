"""Tar archives made by GNU tar, gzip and xz; what they refuse to write is made by ``tarfile`` or by hand."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import tarfile
from pathlib import Path

from tests.packages.generate.firmware_signers import Signers, changed, openssl_cms
from tests.packages.generate.writing import Workshop

FILES = {"firmware.bin": bytes(range(256)) * 3, "notes/release.txt": b"Version 1.0\n"}


def sums(files: dict[str, bytes] = FILES) -> bytes:
    """A manifest of all of them."""
    return b"".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n".encode() for name, data in files.items())


def tarball(shop: Workshop, files: dict[str, bytes], *options: str) -> bytes:
    """An archive by ``tar``, times and owners fixed."""
    folder = shop.keys / "content"
    shutil.rmtree(folder, ignore_errors=True)
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    made = shop.keys / "made.tar"
    fixed = ("--sort=name", "--mtime=2026-01-01", "--owner=0", "--group=0", "--numeric-owner", "--blocking-factor=1")
    shop.run("tar", "-c", "-f", made, *fixed, *(options or ("--format=ustar",)), "-C", folder, *sorted(files))
    return made.read_bytes()


def by_hand(*members: tuple[str, bytes, bytes]) -> bytes:
    """Whatever ``tarfile`` writes: name, type and content (of links, their target)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            linked = kind in (tarfile.SYMTYPE, tarfile.LNKTYPE)
            info.linkname, info.size = (content.decode(), 0) if linked else ("", len(content))
            archive.addfile(info, None if linked else io.BytesIO(content))
    written = out.getvalue().rstrip(b"\0")
    return written + bytes(-len(written) % 512 + 1024)


class _Bundles:
    def __init__(self, shop: Workshop) -> None:
        self.shop = shop

    def cms(self, signer: str = "leaf", digest: str = "sha256", files: dict[str, bytes] = FILES) -> bytes:
        """A signature over the manifest."""
        return openssl_cms(self.shop, self.shop.work("SHA256SUMS", sums(files)), signer, digest=digest)

    def files(self, signature: bytes, suffix: str = ".p7s", folder: str = "") -> dict[str, bytes]:
        """Everything that is in the bundle."""
        whole = FILES | {"SHA256SUMS": sums(), f"SHA256SUMS{suffix}": signature}
        return {folder + name: data for name, data in whole.items()}


def main() -> None:
    """Make all of them."""
    with Workshop("vendor-bundle-tar") as shop:
        Signers.make(shop)
        bundles = _Bundles(shop)
        _valid(shop, bundles)
        _broken(shop, bundles)
    with Workshop("tar") as shop:
        Signers.make(shop)
        _plain(shop)


def _valid(shop: Workshop, bundles: _Bundles) -> None:
    fields = {"form": "vendor-bundle-tar", "anchors": ["root.pem"]}
    files = bundles.files(bundles.cms())
    plain = tarball(shop, files)
    shop.passed("valid", shop.write("valid.tar", plain), mutate=True, **fields)
    shop.passed("valid_gzip", shop.write("valid.tar.gz", shop.run("gzip", "-9", data=plain)), mutate=True, **fields)
    shop.passed("valid_xz", shop.write("valid.tar.xz", shop.run("xz", "-9", data=plain)), mutate=True, **fields)
    in_folder = bundles.files(bundles.cms(), folder="firmware-1.0/")
    shop.passed("valid_folder", shop.write("folder.tgz", tarball(shop, in_folder, "--format=gnu", "-z")), **fields)
    shop.passed("valid_pax", shop.write("pax.tar", tarball(shop, files, "--format=pax")), mutate=True, **fields)
    shop.unknown("unknown_root", "valid.tar", form="vendor-bundle-tar")
    shop.unknown("unknown_root_gzip", "valid.tar.gz", form="vendor-bundle-tar", anchors=["other.pem"])
    shop.run("minisign", "-G", "-W", "-p", "vendor.pub", "-s", "minisign.key")
    shop.work("SHA256SUMS", sums())
    shop.run("minisign", "-S", "-s", "minisign.key", "-m", "SHA256SUMS", "-t", "SHA256SUMS")
    signature = (shop.keys / "SHA256SUMS.minisig").read_bytes()
    made = shop.write("minisign.tar", tarball(shop, bundles.files(signature, ".minisig")))
    anchor = shop.write("vendor.pub", (shop.keys / "vendor.pub").read_bytes())
    shop.passed("valid_minisign", made, form="vendor-bundle-tar", anchors=[anchor])


def _broken(shop: Workshop, bundles: _Bundles) -> None:
    fields = {"form": "vendor-bundle-tar", "anchors": ["root.pem"]}
    good = bundles.files(bundles.cms())
    plain = tarball(shop, good)
    tampered = tarball(shop, good | {"firmware.bin": changed(FILES["firmware.bin"], 5)})
    shop.failed("tampered", shop.write("tampered.tar", tampered), "invalid_signature", **fields)
    listed = tarball(shop, good | {"SHA256SUMS": sums() + b"0" * 64 + b"  more.bin\n"})
    shop.failed("tampered_manifest", shop.write("manifest.tar", listed), "invalid_signature", **fields)
    missing = {name: data for name, data in good.items() if name != "firmware.bin"}
    shop.failed("missing_file", shop.write("missing.tar", tarball(shop, missing)), "invalid_signature", **fields)
    more = shop.write("unlisted.tar.gz", tarball(shop, good | {"extra.bin": b"more"}, "-z"))
    shop.failed("unlisted_file", more, "uncovered_content", **fields)
    unsigned = tarball(shop, FILES | {"SHA256SUMS": sums()})
    shop.unknown("unsigned", shop.write("unsigned.tar", unsigned), "unsigned", form="tar", anchors=["root.pem"])
    expired = shop.write("expired.tar", tarball(shop, bundles.files(bundles.cms("expired"))))
    shop.unknown("expired", expired, "expired", **fields)
    revoked = shop.write("revoked.tar", tarball(shop, bundles.files(bundles.cms("revoked"))))
    shop.failed("revoked", revoked, "revoked", crls=["revoked.crl"], **fields)
    weak = shop.write("sha1.tar", tarball(shop, bundles.files(bundles.cms(digest="sha1"))))
    shop.failed("weak", weak, "weak_algorithm", **fields)
    broken = {"form": "tar", "anchors": ["root.pem"]}
    shop.failed("truncated", shop.write("truncated.tar", plain[:3000]), "malformed", **broken)
    packed = gzip.compress(plain, mtime=0)
    shop.failed("truncated_gzip", shop.write("truncated.tar.gz", packed[: len(packed) // 2]), "malformed", **broken)
    shop.failed("appended", shop.write("appended.tar", plain + b"appended"), "malformed", **fields)
    shop.failed("appended_gzip", shop.write("appended.tar.gz", packed + b"appended"), "malformed", **broken)
    second = shop.write("two-members.tar.gz", packed + gzip.compress(b"more", mtime=0))
    shop.failed("two_gzip_members", second, "malformed", **broken)
    members = [(name, tarfile.REGTYPE, data) for name, data in good.items()]
    for name, extra, form, reason in (
        ("duplicate_entries", ("firmware.bin", tarfile.REGTYPE, b"another"), broken, "malformed"),
        ("colliding_names", ("Firmware.BIN", tarfile.REGTYPE, b"another"), broken, "malformed"),
        ("absolute_name", ("/etc/passwd", tarfile.REGTYPE, b""), broken, "malformed"),
        ("parent_name", ("../firmware.bin", tarfile.REGTYPE, b""), broken, "malformed"),
        ("symbolic_link", ("link", tarfile.SYMTYPE, b"/etc/passwd"), fields, "uncovered_content"),
        ("link_as_folder", ("firmware.bin/x", tarfile.REGTYPE, b""), broken, "malformed"),
        ("device", ("device", tarfile.CHRTYPE, b""), fields, "uncovered_content"),
    ):
        shop.failed(name, shop.write(f"{name}.tar", by_hand(*members, extra)), reason, **form)
    linked = [one for one in members if one[0] != "firmware.bin"]
    hard = by_hand(*linked, ("firmware.bin", tarfile.LNKTYPE, b"notes/release.txt"))
    shop.failed("hard_link_for_a_file", shop.write("hard_link.tar", hard), "invalid_signature", **fields)


def _plain(shop: Workshop) -> None:
    archive = tarball(shop, FILES)
    shop.write("plain.tar", archive)
    packed = shop.write("plain.tar.gz", shop.run("gzip", "-9", data=archive))
    shop.unknown("unsigned", "plain.tar", "unsigned", form="tar", signatures=[], anchors=["root.pem"])
    shop.unknown("unsigned_gzip", packed, "unsigned", form="tar", signatures=[], anchors=["root.pem"])
    signature = openssl_cms(shop, shop.work("plain.tar", archive), "leaf")
    fields = {"form": "tar", "anchors": ["root.pem"]}
    shop.write("plain.tar.p7s", signature)
    shop.passed("valid", "plain.tar", mutate=True, **fields)
    shop.unknown("unknown_root", "plain.tar", form="tar")
    data = (shop.path / packed).read_bytes()
    shop.write(f"{packed}.p7s", openssl_cms(shop, shop.work(packed, data), "leaf"))
    shop.passed("valid_gzip", packed, mutate=True, **fields)
    tampered = shop.write("tampered.tar", tarball(shop, FILES | {"firmware.bin": b"another"}))
    shop.failed("tampered", tampered, "invalid_signature", signatures=["plain.tar.p7s"], **fields)
    shop.failed("truncated", shop.write("truncated.tar", archive[:1000]), "malformed", **fields)
    twice = by_hand(("a", tarfile.REGTYPE, b"1"), ("a", tarfile.REGTYPE, b"2"))
    shop.failed("duplicate_entries", shop.write("twice.tar", twice), "malformed", **fields)
    rauc = (Path(__file__).parent.parent / "fixtures" / "rauc" / "plain.raucb").read_bytes()
    inside = shop.write("packages.tar.gz", tarball(shop, {"update.raucb": rauc, "readme": b"text"}, "-z"))
    shop.unknown("packages_inside", inside, "unsigned", **fields)


if __name__ == "__main__":
    main()
