"""Debian control data (deb822(5)): one paragraph of fields, as in .dsc, .changes, .buildinfo and Release files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trust_store.errors import MalformedError, ResourceLimitError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FIELDS = 512
MAX_LINES = 262_144
"""A Release file lists at most 65,536 files under each of four digests."""
# Any printable ASCII but the colon; no comment and no hyphen at the start
_FIELD = re.compile(r"([!-\"$-,.-9;-~][!-9;-~]*):[ \t]*(.*)")
DIGEST_FIELDS = {
    "files": "md5", "md5sum": "md5", "sha1": "sha1", "sha256": "sha256", "sha512": "sha512",
    "checksums-md5": "md5", "checksums-sha1": "sha1", "checksums-sha256": "sha256", "checksums-sha512": "sha512",
}  # fmt: skip
"""Fields that list files -> hashlib name of their digests: those of .dsc, .changes and .buildinfo, and those of Release."""
HEX_DIGITS = {"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128}
_HEX = frozenset("0123456789abcdef")
_DIGITS = frozenset("0123456789")


def parse_paragraph(text: bytes) -> dict[str, str]:
    """Field name in lower case -> value; lines that continue one are joined with line feeds, their first blank taken off.

    Raises MalformedError for anything that is not exactly one paragraph, for a field that stands twice (field names are the same in any
    case, deb822(5)) and for text that is not UTF-8; ResourceLimitError for more than MAX_FIELDS fields or MAX_LINES lines.
    """
    if text.count(b"\n") > MAX_LINES:
        raise ResourceLimitError(f"control data of more than {MAX_LINES} lines")
    try:
        lines = text.decode("utf-8").strip("\n").split("\n")
    except UnicodeDecodeError as error:
        raise MalformedError("control data that is not UTF-8") from error
    fields: dict[str, list[str]] = {}
    current: list[str] | None = None
    for number, line in enumerate(lines, 1):
        if line.startswith("#"):
            continue
        if line[:1] in (" ", "\t"):
            if current is None:
                raise MalformedError("control data that begins with a line that continues nothing")
            current.append(line[1:].rstrip())
            continue
        match = _FIELD.fullmatch(line)
        if match is None:
            raise MalformedError(f"control data: line {number} is no field of the one paragraph")
        name = match[1].lower()
        if name in fields:
            raise MalformedError(f"control data: the field {match[1][:60]!a} stands twice")
        if len(fields) >= MAX_FIELDS:
            raise ResourceLimitError(f"control data of more than {MAX_FIELDS} fields")
        current = fields[name] = [match[2].rstrip()]
    return {name: "\n".join(value) for name, value in fields.items()}


def listed_files(value: str, algorithm: str) -> Iterator[tuple[str, str, int]]:
    """(name, digest in lower-case hex, size in bytes) of each line of a field in DIGEST_FIELDS; raises MalformedError.

    ``Files`` in .changes has section and priority between size and name.
    """
    for line in value.split("\n"):
        words = line.split()
        if not words:
            continue
        if len(words) not in (3, 5):
            raise MalformedError("control data lists a file without digest, size and name")
        digest, size, name = words[0].lower(), words[1], words[-1]
        if len(digest) != HEX_DIGITS[algorithm] or not _HEX.issuperset(digest):
            raise MalformedError(f"control data lists a file with something that is no {algorithm}")
        if len(size) > 20 or not _DIGITS.issuperset(size):
            raise MalformedError("control data lists a file with something that is no size")
        yield name, digest, int(size)
