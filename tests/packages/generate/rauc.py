"""RAUC bundles, made by rauc; what it refuses to make is put together from its parts with openssl."""

from __future__ import annotations

import shutil
import struct

from tests.packages.generate.firmware_signers import Signers, changed, openssl_cms
from tests.packages.generate.writing import Workshop

_MANIFEST = """[update]
compatible=Fixture Device
version=2026.05-1

[bundle]
format={kind}

[image.rootfs]
filename=rootfs.img
"""


def _bundle(shop: Workshop, kind: str, signer: str = "leaf", intermediate: str = "intermediate") -> bytes:
    folder = shop.keys / "content"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "manifest.raucm").write_text(_MANIFEST.format(kind=kind))
    (folder / "rootfs.img").write_bytes(b"root file system " * 240)
    made = shop.keys / "made.raucb"
    made.unlink(missing_ok=True)
    shop.run(
        "rauc", "bundle", f"--cert={signer}.pem", f"--key={signer}.key", f"--intermediate={intermediate}.pem",
        "--mksquashfs-args=-noI -noD -noF -all-time 0 -mkfs-time 0", folder, made,
    )  # fmt: skip
    return made.read_bytes()


def _parts(bundle: bytes) -> tuple[bytes, bytes]:
    """What is signed, and the signature."""
    size = struct.unpack(">Q", bundle[-8:])[0]
    return bundle[: -8 - size], bundle[-8 - size : -8]


def _joined(payload: bytes, signature: bytes) -> bytes:
    return payload + signature + struct.pack(">Q", len(signature))


def main() -> None:
    """Make all of them."""
    with Workshop("rauc") as shop:
        Signers.make(shop)
        fields = {"form": "rauc", "anchors": ["root.pem"]}
        verity, plain = _bundle(shop, "verity"), _bundle(shop, "plain")
        payload = _parts(plain)[0]
        tree = len(_parts(verity)[0]) - 100
        shop.passed("valid", shop.write("verity.raucb", verity), mutate=True, **fields)
        shop.passed("valid_plain", shop.write("plain.raucb", plain), mutate=True, **fields)
        shop.unknown("unknown_root", "verity.raucb", form="rauc")
        shop.unknown("unknown_root_plain", "plain.raucb", form="rauc", anchors=["other.pem"])
        for name, data in (
            ("tampered", changed(verity, 5000)), ("tampered_tree", changed(verity, tree)), ("tampered_plain", changed(plain, 5000)),
        ):  # fmt: skip
            shop.failed(name, shop.write(f"{name}.raucb", data), "invalid_signature", **fields)
        verity_signature = _parts(verity)[1]
        other_payload = _joined(_parts(verity)[0] + bytes(4096), verity_signature)
        shop.failed("lengthened", shop.write("lengthened.raucb", other_payload), "invalid_signature", **fields)
        shop.failed("appended", shop.write("appended.raucb", plain + b"appended"), "malformed", **fields)
        shop.failed("truncated", shop.write("truncated.raucb", plain[:-40]), "malformed", **fields)
        shop.unknown(
            "unsigned", shop.write("unsigned.squashfs", payload), "unsupported_format", form=None, anchors=["root.pem"]
        )
        for signer, reason in (("expired", "expired"), ("revoked", "revoked")):
            made = shop.write(f"{signer}.raucb", _bundle(shop, "plain", signer))
            crls = ["revoked.crl"] if signer == "revoked" else None
            shop.case(signer, made, "failed" if crls else "indeterminate", reason, crls=crls, **fields)
        content = shop.work("payload", payload)
        weak = _joined(payload, openssl_cms(shop, content, "leaf", digest="sha1"))
        shop.failed("weak", shop.write("sha1.raucb", weak), "weak_algorithm", **fields)
        stripped = _joined(payload, verity_signature)
        shop.failed("another_signature", shop.write("another.raucb", stripped), "invalid_signature", **fields)
        crypt = _bundle(shop, "crypt")
        shop.unknown("crypt", shop.write("crypt.raucb", crypt), "unsupported_format", **fields)
        whole = openssl_cms(shop, shop.work("whole", verity), "leaf")
        shop.passed("side_signature", "verity.raucb", signatures=[shop.write("verity.raucb.p7", whole)], **fields)


if __name__ == "__main__":
    main()
