"""SSH signature fixtures, made by ssh-keygen; security keys and what ssh-keygen does not write are put together from their parts."""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

from tests.packages.generate.writing import PACKAGE, Workshop
from tests.packages.pki import new_key

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = {
    "ed25519": (),
    "ecdsa256": ("-b", "256"),
    "ecdsa384": ("-b", "384"),
    "ecdsa521": ("-b", "521"),
    "rsa": ("-b", "2048"),
}
APPLICATION = b"ssh:"


def string(data: bytes) -> bytes:
    """RFC 4251 section 5."""
    return len(data).to_bytes(4, "big") + data


def mpint(number: int) -> bytes:
    """RFC 4251 section 5."""
    return string(number.to_bytes(number.bit_length() // 8 + 1, "big"))


def armoured(
    key: bytes, signature: bytes, namespace: bytes = b"file", hash_name: bytes = b"sha512", version: int = 1
) -> bytes:
    """The file of a signature (OpenSSH PROTOCOL.sshsig)."""
    blob = b"SSHSIG" + version.to_bytes(4, "big") + b"".join(map(string, (key, namespace, b"", hash_name, signature)))
    text = b64encode(blob)
    lines = b"\n".join(text[at : at + 70] for at in range(0, len(text), 70))
    return b"-----BEGIN SSH SIGNATURE-----\n" + lines + b"\n-----END SSH SIGNATURE-----\n"


def covered(data: bytes, namespace: bytes = b"file", hash_name: bytes = b"sha512") -> bytes:
    """What the value is over."""
    digest = hashlib.new(hash_name.decode(), data).digest()
    return b"SSHSIG" + b"".join(map(string, (namespace, b"", hash_name, digest)))


def ecdsa_value(der: bytes) -> bytes:
    """RFC 5656 3.1.2."""
    return b"".join(map(mpint, decode_dss_signature(der)))


def security_key(kind: str, flags: int = 1) -> tuple[bytes, Callable[[bytes], bytes]]:
    """(key blob, file of a signature over data), as a FIDO key makes them (OpenSSH PROTOCOL.u2f)."""
    key: Any = new_key("ed25519" if kind.startswith("sk-ssh-ed25519") else "p256")
    if kind.startswith("sk-ssh-ed25519"):
        parts = [key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)]
    else:
        parts = [b"nistp256", key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)]
    blob = b"".join(map(string, (kind.encode(), *parts, APPLICATION)))

    def sign(data: bytes) -> bytes:
        tail = bytes([flags]) + (7).to_bytes(4, "big")
        message = hashlib.sha256(APPLICATION).digest() + tail + hashlib.sha256(covered(data)).digest()
        value = key.sign(message) if len(parts) == 1 else ecdsa_value(key.sign(message, ec.ECDSA(hashes.SHA256())))
        return armoured(blob, string(kind.encode()) + string(value) + tail)

    return blob, sign


def _sign(shop: Workshop, key: str, data: bytes, namespace: str = "file", *options: str) -> bytes:
    shop.work("message", data)
    (shop.keys / "message.sig").unlink(missing_ok=True)
    shop.run("ssh-keygen", "-Y", "sign", "-f", key, "-n", namespace, *options, "message")
    return (shop.keys / "message.sig").read_bytes()


def _key(shop: Workshop, name: str, kind: str, *options: str) -> None:
    shop.run("ssh-keygen", "-q", "-t", kind, *options, "-N", "", "-C", f"{name}@fixtures", "-f", name)
    shop.write(f"{name}.pub", (shop.keys / f"{name}.pub").read_bytes())


def main() -> None:
    """Make all of them."""
    with Workshop("sshsig") as shop:
        for name, options in KEYS.items():
            _key(shop, name, name.rstrip("0123456789") if name != "ed25519" else name, *options)
        _key(shop, "other", "ed25519")
        _key(shop, "rsa1024", "rsa", "-b", "1024")
        shop.write("package.bin", PACKAGE)
        good = _sign(shop, "ed25519", PACKAGE)
        shop.write("package.bin.sig", good)
        anchors = {"anchors": ["ed25519.pub"]}

        def by(name: str, signature: bytes, anchor: str = "ed25519.pub") -> dict[str, list[str]]:
            return {"signatures": [shop.write(f"{name}.sshsig", signature)], "anchors": [anchor]}

        shop.passed("valid", "package.bin", mutate=True, **anchors)
        for name in KEYS:
            for digest in ("sha256", "sha512"):
                signature = _sign(shop, name, PACKAGE, "file", "-O", f"hashalg={digest}")
                shop.passed(f"valid_{name}_{digest}", "package.bin", **by(f"{name}-{digest}", signature, f"{name}.pub"))
        blob = b64decode((shop.path / "rsa.pub").read_bytes().split()[1])
        private: Any = load_ssh_private_key((shop.keys / "rsa").read_bytes(), None)
        value = private.sign(covered(PACKAGE), padding.PKCS1v15(), hashes.SHA256())
        rsa256 = armoured(blob, string(b"rsa-sha2-256") + string(value))
        shop.passed("valid_rsa_sha2_256", "package.bin", **by("rsa-sha2-256", rsa256, "rsa.pub"))
        for kind in ("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"):
            short = kind.partition("@")[0]
            key, sign = security_key(kind)
            shop.write(f"{short}.pub", kind.encode() + b" " + b64encode(key) + b" sk@fixtures\n")
            shop.passed(f"valid_{short}", "package.bin", **by(short, sign(PACKAGE), f"{short}.pub"))
            elsewhere = sign(PACKAGE + b"x")
            shop.failed(
                f"tampered_{short}", "package.bin", "invalid_signature", **by(f"{short}-x", elsewhere, f"{short}.pub")
            )
        shop.unknown("unknown_root", "package.bin")
        shop.unknown("unknown_root_other_anchor", "package.bin", anchors=["other.pub"])
        tampered = shop.write("tampered.bin", PACKAGE.replace(b"1.0", b"6.6"))
        shop.failed("tampered", tampered, "invalid_signature", signatures=["package.bin.sig"], **anchors)
        shop.failed("tampered_unknown_key", tampered, "invalid_signature", signatures=["package.bin.sig"])
        appended = shop.write("appended.bin", PACKAGE + b"\0")
        shop.failed("appended", appended, "invalid_signature", signatures=["package.bin.sig"], **anchors)
        shop.unknown("unsigned", tampered, "unsupported_format", form=None, **anchors)
        line = (shop.path / "ed25519.pub").read_bytes()
        shop.write("ended.pub", b'fixtures@vendor valid-before="20260101Z" ' + line)
        shop.unknown("expired", "package.bin", "out_of_scope", anchors=["ended.pub"])
        # what the signature is for
        git = _sign(shop, "ed25519", PACKAGE, "git")
        shop.unknown("other_namespace", "package.bin", "unexpected_signer", **by("git", git))
        shop.passed("namespace_asked_for", "package.bin", namespace="git", **by("git", git))
        shop.unknown("namespace_not_asked_for", "package.bin", "unexpected_signer", namespace="git", **anchors)
        # algorithms
        old = private.sign(covered(PACKAGE), padding.PKCS1v15(), hashes.SHA1())  # noqa: S303 - must be found weak
        shop.failed(
            "weak",
            "package.bin",
            "weak_algorithm",
            **by("ssh-rsa", armoured(blob, string(b"ssh-rsa") + string(old)), "rsa.pub"),
        )
        small = _sign(shop, "rsa1024", PACKAGE)
        shop.failed("weak_rsa1024", "package.bin", "weak_algorithm", **by("rsa1024", small, "rsa1024.pub"))
        # the file
        shop.failed("truncated", "package.bin", "malformed", **by("cut", good[:-40]))
        shop.failed("text_after", "package.bin", "malformed", **by("after", good + b"more\n"))
        shop.failed("two_signatures", "package.bin", "malformed", **by("two", good + good))
        ed_blob = b64decode(line.split()[1])
        body = b64decode(b"".join(good.split(b"\n")[1:-2]))
        shop.failed(
            "no_namespace",
            "package.bin",
            "malformed",
            **by("no-namespace", _armour(body.replace(string(b"file"), string(b"")))),
        )
        shop.unknown(
            "version_2",
            "package.bin",
            "unsupported_format",
            **by("version", _armour(body.replace(b"SSHSIG\0\0\0\1", b"SSHSIG\0\0\0\2"))),
        )
        renamed = _armour(body.replace(string(b"file"), string(b"fils")))
        shop.failed(
            "tampered_namespace", "package.bin", "invalid_signature", namespace="fils", **by("renamed", renamed)
        )
        swapped = body.replace(ed_blob, b64decode((shop.path / "other.pub").read_bytes().split()[1]))
        shop.failed("key_swapped", "package.bin", "invalid_signature", **by("swapped", _armour(swapped), "other.pub"))
        # a certificate
        shop.run(
            "ssh-keygen",
            "-q",
            "-s",
            "other",
            "-I",
            "fixtures",
            "-n",
            "vendor",
            "-V",
            "20200101:20500101",
            "ed25519.pub",
        )
        shop.unknown(
            "by_a_certificate",
            "package.bin",
            "unsupported_format",
            **by("cert", _sign(shop, "ed25519-cert.pub", PACKAGE), "other.pub"),
        )


def _armour(body: bytes) -> bytes:
    return b"-----BEGIN SSH SIGNATURE-----\n" + b64encode(body) + b"\n-----END SSH SIGNATURE-----\n"


if __name__ == "__main__":
    main()
