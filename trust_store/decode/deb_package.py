"""What stands in a .deb (deb(5)): which members dpkg reads, what their contents must be, and what the two kinds of signatures list.

A debsigs signature is over the contents of three members one after another, without their names and sizes. So that nobody can move the
borders between them, the first must be the version line, and the second one whole compressed archive and nothing else.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trust_store.decode import tar_archive
from trust_store.decode.byte_reader import ByteReader
from trust_store.decode.compressed import BZIP2_MAGIC, GZIP_MAGIC, XZ_MAGIC, ZSTD_MAGIC, UnpackBudget, Unpacking
from trust_store.decode.deb822 import parse_paragraph
from trust_store.decode.zstd_frame import frame_end
from trust_store.errors import MalformedError, ResourceLimitError
from trust_store.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trust_store.decode.ar import ArMember
    from trust_store.decode.tar_archive import MemberSink, TarMember

BINARY, SIGNATURE_PREFIX = "debian-binary", "_gpg"
MAX_CONTROL_BYTES = 64 * 1024 * 1024
MAX_FIELDS_BYTES = 1024 * 1024
"""Of the control file in the control member, which has the fields; lists of files and scripts beside it may be larger."""
MAX_RATIO = 200
_VERSION = re.compile(rb"2\.[0-9]{1,3}\n")
_CONTROL = re.compile(r"control\.tar(?:\.(?:gz|xz|zst))?")
_DATA = re.compile(r"data\.tar(?:\.(?:gz|bz2|lzma|xz|zst))?")
_SIGNATURE = re.compile(r"_gpg[a-z0-9]{1,12}")
_MAGICS = {"gz": GZIP_MAGIC, "xz": XZ_MAGIC, "zst": ZSTD_MAGIC, "bz2": BZIP2_MAGIC, "lzma": b"\x5d\0\0"}
_COMPRESSIONS = {"gz": "gzip", "xz": "xz"}
HEAD_BYTES = 512
_DIGESTS = re.compile(r"[ \t]+([0-9a-f]{32}) ([0-9a-f]{40}) ([0-9]{1,20}) ([!-~]{1,16})")


@dataclass(frozen=True, slots=True)
class DebMembers:
    """The members that dpkg reads, in the order in which they are signed; the signatures; all others."""

    version: ArMember
    control: ArMember
    data: ArMember
    signatures: tuple[ArMember, ...]
    others: tuple[ArMember, ...]

    @property
    def signed(self) -> tuple[ArMember, ArMember, ArMember]:
        """What a signature covers."""
        return self.version, self.control, self.data


def members_of(members: Sequence[ArMember]) -> DebMembers:
    """The roles of the members; raises MalformedError where one that dpkg needs is missing, out of order, or there twice."""
    if not members or members[0].name != BINARY:
        raise MalformedError("deb: the first member is not debian-binary")
    control = [member for member in members if _CONTROL.fullmatch(member.name)]
    data = [member for member in members if _DATA.fullmatch(member.name)]
    if len(control) != 1 or len(data) != 1:
        raise MalformedError("deb: not exactly one control and one data member")
    if data[0].offset < control[0].offset:
        raise MalformedError("deb: the data member comes before the control member")
    signatures = tuple(member for member in members if _SIGNATURE.fullmatch(member.name))
    known = {members[0], control[0], data[0], *signatures}
    return DebMembers(
        version=members[0],
        control=control[0],
        data=data[0],
        signatures=signatures,
        others=tuple(member for member in members if member not in known),
    )


def require_version(content: bytes) -> None:
    """Raise MalformedError unless ``content`` is a format version that dpkg reads, and nothing else."""
    if not _VERSION.fullmatch(content):
        raise MalformedError("deb: debian-binary is not a version 2 of the format")


def require_data(name: str, head: bytes) -> None:
    """Raise MalformedError unless the data member begins as its name says; ``head`` are its first HEAD_BYTES."""
    extension = name.removeprefix("data.tar").removeprefix(".")
    # a tar archive begins with a header: one that begins with zeros ends there, and may be the end of the control archive
    begins = head.startswith(_MAGICS[extension]) if extension else head[257:262] == b"ustar"
    if not begins:
        raise MalformedError(f"deb: {name} is not compressed as its name says")


class _ControlFile:
    def __init__(self) -> None:
        self.data = b""

    def update(self, data: bytes, /) -> None:
        if len(self.data) + len(data) > MAX_FIELDS_BYTES:
            raise ResourceLimitError(f"deb: a control file of more than {MAX_FIELDS_BYTES} bytes")
        self.data += data


def read_control(name: str, content: bytes, most: int = MAX_CONTROL_BYTES) -> dict[str, str] | None:
    """The fields of the control file in the control member; None where the member is compressed with zstd, which is not unpacked here.

    Raises MalformedError where ``content`` is not exactly one archive compressed as its name says, UnsupportedError or ResourceLimitError.
    """
    extension = name.removeprefix("control.tar").removeprefix(".")
    if extension == "zst":
        if frame_end(content) != len(content):
            raise MalformedError("deb: something follows the control archive")
        return None
    found = _ControlFile()

    def sink_of(member: TarMember) -> MemberSink | None:
        return found if member.name == "control" and member.kind == tar_archive.FILE else None

    budget = UnpackBudget(min(most, MAX_CONTROL_BYTES), MAX_RATIO)
    unpacking = Unpacking(iter((content,)), _COMPRESSIONS.get(extension), budget)
    tar_archive.walk(ByteReader(iter(unpacking)), sink_of)
    return parse_paragraph(found.data)


def product_of(fields: dict[str, str] | None) -> tuple[str, str] | None:
    """Name and version of the package by its control file, None where it does not say."""
    if fields is None or not fields.get("package") or not fields.get("version"):
        return None
    return fields["package"], fields["version"]


def listed_members(text: bytes) -> dict[str, tuple[str, str, int]]:
    """Member name -> (MD5, SHA-1, size) in the ``Files`` of a dpkg-sig statement, digests in hex; raises MalformedError."""
    found: dict[str, tuple[str, str, int]] = {}
    lines = parse_paragraph(text).get("files", "").split("\n")
    for line in lines:
        if not line.strip():
            continue
        match = _DIGESTS.fullmatch(f" {line.strip()}")
        if match is None or match[4] in found:
            raise MalformedError("deb: a list of members that is not of MD5, SHA-1, size and name, or names one twice")
        found[match[4]] = match[1], match[2], int(match[3])
    return found
