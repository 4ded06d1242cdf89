"""Which product a flat package installs, by its ``PackageInfo`` or ``Distribution`` (Apple, "Distribution Definition")."""

from __future__ import annotations

import re
import zlib

from trust_store.decode.plain_xml import parse_xml
from trust_store.errors import MalformedError

FILES = ("PackageInfo", "Distribution")
MAX_BYTES = 1024 * 1024
_PACKED, _PLAIN = "application/x-gzip", "application/octet-stream"
_IDENTIFIER = re.compile(r"[A-Za-z0-9._-]{1,255}")
_VERSION = re.compile(r"[0-9A-Za-z.+_-]{1,128}")


def product_of(data: bytes, encoding: str) -> tuple[str, str] | None:
    """Identifier and version; None where they are not stated; raises MalformedError or ResourceLimitError."""
    root = parse_xml(_unpacked(data, encoding), "xar: the package's description")
    elements = [root] if root.local == "pkg-info" else [e for e in root.all("product") if "id" in e.attributes]
    if len(elements) != 1:
        return None
    said = elements[0].attributes
    identifier, version = said.get("identifier", said.get("id", "")), said.get("version", "")
    return (identifier, version) if _IDENTIFIER.fullmatch(identifier) and _VERSION.fullmatch(version) else None


def _unpacked(data: bytes, encoding: str) -> bytes:
    if encoding in ("", _PLAIN):
        return data
    if encoding != _PACKED:
        raise MalformedError(f"xar: an encoding {encoding[:40]!a} of the package's description")
    inflater = zlib.decompressobj()
    try:
        found = inflater.decompress(data, MAX_BYTES)
    except zlib.error as error:
        raise MalformedError(f"xar: the package's description does not unpack: {error}") from error
    if not inflater.eof:
        raise MalformedError("xar: the package's description is too long or cut short")
    return found
