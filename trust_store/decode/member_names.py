"""Which member names of an archive are accepted: only those that every installer on every system takes for the same file."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from trust_store.errors import MalformedError, ResourceLimitError

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_NAME_DEPTH = 128
MAX_NAMES_BYTES = 16 * 1024 * 1024
"""Of all names of one archive and of the folders that they lie in: a short archive can unpack to very long names."""
_DRIVE = re.compile(r"[A-Za-z]:")
_PLAIN = re.compile(r"[ -\[\]-~]*")  # printable ASCII but for the backslash: the usual case, decided at once
_CONTROL = frozenset({"Cc", "Cs", "Zl", "Zp"})


def decode_name(raw: bytes, *, max_bytes: int) -> str:
    """The member's name, which must be UTF-8; raises MalformedError for one that programs could write in different ways."""
    if len(raw) > max_bytes:
        raise ResourceLimitError(f"zip: a member name of {len(raw)} bytes")
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError("zip: a member name is not UTF-8") from error
    check_name(name)
    return name


def check_name(name: str) -> None:
    """Raise MalformedError unless ``name`` is a plain relative path with ``/``; a folder ends with one."""
    plain = _PLAIN.fullmatch(name) is not None
    if not plain and ("\\" in name or any(unicodedata.category(character) in _CONTROL for character in name)):
        raise MalformedError(f"archive member {name[:80]!a}: control character or backslash in its name")
    parts = name.removesuffix("/").split("/")
    if len(parts) > MAX_NAME_DEPTH:
        raise ResourceLimitError(f"archive member {name[:80]!a}: nested deeper than {MAX_NAME_DEPTH}")
    if any(part in ("", ".", "..") for part in parts) or _DRIVE.match(name):
        raise MalformedError(f"archive member {name[:80]!a}: absolute, or with an empty, . or .. part")


def folded(name: str) -> str:
    """The form in which names that collide on some file system are equal: NFC, case folded."""
    if name.isascii():
        return name.lower().removesuffix("/")
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).removesuffix("/")


class NameSet:
    """Names seen so far; refuses duplicates, collisions and a file that is also a folder."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: set[str] = set()
        self._stated_folders: set[str] = set()
        self._room = MAX_NAMES_BYTES

    def add(self, name: str) -> None:
        """Take up ``name``; raises MalformedError if it collides, ResourceLimitError where the names are too long altogether."""
        key = folded(name)
        self._take(key)
        if name.endswith("/"):
            if key in self._stated_folders:
                raise MalformedError(f"archive member {name[:80]!a} occurs twice")
            self._stated_folders.add(key)
            self._folders.add(key)
        else:
            if key in self._files:
                raise MalformedError(f"archive member {name[:80]!a} occurs twice, or collides with another")
            self._files.add(key)
        parent = key.rpartition("/")[0]
        while parent and parent not in self._folders:
            self._take(parent)
            self._folders.add(parent)
            parent = parent.rpartition("/")[0]

    def _take(self, name: str) -> None:
        """Four bytes for each character of a name that is not of ASCII alone, as it is in memory."""
        self._room -= len(name) if name.isascii() else 4 * len(name)
        if self._room < 0:
            raise ResourceLimitError(f"an archive whose names take more than {MAX_NAMES_BYTES} bytes")

    def check(self) -> None:
        """Raise MalformedError if some name is both a file and a folder."""
        both = self._files & self._folders
        if both:
            raise MalformedError(f"archive member {min(both)[:80]!a} is both a file and a folder")


def require_distinct(names: Iterable[str]) -> None:
    """Raise MalformedError for a name that ``check_name`` refuses, and for two that some file system takes for one."""
    seen = NameSet()
    for name in names:
        check_name(name)
        seen.add(name)
    seen.check()


def folders_above(names: Iterable[str]) -> set[str]:
    """Every folder that some name lies in, each with its slash."""
    parents: set[str] = set()
    for name in names:
        folder = name.rpartition("/")[0]
        while folder and folder + "/" not in parents:
            parents.add(folder + "/")
            folder = folder.rpartition("/")[0]
    return parents
