"""``SHA256SUMS`` manifests, as ``sha256sum`` writes them, read without its leniencies."""

from __future__ import annotations

import re

from trust_store.decode.member_names import check_name, folded
from trust_store.errors import MalformedError, ResourceLimitError

_LINE = re.compile(r"([0-9a-fA-F]{64}) [ *]([^\n]+)")


def parse_manifest(data: bytes, *, max_entries: int) -> dict[str, str]:
    """Name -> SHA-256 in lower-case hex, in the manifest's order.

    Raises MalformedError for any line that is not exactly a digest and a plain relative name, for escaped names, duplicates
    and an empty manifest; ResourceLimitError beyond ``max_entries`` lines.
    """
    if data.removesuffix(b"\n").count(b"\n") >= max_entries:  # before they are taken apart, which takes much memory
        raise ResourceLimitError(f"manifest: more than {max_entries} lines")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError("manifest: not UTF-8") from error
    lines = text.removesuffix("\n").split("\n")
    entries: dict[str, str] = {}
    seen: set[str] = set()
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        if match is None:  # a leading backslash, sha256sum's mark of an escaped name, is refused here as well
            raise MalformedError(f"manifest: line {number} is not a SHA-256 and a name")
        name = match[2].removeprefix("./")
        check_name(name)
        if name.endswith("/") or folded(name) in seen:
            raise MalformedError(f"manifest: line {number} names a folder, or a file that an earlier line names")
        seen.add(folded(name))
        entries[name] = match[1].lower()
    return entries
