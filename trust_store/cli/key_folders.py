"""Files of keys in directories (notation trust stores, apt's keyrings, CA certificates): found under caps, read without waiting."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trust_store.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_FILES = 10_000
MAX_DEPTH = 8
_NOTATION_STORES = {"ca": "code", "signingAuthority": "code", "tsa": "timestamp"}


@dataclass(frozen=True, slots=True)
class KeyPath:
    """A file to read: ``named`` where the caller named it itself, ``purposes`` where its place in a notation trust store says so."""

    path: Path
    named: bool
    purposes: tuple[str, ...] = ()


def key_paths(arguments: Iterable[Path]) -> tuple[KeyPath, ...]:
    """The files named and, in order of their names, those in the directories named.

    Links to files are followed, links to directories are not. Raises UsageError beyond MAX_FILES files or MAX_DEPTH folders.
    """
    found: list[KeyPath] = []
    for argument in arguments:
        if argument.is_dir():
            found += [KeyPath(path, named=False, purposes=_purposes(path)) for path in _walk(argument, 0)]
        else:
            found.append(KeyPath(argument, named=True, purposes=_purposes(argument)))
        if len(found) > MAX_FILES:
            raise UsageError(f"more than {MAX_FILES} files: import the folders one by one")
    return tuple(found)


def read_regular(path: Path, limit: int) -> bytes:
    """The bytes of a regular file of at most ``limit`` bytes; raises UsageError, and never waits for a pipe or device."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UsageError("is no regular file")
            data = stream.read(limit + 1)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}") from error
    if len(data) > limit:
        raise UsageError(f"is larger than {limit} bytes: import the keys it holds in several files")
    return data


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    if depth > MAX_DEPTH:
        raise UsageError(f"{folder} lies deeper than {MAX_DEPTH} folders: import the folders one by one")
    try:
        with os.scandir(folder) as opened:
            entries = sorted(opened, key=lambda entry: entry.name)
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error.strerror}") from error
    if len(entries) > MAX_FILES:
        raise UsageError(f"{folder} holds more than {MAX_FILES} files: import the folders one by one")
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), depth + 1)
        elif not entry.is_dir():
            yield Path(entry.path)


def _purposes(path: Path) -> tuple[str, ...]:
    """What ``.../x509/<type>/<store>/<file>`` is for (Notary Project trust store specification, "Trust Store")."""
    parts = path.absolute().parts
    kind = _NOTATION_STORES.get(parts[-3]) if len(parts) >= 5 and parts[-4] == "x509" else None
    return () if kind is None else (kind,)
