"""Which container a file is, by its magic alone: nothing is parsed here. Containers are disjoint; two at once is malformed.

Of a file that is compressed as a whole, it is the magic of what it unpacks to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from trust_store.decode import zip_directory
from trust_store.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

NONE = "none"
HEAD_BYTES = 4096
_CPIO = (b"070701", b"070702", b"070707", b"\xc7\x71", b"\x71\xc7")
_TAR_MAGIC_AT = 257
_COMPRESSED = (b"\x1f\x8b\x08", b"\xfd7zXZ\0")
_CLEARTEXT = b"-----BEGIN PGP SIGNED MESSAGE-----"


class Bytes(Protocol):
    """Random access to a file."""

    @property
    def size(self) -> int: ...

    def read_at(self, offset: int, length: int) -> bytes: ...


def _starts(*magics: bytes) -> Callable[[Bytes], bool]:
    longest = max(map(len, magics))
    return lambda source: source.read_at(0, longest).startswith(magics)


def _is_pe(source: Bytes) -> bool:
    """``MZ``, and ``PE\\0\\0`` where the header at 0x3c points (Microsoft PE/COFF specification, "MS-DOS Stub")."""
    head = source.read_at(0, 64)
    if head[:2] != b"MZ" or len(head) < 64:
        return False
    return source.read_at(int.from_bytes(head[60:64], "little"), 4) == b"PE\0\0"


def _is_tar(source: Bytes) -> bool:
    """``ustar`` in the first header (POSIX.1-1988 and GNU), as it is or in gzip or xz: the older form without it has no magic."""
    head = source.read_at(0, _TAR_MAGIC_AT + 5)
    if head.startswith(_COMPRESSED):
        head = _unpacked_head(source.read_at(0, HEAD_BYTES))
    return head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar"


def _unpacked_head(packed: bytes) -> bytes:
    """What the beginning of a gzip or xz stream unpacks to, as much of it as a tar header takes; nothing where it does not."""
    from trust_store.decode.compressed import unpacked_head  # few packages are compressed as a whole

    return unpacked_head(packed, _TAR_MAGIC_AT + 5)


def _is_cleartext(source: Bytes) -> bool:
    """A cleartext-signed message at the start of a line (RFC 9580 section 7), where nothing but text comes before."""
    head = source.read_at(0, HEAD_BYTES)
    return head.startswith(_CLEARTEXT) or (b"\n" + _CLEARTEXT in head and b"\0" not in head)


def _is_json(source: Bytes) -> bool:
    return source.read_at(0, HEAD_BYTES).lstrip(b" \t\r\n")[:1] == b"{"


CONTAINERS: tuple[tuple[str, Callable[[Bytes], bool]], ...] = (
    ("zip", zip_directory.recognises),
    ("cab", _starts(b"MSCF\0\0\0\0")),
    ("pe", _is_pe),
    ("ar", _starts(b"!<arch>\n")),
    ("xar", _starts(b"xar!")),
    ("cpio", _starts(*_CPIO)),
    ("ole", _starts(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")),
    ("tar", _is_tar),
    ("openpgp-text", _is_cleartext),
    ("json", _is_json),
)
"""Container -> whether the bytes are one."""


def container_of(source: Bytes, containers: Iterable[tuple[str, Callable[[Bytes], bool]]] = CONTAINERS) -> str:
    """The one container the bytes are, or ``none``; raises MalformedError naming both where they are two."""
    found = [name for name, recognises in containers if recognises(source)]
    if len(found) > 1:
        raise MalformedError(f"two containers at once: {' and '.join(found)}")
    return found[0] if found else NONE
