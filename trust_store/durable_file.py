"""Files that are replaced whole or not at all, and are there after a power cut once the call has returned."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from trust_store.errors import StoreUnavailableError

if TYPE_CHECKING:
    from pathlib import Path


def replace_file(path: Path, content: bytes, *, mode: int) -> None:
    """Write beside the place under another name, with its mode from the start, and rename; raises StoreUnavailableError."""
    draft = path.with_name(f".{path.name[:50]}.{os.urandom(6).hex()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(descriptor, mode)
            stream.write(content)
            stream.flush()
            os.fsync(descriptor)
        draft.replace(path)
        _keep_names(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise StoreUnavailableError(f"{path} cannot be written: {error.strerror}") from error


def _keep_names(folder: Path) -> None:
    """Make the rename itself durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
