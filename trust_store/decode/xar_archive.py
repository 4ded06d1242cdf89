"""The header and the table of contents of a xar archive (Apple flat packages): bytes -> values, nothing verified.

The table is XML, compressed; every offset in it is one into the heap, which follows it. Offsets are read here once, by one reader of
numbers: two readers that disagreed on one are what CVE-2022-42841 was.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
import zlib
from typing import TYPE_CHECKING

from trust_store.decode.member_names import check_name, require_distinct
from trust_store.decode.plain_xml import MAX_BYTES, decimal, parse_xml
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trust_store.decode.plain_xml import XMLElement

MAGIC = b"xar!"
_HEADER = struct.Struct(">4sHHQQI")
MAX_HEADER_BYTES = 64
MAX_COMPRESSED_BYTES = 8 * 1024**2
MAX_FILES = 65_535
MAX_CERTIFICATES = 16
DIGESTS = ("md5", "sha1", "sha256", "sha512")
_BY_NUMBER = {1: "sha1", 2: "md5", 3: "sha256", 4: "sha512"}
_OTHER = 3
"""Apple's number for SHA-256; elsewhere it says that the name of the digest follows the header."""
RSA, CMS = "rsa", "cms"
_STYLES = {("signature", "RSA"): RSA, ("x-signature", "CMS"): CMS}


@dataclass(frozen=True, slots=True)
class Header:
    """``size`` of the header itself, ``compressed`` and ``uncompressed`` length of the table, in bytes; ``digest`` None for none."""

    size: int
    compressed: int
    uncompressed: int
    digest: str | None

    @property
    def heap(self) -> int:
        """Where the heap begins in the file."""
        return self.size + self.compressed


@dataclass(frozen=True, slots=True)
class Extent:
    """A stretch of the heap: offset in the heap and length, in bytes."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Data:
    """What a file (or an extended attribute of one) keeps in the heap; ``digest`` is over it as it lies there, None where there is none."""

    path: str
    extent: Extent
    encoding: str
    algorithm: str | None
    digest: bytes


@dataclass(frozen=True, slots=True)
class SignatureElement:
    """One signature of the table: ``kind`` RSA or CMS, where its value lies, the certificates that stand beside it (DER)."""

    kind: str
    extent: Extent
    certificates: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Contents:
    """The table: where the heap holds its digest (None: nowhere), the signatures, and everything that lies in the heap."""

    checksum: Extent | None
    signatures: tuple[SignatureElement, ...]
    data: tuple[Data, ...]


def parse_header(head: bytes) -> Header:
    """The header; raises MalformedError, UnsupportedError or ResourceLimitError."""
    if len(head) < _HEADER.size or head[:4] != MAGIC:
        raise MalformedError("xar: no header")
    _, size, version, compressed, uncompressed, number = _HEADER.unpack_from(head)
    if version != 1:
        raise UnsupportedError(f"xar: version {version}")
    name = head[_HEADER.size : size]
    if not _HEADER.size <= size <= min(MAX_HEADER_BYTES, len(head)) or (name and number != _OTHER):
        raise MalformedError(f"xar: a header of {size} bytes")
    if compressed > MAX_COMPRESSED_BYTES or uncompressed > MAX_BYTES:
        raise ResourceLimitError(f"xar: a table of contents of {compressed} bytes, {uncompressed} unpacked")
    if number not in (0, *_BY_NUMBER):
        raise UnsupportedError(f"xar: digest number {number}")
    return Header(size, compressed, uncompressed, _named(name) if name else _BY_NUMBER.get(number))


def _named(name: bytes) -> str:
    text, _, padding = name.partition(b"\0")
    stated = text.decode("ascii", "replace")
    if stated not in DIGESTS or padding.strip(b"\0"):
        raise UnsupportedError(f"xar: a digest called {stated[:40]!a}")
    return stated


def unpack_table(packed: bytes, header: Header) -> bytes:
    """The XML of the table; raises MalformedError unless it is all of ``packed`` and as long as the header says."""
    inflater = zlib.decompressobj()
    try:
        table = inflater.decompress(packed, header.uncompressed + 1)
    except zlib.error as error:
        raise MalformedError(f"xar: the table of contents does not unpack: {error}") from error
    if not inflater.eof or inflater.unused_data or len(table) != header.uncompressed:
        raise MalformedError("xar: the table of contents does not end where it says")
    return table


def parse_table(table: bytes, header: Header) -> Contents:
    """Read the table; raises MalformedError, UnsupportedError or ResourceLimitError."""
    root = parse_xml(table, "xar: the table of contents")
    if root.local != "xar":
        raise MalformedError(f"xar: the table's root is {root.local[:40]!a}")
    toc = root.one("toc", "xar")
    signatures = tuple(_signature(element) for name in ("signature", "x-signature") for element in toc.all(name))
    if len({one.kind for one in signatures}) < len(signatures):
        raise MalformedError("xar: two signatures of one kind")
    data: list[Data] = []
    names: list[str] = []
    for path, element in _files(toc):
        names.append(path + "/" * (_text(element, "type") == "directory"))
        data += _data(path, element)
    require_distinct(names)
    return Contents(_checksum(toc, header), signatures, tuple(data))


def _checksum(toc: XMLElement, header: Header) -> Extent | None:
    """Where the digest of the table lies, which must be of the one kind that the header states too."""
    if header.digest is None and not toc.all("checksum"):
        return None
    element = toc.one("checksum", "xar: the table of contents")
    extent = _extent(element, "size", "the checksum")
    if element.attributes.get("style", "").lower() != header.digest:
        raise MalformedError("xar: header and table state two kinds of digest")
    if extent.length != hashlib.new(header.digest, usedforsecurity=False).digest_size:
        raise MalformedError(f"xar: a {header.digest} of {extent.length} bytes")
    return extent


def _signature(element: XMLElement) -> SignatureElement:
    kind = _STYLES.get((element.local, element.attributes.get("style", "")))
    if kind is None:
        raise UnsupportedError(f"xar: a {element.local} of style {element.attributes.get('style', '')[:40]!a}")
    texts = [
        certificate.text
        for info in element.all("KeyInfo")
        for group in info.all("X509Data")
        for certificate in group.all("X509Certificate")
    ]
    if len(texts) > MAX_CERTIFICATES:
        raise ResourceLimitError(f"xar: more than {MAX_CERTIFICATES} certificates")
    return SignatureElement(kind, _extent(element, "size", "a signature"), tuple(_base64(text) for text in texts))


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError("xar: what should be base64 is not") from error


def _files(toc: XMLElement) -> Iterator[tuple[str, XMLElement]]:
    """Every file with its path from the root, parents first; raises MalformedError for a name that is no name."""
    waiting = [("", element) for element in reversed(toc.all("file"))]
    count = 0
    while waiting:
        folder, element = waiting.pop()
        count += 1
        if count > MAX_FILES:
            raise ResourceLimitError(f"xar: more than {MAX_FILES} files")
        path = folder + _name(element)
        yield path, element
        waiting += [(path + "/", child) for child in reversed(element.all("file"))]


def _name(element: XMLElement) -> str:
    name = element.one("name", "xar: a file")
    text = name.text
    if name.attributes.get("enctype") == "base64":
        try:
            text = _base64(text).decode("utf-8")
        except UnicodeDecodeError as error:
            raise MalformedError("xar: a name that is not UTF-8") from error
    if "/" in text:
        raise MalformedError(f"xar: a name with a slash: {text[:80]!a}")
    check_name(text)
    return text


def _text(element: XMLElement, local: str) -> str:
    found = element.all(local)
    return found[0].text if len(found) == 1 else ""


def _data(path: str, element: XMLElement) -> Iterator[Data]:
    """The file's content, and its extended attributes, which lie in the heap just so."""
    holders = element.all("data")
    if len(holders) > 1:
        raise MalformedError(f"xar: {path[:80]!a} has two contents")
    for holder in (*holders, *(ea for ea in element.all("ea") if ea.all("offset"))):
        sums = holder.all("archived-checksum")
        if len(sums) > 1:
            raise MalformedError(f"xar: {path[:80]!a} has two checksums")
        algorithm, digest = _archived(sums[0]) if sums else (None, b"")
        encoding = holder.all("encoding")
        style = encoding[0].attributes.get("style", "") if encoding else ""
        yield Data(path, _extent(holder, "length", path[:80]), style, algorithm, digest)


def _archived(element: XMLElement) -> tuple[str | None, bytes]:
    style = element.attributes.get("style", "").lower()
    if style in ("", "none"):
        return None, b""
    if style not in DIGESTS:
        raise UnsupportedError(f"xar: a checksum of style {style[:40]!a}")
    try:
        digest = bytes.fromhex(element.text.strip())
    except ValueError as error:
        raise MalformedError("xar: a checksum that is not hexadecimal") from error
    if len(digest) != hashlib.new(style, usedforsecurity=False).digest_size:
        raise MalformedError(f"xar: a {style} of {len(digest)} bytes")
    return style, digest


def _extent(element: XMLElement, length: str, what: str) -> Extent:
    offset, size = (
        decimal(element.one(part, f"xar: {what}").text.strip(), f"xar: {what}") for part in ("offset", length)
    )
    return Extent(offset, size)
