"""The identity of a NuGet package out of its ``.nuspec`` (NuGet documentation, "nuspec reference")."""

from __future__ import annotations

import re

from trust_store.decode.plain_xml import parse_xml
from trust_store.errors import MalformedError

_IDENTIFIER = re.compile(r"[\w.-]{1,128}", re.ASCII)
_VERSION = re.compile(r"[0-9A-Za-z.+-]{1,128}")
MAX_BYTES = 1024 * 1024


def parse_nuspec(data: bytes) -> tuple[str, str]:
    """Identifier, in lower case since NuGet tells no cases apart, and version as stated; raises MalformedError or ResourceLimitError."""
    root = parse_xml(data, "NuGet: the nuspec")
    if root.local != "package":
        raise MalformedError(f"NuGet: the nuspec's root is {root.local[:40]!a}, not package")
    metadata = root.one("metadata", "NuGet: the nuspec")
    identifier, version = (metadata.one(part, "NuGet: the nuspec").text.strip() for part in ("id", "version"))
    if not _IDENTIFIER.fullmatch(identifier) or not _VERSION.fullmatch(version):
        raise MalformedError("NuGet: the nuspec's id or version is none")
    return identifier.lower(), version
