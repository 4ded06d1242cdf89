"""The signed manifest of a RAUC bundle in verity format (RAUC "Reference", "Manifest"): a key file of groups and ``key=value`` lines."""

from __future__ import annotations

import re

from trust_store.errors import MalformedError, UnsupportedError
from trust_store.quick_dataclass import dataclass

MAX_MANIFEST_BYTES = 1024 * 1024
_GROUP = re.compile(r"\[([^\[\]\x00-\x1f]+)\]\s*")
_HEX_32 = re.compile(r"[0-9a-fA-F]{64}")
_SIZE = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class RAUCManifest:
    """What the payload must be: root digest and salt of its hash tree, the tree's size in bytes; and what it is for."""

    verity_hash: bytes
    verity_salt: bytes
    verity_size: int
    compatible: str | None
    version: str | None


def parse_manifest(data: bytes) -> RAUCManifest:
    """The manifest of a bundle in verity format; raises MalformedError, and UnsupportedError for the crypt format and unknown ones."""
    groups = _groups(data)
    bundle, update = groups.get("bundle", {}), groups.get("update", {})
    kind = bundle.get("format", "plain")
    if kind == "crypt":
        raise UnsupportedError(
            "RAUC: the payload is encrypted (crypt format), so that nothing can be said of its content"
        )
    if kind != "verity":
        raise UnsupportedError(f"RAUC: a manifest inside the signature for the {kind[:40]!a} format")
    root, salt = bundle.get("verity-hash", ""), bundle.get("verity-salt", "")
    size = bundle.get("verity-size", "")
    if not _HEX_32.fullmatch(root) or not _HEX_32.fullmatch(salt) or not _SIZE.fullmatch(size):
        raise MalformedError("RAUC: the manifest lacks the hash, salt or size of the payload")
    return RAUCManifest(
        bytes.fromhex(root), bytes.fromhex(salt), int(size), update.get("compatible"), update.get("version")
    )


def _groups(data: bytes) -> dict[str, dict[str, str]]:
    """GLib's key file without its leniencies: no group and no key twice."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError("RAUC: the manifest is not UTF-8") from error
    groups: dict[str, dict[str, str]] = {}
    group: dict[str, str] | None = None
    for line in text.split("\n"):
        stripped = line.strip(" \t\r")
        if not stripped or stripped.startswith("#"):
            continue
        if match := _GROUP.fullmatch(stripped):
            if match[1] in groups:
                raise MalformedError(f"RAUC: group {match[1][:40]!a} stands twice in the manifest")
            group = groups[match[1]] = {}
            continue
        key, equals, value = stripped.partition("=")
        key = key.rstrip(" \t")
        if group is None or not equals or not key or key in group:
            raise MalformedError("RAUC: a line of the manifest that is no key with a value, or one that stands twice")
        group[key] = value.lstrip(" \t")
    return groups
