"""SWUpdate's ``sw-description`` (SWUpdate "Software images", "SWUpdate: syntax and tags"): which files an image has, and of which digests.

The text is libconfig or JSON. A file is an entry with ``filename``, wherever it stands (images, files, scripts, of any board and software
set); its ``sha256`` is over the file as it lies in the archive ("Update images from verified source").
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trust_store.decode import libconfig
from trust_store.decode.member_names import check_name
from trust_store.decode.strict_json import parse_object
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FILES = 65_535
_BLOCK_BYTES = 16
_TEXT = bytes([9, 10, 13, *range(0x20, 0x7F)])
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class SoftwareDescription:
    """``files``: name -> SHA-256 in hex; None where some entry names the file without one. ``name`` and ``version`` as stated."""

    files: dict[str, str | None]
    name: str | None
    version: str | None


def parse_description(data: bytes) -> SoftwareDescription:
    """Read the description; raises MalformedError, UnsupportedError or ResourceLimitError.

    One file with two digests is malformed: which one counts would depend on the board.
    """
    if _is_encrypted(data):
        raise UnsupportedError("SWUpdate: sw-description is encrypted, so that nothing can be said of the image")
    settings: object = parse_object(data, fractions=True) if data.lstrip()[:1] == b"{" else libconfig.parse(data)
    software = settings.get("software") if isinstance(settings, dict) else None
    if not isinstance(software, dict):
        raise MalformedError("SWUpdate: sw-description has no group software")
    files: dict[str, str | None] = {}
    for entry in _entries(software):
        name, digest = entry["filename"], _digest(entry)
        check_name(str(name))
        if name in files and digest is not None and files[name] not in (None, digest):
            raise MalformedError(f"SWUpdate: two digests of {str(name)[:80]!a}")
        files[str(name)] = digest if name not in files else files[name] and digest
        if len(files) > MAX_FILES:
            raise ResourceLimitError("SWUpdate: too many files")
    return SoftwareDescription(files, _text(software.get("name")), _text(software.get("version")))


def _is_encrypted(data: bytes) -> bool:
    """Whether these are whole blocks of AES-CBC (SWUpdate "Symmetrically Encrypted Update Images"): no text, for the greater part."""
    shown = data[:4096]
    return len(data) % _BLOCK_BYTES == 0 and len(shown.translate(None, _TEXT)) * 2 > len(shown)


def _entries(value: object) -> Iterator[dict[str, object]]:
    """Every group with a filename, at any depth; the depth itself is capped where the text is parsed."""
    level = [value]
    while level:
        groups = [item for item in level if isinstance(item, dict)]
        yield from (group for group in groups if isinstance(group.get("filename"), str))
        level = [
            inner
            for item in level
            for inner in (item.values() if isinstance(item, dict) else item if isinstance(item, list) else ())
        ]


def _digest(entry: dict[str, object]) -> str | None:
    digest = entry.get("sha256")
    if digest is None:
        return None
    if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
        raise MalformedError("SWUpdate: a sha256 that is none")
    return digest.lower()


def _text(value: object) -> str | None:
    return value[:200] if isinstance(value, str) and value else None
