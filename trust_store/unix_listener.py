"""A listening Unix socket with its group and mode set before anybody can connect."""

from __future__ import annotations

import contextlib
import grp
import os
import socket
from typing import TYPE_CHECKING

from trust_store.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

SOCKET_PATH_BYTES = 107
BACKLOG = 128


def listen(path: Path, *, group: str, mode: str, section: str) -> socket.socket:
    """Bind and listen at ``path``; raises ConfigError naming the ``[section]`` key that is to blame.

    ``mode`` is octal text; an empty ``group`` leaves the group of this process. A socket left by a dead process is replaced.
    """
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES:
        raise ConfigError(f"[{section}] socket: {path} is longer than {SOCKET_PATH_BYTES} bytes; choose a shorter path")
    try:
        bits = int(mode, 8) & 0o777
        gid = grp.getgrnam(group).gr_gid if group else -1
    except ValueError as error:
        raise ConfigError(f"[{section}] mode: {mode!r} is no octal file mode") from error
    except KeyError as error:
        raise ConfigError(f"[{section}] group: there is no group {group!r}") from error
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        # Nobody else may connect between the bind and the change of mode.
        mask = os.umask(0o177)
        try:
            listening.bind(os.fspath(path))
        finally:
            os.umask(mask)
        os.chown(path, -1, gid)
        path.chmod(bits)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise ConfigError(f"[{section}] socket: cannot listen on {path}: {error.strerror}") from error
    return listening
