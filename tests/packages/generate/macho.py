"""Writes the Mach-O fixtures from the specification: ``python -m tests.packages.generate.macho``. No signer is to be had here."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.packages.generate.cms_message import Signer, attribute, octets, oid, seq, signature_value, signed_data
from tests.packages.generate.writing import FAILED, INDETERMINATE, PASSED, FixtureFolder
from tests.packages.pki import PKI, Issued, issue, make_pki, revocation_list
from tests.trust_store.timestamp_craft import TOKEN, Authority

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE = 4096
TYPES = {"sha1": 1, "sha256": 2}
OIDS = {"sha1": "1.3.14.3.2.26", "sha256": "2.16.840.1.101.3.4.2.1"}
REQUIREMENTS = b"\xfa\xde\x0c\x01" + struct.pack(">II", 12, 0)
ENTITLEMENTS = b"\xfa\xde\x71\x71" + struct.pack(">I", 16) + b"<plist/>"
ARM64, X86_64 = (0x0100000C, 0), (0x01000007, 3)


def blob(magic: int, content: bytes) -> bytes:
    """A blob with its header."""
    return struct.pack(">II", magic, len(content) + 8) + content


@dataclass(frozen=True)
class Image:
    """What is to be written. ``digests`` are of the code directories, the primary one first."""

    signer: Issued | None
    chain: tuple[Issued, ...] = ()
    code: bytes = bytes(range(256)) * 17
    processor: tuple[int, int] = ARM64
    digests: tuple[str, ...] = ("sha256",)
    blobs: Mapping[int, bytes] = field(default_factory=lambda: {2: REQUIREMENTS, 5: ENTITLEMENTS})
    undigested: tuple[int, ...] = ()
    named: bool = True
    short: int = 0
    adhoc: bool = False
    authority: Authority | None = None
    after: bytes = b""
    padding: bytes = b""

    @property
    def place(self) -> int:
        """Where the signature begins."""
        return 32 + 16 + len(self.code)

    def write(self) -> bytes:
        """The image."""
        space = 5000 if self.authority else 2600
        command = struct.pack("<IIII", 0x1D, 16, self.place, space)
        header = struct.pack("<IIIIIIII", 0xFEEDFACF, *self.processor, 2, 1, len(command), 0, 0)
        signed = header + command + self.code
        return signed + (self.signature(signed) + self.padding).ljust(space, b"\0") + self.after

    def signature(self, signed: bytes) -> bytes:
        """The super blob over what comes before it."""
        directories = [self.directory(signed, digest) for digest in self.digests]
        slots: dict[int, bytes] = {0: directories[0], **self.blobs}
        slots |= {0x1000 + n: one for n, one in enumerate(directories[1:])}
        slots[0x10000] = blob(0xFADE0B01, b"" if self.adhoc or self.signer is None else self.message(directories))
        index, content, at = b"", b"", 12 + 8 * len(slots)
        for slot, data in slots.items():
            index += struct.pack(">II", slot, at + len(content))
            content += data
        return struct.pack(">III", 0xFADE0CC0, at + len(content), len(slots)) + index + content

    def directory(self, signed: bytes, digest: str) -> bytes:
        """A code directory of version 2.1."""
        size = hashlib.new(digest).digest_size
        limit = len(signed) - self.short
        pages = [hashlib.new(digest, signed[at : min(at + PAGE, limit)]).digest() for at in range(0, limit, PAGE)]
        special = [
            hashlib.new(digest, self.blobs[n]).digest() if n in self.blobs and n not in self.undigested else bytes(size)
            for n in range(5, 0, -1)
        ]
        name = b"com.example.tool\0"
        hashes = 48 + len(name) + 5 * size
        length = hashes + len(pages) * size
        flags = 2 if self.adhoc else 0
        head = struct.pack(
            ">IIIIIIIIIBBBBII",
            0xFADE0C02,
            length,
            0x20100,
            flags,
            hashes,
            48,
            5,
            len(pages),
            limit,
            size,
            TYPES[digest],
            0,
            12,
            0,
            0,
        )
        return head + name + b"".join(special) + b"".join(pages)

    def message(self, directories: list[bytes]) -> bytes:
        """The CMS message."""
        signer = self.signer
        assert signer is not None
        pairs = [
            seq(oid(OIDS[digest]), octets(hashlib.new(digest, one).digest()))
            for digest, one in zip(self.digests, directories, strict=True)
        ]
        who = Signer(signer, "sha256", (attribute("1.2.840.113635.100.9.2", *pairs),) if self.named else ())
        beside = []
        if self.authority is not None:
            value = signature_value(who.info(directories[0]))
            beside.append(attribute(TOKEN, self.authority.token(value, datetime(2022, 6, 1, tzinfo=UTC))))
        return signed_data([who.info(directories[0], unsigned=beside)], (signer, *self.chain), content=None)


def fat(
    *images: bytes, processors: tuple[tuple[int, int], ...] = (X86_64, ARM64), between: bytes = b"", after: bytes = b""
) -> bytes:
    """A fat file."""
    header = struct.pack(">II", 0xCAFEBABE, len(images))
    records, body = b"", b""
    at = 8 + 20 * len(images)
    for processor, image in zip(processors, images, strict=True):
        body += between
        body += bytes(-(at + len(body)) % 16)
        records += struct.pack(">IIIII", *processor, at + len(body), len(image), 4)
        body += image
    return header + records + body + after


def main() -> None:
    """Write everything."""
    folder = FixtureFolder("mach-o")
    pki, other = make_pki("Developer", kind="p256"), make_pki("Other", kind="p256")
    folder.write("root.pem", pki.root.pem)
    folder.write("other.pem", other.root.pem)
    good = Image(pki.leaf, (pki.intermediate,))
    valid = good.write()
    folder.write("valid", valid)
    folder.case("valid", "valid", PASSED, "trusted", mutate=True)
    folder.case("unknown_root", "valid", INDETERMINATE, "unknown_root", anchors=["other.pem"])
    folder.case("no_anchor", "valid", INDETERMINATE, "unknown_root", anchors=[])
    folder.write("signer.crl", revocation_list(pki.intermediate, pki.leaf))
    folder.case("revoked", "valid", FAILED, "revoked", crls=["signer.crl"])
    both = replace(good, digests=("sha1", "sha256"))
    intel = replace(good, processor=X86_64, code=b"intel" * 830)
    for name, data in {
        "two_directories": both.write(),
        "fat": fat(intel.write(), valid),
        "no_list": replace(good, named=False).write(),
    }.items():
        folder.write(name, data)
        folder.case(name, name, PASSED, "trusted", mutate=name in ("two_directories", "fat"))
    unsigned = valid[:16] + struct.pack("<II", 0, 0) + valid[24:32]
    folder.write("unsigned", unsigned)
    folder.case("unsigned", "unsigned", INDETERMINATE, "unsigned")
    folder.write("adhoc", replace(good, adhoc=True).write())
    folder.case("ad_hoc", "adhoc", INDETERMINATE, "unsigned")
    _damaged(folder, good, both, intel, valid, unsigned)
    _times(folder, pki, good)
    folder.close()


def _damaged(folder: FixtureFolder, good: Image, both: Image, intel: Image, valid: bytes, unsigned: bytes) -> None:
    for name, data, reason in (
        ("tampered", valid.replace(b"\x10\x11\x12", b"\x10\x11\x13", 1), "invalid_signature"),
        ("entitlements", valid.replace(b"<plist/>", b"<plisT/>"), "invalid_signature"),
        ("undigested_entitlements", replace(good, undigested=(5,)).write(), "invalid_signature"),
        ("directory_not_named", replace(both, named=False).write(), "invalid_signature"),
        ("weak", replace(good, digests=("sha1",)).write(), "weak_algorithm"),
        ("appended", replace(good, after=b"appended").write(), "uncovered_content"),
        ("hidden_in_the_padding", replace(good, padding=b"hidden").write(), "uncovered_content"),
        ("not_to_the_signature", replace(good, short=100).write(), "uncovered_content"),
        (
            "unknown_blob",
            replace(good, blobs={**good.blobs, 0x20000: blob(0xFADE0001, b"evil")}).write(),
            "uncovered_content",
        ),
        ("truncated", valid[:-100], "malformed"),
        ("fat_one_unsigned", fat(unsigned, valid, processors=((0x01000007, 3), ARM64)), "malformed"),
        ("fat_one_tampered", fat(intel.write().replace(b"intelintel", b"intelInteL", 1), valid), "invalid_signature"),
        ("fat_appended", fat(intel.write(), valid, after=b"appended"), "uncovered_content"),
        ("fat_between", fat(intel.write(), valid, between=b"hidden"), "uncovered_content"),
        ("fat_two_for_one_processor", fat(valid, valid, processors=(ARM64, ARM64)), "malformed"),
    ):
        folder.write(name, data)
        folder.case(name, name, FAILED, reason)
    other = struct.pack("<IIIIIIII", 0xFEEDFACF, *X86_64, 2, 0, 0, 0, 0)
    folder.write("fat_one_without", fat(other, valid))
    folder.case("fat_one_without", "fat_one_without", FAILED, "uncovered_content")


def _times(folder: FixtureFolder, pki: PKI, good: Image) -> None:
    begin, end = datetime(2022, 1, 1, tzinfo=UTC), datetime(2023, 1, 1, tzinfo=UTC)
    old = replace(good, signer=issue("Old Signer", pki.intermediate, begin=begin, end=end))
    folder.write("expired", old.write())
    folder.case("expired", "expired", INDETERMINATE, "expired")
    authority = Authority.make(datetime(2026, 1, 1, tzinfo=UTC))
    folder.write("tsa.der", authority.root_der)
    folder.write("timestamped", replace(old, authority=authority).write())
    folder.case("timestamped", "timestamped", PASSED, "trusted", anchors=["root.pem", "tsa.der"])


if __name__ == "__main__":
    main()
