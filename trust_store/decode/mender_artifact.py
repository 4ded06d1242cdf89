"""What a Mender artifact says of itself (mender-artifact ``Documentation/artifact-format-v2.md``, ``artifact-format-v3.md``)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trust_store.decode.byte_reader import ByteReader
from trust_store.decode.compressed import UnpackBudget, Unpacking
from trust_store.decode.member_bytes import MemberBytes
from trust_store.decode.strict_json import parse_object
from trust_store.decode.tar_archive import walk
from trust_store.errors import MalformedError, ResourceLimitError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trust_store.decode.tar_archive import TarMember

VERSION, MANIFEST, SIGNATURE, AUGMENT = "version", "manifest", "manifest.sig", "manifest-augment"
MAX_HEADER_INFO_BYTES = 1024 * 1024
_COMPRESSIONS: Mapping[str, str | None] = {".tar": None, ".tar.gz": "gzip", ".tar.xz": "xz", ".tar.zst": "zstd"}
_HEADER = re.compile(r"header(\.tar(?:\.gz|\.xz|\.zst)?)")
_DATA = re.compile(r"(data/[0-9]{4})(\.tar(?:\.gz|\.xz|\.zst)?)")


def require_version(data: bytes) -> None:
    """Raise MalformedError unless this is the ``version`` of an artifact, UnsupportedError unless of format 2 or 3, which are signed."""
    said = parse_object(data, max_bytes=4096)
    if said.get("format") != "mender":
        raise MalformedError("Mender: the version file is of another format")
    if said.get("version") not in (2, 3):
        raise UnsupportedError(f"Mender: an artifact of version {str(said.get('version'))[:20]}; 2 and 3 are read")


def header_compression(name: str) -> tuple[bool, str | None]:
    """Whether ``name`` is the header's, and how that is compressed."""
    match = _HEADER.fullmatch(name)
    return (True, _COMPRESSIONS[match[1]]) if match else (False, None)


def payload_of(name: str) -> tuple[str, str | None] | None:
    """The folder whose files a member holds (``data/0000``), and how it is compressed; None where it is no payload."""
    match = _DATA.fullmatch(name)
    return (match[1], _COMPRESSIONS[match[2]]) if match else None


def device_types(header: bytes, compression: str | None) -> tuple[str, ...]:
    """What the artifact is for, by ``header-info`` in its header; none where that does not say. Raises READ_ERRORS."""
    budget = UnpackBudget(MAX_HEADER_INFO_BYTES * 16, 1100)
    found = MemberBytes()

    def sink_of(member: TarMember) -> MemberBytes | None:
        if member.name != "header-info":
            return None
        if member.size > MAX_HEADER_INFO_BYTES:
            raise ResourceLimitError(f"Mender: a header-info of {member.size} bytes")
        return found

    walk(ByteReader(iter(Unpacking(iter((header,)), compression, budget))), sink_of, max_members=4096)
    said = parse_object(found.data, max_bytes=MAX_HEADER_INFO_BYTES, fractions=True)
    depends = said.get("artifact_depends")
    types = depends.get("device_type") if isinstance(depends, dict) else said.get("device_types_compatible")
    return tuple(name for name in types if isinstance(name, str)) if isinstance(types, list) else ()
