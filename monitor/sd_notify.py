"""The readiness protocol of sd_notify(3): datagrams to $NOTIFY_SOCKET, nothing where systemd did not start us."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def notify(state: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Send ``state`` (lines of ``READY=1``, ``STATUS=...``, ``WATCHDOG=1``); False where there is nobody to tell."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    target = "\0" + address[1:] if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as datagram:
            datagram.sendto(state.encode(), target)
    except OSError:
        return False
    return True


def watchdog_seconds(environ: Mapping[str, str] = os.environ, pid: int | None = None) -> float | None:
    """Half of $WATCHDOG_USEC in seconds, the interval at which to ping; None where no watchdog is set for this process."""
    usec, whose = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not usec.isdigit() or int(usec) == 0 or (whose and whose != str(pid or os.getpid())):
        return None
    return int(usec) / 2_000_000
