"""signify fixtures, made by OpenBSD's signify as Debian ships it (signify-openbsd)."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

from tests.packages.generate.writing import PACKAGE, Workshop


def _sign(shop: Workshop, key: str, data: bytes, *options: str) -> bytes:
    shop.work("message", data)
    (shop.keys / "message.sig").unlink(missing_ok=True)
    shop.run("signify-openbsd", "-S", "-s", f"{key}.sec", "-m", "message", "-x", "message.sig", *options)
    return (shop.keys / "message.sig").read_bytes()


def messages() -> None:
    """Messages with their signature before them."""
    with Workshop("signify_message") as shop:
        for key in ("vendor", "other"):
            shop.run("signify-openbsd", "-G", "-n", "-c", key, "-p", f"{key}.pub", "-s", f"{key}.sec")
            shop.write(f"{key}.pub", (shop.keys / f"{key}.pub").read_bytes())
        vendor: dict[str, Any] = {"form": "signify-message", "anchors": ["vendor.pub"]}
        good = _sign(shop, "vendor", PACKAGE, "-e")
        file = shop.write("package.signed", good)
        shop.passed("valid", file, mutate=True, **vendor)
        shop.unknown("unknown_root", file, form="signify-message")
        shop.unknown("unknown_root_other_anchor", file, form="signify-message", anchors=["other.pub"])
        shop.failed(
            "tampered", shop.write("tampered.signed", good.replace(b"1.0", b"6.6")), "invalid_signature", **vendor
        )
        shop.failed("truncated", shop.write("cut.signed", good[:-20]), "invalid_signature", **vendor)
        shop.failed("appended", shop.write("after.signed", good + b"more"), "invalid_signature", **vendor)
        unsigned = shop.write("unsigned.signed", good[: -len(PACKAGE)])
        shop.unknown("nothing_signed", unsigned, "unsupported_format", form=None, anchors=["vendor.pub"])
        shop.write("package", PACKAGE)
        shop.passed("contains_the_package", "package", signatures=[file], anchors=["vendor.pub"])


def main() -> None:
    """Make all of them."""
    messages()
    with Workshop("signify") as shop:
        for key in ("vendor", "other"):
            shop.run("signify-openbsd", "-G", "-n", "-c", key, "-p", f"{key}.pub", "-s", f"{key}.sec")
            shop.write(f"{key}.pub", (shop.keys / f"{key}.pub").read_bytes())
        anchors = {"anchors": ["vendor.pub"]}
        shop.write("package.bin", PACKAGE)
        good = _sign(shop, "vendor", PACKAGE)
        shop.write("package.bin.sig", good)

        def by(name: str, signature: bytes) -> dict[str, list[str]]:
            return {"signatures": [shop.write(name, signature)], **anchors}

        shop.passed("valid", "package.bin", mutate=True, **anchors)
        shop.passed("valid_crlf", "package.bin", **by("crlf.sig", good.replace(b"\n", b"\r\n")))
        shop.unknown("unknown_root", "package.bin")
        shop.unknown("unknown_root_other_anchor", "package.bin", anchors=["other.pub"])
        tampered = shop.write("tampered.bin", PACKAGE.replace(b"1.0", b"6.6"))
        shop.failed("tampered", tampered, "invalid_signature", signatures=["package.bin.sig"], **anchors)
        appended = shop.write("appended.bin", PACKAGE + b"\0")
        shop.failed("appended", appended, "invalid_signature", signatures=["package.bin.sig"], **anchors)
        shop.unknown("unsigned", tampered, "unsupported_format", form=None, **anchors)
        shop.failed("truncated", "package.bin", "malformed", **by("cut.sig", good[:-20]))
        lines = good.split(b"\n")
        renumbered = bytearray(b64decode(lines[1]))
        other = b64decode((shop.path / "other.pub").read_bytes().split(b"\n")[1])
        renumbered[2:10] = other[2:10]
        lines[1] = b64encode(renumbered)
        number = {"signatures": [shop.write("renumbered.sig", b"\n".join(lines))], "anchors": ["other.pub"]}
        shop.failed("number_of_another_key", "package.bin", "invalid_signature", **number)
        # what signify's key signs as one thing is not shown as another
        handshake = b" " * 64 + b"TLS 1.3, server CertificateVerify\0" + bytes(range(32))
        for name, content in (
            ("tls_handshake_as_package", handshake),
            ("jws_input_as_package", b"eyJhbGciOiJFZERTQSJ9.eyJhIjoxfQ"),
            ("digest_as_package", bytes(range(200, 232))),
            ("sshsig_blob_as_package", b"SSHSIG\0\0\0\x04file\0\0\0\0\0\0\0\x06sha256\0\0\0 " + bytes(32)),
        ):
            shop.failed(
                name,
                shop.write(f"{name}.bin", content),
                "malformed",
                **by(f"{name}.sig", _sign(shop, "vendor", content)),
            )


if __name__ == "__main__":
    main()
