"""The exclusive lock that makes its holder the only writer of a store: the daemon while it runs, else one command."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import TYPE_CHECKING

from trust_store.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


RETRY_SECONDS = 0.02


class WriterBusyError(StoreUnavailableError):
    """Somebody else is writing: usually the daemon, which then takes commands over its control socket."""


@contextlib.contextmanager
def writer_lock(path: Path, *, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the lock file exclusively; raises WriterBusyError where another process holds it for longer than ``wait_seconds``."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StoreUnavailableError(f"cannot open {path}: {error.strerror}") from error
    try:
        _lock(descriptor, path, time.monotonic() + wait_seconds)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path, until: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if time.monotonic() >= until:
                raise WriterBusyError(
                    f"{path} is held: the daemon, or another command, is writing to this store; stop it first: "
                    "systemctl stop rootwarden"
                ) from error
            time.sleep(RETRY_SECONDS)
        else:
            return
