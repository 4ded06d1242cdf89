"""CMS messages with their content inside, made by openssl."""

from __future__ import annotations

from typing import Any

from tests.packages.generate.writing import PACKAGE, Workshop
from tests.packages.pki import issue, make_pki, revocation_list


def _sign(shop: Workshop, signer: str, data: bytes, *options: str) -> bytes:
    shop.work("message", data)
    return shop.run(
        "openssl", "cms", "-sign", "-binary", "-nodetach", "-in", "message", "-signer", f"{signer}.pem", "-inkey", f"{signer}.key",
        "-certfile", "intermediate.pem", "-outform", "DER", *options,
    )  # fmt: skip


def main() -> None:
    """Make all of them."""
    with Workshop("cms_message") as shop:
        pki = make_pki(kind="p256")
        weak = issue("Weak signer", pki.intermediate, kind="rsa1024")
        for name, issued in (("vendor", pki.leaf), ("weak", weak), ("intermediate", pki.intermediate)):
            issued.write(shop.keys, name)
        shop.write("root.pem", pki.root.pem)
        shop.write("other.pem", make_pki("Other", kind="p256").root.pem)
        shop.write("revoked.crl", revocation_list(pki.intermediate, pki.leaf))
        shop.write("root.crl", revocation_list(pki.root))
        vendor: dict[str, Any] = {"form": "cms-message", "anchors": ["root.pem"]}
        good = _sign(shop, "vendor", PACKAGE)
        file = shop.write("package.p7m", good)
        shop.passed("valid", file, mutate=True, **vendor)
        shop.passed("valid_pem", shop.write("pem.p7m", _sign(shop, "vendor", PACKAGE, "-outform", "PEM")), **vendor)
        shop.passed(
            "valid_streamed", shop.write("stream.p7m", _sign(shop, "vendor", PACKAGE * 20, "-stream")), **vendor
        )
        shop.passed(
            "valid_no_attributes", shop.write("noattr.p7m", _sign(shop, "vendor", PACKAGE, "-noattr")), **vendor
        )
        shop.unknown("unknown_root", file, form="cms-message")
        shop.unknown("unknown_root_other_anchor", file, form="cms-message", anchors=["other.pem"])
        shop.unknown("expired", file, "expired", at="2051-01-01T00:00:00Z", **vendor)
        shop.failed("revoked", file, "revoked", crls=["revoked.crl", "root.crl"], **vendor)
        shop.failed("tampered", shop.write("tampered.p7m", good.replace(b"1.0", b"6.6")), "invalid_signature", **vendor)
        shop.failed(
            "weak", shop.write("sha1.p7m", _sign(shop, "vendor", PACKAGE, "-md", "sha1")), "weak_algorithm", **vendor
        )
        shop.failed("weak_rsa1024", shop.write("rsa1024.p7m", _sign(shop, "weak", PACKAGE)), "weak_algorithm", **vendor)
        shop.unknown(
            "truncated", shop.write("cut.p7m", good[:-20]), "unsupported_format", form=None, anchors=["root.pem"]
        )
        shop.unknown(
            "appended", shop.write("after.p7m", good + b"more"), "unsupported_format", form=None, anchors=["root.pem"]
        )
        # beside the package that it contains
        shop.write("package", PACKAGE)
        shop.passed("contains_the_package", "package", mutate=True, anchors=["root.pem"])
        other = shop.write("other.bin", PACKAGE + b"\0")
        shop.failed("contains_another_package", other, "invalid_signature", signatures=[file], anchors=["root.pem"])


if __name__ == "__main__":
    main()
