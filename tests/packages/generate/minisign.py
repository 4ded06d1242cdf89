"""minisign fixtures, made by minisign itself; what no tool writes is put together from its lines."""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode

from tests.packages.generate.writing import PACKAGE, Workshop


def _sign(
    shop: Workshop, key: str, data: bytes, *options: str, comment: str = "timestamp:1767225600\tfile:package.bin"
) -> bytes:
    shop.work("message", data)
    shop.run("minisign", "-S", "-s", f"{key}.key", "-m", "message", "-x", "message.minisig", "-t", comment, *options)
    return (shop.keys / "message.minisig").read_bytes()


def _with(signature: bytes, line: int, text: bytes) -> bytes:
    lines = signature.split(b"\n")
    lines[line] = text
    return b"\n".join(lines)


def main() -> None:
    """Make all of them."""
    with Workshop("minisign") as shop:
        for key in ("vendor", "other"):
            shop.run("minisign", "-G", "-W", "-p", f"{key}.pub", "-s", f"{key}.key")
            shop.write(f"{key}.pub", (shop.keys / f"{key}.pub").read_bytes())
        anchors = {"anchors": ["vendor.pub"]}
        shop.write("package.bin", PACKAGE)
        good = _sign(shop, "vendor", PACKAGE)
        shop.write("package.bin.minisig", good)
        legacy = _sign(shop, "vendor", PACKAGE, "-l")

        def by(name: str, signature: bytes) -> dict[str, list[str]]:
            return {"signatures": [shop.write(name, signature)], **anchors}

        shop.passed("valid", "package.bin", mutate=True, **anchors)
        shop.passed("valid_given", "package.bin", signatures=["package.bin.minisig"], **anchors)
        shop.passed("valid_legacy", "package.bin", mutate=True, **by("legacy.minisig", legacy))
        shop.passed("valid_crlf", "package.bin", **by("crlf.minisig", good.replace(b"\n", b"\r\n")))
        shop.unknown("unknown_root", "package.bin")
        shop.unknown("unknown_root_other_anchor", "package.bin", anchors=["other.pub"])
        shop.unknown("intact_but_untrusted", "package.bin", untrusted=["vendor.pub"])
        tampered = shop.write("tampered.bin", PACKAGE.replace(b"1.0", b"6.6"))
        shop.failed("tampered", tampered, "invalid_signature", signatures=["package.bin.minisig"], **anchors)
        shop.failed("tampered_legacy", tampered, "invalid_signature", signatures=["legacy.minisig"], **anchors)
        appended = shop.write("appended.bin", PACKAGE + b"\0")
        shop.failed("appended", appended, "invalid_signature", signatures=["package.bin.minisig"], **anchors)
        cut = shop.write("cut.bin", PACKAGE[:-1])
        shop.failed("truncated_package", cut, "invalid_signature", signatures=["package.bin.minisig"], **anchors)
        shop.unknown("unsigned", tampered, "unsupported_format", form=None, **anchors)
        # the signature file
        shop.failed("truncated", "package.bin", "malformed", **by("cut.minisig", good[:-20]))
        three = b"\n".join(good.split(b"\n")[:3]) + b"\n"
        shop.failed("no_global_signature", "package.bin", "malformed", **by("three-lines.minisig", three))
        shop.failed("lines_after", "package.bin", "malformed", **by("after.minisig", good + b"more\n"))
        comment = _with(good, 2, b"trusted comment: timestamp:1767225600\tfile:other.bin")
        shop.failed("tampered_trusted_comment", "package.bin", "invalid_signature", **by("comment.minisig", comment))
        foreign = _sign(shop, "other", PACKAGE)
        mixed = b"\n".join([*good.split(b"\n")[:2], *foreign.split(b"\n")[2:]])
        shop.failed("global_signature_by_another_key", "package.bin", "invalid_signature", **by("mixed.minisig", mixed))
        shop.unknown("a_key_is_no_signature", "package.bin", "unsupported_format", signatures=["vendor.pub"], **anchors)
        # values made for one thing and shown as another
        value = b64decode(good.split(b"\n")[1])
        relabelled = _with(good, 1, b64encode(b"Ed" + value[2:]))
        shop.failed("relabelled", "package.bin", "invalid_signature", **by("relabelled.minisig", relabelled))
        digest = shop.write("digest.bin", hashlib.blake2b(PACKAGE).digest())
        shop.failed("digest_as_package", digest, "malformed", signatures=["relabelled.minisig"], **anchors)
        spoken = b64decode(good.split(b"\n")[1])[10:] + good.split(b"\n")[2].removeprefix(b"trusted comment: ")
        as_file = b"untrusted comment: x\n" + b64encode(b"Ed" + value[2:10] + b64decode(good.split(b"\n")[3])) + b"\n"
        comment_file = shop.write("comment.bin", spoken)
        shop.failed("global_signature_as_signify", comment_file, "malformed", **by("global.sig", as_file))


if __name__ == "__main__":
    main()
