"""Looks at the incoming folder: regular files only, never through a symbolic link, nothing opened for reading."""

from __future__ import annotations

import fcntl
import os
import stat
from typing import TYPE_CHECKING

from monitor.intake_plan import Sight

if TYPE_CHECKING:
    from pathlib import Path

MAX_DEPTH = 8
MAX_FILES = 100_000


def look(folder: Path) -> tuple[tuple[Sight, ...], tuple[str, ...]]:
    """Return the files below ``folder`` and the paths that were passed over because they are no regular files or too deep."""
    sights: list[Sight] = []
    odd: list[str] = []
    pending = [("", 0)]
    while pending and len(sights) < MAX_FILES:
        below, depth = pending.pop()
        try:
            entries = sorted(os.scandir(folder / below), key=lambda e: e.name)
        except OSError:
            odd.append(below or ".")
            continue
        for entry in entries:
            path = f"{below}/{entry.name}" if below else entry.name
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue  # it went away between listing and looking
            if stat.S_ISDIR(status.st_mode) and depth < MAX_DEPTH:
                pending.append((path, depth + 1))
            elif stat.S_ISREG(status.st_mode):
                # Not the change time: retaining a package as a hard link moves it. Whoever sets the modification time back
                # gains nothing, since every verdict is about a digest.
                stamp = f"{status.st_size}.{status.st_mtime_ns}.{status.st_ino}.{status.st_mode:o}.{status.st_uid}.{status.st_gid}"
                sights.append(Sight(path, stamp, being_written=_being_written(folder / path)))
            else:
                odd.append(path)
    return tuple(sights), tuple(odd)


def _being_written(path: Path) -> bool:
    """Whether a process has the file open for writing, told by whether a read lease is granted (fcntl(2), F_SETLEASE).

    Leases are granted on our own files, and on all with CAP_LEASE; where that is not so only the settle time speaks.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False
