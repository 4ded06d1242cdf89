"""Writes the Alpine fixtures of version 3, by hand: ``python -m tests.packages.generate.alpine_v3``. apk-tools 3 is not to be had here."""

from __future__ import annotations

import hashlib
import struct
import zlib
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding

from tests.packages.generate.writing import FAILED, INDETERMINATE, PASSED, FixtureFolder
from tests.packages.pki import Issued, issue
from trust_store.signatures.alpine_apk import key_id

if TYPE_CHECKING:
    from collections.abc import Sequence

FILES = {"opt/fixture": b"contents\n", "opt/other": b"more contents\n" * 10, "usr/bin/tool": b"#!/bin/sh\n"}


class Metadata:
    """A metadata block, built from its leaves."""

    def __init__(self) -> None:
        self.data = bytearray(8)

    def _put(self, data: bytes, alignment: int) -> int:
        self.data += bytes(-len(self.data) % alignment)
        offset = len(self.data)
        self.data += data
        return offset

    def blob(self, value: bytes) -> int:
        """Octets."""
        return 0x80000000 | self._put(bytes([len(value)]) + value, 1)

    def integer(self, value: int) -> int:
        """A number."""
        return 0x10000000 | value if value < 1 << 28 else 0x20000000 | self._put(struct.pack("<I", value), 4)

    def slots(self, *values: int) -> int:
        """An object."""
        return 0xE0000000 | self._put(struct.pack(f"<{len(values) + 1}I", len(values) + 1, *values), 4)

    def close(self, root: int) -> bytes:
        """The block's content."""
        return bytes(4) + struct.pack("<I", root) + bytes(self.data[8:])


def metadata(files: dict[str, bytes], *, version: str = "1.2-r3", digest: Any = hashlib.sha256) -> bytes:
    """Of a package with ``files``, one path for each folder."""
    made = Metadata()
    info = made.slots(made.blob(b"fixture"), made.blob(version.encode()), 0, 0, made.blob(b"noarch"))
    acl = made.slots(made.integer(0o755), made.blob(b"root"), made.blob(b"root"))
    paths: list[int] = []
    for folder in dict.fromkeys(name.rpartition("/")[0] for name in files):
        entries = [
            made.slots(
                made.blob(name.rpartition("/")[2].encode()), acl, made.integer(len(data)), made.integer(1_704_067_200),
                made.blob(digest(data).digest()),
            )
            for name, data in files.items() if name.rpartition("/")[0] == folder
        ]  # fmt: skip
        link = made.slots(made.blob(b"link"), acl, 0, 0, 0, made.blob(struct.pack("<H", 0o120000) + b"fixture"))
        paths.append(made.slots(made.blob(folder.encode()), acl, made.slots(*entries, link)))
    return made.close(made.slots(info, made.slots(*paths)))


def block(kind: int, content: bytes, *, extended: bool = False) -> bytes:
    """One block with its padding."""
    if extended:
        data = struct.pack("<IIQ", 3 << 30 | kind, 0, len(content) + 16) + content
    else:
        data = struct.pack("<I", kind << 30 | len(content) + 4) + content
    return data + bytes(-len(data) % 8)


def contents(files: dict[str, bytes]) -> list[bytes]:
    """The blocks of content, as ``metadata`` numbers them."""
    folders = list(dict.fromkeys(name.rpartition("/")[0] for name in files))
    numbers = dict.fromkeys(folders, 0)
    found: list[bytes] = []
    for folder in folders:
        for name, data in files.items():
            if name.rpartition("/")[0] == folder:
                numbers[folder] += 1
                found.append(block(2, struct.pack("<II", folders.index(folder) + 1, numbers[folder]) + data))
    return found


def signature(
    signer: Issued, content: bytes, schema: bytes = b"pckg", *, algorithm: int = 4, named: Issued | None = None
) -> bytes:
    """A block with a signature over ``content``."""
    spki = (named or signer).key.public_key().public_bytes(*_spki())
    header = struct.pack("<BB16s", 0, algorithm, bytes.fromhex(key_id(spki)))
    message = schema + header + hashlib.sha512(content).digest()
    if isinstance(signer.key, ec.EllipticCurvePrivateKey):
        value = signer.key.sign(message, ec.ECDSA(hashes.SHA512()))
    else:
        value = signer.key.sign(message, padding.PKCS1v15(), hashes.SHA512())
    return block(1, header + value)


def _spki() -> tuple[Any, Any]:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return Encoding.DER, PublicFormat.SubjectPublicKeyInfo


def package(content: bytes, *blocks: bytes, schema: bytes = b"pckg") -> bytes:
    """The file, not compressed."""
    return b"ADB." + schema + block(0, content) + b"".join(blocks)


def deflated(data: bytes, magic: bytes = b"ADBd") -> bytes:
    """The same compressed."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return magic + compressor.compress(data) + compressor.flush()


def main() -> None:
    """Write everything."""
    folder = FixtureFolder("alpine-apk-v3")
    vendor, other, rsa, small = (
        issue("Vendor", kind="p256"),
        issue("Other", kind="p256"),
        issue("RSA"),
        issue("Small", kind="rsa1024"),
    )
    for name, one in (("vendor", vendor), ("other", other), ("rsa", rsa), ("small", small)):
        folder.write(f"{name}.pem", one.public_pem)
    content = metadata(FILES)
    data = contents(FILES)
    _packages(folder, content, data, (vendor, other, rsa, small))
    _wrong(folder, content, data, vendor)
    folder.close()


def _add(folder: FixtureFolder, name: str, data: bytes, outcome: str, reason: str, **fields: object) -> None:
    fields.setdefault("anchors", ["vendor.pem"])
    folder.case(name, folder.write(f"{name}.apk", data), outcome, reason, **fields)


def _packages(folder: FixtureFolder, content: bytes, data: Sequence[bytes], keys: tuple[Issued, ...]) -> None:
    vendor, other, rsa, small = keys
    signed = signature(vendor, content)
    valid = package(content, signed, *data)
    _add(folder, "valid", valid, PASSED, "trusted", mutate=True)
    folder.case("unknown_root", "valid.apk", INDETERMINATE, "unknown_root", anchors=["other.pem"])
    folder.case("no_anchor", "valid.apk", INDETERMINATE, "unknown_root", anchors=[])
    _add(folder, "deflated", deflated(valid), PASSED, "trusted", mutate=True)
    _add(folder, "deflated_custom", deflated(valid, b"ADBc\x01\x09"), PASSED, "trusted")
    _add(folder, "stored_custom", b"ADBc\0\0" + valid, PASSED, "trusted")
    _add(folder, "zstd", b"ADBc\x02\x09" + bytes(20), INDETERMINATE, "unsupported_format")
    _add(folder, "unsigned", package(content, *data), INDETERMINATE, "unsigned")
    _add(folder, "rsa", package(content, signature(rsa, content), *data), PASSED, "trusted", anchors=["rsa.pem"])
    weak = package(content, signature(small, content), *data)
    _add(folder, "weak_key", weak, FAILED, "weak_algorithm", anchors=["small.pem"])
    two = package(content, signature(other, content), signed, *data)
    _add(folder, "two_signers", two, PASSED, "trusted")
    long = b"ADB.pckg" + block(0, content, extended=True) + signed + b"".join(data)
    _add(folder, "extended_block", long, PASSED, "trusted")
    sha512 = metadata(FILES, digest=hashlib.sha512)
    _add(folder, "sha512_files", package(sha512, signature(vendor, sha512), *data), PASSED, "trusted")
    sha1 = metadata(FILES, digest=hashlib.sha1)
    _add(folder, "weak", package(sha1, signature(vendor, sha1), *data), INDETERMINATE, "unsupported_format")
    index = Metadata()
    listed = index.close(index.slots(index.blob(b"index"), index.slots()))
    whole = package(listed, signature(vendor, listed, b"indx"), schema=b"indx")
    _add(folder, "index", whole, PASSED, "trusted")
    _add(
        folder,
        "other_schema",
        package(content, signature(vendor, content, b"indx"), *data),
        FAILED,
        "invalid_signature",
    )
    old = package(content, signature(vendor, content, algorithm=3), *data)
    _add(folder, "other_digest", old, INDETERMINATE, "unsupported_format")


def _wrong(folder: FixtureFolder, content: bytes, data: Sequence[bytes], vendor: Issued) -> None:
    signed = signature(vendor, content)
    valid = package(content, signed, *data)
    other = contents(FILES | {"opt/fixture": b"Contents\n"})
    _add(folder, "tampered", package(content, signed, *other), FAILED, "invalid_signature")
    _add(
        folder,
        "tampered_metadata",
        package(metadata(FILES, version="1.2-r4"), signed, *data),
        FAILED,
        "invalid_signature",
    )
    _add(folder, "truncated", valid[:-20], FAILED, "malformed")
    _add(folder, "truncated_deflated", deflated(valid)[:-20], FAILED, "malformed")
    _add(folder, "appended", valid + bytes(8), FAILED, "malformed")
    _add(folder, "appended_deflated", deflated(valid) + b"x", FAILED, "malformed")
    _add(folder, "file_missing", package(content, signed, *data[:-1]), FAILED, "invalid_signature")
    _add(folder, "files_out_of_order", package(content, signed, *data[::-1]), FAILED, "invalid_signature")
    _add(folder, "duplicate_entries", package(content, signed, data[0], *data), FAILED, "malformed")
    unlisted = block(2, struct.pack("<II", 9, 9) + b"evil")
    _add(folder, "unlisted_file", package(content, signed, *data, unlisted), FAILED, "malformed")
    _add(folder, "signature_after_data", package(content, *data, signed), FAILED, "malformed")
    _add(folder, "second_metadata", package(content, block(0, content), signed, *data), FAILED, "malformed")
    padded = signed[:-1] + b"x" if signed.endswith(b"\0") else signed
    _add(folder, "odd_block", package(content, padded, block(2, b"x")), FAILED, "malformed")


if __name__ == "__main__":
    main()
