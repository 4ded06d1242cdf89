"""The metadata of a firmware archive (AppStream ``metainfo.xml``; fwupd "Firmware Packages"): what it is, and what its releases install."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trust_store.decode.plain_xml import parse_xml
from trust_store.errors import MalformedError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trust_store.decode.plain_xml import XMLElement

_WHAT = "fwupd: metadata"
_CONTENT = "content"
_ALGORITHMS = {40: "sha1", 64: "sha256", 128: "sha512"}
_HEX = re.compile(r"[0-9a-fA-F]+")


@dataclass(frozen=True, slots=True)
class ContentChecksum:
    """The digest (lower-case hex) that a release gives of a file in the archive; ``algorithm`` a hashlib name."""

    name: str
    algorithm: str
    digest: str


@dataclass(frozen=True, slots=True)
class FirmwareMetainfo:
    """The component's identifier, its releases' versions as listed, and the digests of what they install.

    ``component`` is empty where there is no identifier, or more than one.
    """

    component: str
    versions: tuple[str | None, ...]
    checksums: tuple[ContentChecksum, ...]


def parse_metainfo(data: bytes) -> FirmwareMetainfo:
    """Read the metadata; raises MalformedError or ResourceLimitError. A checksum without a value binds nothing, as for fwupd."""
    component = parse_xml(data, _WHAT)
    identifiers = [element.text.strip() for element in component.all("id")]
    releases = [release for group in component.all("releases") for release in group.all("release")]
    return FirmwareMetainfo(
        identifiers[0] if len(identifiers) == 1 else "",
        tuple(release.attributes.get("version") for release in releases),
        tuple(checksum for release in releases for checksum in _checksums(release)),
    )


def _checksums(release: XMLElement) -> Iterator[ContentChecksum]:
    for element in release.all("checksum"):
        digest = element.text.strip()
        if element.attributes.get("target") != _CONTENT or not digest:
            continue
        algorithm = _ALGORITHMS.get(len(digest))
        if algorithm is None or not _HEX.fullmatch(digest):
            raise MalformedError("fwupd: a checksum in the metadata that is none")
        yield ContentChecksum(element.attributes.get("filename", ""), algorithm, digest.lower())
