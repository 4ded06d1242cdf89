"""The exclusive lock that makes its holder the only writer of a store: the daemon while it runs, else one command."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from trust_store.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class WriterBusyError(StoreUnavailableError):
    """Somebody else is writing: usually the daemon, which then takes commands over its control socket."""


@contextlib.contextmanager
def writer_lock(path: Path) -> Iterator[None]:
    """Hold the lock file exclusively; raises WriterBusyError at once where another process holds it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StoreUnavailableError(f"cannot open {path}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise WriterBusyError(f"{path} is held: the daemon, or another command, is writing to this store") from error
    try:
        yield
    finally:
        os.close(descriptor)
