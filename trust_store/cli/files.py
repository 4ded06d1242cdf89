"""Files that a command is told to read or write: capped, and replaced whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from trust_store.errors import StoreUnavailableError, UsageError
from trust_store.terminal import safe


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
    """Write beside the place and rename, durably; raises StoreUnavailableError. Readable by all: nothing secret is written so."""
    draft: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:50]}.")
        draft = Path(name)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        draft.chmod(0o644)
        draft.replace(path)
    except OSError as error:
        if draft is not None:
            draft.unlink(missing_ok=True)
        raise StoreUnavailableError(f"{safe(str(path), 300)} cannot be written: {error.strerror}") from error
