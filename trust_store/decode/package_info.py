"""What pacman and Alpine packages have in common: which member comes first, and ``.PKGINFO``, lines of ``key = value``."""

from __future__ import annotations

from trust_store.decode.tar_archive import BLOCK_BYTES, number
from trust_store.errors import MalformedError, ResourceLimitError

MAX_BYTES, MAX_LINES = 1024 * 1024, 65_536
_EXTENDED = (b"x", b"g", b"L", b"K")
_ONCE = frozenset({"pkgname", "pkgver", "datahash", "arch"})


def parse_package_info(data: bytes) -> dict[str, list[str]]:
    """Key -> values in their order. Raises MalformedError for other lines, and for a name, version or digest that stands twice."""
    if len(data) > MAX_BYTES or data.count(b"\n") > MAX_LINES:
        raise ResourceLimitError(f".PKGINFO of more than {MAX_BYTES} bytes or {MAX_LINES} lines")
    try:
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise MalformedError(".PKGINFO that is not UTF-8") from error
    found: dict[str, list[str]] = {}
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        key, equals, value = line.partition("=")
        name = key.strip()
        if not equals or not name:
            raise MalformedError(".PKGINFO with a line that is not 'key = value'")
        if name in found and name in _ONCE:
            raise MalformedError(f".PKGINFO states {name} twice")
        found.setdefault(name, []).append(value.strip())
    return found


def first_member(head: bytes) -> str | None:
    """The name of the first member by the beginning of a tar archive, past extended headers; None where that does not show it."""
    position = 0
    while position + BLOCK_BYTES <= len(head):
        block = head[position : position + BLOCK_BYTES]
        if block[257:262] != b"ustar":
            return None
        if block[156:157] not in _EXTENDED:
            return block[:100].split(b"\0", 1)[0].decode("utf-8", "replace").removeprefix("./")
        try:
            size = number(block[124:136])
        except MalformedError:
            return None
        position += BLOCK_BYTES + size + -size % BLOCK_BYTES
    return None
