"""Files that a command is told to read or write: capped, and replaced whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trust_store.durable_file import replace_file
from trust_store.errors import StoreUnavailableError, UsageError
from trust_store.terminal import safe

if TYPE_CHECKING:
    from pathlib import Path


def read_capped(path: Path, limit: int) -> bytes:
    """The content of a file of at most ``limit`` bytes; raises UsageError."""
    try:
        with path.open("rb") as stream:
            data = stream.read(limit + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a usable path"
        raise UsageError(f"{safe(str(path), 300)} cannot be read: {reason}") from error
    if len(data) > limit:
        raise UsageError(f"{safe(str(path), 300)} is larger than {limit} bytes")
    return data


def write_whole(path: Path, content: bytes) -> None:
    """Write a file for everybody to read, its folders as well; raises StoreUnavailableError. Nothing secret is written so."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailableError(f"{safe(str(path), 300)} cannot be written: {error.strerror}") from error
    replace_file(path, content, mode=0o644)
