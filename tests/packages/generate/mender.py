"""Mender artifacts, made by mender-artifact; what it refuses to write is put together from its parts."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.packages.generate.writing import Workshop
from tests.packages.pki import Issued, issue, make_pki

FILE = b"root file system " * 30


def members(artifact: bytes) -> dict[str, bytes]:
    """The members of an artifact, in their order."""
    with tarfile.open(fileobj=io.BytesIO(artifact)) as archive:
        return {info.name: archive.extractfile(info).read() for info in archive}  # type: ignore[union-attr]


def pack(*files: tuple[str, bytes]) -> bytes:
    """An artifact made by hand."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    written = out.getvalue().rstrip(b"\0")
    return written + bytes(-len(written) % 512 + 1024)


def _artifact(
    shop: Workshop, key: str | None, *options: str, kind: str = "module-image", compression: str = "gzip"
) -> bytes:
    made = shop.keys / "made.mender"
    made.unlink(missing_ok=True)
    shop.work("file.img", FILE)
    shop.work("augment.img", b"augment")
    module = ("-T", "deb") if kind == "module-image" else ()
    signed = ("-k", f"{key}.key") if key else ()
    shop.run(
        "mender-artifact", "--compression", compression, "write", kind, *module, "-t", "fixture-device", "-n", "release-1",
        "-f", "file.img", "-o", made, *signed, *options,
    )  # fmt: skip
    return made.read_bytes()


def _signer(shop: Workshop, name: str, one: Issued) -> str:
    traditional = one.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    shop.work(f"{name}.key", traditional)
    return shop.write(f"{name}.pub", one.public_pem)


def main() -> None:
    """Make all of them."""
    with Workshop("mender") as shop:
        pki = make_pki()
        rsa, p256 = _signer(shop, "rsa", pki.leaf), _signer(shop, "p256", issue("P-256 Signer", kind="p256"))
        other = _signer(shop, "other", issue("Other Signer"))
        for name, one in (("root", pki.root), ("intermediate", pki.intermediate), ("signer", pki.leaf)):
            shop.write(f"{name}.pem", one.pem)
        by_rsa, by_p256 = {"form": "mender", "anchors": [rsa]}, {"form": "mender", "anchors": [p256]}
        good = _artifact(shop, "rsa")
        shop.passed("valid", shop.write("rsa.mender", good), mutate=True, **by_rsa)
        chain = {"anchors": ["root.pem"], "untrusted": ["signer.pem", "intermediate.pem"]}
        shop.passed("valid_by_certificate", "rsa.mender", form="mender", **chain)
        shop.passed("valid_p256", shop.write("p256.mender", _artifact(shop, "p256")), mutate=True, **by_p256)
        shop.passed("valid_xz", shop.write("xz.mender", _artifact(shop, "rsa", compression="lzma")), **by_rsa)
        plain = shop.write("uncompressed.mender", _artifact(shop, "rsa", compression="none"))
        shop.passed("valid_uncompressed", plain, mutate=True, **by_rsa)
        second = _artifact(shop, "rsa", "-v", "2", kind="rootfs-image")
        shop.passed("valid_version_2", shop.write("version-2.mender", second), **by_rsa)
        shop.unknown("unknown_root", "rsa.mender", form="mender")
        shop.unknown("unknown_root_other_key", "rsa.mender", form="mender", anchors=[other])
        shop.unknown("intact_but_untrusted", "p256.mender", form="mender", untrusted=[p256])
        _others(shop, good, by_rsa)
        _ed25519(shop, good)


def _others(shop: Workshop, good: bytes, fields: dict[str, object]) -> None:
    files = members(good)
    unsigned = shop.write("unsigned.mender", _artifact(shop, None))
    shop.unknown("unsigned", unsigned, "unsigned", **fields)
    shop.unknown("downgrade", unsigned, "unsigned", **fields)
    names = list(files)
    payload = next(name for name in names if name.startswith("data/"))
    other = members(_artifact(shop, None, "-f", "augment.img"))
    tampered = files | {"version": files["version"].replace(b"3", b"2")}
    shop.failed("tampered", shop.write("tampered.mender", pack(*tampered.items())), "invalid_signature", **fields)
    digest = hashlib.sha256(FILE).hexdigest().encode()
    edited = files | {"manifest": files["manifest"].replace(digest, digest.upper())}
    shop.failed(
        "tampered_manifest", shop.write("manifest.mender", pack(*edited.items())), "invalid_signature", **fields
    )
    p256 = members((shop.path / "p256.mender").read_bytes())
    p256["manifest"] = p256["manifest"].replace(digest, digest.upper())
    made = shop.write("manifest-p256.mender", pack(*p256.items()))
    # a value of ECDSA does not tell whose it is: what holds under no key at hand is a stranger's
    shop.unknown("tampered_manifest_p256", made, "unknown_root", form="mender", anchors=["p256.pub"])
    more = files | {payload: other[payload]}
    shop.failed("unlisted_file", shop.write("unlisted.mender", pack(*more.items())), "uncovered_content", **fields)
    less = [(name, data) for name, data in files.items() if name != payload]
    shop.failed("missing_file", shop.write("missing.mender", pack(*less)), "invalid_signature", **fields)
    augmented = _artifact(shop, "rsa", "--augment-file", "augment.img", "--augment-type", "deb")
    shop.failed("augmented", shop.write("augmented.mender", augmented), "uncovered_content", **fields)
    stray = shop.write("stray.mender", pack(*files.items(), ("extra", b"more")))
    shop.failed("stray_member", stray, "uncovered_content", **fields)
    twice = shop.write("twice.mender", pack(*files.items(), (payload, files[payload])))
    shop.failed("duplicate_entries", twice, "malformed", **fields)
    shop.failed("truncated", shop.write("truncated.mender", good[: len(good) // 2]), "malformed", **fields)
    shop.failed("appended", shop.write("appended.mender", good + b"appended"), "malformed", **fields)
    small = issue("Small Key", kind="rsa1024")
    anchor = _signer(shop, "small", small)
    weak = shop.write("rsa1024.mender", _artifact(shop, "small"))
    shop.failed("weak", weak, "weak_algorithm", form="mender", anchors=[anchor])
    late = [(name, files[name]) for name in (names[0], names[1], names[3], names[2], *names[4:])]
    shop.failed("signature_not_third", shop.write("late.mender", pack(*late)), "malformed", **fields)
    first = pack(*(files | {"version": b'{"format":"mender","version":1}'}).items())
    shop.unknown("version_1", shop.write("version-1.mender", first), "unsupported_format", **fields)


def _ed25519(shop: Workshop, good: bytes) -> None:
    """mender-artifact 3.9 has no Ed25519; newer ones sign the manifest itself."""
    signer = issue("Ed25519 Signer", kind="ed25519")
    anchor = shop.write("ed25519.pub", signer.public_pem)
    files = members(good)
    files["manifest.sig"] = base64.b64encode(signer.key.sign(files["manifest"]))
    made = shop.write("ed25519.mender", pack(*files.items()))
    shop.passed("valid_ed25519", made, form="mender", anchors=[anchor])


if __name__ == "__main__":
    main()
