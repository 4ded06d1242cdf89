"""Writes the xar fixtures from the specification: ``python -m tests.packages.generate.xar``. No xar tool is to be had here."""

from __future__ import annotations

import base64
import hashlib
import struct
import zlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from tests.packages.generate.cms_message import HASHES, Signer, attribute, signature_value, signed_data
from tests.packages.generate.writing import FAILED, INDETERMINATE, PASSED, FixtureFolder
from tests.packages.pki import PKI, Issued, issue, make_pki, revocation_list
from tests.trust_store.timestamp_craft import TOKEN, Authority

if TYPE_CHECKING:
    from collections.abc import Callable

NUMBERS = {"sha1": 1, "md5": 2, "sha256": 3, "sha512": 4}
INFO = b'<?xml version="1.0"?><pkg-info format-version="2" identifier="com.example.tool" version="1.2.3"/>'
PAYLOAD = bytes(range(256))
INSTALLER = x509.ObjectIdentifier("1.2.840.113635.100.4.13")


@dataclass(frozen=True)
class Stored:
    """A file of the archive: ``packed`` as it lies in the heap."""

    name: str
    packed: bytes
    encoding: str = "application/octet-stream"
    style: str | None = "sha256"

    def element(self, number: int, offset: int) -> str:
        """Its element of the table."""
        check = ""
        if self.style:
            digest = hashlib.new(self.style, self.packed).hexdigest()
            check = f'<archived-checksum style="{self.style}">{digest}</archived-checksum>'
        return (
            f'<file id="{number}"><data>{check}<encoding style="{self.encoding}"/><size>{len(self.packed)}</size>'
            f"<offset>{offset}</offset><length>{len(self.packed)}</length></data>"
            f"<type>file</type><name>{escape(self.name)}</name></file>"
        )


FILES = (
    Stored("PackageInfo", zlib.compress(INFO), "application/x-gzip"),
    Stored("Payload", PAYLOAD),
    Stored("Bom", b"bill of materials"),
)


@dataclass(frozen=True)
class Package:
    """What is to be written. The ``changed`` functions get what would be written and return what is."""

    files: tuple[Stored, ...] = FILES
    signer: Issued | None = None
    chain: tuple[Issued, ...] = ()
    digest: str = "sha256"
    kinds: tuple[str, ...] = ("RSA", "CMS")
    authority: Authority | None = None
    twice: bool = False
    gap: bytes = b""
    changed_table: Callable[[str], str] = str
    changed_heap: Callable[[bytes], bytes] = bytes
    trailer: bytes = b""

    def write(self) -> bytes:
        """The archive."""
        size = hashlib.new(self.digest).digest_size
        spaces = (
            [(kind, {"RSA": 256, "CMS": 5000 if self.authority else 2600}[kind]) for kind in self.kinds]
            if self.signer
            else []
        )
        elements = [_place("checksum", self.digest, 0, size)]
        offset = size
        for kind, length in spaces:
            name = {"RSA": "signature", "CMS": "x-signature"}[kind]
            elements.append(_place(name, kind, offset, length, (self.signer, *self.chain) if self.signer else ()))
            offset += length
        offset += len(self.gap)
        for number, file in enumerate(self.files, 1):
            elements.append(file.element(number, offset))
            offset += len(file.packed)
        table = self.changed_table(
            f'<?xml version="1.0" encoding="UTF-8"?><xar><toc>{"".join(elements)}</toc></xar>'
        ).encode()
        packed = zlib.compress(table)
        digest = hashlib.new(self.digest, packed).digest()
        values = [self._value(kind, digest).ljust(length, b"\0") for kind, length in spaces]
        heap = b"".join([digest, *values, self.gap, *(file.packed for file in self.files)])
        header = struct.pack(">4sHHQQI", b"xar!", 28, 1, len(packed), len(table), NUMBERS[self.digest])
        return header + packed + self.changed_heap(heap) + self.trailer

    def _value(self, kind: str, digest: bytes) -> bytes:
        signer = self.signer
        assert signer is not None
        if kind == "RSA":
            message = hashlib.new(self.digest, digest).digest() if self.twice else digest
            return _prehashed(signer, message, self.digest)
        who = Signer(signer, "sha256" if self.digest == "sha1" else self.digest)
        beside = []
        if self.authority is not None:
            value = signature_value(who.info(digest))
            beside.append(attribute(TOKEN, self.authority.token(value, datetime(2022, 6, 1, tzinfo=UTC))))
        info = who.info(digest, unsigned=beside)
        return signed_data([info], (signer, *self.chain), content=None, digest=who.digest)


def _prehashed(signer: Issued, digest: bytes, algorithm: str) -> bytes:
    return bytes(signer.key.sign(digest, padding.PKCS1v15(), Prehashed(HASHES[algorithm])))


def _place(name: str, style: str, offset: int, size: int, certificates: tuple[Issued, ...] = ()) -> str:
    texts = "".join(
        f"<X509Certificate>{base64.encodebytes(one.der).decode()}</X509Certificate>" for one in certificates
    )
    info = (
        f'<KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data>{texts}</X509Data></KeyInfo>' if texts else ""
    )
    return f'<{name} style="{style}"><offset>{offset}</offset><size>{size}</size>{info}</{name}>'


def ticket(content: bytes = b"s8ch" + bytes(60)) -> bytes:
    """A notarisation ticket as the stapler appends it."""
    end = struct.pack("<4sHHII", b"t8lr", 1, 1, 0, 0)
    return end + content + struct.pack("<4sHHII", b"t8lr", 1, 2, len(content), 0)


def main() -> None:
    """Write everything."""
    folder = FixtureFolder("xar")
    pki, other = make_pki("Installer", eku=(INSTALLER,)), make_pki("Other")
    folder.write("root.pem", pki.root.pem)
    folder.write("other.pem", other.root.pem)
    good = Package(signer=pki.leaf, chain=(pki.intermediate,))
    valid = good.write()
    folder.write("valid.pkg", valid)
    folder.case("valid", "valid.pkg", PASSED, "trusted", mutate=True)
    folder.case("unknown_root", "valid.pkg", INDETERMINATE, "unknown_root", anchors=["other.pem"])
    folder.case("no_anchor", "valid.pkg", INDETERMINATE, "unknown_root", anchors=[])
    folder.write("signer.crl", revocation_list(pki.intermediate, pki.leaf))
    folder.case("revoked", "valid.pkg", FAILED, "revoked", crls=["signer.crl"])
    for name, package in {
        "rsa": replace(good, kinds=("RSA",)),
        "cms": replace(good, kinds=("CMS",)),
        "twice": replace(good, kinds=("RSA",), twice=True),
        "sha512": replace(good, digest="sha512"),
        "stapled": replace(good, trailer=ticket()),
        "shared": replace(good, changed_table=_shared),
    }.items():
        folder.write(f"{name}.pkg", package.write())
        folder.case(name, f"{name}.pkg", PASSED, "trusted", mutate=name in ("rsa", "cms", "stapled"))
    folder.write("unsigned.pkg", Package().write())
    folder.case("unsigned", "unsigned.pkg", INDETERMINATE, "unsigned")
    _damaged(folder, good, valid)
    _times(folder, pki)
    folder.close()


def _shared(table: str) -> str:
    """A second name for a stretch that a file has already."""
    start = table.index('<file id="2">')
    element = table[start : table.index("</file>", start) + 7]
    return table.replace("</toc>", element.replace('id="2"', 'id="9"').replace("Payload", "Copy") + "</toc>")


def _damaged(folder: FixtureFolder, good: Package, valid: bytes) -> None:
    good = replace(good, kinds=("RSA",))
    payload = bytes([PAYLOAD[0] ^ 1]) + PAYLOAD[1:]
    for name, package, reason in (
        ("tampered", replace(good, changed_heap=lambda heap: heap.replace(PAYLOAD, payload)), "invalid_signature"),
        ("gap", replace(good, gap=b"hidden"), "uncovered_content"),
        (
            "no_checksum",
            replace(good, files=(*FILES, Stored("extra", b"nobody digests me", style=None))),
            "uncovered_content",
        ),
        ("overlap", replace(good, changed_table=_overlap), "malformed"),
        ("duplicate_entries", replace(good, files=(*FILES, Stored("payload", b"evil"))), "malformed"),
        ("climbing", replace(good, files=(*FILES, Stored("..", b"evil"))), "malformed"),
        (
            "after_the_end",
            replace(good, changed_table=lambda table: table.replace("<length>17<", "<length>99<")),
            "malformed",
        ),
        ("heap_digest", replace(good, changed_heap=lambda heap: bytes(32) + heap[32:]), "invalid_signature"),
        ("weak", replace(good, digest="sha1"), "weak_algorithm"),
        ("weak_file", replace(good, files=(*FILES, Stored("old", b"old", style="sha1"))), "weak_algorithm"),
        ("appended", replace(good, trailer=b"appended"), "uncovered_content"),
        ("trailer_with_more", replace(good, trailer=b"evil" + ticket()), "uncovered_content"),
    ):
        folder.write(f"{name}.pkg", package.write())
        folder.case(name, f"{name}.pkg", FAILED, reason)
    folder.write("truncated.pkg", valid[:-10])
    folder.case("truncated", "truncated.pkg", FAILED, "malformed")
    # another table under the old signatures: the length of the table stays what it is, so that they are found
    table = bytearray(valid)
    table[28 + 40] ^= 1
    folder.write("table.pkg", bytes(table))
    folder.case("table_changed", "table.pkg", FAILED, "malformed")


def _overlap(table: str) -> str:
    """A file that reaches into the next one."""
    return table.replace("<length>256</length>", "<length>257</length>")


def _times(folder: FixtureFolder, pki: PKI) -> None:
    begin, end = datetime(2022, 1, 1, tzinfo=UTC), datetime(2023, 1, 1, tzinfo=UTC)
    old = issue("Old Signer", pki.intermediate, begin=begin, end=end)
    package = Package(signer=old, chain=(pki.intermediate,))
    folder.write("expired.pkg", package.write())
    folder.case("expired", "expired.pkg", INDETERMINATE, "expired")
    authority = Authority.make(datetime(2026, 1, 1, tzinfo=UTC))
    folder.write("tsa.der", authority.root_der)
    folder.write("timestamped.pkg", replace(package, authority=authority).write())
    folder.case("timestamped", "timestamped.pkg", PASSED, "trusted", anchors=["root.pem", "tsa.der"])


if __name__ == "__main__":
    main()
