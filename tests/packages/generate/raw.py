"""Bare signature values, made by openssl."""

from __future__ import annotations

from base64 import b64encode

from tests.packages.generate.writing import PACKAGE, Workshop
from tests.packages.pki import issue, make_pki, new_key


def _dgst(shop: Workshop, key: str, data: bytes, digest: str = "sha256", *options: str) -> bytes:
    shop.work("message", data)
    return shop.run("openssl", "dgst", f"-{digest}", "-sign", f"{key}.key", *options, "message")


def _pss(salt: str) -> tuple[str, ...]:
    return "-sigopt", "rsa_padding_mode:pss", "-sigopt", f"rsa_pss_saltlen:{salt}"


def main() -> None:
    """Make all of them."""
    with Workshop("raw") as shop:
        pki = make_pki(kind="p256")
        rsa = issue("RSA signer", pki.root, kind="rsa2048")
        for name, issued in (("vendor", pki.leaf), ("rsa", rsa)):
            shop.work(f"{name}.key", issued.key_pem)
            shop.write(f"{name}.pub.pem", issued.public_pem)
            shop.write(f"{name}.pem", issued.pem)
        shop.write("root.pem", pki.root.pem)
        shop.write("intermediate.pem", pki.intermediate.pem)
        for name in ("ed25519", "p384", "p521", "rsa1024"):
            self_signed = issue(name, kind=name, key=new_key(name))
            shop.work(f"{name}.key", self_signed.key_pem)
            shop.write(f"{name}.pub.pem", self_signed.public_pem)
        shop.write("package.bin", PACKAGE)
        good, good_rsa = _dgst(shop, "vendor", PACKAGE), _dgst(shop, "rsa", PACKAGE)
        shop.write("package.bin.sig", good)
        anchors = {"anchors": ["vendor.pub.pem"]}

        def by(name: str, signature: bytes, anchor: str = "vendor.pub.pem") -> dict[str, list[str]]:
            return {"signatures": [shop.write(f"{name}.raw", signature)], "anchors": [anchor]}

        shop.passed("valid", "package.bin", mutate=True, **anchors)
        chain = {"untrusted": ["vendor.pem", "intermediate.pem"]}
        shop.passed("valid_under_a_certificate", "package.bin", anchors=["root.pem"], **chain)
        shop.passed("valid_base64", "package.bin", **by("base64", b64encode(good) + b"\n"))
        shop.passed("valid_base64_lines", "package.bin", **by("base64-lines", shop.run("openssl", "base64", data=good)))
        shop.passed("valid_hex", "package.bin", **by("hex", _dgst(shop, "vendor", PACKAGE, "sha256", "-hex")))
        shop.passed(
            "valid_hex_colons", "package.bin", **by("colons", _dgst(shop, "vendor", PACKAGE, "sha256", "-c", "-hex"))
        )
        for digest in ("sha384", "sha512"):
            shop.passed(f"valid_{digest}", "package.bin", **by(digest, _dgst(shop, "vendor", PACKAGE, digest)))
            shop.passed(
                f"valid_rsa_{digest}",
                "package.bin",
                **by(f"rsa-{digest}", _dgst(shop, "rsa", PACKAGE, digest), "rsa.pub.pem"),
            )
        shop.passed("valid_rsa", "package.bin", mutate=True, **by("rsa", good_rsa, "rsa.pub.pem"))
        shop.passed("valid_rsa_hex", "package.bin", **by("rsa-hex", good_rsa.hex().encode(), "rsa.pub.pem"))
        for salt in ("digest", "max"):
            value = _dgst(shop, "rsa", PACKAGE, "sha256", *_pss(salt))
            shop.passed(f"valid_pss_{salt}", "package.bin", **by(f"pss-{salt}", value, "rsa.pub.pem"))
        for curve in ("p384", "p521"):
            shop.passed(f"valid_{curve}", "package.bin", **by(curve, _dgst(shop, curve, PACKAGE), f"{curve}.pub.pem"))
        shop.work("message", PACKAGE)
        edwards = shop.run("openssl", "pkeyutl", "-sign", "-rawin", "-inkey", "ed25519.key", "-in", "message")
        shop.passed("valid_ed25519", "package.bin", mutate=True, **by("ed25519", edwards, "ed25519.pub.pem"))
        shop.unknown("unknown_root", "package.bin")
        shop.unknown("unknown_root_other_anchor", "package.bin", anchors=["p384.pub.pem"])
        shop.unknown("intact_but_untrusted", "package.bin", untrusted=["vendor.pub.pem"])
        shop.unknown("intact_under_a_certificate", "package.bin", untrusted=["vendor.pem"])
        # a value that no key at hand made names nobody; one of RSA PKCS #1 v1.5 opens under its key
        tampered = shop.write("tampered.bin", PACKAGE.replace(b"1.0", b"6.6"))
        shop.unknown("tampered", tampered, signatures=["package.bin.sig"], **anchors)
        shop.failed("tampered_rsa", tampered, "invalid_signature", signatures=["rsa.raw"], anchors=["rsa.pub.pem"])
        shop.unknown("tampered_pss", tampered, signatures=["pss-max.raw"], anchors=["rsa.pub.pem"])
        shop.unknown("tampered_ed25519", tampered, signatures=["ed25519.raw"], anchors=["ed25519.pub.pem"])
        appended = shop.write("appended.bin", PACKAGE + b"\0")
        shop.failed("appended", appended, "invalid_signature", signatures=["rsa.raw"], anchors=["rsa.pub.pem"])
        shop.unknown("unsigned", tampered, "unsupported_format", form=None, **anchors)
        shop.failed("weak", "package.bin", "weak_algorithm", **by("sha1", _dgst(shop, "vendor", PACKAGE, "sha1")))
        shop.failed(
            "weak_rsa1024",
            "package.bin",
            "weak_algorithm",
            **by("rsa1024", _dgst(shop, "rsa1024", PACKAGE), "rsa1024.pub.pem"),
        )
        shop.failed(
            "md5", "package.bin", "weak_algorithm", **by("md5", _dgst(shop, "rsa", PACKAGE, "md5"), "rsa.pub.pem")
        )
        shop.unknown("truncated", "package.bin", "unsupported_format", **by("cut", good[:-3]))
        shop.unknown("expired", "package.bin", "expired", at="2051-01-01T00:00:00Z", anchors=["root.pem"], **chain)
        # what a key signs in another protocol is not shown as a package
        for name, content in (
            ("certificate_content_as_package", pki.leaf.certificate.tbs_certificate_bytes),
            ("tls_handshake_as_package", b" " * 64 + b"TLS 1.3, server CertificateVerify\0" + bytes(range(32))),
            ("jws_input_as_package", b"eyJhbGciOiJFUzI1NiJ9.eyJhIjoxfQ"),
            ("dsse_input_as_package", b"DSSEv1 28 application/vnd.in-toto+json 2 {}"),
            (
                "openpgp_input_as_package",
                PACKAGE + bytes.fromhex("04001308000605025f000000") + bytes.fromhex("04ff0000000c"),
            ),
        ):
            shop.failed(
                name, shop.write(f"{name}.bin", content), "malformed", **by(f"{name}", _dgst(shop, "vendor", content))
            )


if __name__ == "__main__":
    main()
