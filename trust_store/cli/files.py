"""Files that a command is told to read or write: capped, and replaced whole or not at all."""

from __future__ import annotations

import os
import select
import stat
import time
from typing import TYPE_CHECKING

from trust_store.durable_file import replace_file
from trust_store.errors import StoreUnavailableError, UsageError
from trust_store.terminal import safe

if TYPE_CHECKING:
    from pathlib import Path

PIPE_SECONDS = 60.0
"""How long whoever writes into a pipe may take to be done."""
_PIECE_BYTES = 1024 * 1024
_PASSED_BY_THE_SHELL = ("/dev/fd/", "/proc/self/fd/", "/dev/stdin")


def read_capped(path: str | Path, limit: int, *, pipes: bool = True) -> bytes:
    """The content of a regular file of at most ``limit`` bytes; raises UsageError. Never waits for whoever might write to it.

    With ``pipes`` the one that a shell passed, as in ``<(command)``, is read as well, for PIPE_SECONDS at most.
    """
    data = read_start(path, limit + 1, pipes=pipes)
    if len(data) > limit:
        raise UsageError(f"{safe(str(path), 300)} is larger than {limit} bytes")
    return data


def read_start(path: str | Path, limit: int, *, pipes: bool = True) -> bytes:
    """As ``read_capped``, but of a file that is longer its first ``limit`` bytes."""
    told = safe(str(path), 300)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            mode = os.fstat(descriptor).st_mode
            passed = pipes and str(path).startswith(_PASSED_BY_THE_SHELL)
            if not stat.S_ISREG(mode) and not (stat.S_ISFIFO(mode) and passed):
                kind = "a directory" if stat.S_ISDIR(mode) else "no regular file"
                raise UsageError(f"{told} cannot be read: it is {kind}")
            return _read(descriptor, limit)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        reason = error.strerror or str(error) if isinstance(error, OSError) else "not a usable path"
        raise UsageError(f"{told} cannot be read: {reason}") from error


def _read(descriptor: int, limit: int) -> bytes:
    """What an open file or pipe holds up to ``limit`` bytes; raises TimeoutError, another OSError."""
    until = time.monotonic() + PIPE_SECONDS
    ready = select.poll()
    ready.register(descriptor, select.POLLIN)
    data = bytearray()
    while len(data) < limit:
        if not ready.poll(max(0.0, until - time.monotonic()) * 1000):
            raise TimeoutError(f"nobody ended it within {PIPE_SECONDS:g} seconds")
        piece = os.read(descriptor, min(_PIECE_BYTES, limit - len(data)))
        if not piece:
            break
        data += piece
    return bytes(data)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file for everybody to read, its folders as well; raises StoreUnavailableError. Nothing secret is written so."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailableError(f"{safe(str(path), 300)} cannot be written: {error.strerror}") from error
    replace_file(path, content, mode=0o644)
