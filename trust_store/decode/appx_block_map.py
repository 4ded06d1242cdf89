"""``AppxBlockMap.xml`` (Microsoft, "Package block map") and the identity of an app package: bytes -> values."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from trust_store.decode.plain_xml import decimal, parse_xml
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from trust_store.decode.plain_xml import XMLElement

BLOCK_BYTES = 64 * 1024
MAX_FILES = 65_535
_METHODS = {
    "http://www.w3.org/2001/04/xmlenc#sha256": "sha256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384": "sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512": "sha512",
}
_NAME = re.compile(r"[A-Za-z0-9.-]{1,128}")
_VERSION = re.compile(r"[0-9]{1,5}(?:\.[0-9]{1,5}){1,3}")


@dataclass(frozen=True, slots=True)
class MappedFile:
    """One file: ``size`` in bytes, ``header_size`` of its local header where stated, and the digest of every 64 KiB of its content."""

    size: int
    header_size: int | None
    blocks: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class BlockMap:
    """The digest that is used (hashlib name), and every file by its name in the form that ``part_name`` gives."""

    algorithm: str
    files: dict[str, MappedFile]


def part_name(member: str) -> str:
    """The name that the block map has for an archive member, which is percent-encoded there (ECMA-376-2 6.2.2); raises MalformedError."""
    try:
        return unquote(member, errors="strict") if "%" in member else member
    except UnicodeDecodeError as error:
        raise MalformedError(f"MSIX: {member[:80]!a} is no percent-encoded name") from error


def parse_block_map(data: bytes) -> BlockMap:
    """Read the block map; raises MalformedError, UnsupportedError or ResourceLimitError."""
    root = parse_xml(data, "MSIX: the block map")
    if root.local != "BlockMap":
        raise MalformedError(f"MSIX: the block map's root is {root.local[:40]!a}")
    method = root.attributes.get("HashMethod", "")
    if method not in _METHODS:
        raise UnsupportedError(f"MSIX: a block map by {method[:80]!a}")
    elements = root.all("File")
    if len(elements) > MAX_FILES:
        raise ResourceLimitError(f"MSIX: a block map of more than {MAX_FILES} files")
    files: dict[str, MappedFile] = {}
    for element in elements:
        name = element.attributes.get("Name", "").replace("\\", "/")
        if not name or name in files:
            raise MalformedError(f"MSIX: {name[:80]!a} is in the block map twice, or has no name")
        files[name] = _file(element, _METHODS[method])
    return BlockMap(_METHODS[method], files)


def _file(element: XMLElement, algorithm: str) -> MappedFile:
    size = decimal(element.attributes.get("Size", ""), "MSIX: a size in the block map")
    header = element.attributes.get("LfhSize")
    blocks = tuple(_hash(block.attributes.get("Hash", ""), algorithm) for block in element.all("Block"))
    if len(blocks) != -(-size // BLOCK_BYTES):
        raise MalformedError(f"MSIX: {len(blocks)} blocks for {size} bytes")
    return MappedFile(size, None if header is None else decimal(header, "MSIX: a header's size"), blocks)


def _hash(text: str, algorithm: str) -> bytes:
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedError("MSIX: a hash in the block map is not base64") from error
    if len(digest) != hashlib.new(algorithm).digest_size:
        raise MalformedError(f"MSIX: a {algorithm} of {len(digest)} bytes")
    return digest


def identity_of(manifest: bytes) -> tuple[str, str]:
    """Name and version in the manifest of a package or of a bundle; raises MalformedError or ResourceLimitError."""
    root = parse_xml(manifest, "MSIX: the manifest")
    if root.local not in ("Package", "Bundle"):
        raise MalformedError(f"MSIX: the manifest's root is {root.local[:40]!a}")
    said = root.one("Identity", "MSIX: the manifest").attributes
    name, version = said.get("Name", ""), said.get("Version", "")
    if not _NAME.fullmatch(name) or not _VERSION.fullmatch(version):
        raise MalformedError("MSIX: the manifest's name or version is none")
    return name, version


class BlockDigests:
    """Takes a file's content and digests every 64 KiB of it."""

    def __init__(self, algorithm: str) -> None:
        self._algorithm = algorithm
        self._state = hashlib.new(algorithm)
        self._room = BLOCK_BYTES
        self._blocks: list[bytes] = []
        self.size = 0

    def update(self, data: bytes, /) -> None:
        """Take the next piece."""
        self.size += len(data)
        while data:
            piece, data = data[: self._room], data[self._room :]
            self._state.update(piece)
            self._room -= len(piece)
            if not self._room:
                self._blocks.append(self._state.digest())
                self._state, self._room = hashlib.new(self._algorithm), BLOCK_BYTES

    @property
    def blocks(self) -> tuple[bytes, ...]:
        """The digests, the last one of what is left."""
        return (*self._blocks, *((self._state.digest(),) if self._room < BLOCK_BYTES else ()))
